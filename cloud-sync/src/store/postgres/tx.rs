//! One command's transaction: its connection, what it counts, and what it publishes.

use std::collections::BTreeMap;

use facegate_domain::Timestamp;
use facegate_domain::fingerprint::FactSet;
use sqlx::postgres::PgConnection;
use sqlx::{Postgres, Transaction};
use tokio::sync::watch;

use super::digest::Toggled;
use super::error::Trouble;
use super::values::{from_number, json};
use crate::store::logged::Logged;

/// Rows that one counter is spread over.
const PARTS: u8 = 8;

/// The log is shortened when it is longer than it should be by this part of what is kept, or by `TRIMMED_MAX`.
const TRIMMED_PART: u64 = 10;
const TRIMMED_MAX: u64 = 10_000;

#[derive(Debug)]
pub(super) struct Tx {
    inner: Transaction<'static, Postgres>,
    counts: BTreeMap<String, i64>,
    toggled: Toggled,
    published: Option<u64>,
    head: watch::Sender<u64>,
    kept: u64,
    /// Whether somebody is there to deliver notices to riders.
    pub keeps_notices: bool,
    /// Whether an entry asks for a hold.
    pub wants_holds: bool,
    /// Whether a tap asks to be looked at for risk.
    pub wants_looks: bool,
}

impl Tx {
    pub fn new(inner: Transaction<'static, Postgres>, head: watch::Sender<u64>, kept: u64) -> Self {
        let (counts, toggled) = (BTreeMap::new(), Toggled::default());
        let [keeps_notices, wants_holds, wants_looks] = [false; 3];
        Self { inner, counts, toggled, published: None, head, kept, keeps_notices, wants_holds, wants_looks }
    }

    pub fn sql(&mut self) -> &mut PgConnection {
        &mut self.inner
    }

    /// Adds to a counter when the command commits.
    pub fn count(&mut self, name: impl Into<String>, by: i64) {
        *self.counts.entry(name.into()).or_default() += by;
    }

    /// A fact that stations hold comes or goes with this command, beside those that the changes themselves tell of.
    pub fn toggle(&mut self, set: FactSet, id: &[u8; 16], fact: u64) {
        self.toggled.toggle(set, id, fact);
    }

    /// Waits until no other transaction is about to publish or to look at what may be told; none is until this one
    /// has ended.
    pub async fn alone_at_the_feed(&mut self) -> Result<(), Trouble> {
        sqlx::query("UPDATE core.feed_head SET version = version").execute(self.sql()).await?;
        Ok(())
    }

    /// Appends changes; gives the version of the last. Nobody else publishes from here to the commit, so what is left
    /// to do should be little.
    pub async fn publish(&mut self, changes: &[Logged]) -> Result<u64, Trouble> {
        let added = i64::try_from(changes.len()).unwrap_or(i64::MAX);
        let (last, gone, roots): (i64, i64, String) =
            sqlx::query_as("UPDATE core.feed_head SET version = version + $1 RETURNING version, gone, roots")
                .bind(added)
                .fetch_one(self.sql())
                .await?;
        changes.iter().for_each(|change| self.toggled.follow(change));
        let toggled = std::mem::take(&mut self.toggled);
        toggled.keep(self.sql(), last, &roots).await?;
        let versions: Vec<i64> = (last - added + 1..=last).collect();
        let bodies: Vec<String> = changes.iter().map(json).collect();
        sqlx::query(
            "INSERT INTO core.change (version, body) SELECT * FROM UNNEST($1::bigint[], $2::text[]) AS t (version, body)",
        )
        .bind(&versions)
        .bind(&bodies)
        .execute(self.sql())
        .await?;
        self.trim(from_number(last), from_number(gone)).await?;
        self.published = Some(from_number(last));
        Ok(from_number(last))
    }

    /// Begins the log anew; see `FeedStore::restart_feed`.
    pub async fn restart_feed(&mut self, now: Timestamp) -> Result<u64, Trouble> {
        let version: i64 = sqlx::query_scalar(
            "UPDATE core.feed_head SET version = greatest(version + 1, $1), gone = greatest(version + 1, $1)
             RETURNING version",
        )
        .bind(now.unix_ms())
        .fetch_one(self.sql())
        .await?;
        sqlx::query("DELETE FROM core.change").execute(self.sql()).await?;
        sqlx::query("DELETE FROM core.digest_at").execute(self.sql()).await?;
        sqlx::query("INSERT INTO core.digest_at SELECT version, roots FROM core.feed_head").execute(self.sql()).await?;
        self.published = Some(from_number(version));
        Ok(from_number(version))
    }

    async fn trim(&mut self, last: u64, gone: u64) -> Result<(), Trouble> {
        let target = last.saturating_sub(self.kept);
        if target < gone + (self.kept / TRIMMED_PART).clamp(1, TRIMMED_MAX) {
            return Ok(());
        }
        let target = i64::try_from(target).unwrap_or(i64::MAX);
        sqlx::query("DELETE FROM core.change WHERE version <= $1").bind(target).execute(self.sql()).await?;
        sqlx::query("DELETE FROM core.digest_at WHERE version <= $1").bind(target).execute(self.sql()).await?;
        sqlx::query("UPDATE core.feed_head SET gone = $1").bind(target).execute(self.sql()).await?;
        Ok(())
    }

    pub async fn commit(mut self) -> Result<(), Trouble> {
        self.counts.retain(|_, by| *by != 0);
        if !self.counts.is_empty() {
            // In the order of their names, as everybody does, so that no two commands wait for each other.
            let (names, by): (Vec<String>, Vec<i64>) = std::mem::take(&mut self.counts).into_iter().unzip();
            sqlx::query(
                "INSERT INTO core.counter AS c (name, part, value)
                 SELECT name, $1, by FROM UNNEST($2::text[], $3::bigint[]) AS t (name, by) ORDER BY name COLLATE \"C\"
                 ON CONFLICT (name, part) DO UPDATE SET value = c.value + excluded.value",
            )
            .bind(i16::from(rand::random::<u8>() % PARTS))
            .bind(&names)
            .bind(&by)
            .execute(self.sql())
            .await?;
        }
        self.inner.commit().await?;
        if let Some(published) = self.published {
            rise(&self.head, published);
        }
        Ok(())
    }
}

/// Shows a version that is durable.
pub(super) fn rise(head: &watch::Sender<u64>, version: u64) {
    head.send_if_modified(|shown| {
        let rises = version > *shown;
        *shown = version.max(*shown);
        rises
    });
}
