//! A PostgreSQL of one's own for tests and benches: a fresh database in a temporary folder, reached by a socket there,
//! so that nothing clashes with another. It ends with whoever started it, however that one ends.
//!
//! This file stands by itself (the standard library and `anyhow`): the tests of the cloud's store and the load driver
//! include it too, so that they run by hand as they do under `cargo xtask test`.

use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// Where those who need a PostgreSQL look for the URL of one; each makes databases of its own there.
pub const ADDRESS: &str = "FACEGATE_POSTGRES";

/// Rounds of waiting for the server to answer: a minute.
const ROUNDS_MAX: u32 = 600;

/// Ends the server and removes its folder once standard input ends, which it does with whoever holds the other end.
const KEEPER: &str = r#"
"$1/postgres" -D "$2/data" -k "$2" -c listen_addresses='' -c max_connections=300 -c max_wal_size=4GB \
    -c shared_buffers=256MB >"$2/log" 2>&1 &
server=$!
cat >/dev/null
kill -INT "$server"
wait "$server"
rm -rf "$2"
"#;

/// A running server. Dropping it ends it.
#[derive(Debug)]
pub struct Postgres {
    keeper: Child,
    folder: PathBuf,
}

impl Postgres {
    /// Starts one, as the user `postgres` when called by root, which PostgreSQL refuses to run as.
    pub fn start() -> Result<Self> {
        let programs = programs().context(
            "there is no PostgreSQL on this machine; `cargo xtask setup` installs it (on Debian and Ubuntu the package is \
             postgresql), or set FACEGATE_POSTGRES to the URL of a server in which databases may be made",
        )?;
        let folder = new_folder()?;
        let account = if is_root(&folder)? { Some(account()?) } else { None };
        if let Some((user, group)) = account {
            chown(&folder, Some(user), Some(group)).context("handing the folder to PostgreSQL's user")?;
        }
        let as_account = |command: &mut Command| {
            if let Some((user, group)) = account {
                command.uid(user).gid(group);
            }
            command.current_dir(&folder);
        };
        let mut initdb = Command::new(programs.join("initdb"));
        as_account(initdb.args(["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "--no-sync"]));
        let made = initdb.arg("-D").arg(folder.join("data")).output().context("starting initdb")?;
        if !made.status.success() {
            bail!("initdb failed ({}):\n{}", made.status, String::from_utf8_lossy(&made.stderr));
        }
        let mut keeper = Command::new("sh");
        as_account(keeper.args(["-c", KEEPER, "postgres-keeper"]).arg(&programs).arg(&folder));
        keeper.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        // A group of its own: Ctrl-C goes to whoever started it, and the server ends after that one.
        let keeper = keeper.process_group(0).spawn().context("starting PostgreSQL")?;
        let server = Self { keeper, folder };
        server.wait_until_it_answers(&programs)?;
        Ok(server)
    }

    /// The URL of its administrator, who needs no password.
    pub fn url(&self) -> String {
        format!("postgres://postgres@localhost/postgres?host={}", self.folder.display())
    }

    fn wait_until_it_answers(&self, programs: &Path) -> Result<()> {
        for _ in 0..ROUNDS_MAX {
            let mut ready = Command::new(programs.join("pg_isready"));
            ready.arg("-q").arg("-h").arg(&self.folder).stdout(Stdio::null()).stderr(Stdio::null());
            if ready.status().context("starting pg_isready")?.success() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        bail!("PostgreSQL does not answer after a minute; its log ends with:\n{}", tail(&log))
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        if let Err(error) = self.keeper.wait() {
            let _ = writeln!(std::io::stderr(), "PostgreSQL in {} was not seen to end: {error}", self.folder.display());
        }
    }
}

/// The folder of the server's programs: where Debian keeps the newest, or where `pg_config` says.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let version = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
    let newest = versions.filter_map(|entry| Some((version(&entry.path())?, entry.path().join("bin")))).max();
    let told = || {
        let output =
            Command::new("pg_config").arg("--bindir").output().ok().filter(|output| output.status.success())?;
        Some(PathBuf::from(String::from_utf8(output.stdout).ok()?.trim()))
    };
    let has_all = |folder: &PathBuf| ["initdb", "postgres", "pg_isready"].iter().all(|name| folder.join(name).exists());
    newest.map(|(_, folder)| folder).filter(has_all).or_else(|| told().filter(has_all))
}

/// Whether a PostgreSQL server is installed here.
pub fn installed() -> bool {
    programs().is_some()
}

fn new_folder() -> Result<PathBuf> {
    let made = Command::new("mktemp").args(["-d", "-t", "facegate-pg-XXXXXX"]).output().context("starting mktemp")?;
    let folder = PathBuf::from(String::from_utf8_lossy(&made.stdout).trim());
    if !made.status.success() || !folder.is_dir() {
        bail!("no temporary folder could be made: {}", String::from_utf8_lossy(&made.stderr));
    }
    // The tests' user must reach the socket in it.
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755)).context("opening the folder")?;
    Ok(folder)
}

fn is_root(own: &Path) -> Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    Ok(own.metadata().context("looking at the temporary folder")?.uid() == 0)
}

/// User and group that the package made for the server.
fn account() -> Result<(u32, u32)> {
    let id = |flag: &str| -> Result<u32> {
        let output = Command::new("id").args([flag, "postgres"]).output().context("starting id")?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        text.parse().context("PostgreSQL does not run as root, and there is no user postgres that it could run as")
    };
    Ok((id("-u")?, id("-g")?))
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}
