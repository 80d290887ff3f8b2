//! Which store the clouds of a run keep their books in, and the database of one that replicas share.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::postgres::{ADDRESS, Postgres};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// Embedded: one cloud.
    #[default]
    Sled,
    /// Replicas share one database.
    Postgres,
}

/// A database for one run, which goes with it.
#[derive(Debug)]
pub struct Database {
    pub url: String,
    server: Server,
}

#[derive(Debug)]
enum Server {
    Ours { _postgres: Postgres },
    Named { url: String, database: String },
}

impl Database {
    /// On a server of our own, unless the environment names one in which databases may be made.
    pub fn start() -> Result<Self> {
        let Ok(named) = std::env::var(ADDRESS) else {
            let postgres = Postgres::start()?;
            return Ok(Self { url: postgres.url(), server: Server::Ours { _postgres: postgres } });
        };
        let database = format!("facegate_{}", uuid::Uuid::new_v4().simple());
        psql(&named, &format!("CREATE DATABASE {database}"))?;
        Ok(Self { url: in_database(&named, &database), server: Server::Named { url: named, database } })
    }

    /// Whether commits over connections made from now on wait for the disk; a run that only fills has no need of it.
    pub fn set_syncs(&self, syncs: bool) -> Result<()> {
        let value = if syncs { "on" } else { "off" };
        psql(
            &self.url,
            &format!(
                "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = {value}', current_database()); END $$"
            ),
        )
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let Server::Named { url, database } = &self.server else { return };
        if let Err(error) = psql(url, &format!("DROP DATABASE {database} WITH (FORCE)")) {
            eprintln!("the database {database} is left behind: {error:#}");
        }
    }
}

/// The URL of another database of the same server.
fn in_database(server: &str, database: &str) -> String {
    let (path, parameters) = server.split_once('?').unwrap_or((server, ""));
    let host = path.rsplit_once('/').map_or(path, |(host, _)| host);
    let question = if parameters.is_empty() { "" } else { "?" };
    format!("{host}/{database}{question}{parameters}")
}

fn psql(url: &str, sql: &str) -> Result<()> {
    let ran = Command::new("psql").args(["--quiet", "--no-psqlrc", "--command", sql, url]).output();
    let ran = ran.context("starting psql (on Debian and Ubuntu the package is postgresql-client)")?;
    ensure!(ran.status.success(), "psql: {}", String::from_utf8_lossy(&ran.stderr).trim());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_database_of_the_server_is_reached_as_the_server_is() {
        let url = "postgres://postgres@localhost/postgres?host=/tmp/pg";
        assert_eq!(in_database(url, "fresh"), "postgres://postgres@localhost/fresh?host=/tmp/pg");
        assert_eq!(in_database("postgres://u@h:5433/postgres", "fresh"), "postgres://u@h:5433/fresh");
    }
}
