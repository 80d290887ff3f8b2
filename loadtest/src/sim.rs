//! The seeded simulation: gates, stations and the cloud, the real ones, under one simulated clock, network and set of
//! disks, in one process. Machines lose power between any two durable steps, messages are lost, doubled and late, lines
//! are cut, disks fill, syncs fail, clocks are wrong, the acquirer does its work and says nothing. Then all is well, and
//! what every body did is compared with what the servers know.
//!
//! | module | is |
//! |---|---|
//! | [`world`] | a run, from its seed to its findings |
//! | [`node`], [`machine`] | who is who; a disk, a clock and a process that comes and goes |
//! | [`gate`], [`station`], [`cloud`], [`acquirer`] | the processes |
//! | [`network`] | gRPC calls that are late, lost, doubled, cut off |
//! | [`aisle`], [`riders`], [`office`] | doors and bodies; rides; what people ask of the cloud |
//! | [`faults`] | what is made to go wrong |
//! | [`sabotage`] | what breaks its word in the tests of the checks themselves |
//! | [`checks`] | the promises |
//! | [`events`], [`dice`], [`clock`] | what happened, chance, time |
//!
//! A run is the same each time: one thread, simulated time, every choice from the seed. What the real servers draw from
//! the system (ids of erasures, keys, nonces) decides nothing and is in no event. Not simulated: the camera and what
//! it sees, the templates' files (real ones in memory, which no power cut touches), TLS.

mod acquirer;
mod aisle;
mod checks;
mod clock;
mod cloud;
mod dice;
mod events;
mod faults;
mod gate;
mod machine;
mod network;
mod node;
mod office;
mod riders;
mod sabotage;
mod station;
mod world;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::{Result, bail};
use facegate_runtime::clock::Stopwatch;
use serde::Serialize;

pub use events::Broken;
use events::Events;
pub use sabotage::Sabotage;
use world::Day;

use crate::soak::memory::Memory;

/// Memory as a file system, where there is one: the templates' files are synced often.
const MEMORY: &str = "/dev/shm";

/// Runs the real gates, stations and cloud under simulated time, network, disks and faults; prints one JSON line last.
#[derive(Debug, Clone, clap::Args)]
pub struct SimOptions {
    /// How many seeds to run.
    #[arg(long, default_value_t = 20)]
    pub seeds: u64,
    /// The first of them; alone unless --seeds is given, and then its events are printed too.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Instead of minutes of trouble so many hours in which nothing goes wrong, of one seed: whether memory stays flat and
    /// no gate gets stuck.
    #[arg(long)]
    pub hours: Option<u32>,
    /// Let something lie, to see that the checks notice: promises must be found broken then.
    #[arg(long)]
    pub sabotage: Option<Sabotage>,
    /// Fail if any promise was broken.
    #[arg(long)]
    pub check: bool,
    /// Print every event of every seed.
    #[arg(long)]
    pub events: bool,
}

/// What became of one seed.
#[derive(Debug, Clone)]
pub struct Finished {
    pub seed: u64,
    /// Of all events, in order.
    pub hash: u64,
    pub faults: BTreeMap<&'static str, u64>,
    pub findings: Vec<(Broken, String)>,
    pub lines: Vec<String>,
    /// Over the hours of a quiet run.
    pub memory: Memory,
}

impl Finished {
    fn of(seed: u64, events: &Events) -> Self {
        let (hash, faults, findings) = (events.hash(), events.faults(), events.findings());
        Self { seed, hash, faults, findings, lines: events.lines(), memory: Memory::default() }
    }
}

/// The last line of a run over seeds.
#[derive(Debug, Default, Serialize)]
struct Report {
    seeds: u64,
    lost_taps: u64,
    double_charges: u64,
    unbalanced_ledgers: u64,
    resurrected_faces: u64,
    diverged_stations: u64,
    faults: BTreeMap<&'static str, u64>,
    /// Seeds in which something was found.
    failed: Vec<u64>,
    /// Of a quiet run, from the second quarter of its hours to the last: this process, the simulated disks in it, of
    /// which it holds two copies, and those of the gates alone.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    growth_bytes: BTreeMap<String, i64>,
    seconds: f64,
}

impl Report {
    fn add(&mut self, finished: &Finished) {
        self.seeds += 1;
        for (kind, count) in &finished.faults {
            *self.faults.entry(kind).or_default() += count;
        }
        for (promise, _) in &finished.findings {
            *match promise {
                Broken::TapLost => &mut self.lost_taps,
                Broken::DoubleCharge => &mut self.double_charges,
                Broken::Ledger => &mut self.unbalanced_ledgers,
                Broken::Resurrected => &mut self.resurrected_faces,
                Broken::Diverged => &mut self.diverged_stations,
            } += 1;
        }
        self.growth_bytes = finished.memory.growth();
        if !finished.findings.is_empty() {
            self.failed.push(finished.seed);
        }
    }
}

/// Runs one seed in a folder of its own. Blocks; there must be no runtime on this thread.
pub fn one(seed: u64) -> Result<Finished> {
    in_a_folder(seed, None, Day::Troubled)
}

/// Runs one seed in a world in which something lies, so that a promise must be found broken.
pub fn sabotaged(seed: u64, sabotage: Sabotage) -> Result<Finished> {
    in_a_folder(seed, Some(sabotage), Day::Troubled)
}

fn in_a_folder(seed: u64, sabotage: Option<Sabotage>, day: Day) -> Result<Finished> {
    let memory = Path::new(MEMORY);
    let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let folder = tempfile::Builder::new().prefix("facegate-sim-").tempdir_in(parent)?;
    world::run(seed, folder.path(), sabotage, day)
}

/// Runs the seeds, as many at a time as there are cores.
pub fn run(options: &SimOptions) -> Result<()> {
    let (first, alone) = (options.seed.unwrap_or(0), options.seed.is_some() && options.seeds == 20);
    let (seeds, print) = match options.hours {
        None => (if alone { 1 } else { options.seeds }, options.events || alone),
        // Memory is the process's: one at a time.
        Some(_) => (1, options.events),
    };
    let day = options.hours.map_or(Day::Troubled, Day::Quiet);
    let stopwatch = Stopwatch::start();
    let (next, report) = (AtomicU64::new(first), Mutex::new(Report::default()));
    let work = || -> Result<()> {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + seeds {
                return Ok(());
            }
            let finished = in_a_folder(seed, options.sabotage, day)?;
            let mut report = report.lock().unwrap_or_else(PoisonError::into_inner);
            report.add(&finished);
            tell(&finished, print);
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| match thread.join() {
            Ok(outcome) => outcome,
            Err(_) => bail!("a seed panicked; its message is above"),
        })
    })?;
    let mut report = report.into_inner().unwrap_or_else(PoisonError::into_inner);
    report.failed.sort_unstable();
    report.seconds = stopwatch.elapsed().as_secs_f64();
    println!("{}", serde_json::to_string(&report)?);
    if options.check && !report.failed.is_empty() {
        bail!("promises were broken; `cargo xtask sim --seed {}` shows how", report.failed[0]);
    }
    Ok(())
}

fn tell(finished: &Finished, events: bool) {
    finished.lines.iter().filter(|_| events).for_each(|line| println!("{line}"));
    for (promise, what) in &finished.findings {
        eprintln!("seed {}: {promise:?}: {what}", finished.seed);
    }
    if events {
        println!("seed {}: events' hash {:016x}", finished.seed, finished.hash);
    }
}
