//! The close of a day of a city: filled through the store's own commands, with known differences planted among what is
//! right, and closed by a process of its own, whose time and greatest memory are measured. What it lists is then held
//! against what was planted.

mod day;
mod fill;

use facegate_runtime::clock::Stopwatch;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use facegate_cloud_sync::auditor::{AuditPolicy, Auditor};
use facegate_cloud_sync::books::{Closer, Closing, Matcher};
use facegate_cloud_sync::store::Store;
use facegate_cloud_sync::store::postgres::{PgStore, PostgresUrl};
use facegate_cloud_sync::store::sled::SledStore;
use facegate_domain::Clock;
use facegate_domain::travel_day::TravelDays;
use facegate_runtime::clock::SystemClock;
use facegate_runtime::keys::FileKeys;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::database::{Database, StoreKind};
use day::{ACQUIRER, CURRENCY};

const FEED_KEPT: u64 = 100_000;
/// Of each of the three databases of the embedded store.
const CACHE_BYTES: u64 = 128 << 20;

#[derive(Debug, Clone, clap::Args)]
pub struct ClosingLoad {
    /// Taps of the day.
    #[arg(long, default_value_t = 3_000_000)]
    pub taps: u64,
    /// Which store they are in.
    #[arg(long, value_enum, default_value_t = StoreKind::Sled)]
    pub store: StoreKind,
    /// A rough answer within a minute: 20,000 taps.
    #[arg(long)]
    pub quick: bool,
    /// Exit non-zero if a difference was found that was not planted, or a planted one was not.
    #[arg(long)]
    pub check: bool,
    /// Keep the filled store beside the one that is closed, so that the next run in this folder need not fill; takes its
    /// size once more.
    #[arg(long)]
    pub keep: bool,
    /// Only closes, in the folder of a run: what that run starts.
    #[arg(long, hide = true)]
    pub closing: bool,
}

/// What was filled, beside it, so that the next run in the same folder need not fill again.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Filled {
    store: StoreKind,
    taps: u64,
    day: Date,
    database: Option<String>,
    /// Kind and rider of each planted difference, and how many of them.
    planted: BTreeMap<String, u64>,
}

/// What the closing process says.
#[derive(Debug, Serialize, Deserialize)]
struct Closed {
    seconds: f64,
    peak_bytes: u64,
    taps: u64,
    differences: u64,
}

#[derive(Debug, Serialize)]
struct Report {
    store: StoreKind,
    taps: u64,
    seconds: f64,
    peak_bytes: u64,
    differences: u64,
    planted: u64,
    missed: u64,
    not_planted: u64,
    filled_s: f64,
}

pub async fn run(load: &ClosingLoad, folder: &Path) -> Result<()> {
    if load.closing {
        return close(folder).await;
    }
    let taps = if load.quick { load.taps.min(20_000) } else { load.taps };
    let begun = Stopwatch::start();
    // Lives as long as the run, unless the environment names a server and the folder is kept.
    let database = match load.store {
        StoreKind::Sled => None,
        StoreKind::Postgres => Some(tokio::task::spawn_blocking(Database::start).await??),
    };
    let filled = filled(load, taps, database.as_ref(), folder).await?;
    let filled_s = begun.elapsed().as_secs_f64();
    eprintln!("filled in {filled_s:.0} s; a process of its own closes {}…", filled.day);
    let program = std::env::current_exe()?;
    let mut closing = Command::new(program);
    closing.args(["close-of-day", "--closing", "--folder"]).arg(folder).stderr(std::process::Stdio::inherit());
    let output =
        tokio::task::spawn_blocking(move || closing.output()).await?.context("starting the closing process")?;
    ensure!(output.status.success(), "the closing process failed: {}", output.status);
    let closed: Closed = serde_json::from_slice(&output.stdout).context("what the closing process said")?;
    let found = found(&folder.join("books").join(filled.day.to_string()).join("differences.csv"))?;
    let (missed, not_planted) = (beyond(&filled.planted, &found), beyond(&found, &filled.planted));
    for (what, of) in [("missed", &filled.planted), ("not planted", &found)] {
        let other = if what == "missed" { &found } else { &filled.planted };
        for (name, count) in of.iter().filter(|(name, count)| other.get(*name) != Some(*count)).take(10) {
            eprintln!("{what}: {name} {count} times, and {:?} times on the other side", other.get(name));
        }
    }
    let report = Report {
        store: load.store,
        taps: closed.taps,
        seconds: closed.seconds,
        peak_bytes: closed.peak_bytes,
        differences: closed.differences,
        planted: filled.planted.values().sum(),
        missed,
        not_planted,
        filled_s,
    };
    println!("{}", serde_json::to_string(&report)?);
    ensure!(!load.check || (missed, not_planted) == (0, 0), "what was found is not what was planted: see above");
    ensure!(!load.check || closed.taps == filled.taps, "the close counted {} of {} taps", closed.taps, filled.taps);
    Ok(())
}

/// How much of `of` is not in `other`.
fn beyond(of: &BTreeMap<String, u64>, other: &BTreeMap<String, u64>) -> u64 {
    of.iter().map(|(name, count)| count.saturating_sub(other.get(name).copied().unwrap_or(0))).sum()
}

