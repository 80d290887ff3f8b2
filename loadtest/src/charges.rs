//! Charging under faults: a real cloud process against the sandbox acquirer with every fault turned on, over real HTTPS,
//! while the cloud is killed again and again. In the end each fare has to be captured exactly once or owed exactly once,
//! by the cloud's ledger and by the acquirer's own book, and the acquirer's settlement files have to say the same.

mod fill;
mod place;
mod tally;

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use facegate_runtime::clock::Stopwatch;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::Serialize;

use crate::database::StoreKind;
use crate::demo::say;
use place::{Place, Progress};
use tally::Tally;

/// From the cloud being back to its next kill, while charges are under way.
const UP_MS: std::ops::Range<u64> = 1_500..6_000;
/// A replica of a cloud over PostgreSQL that was killed holds its turn of charging for half a minute: only after that
/// does the next one go on, and is worth killing.
const UP_MS_POSTGRES: std::ops::Range<u64> = 36_000..50_000;
/// How long it stays dead.
const DEAD_MS: std::ops::Range<u64> = 1..1_000;
/// The kills end when so many of the charges are at rest: the last ones come to their end undisturbed.
const KILLED_UNTIL: f64 = 0.9;
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(500);
const TELL_EVERY: Duration = Duration::from_secs(5);
/// Without any progress for so long the run is over.
const STUCK_AFTER: Duration = Duration::from_secs(120);
/// What would be charged a second time has its chance in that.
const REST: Duration = Duration::from_secs(5);
/// Charges of a `--quick` run.
const QUICK_CHARGES: usize = 600;

#[derive(Debug, Clone, clap::Args)]
pub struct ChargesOptions {
    /// Riders with one ride each, hence charges.
    #[arg(long, default_value_t = 10_000)]
    pub charges: usize,
    /// What the cloud keeps its books in.
    #[arg(long, value_enum, default_value_t = StoreKind::Sled)]
    pub store: StoreKind,
    /// Chooses faults and the moments of the kills; printed. Random unless given.
    #[arg(long)]
    pub seed: Option<u64>,
    /// A few hundred charges only.
    #[arg(long)]
    pub quick: bool,
    /// Exit with an error unless every fare is captured exactly once or owed exactly once.
    #[arg(long)]
    pub check: bool,
}

/// The last line.
#[derive(Debug, Serialize)]
struct Report {
    #[serde(flatten)]
    tally: Tally,
    kills: usize,
    seconds: f64,
    store: StoreKind,
    seed: u64,
}

pub async fn run(options: &ChargesOptions, home: &Path, folder: &Path) -> Result<()> {
    let watch = Stopwatch::start();
    let seed = options.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let charges = if options.quick { options.charges.min(QUICK_CHARGES) } else { options.charges };
    say(&format!("seed {seed}; {charges} rides are laid into the {:?} store", options.store));
    let mut place = Place::make(options.store, seed, home, folder).await?;
    let riders = fill::fill(&place.config, charges).await?;
    say(&format!("filled after {:.0} s; cloud and acquirer start", watch.elapsed().as_secs_f64()));
    place.start().await?;
    let kills = until_at_rest(&mut place, charges, options.store, seed).await?;
    tokio::time::sleep(REST).await;
    say("everything is at rest; the books are compared");
    let statistics = place.statistics().await?;
    let files = place.settlement_files().await?;
    let in_flight = charges.saturating_sub(place.progress().await?.at_rest);
    place.stop().await?;
    let tally = tally::tally(&place.config, &riders, &statistics, &files, in_flight).await?;
    let faults = tally.faults();
    faults.iter().for_each(|fault| say(&format!("DOES NOT HOLD (seed {seed}): {fault}")));
    let seconds = watch.elapsed().as_secs_f64();
    let report = Report { tally, kills, seconds, store: options.store, seed };
    println!("{}", serde_json::to_string(&report)?);
    if options.check && !faults.is_empty() {
        bail!("{} promises do not hold", faults.len());
    }
    Ok(())
}

/// Kills the cloud at random moments until most charges are at rest, then waits for the others; gives the kills.
async fn until_at_rest(place: &mut Place, charges: usize, store: StoreKind, seed: u64) -> Result<usize> {
    let mut moments = StdRng::seed_from_u64(seed);
    let up = if store == StoreKind::Postgres { UP_MS_POSTGRES } else { UP_MS };
    let (mut kills, mut next_kill) = (0, Stopwatch::start());
    // The first kill comes early also over PostgreSQL, where the others are far apart.
    let mut up_for = Duration::from_millis(moments.random_range(UP_MS));
    let (mut seen, mut moved, mut told) = (Progress::default(), Stopwatch::start(), Stopwatch::start());
    loop {
        tokio::time::sleep(LOOK_EVERY.min(up_for)).await;
        // A look that fails came while the cloud was starting.
        let now = place.progress().await.unwrap_or(seen);
        if now != seen {
            (seen, moved) = (now, Stopwatch::start());
        }
        if told.elapsed() >= TELL_EVERY {
            told = Stopwatch::start();
            let Progress { opened, at_rest } = seen;
            say(&format!("{opened} of {charges} charges opened, {at_rest} at rest, {kills} kills"));
        }
        if seen.opened >= charges && seen.at_rest >= charges {
            return Ok(kills);
        }
        place.check_running()?;
        if moved.elapsed() > STUCK_AFTER {
            say(&format!("nothing has moved for {} s: {seen:?}", STUCK_AFTER.as_secs()));
            return Ok(kills);
        }
        #[expect(clippy::cast_precision_loss, reason = "a share of a count")]
        let most = seen.at_rest as f64 >= KILLED_UNTIL * charges as f64;
        if next_kill.elapsed() >= up_for && !(most && kills > 0) {
            place.kill_cloud().await?;
            tokio::time::sleep(Duration::from_millis(moments.random_range(DEAD_MS))).await;
            place.start_cloud_again()?;
            kills += 1;
            next_kill = Stopwatch::start();
            up_for = Duration::from_millis(moments.random_range(up.clone()));
        }
    }
}
