//! Random processes of the city are killed at random moments while a crowd rides: nothing may be lost, nothing doubled.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use facegate_runtime::clock::Stopwatch;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::city::{City, CityOptions};
use crate::crowd::{Account, Crowd, settled};
use crate::database::StoreKind;
use crate::demo::say;

/// Kills of a `--quick` run, which takes a minute or so.
const QUICK_KILLS: usize = 12;
/// From one process being back to the next kill.
const PAUSE_MS: std::ops::Range<u64> = 300..5000;
/// How long a killed process stays dead. Half of them are started again at once.
const DEAD_MS: std::ops::Range<u64> = 1..2000;
/// How long the books may take to agree with the bodies in the end.
const SETTLED_WITHIN: Duration = Duration::from_secs(180);
/// What would be charged a second time has its chance in that.
const REST: Duration = Duration::from_secs(5);
/// One kill in so many takes a second process with it.
const ONE_IN_IS_DOUBLE: u32 = 6;
/// How often the progress is told.
const TELL_EVERY: usize = 10;

/// `kill -9` of any process, at any moment, under load.
///
/// A crowd rides through all gates of the demo's city, by face and by code, while its processes (cloud, acquirer,
/// stations, gates, entrance camera) are killed and started again, now and then two at once, at moments that the seed
/// chooses. With `--store postgres` the cloud is two replicas before one PostgreSQL, every other kill is of one of them,
/// and the stations go over to the other. Bodies are counted by the aisles' own beams and money by the acquirer's own book. In the end every body
/// has to be one tap, every ride one trip that went as the body went, with one captured charge.
#[derive(Debug, Clone, clap::Args)]
pub struct KillOptions {
    /// How many kills.
    #[arg(long, default_value_t = 100)]
    times: usize,
    /// Chooses victims and moments; printed, so that a run can be repeated. Random unless given.
    #[arg(long)]
    seed: Option<u64>,
    /// Passengers who ride by code only, besides the two who are enrolled by face.
    #[arg(long, default_value_t = 6)]
    by_code: usize,
    /// What the cloud keeps its books in: "sled" is one cloud, "postgres" two replicas.
    #[arg(long, value_enum, default_value_t = StoreKind::Sled)]
    store: StoreKind,
    /// A dozen kills only.
    #[arg(long)]
    quick: bool,
    /// Exit with an error if anything was lost, doubled or paired otherwise than the bodies went.
    #[arg(long)]
    check: bool,
}

/// The last line.
#[derive(Debug, Serialize)]
struct Report {
    kills: usize,
    #[serde(flatten)]
    account: Account,
    kills_by_process: BTreeMap<String, usize>,
    /// How often somebody stood before a door that stayed closed while something was dead.
    gave_up: usize,
    seconds: f64,
    store: StoreKind,
    seed: u64,
}

/// Runs it in `folder` with the models and portraits of `home`.
pub async fn run(options: &KillOptions, home: &Path, folder: &Path) -> Result<()> {
    let watch = Stopwatch::start();
    let seed = options.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let kills = if options.quick { QUICK_KILLS } else { options.times };
    let city_options = CityOptions { store: options.store, ..CityOptions::under_faults(home, folder) };
    let mut city = City::start(&city_options).await?;
    say(&format!("seed {seed}; {}", city.describe()));
    let crowd = Crowd::enrol(&city, home, options.by_code).await?;
    say(&format!("{} passengers ride after {:.0} s", crowd.passengers().len(), watch.elapsed().as_secs_f64()));

    let stop = CancellationToken::new();
    let killing = async {
        let killed = kill(&mut city, &crowd, kills, seed).await;
        stop.cancel();
        killed
    };
    let (killed, rode) = tokio::join!(killing, crowd.ride_until(seed, &stop));
    let kills_by_process = killed?;
    rode.with_context(|| format!("with seed {seed}"))?;
    city.check_running()?;

    say("everybody is out; the books are compared");
    let account = settled(&crowd, &city, SETTLED_WITHIN, REST).await?;
    let faults = account.faults();
    let stopped = city.stop().await;
    let (gave_up, seconds) = (crowd.gave_up(), watch.elapsed().as_secs_f64());
    let report = Report { kills, account, kills_by_process, gave_up, seconds, store: options.store, seed };
    faults.iter().for_each(|fault| say(&format!("DOES NOT HOLD (seed {seed}): {fault}")));
    println!("{}", serde_json::to_string(&report)?);
    stopped?;
    if options.check && !faults.is_empty() {
        bail!("{} promises do not hold", faults.len());
    }
    Ok(())
}

/// Mostly one process after the other, now and then two at once, as when a rack loses its power; gives how often each.
async fn kill(city: &mut City, crowd: &Crowd, kills: usize, seed: u64) -> Result<BTreeMap<String, usize>> {
    let mut moments = StdRng::seed_from_u64(seed);
    let (mut names, replicas) = (city.process_names(), city.cloud_names());
    let (mut done, mut told, mut by_process) = (0, 0, BTreeMap::new());
    while done < kills {
        tokio::time::sleep(Duration::from_millis(moments.random_range(PAUSE_MS))).await;
        city.check_running()?;
        let together = if moments.random_ratio(1, ONE_IN_IS_DOUBLE) { 2 } else { 1 };
        names.shuffle(&mut moments);
        if replicas.len() > 1 && moments.random_bool(0.5) {
            // What replicas are for; of eleven processes they are only two.
            let one = replicas.choose(&mut moments).and_then(|replica| names.iter().position(|name| name == replica));
            names.swap(0, one.unwrap_or(0));
        }
        let victims = &names[..together.min(kills - done)];
        for victim in victims {
            city.kill(victim).await?;
            *by_process.entry(victim.clone()).or_insert(0) += 1;
        }
        if moments.random_bool(0.5) {
            tokio::time::sleep(Duration::from_millis(moments.random_range(DEAD_MS))).await;
        }
        victims.iter().try_for_each(|victim| city.start_again(victim))?;
        done += victims.len();
        if done / TELL_EVERY > told || done == kills {
            told = done / TELL_EVERY;
            say(&format!("{done} kills, {} bodies, {} rides", crowd.bodies(), crowd.rides()));
        }
    }
    Ok(by_process)
}