/// Kind and rider of each difference in the table, with how often.
fn found(path: &Path) -> Result<BTreeMap<String, u64>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let mut found = BTreeMap::new();
    // The first two fields hold neither commas nor quotes.
    for line in text.lines().skip(1) {
        let name = line.splitn(3, ',').take(2).collect::<Vec<_>>().join(" ");
        *found.entry(name).or_default() += 1;
    }
    Ok(found)
}

fn note(folder: &Path) -> PathBuf {
    folder.join("filled.json")
}

async fn filled(load: &ClosingLoad, taps: u64, database: Option<&Database>, folder: &Path) -> Result<Filled> {
    let kind = load.store;
    let earlier = std::fs::read(note(folder)).ok().and_then(|text| serde_json::from_slice::<Filled>(&text).ok());
    let is_kept = database.is_none() && folder.join("store-before").is_dir();
    if let Some(earlier) = earlier.filter(|earlier| (earlier.store, earlier.taps) == (kind, taps) && is_kept) {
        eprintln!("the folder is filled already");
        // The close is made anew: what an earlier one has written would only be read.
        reopen(folder)?;
        return Ok(earlier);
    }
    let url = database.map(|database| database.url.clone());
    let _ = std::fs::remove_dir_all(folder.join("store"));
    if let Some(database) = database {
        database.set_syncs(false)?;
    }
    let store = to_fill(url.as_deref(), folder).await?;
    let day = day::yesterday();
    let planted = fill::fill(Arc::clone(&store), day, taps, folder).await?;
    auditor(&store).round().await?;
    // Closing it makes it durable; the process that closes the day waits for the disk like any cloud.
    drop(store);
    if let Some(database) = database {
        database.set_syncs(true)?;
    }
    let filled = Filled { store: kind, taps, day, database: url, planted };
    std::fs::write(note(folder), serde_json::to_vec(&filled)?)?;
    if load.keep {
        keep(folder)?;
    }
    Ok(filled)
}

/// Keeps the embedded store as it is before the close.
fn keep(folder: &Path) -> Result<()> {
    copy(&folder.join("store"), &folder.join("store-before"))
}

fn reopen(folder: &Path) -> Result<()> {
    let _ = std::fs::remove_dir_all(folder.join("books"));
    let _ = std::fs::remove_dir_all(folder.join("store"));
    copy(&folder.join("store-before"), &folder.join("store"))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if !from.is_dir() {
        return Ok(());
    }
    let copied = Command::new("cp").args(["-a", "--reflink=auto"]).arg(from).arg(to).status()?;
    ensure!(copied.success(), "copying {} failed", from.display());
    Ok(())
}

/// The store, whose commands do not wait for the disk: only filling is done so.
async fn to_fill(url: Option<&str>, folder: &Path) -> Result<Arc<dyn Store>> {
    if url.is_some() {
        return open(StoreKind::Postgres, url, folder).await;
    }
    let keys = FileKeys::open(&folder.join("keys"))?;
    Ok(Arc::new(SledStore::open_to_fill(&folder.join("store"), &keys, FEED_KEPT, CACHE_BYTES)?))
}

async fn open(kind: StoreKind, url: Option<&str>, folder: &Path) -> Result<Arc<dyn Store>> {
    let keys = FileKeys::open(&folder.join("keys"))?;
    Ok(match (kind, url) {
        (StoreKind::Sled, _) => {
            let dir = folder.join("store");
            Arc::new(SledStore::open_cached(&dir, &keys, FEED_KEPT, CACHE_BYTES)?)
        }
        (StoreKind::Postgres, url) => {
            let url = PostgresUrl::checked(url.context("a run over PostgreSQL notes its database")?, None)?;
            Arc::new(PgStore::open(&url, &keys, FEED_KEPT).await?)
        }
    })
}

fn days() -> Result<TravelDays> {
    Ok(TravelDays::new("UTC", "00:00")?)
}

fn auditor(store: &Arc<dyn Store>) -> Auditor {
    let days = TravelDays::new("UTC", "00:00").expect("a zone that every machine knows");
    let second = std::time::Duration::from_secs(1);
    let policy = AuditPolicy { days, every: second, close_after: std::time::Duration::ZERO, recheck_days: 2 };
    Auditor::new(Arc::clone(store), Arc::new(SystemClock::new()), policy)
}

/// The closing process.
async fn close(folder: &Path) -> Result<()> {
    let filled: Filled = serde_json::from_slice(&std::fs::read(note(folder))?)?;
    let begun = Stopwatch::start();
    let store = open(filled.store, filled.database.as_deref(), folder).await?;
    let matcher = Matcher {
        store: Arc::clone(&store),
        days: days()?,
        dir: folder.join("books"),
        currency: CURRENCY.parse()?,
        acquirers: vec![ACQUIRER.to_owned()],
    };
    let closer = Closer::new(matcher, auditor(&store), std::time::Duration::ZERO);
    // Some of what is planted speaks against a close.
    let closing = Closing { by: "bench".into(), note: Some("differences are planted".into()), force: true };
    let close = closer.close(filled.day, &closing, SystemClock::new().now()).await?;
    let closed = Closed {
        seconds: begun.elapsed().as_secs_f64(),
        peak_bytes: peak_bytes()?,
        taps: close.totals.taps,
        differences: close.totals.differences_count(),
    };
    println!("{}", serde_json::to_string(&closed)?);
    Ok(())
}

/// The most that this process ever held in memory.
fn peak_bytes() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status").context("reading this process's status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("the system tells no peak")?;
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kilobytes * 1024)
}
