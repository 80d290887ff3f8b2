//! A city that runs for a long time with nothing wrong: memory stays flat, and no gate gets stuck.

pub mod memory;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use facegate_runtime::clock::Stopwatch;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::city::{City, CityOptions};
use crate::crowd::{Account, Crowd, settled};
use crate::demo::say;
use memory::Memory;

/// How often the processes' memory is read.
const READ_EVERY: Duration = Duration::from_secs(5);
const TELL_EVERY: Duration = Duration::from_secs(60);
/// A gate before which somebody always waits and that lets nobody through for so long is stuck.
const STUCK_AFTER: Duration = Duration::from_secs(90);
const SETTLED_WITHIN: Duration = Duration::from_secs(180);
const REST: Duration = Duration::from_secs(5);
/// What a process may grow by between the second quarter of the run and the last: caches that still fill.
const GROWTH_MAX_BYTES: i64 = 32 << 20;

/// Half an hour of a small city's processes, with a crowd that rides through every gate by face and by code.
///
/// The resident memory of each process is read all the time: what it grew by is the difference of the medians of the
/// second and the last quarter of the run. Every gate has to let somebody through all the time, and in the end every body
/// has to be one tap and every ride one charge.
#[derive(Debug, Clone, clap::Args)]
pub struct SoakOptions {
    /// How long the crowd rides.
    #[arg(long, default_value_t = 30.0)]
    minutes: f64,
    /// Passengers who ride by code only, besides the two who are enrolled by face.
    #[arg(long, default_value_t = 8)]
    by_code: usize,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Two minutes only.
    #[arg(long)]
    quick: bool,
    /// Exit with an error if memory grows, a gate got stuck, or the books do not agree with the bodies.
    #[arg(long)]
    check: bool,
}

/// The last line.
#[derive(Debug, Serialize)]
struct Report {
    /// Of the process that grew most.
    rss_growth_bytes: i64,
    /// Gates that let nobody through for long, though somebody waited.
    stuck: usize,
    growth_by_process: BTreeMap<String, i64>,
    rss_bytes_by_process: BTreeMap<String, i64>,
    #[serde(flatten)]
    account: Account,
    gave_up: usize,
    minutes: f64,
    seed: u64,
}

/// Runs it in `folder` with the models and portraits of `home`.
pub async fn run(options: &SoakOptions, home: &Path, folder: &Path) -> Result<()> {
    let minutes = if options.quick { 2.0 } else { options.minutes };
    let mut city = City::start(&CityOptions::under_faults(home, folder)).await?;
    let crowd = Crowd::enrol(&city, home, options.by_code).await?;
    say(&format!("{} passengers ride for {minutes} minutes", crowd.passengers().len()));
    let stop = CancellationToken::new();
    let watching = async {
        let watched = watch(&mut city, &crowd, Duration::from_secs_f64(minutes * 60.0)).await;
        stop.cancel();
        watched
    };
    let (watched, rode) = tokio::join!(watching, crowd.ride_until(options.seed, &stop));
    let (memory, stuck) = watched?;
    rode?;
    say("everybody is out; the books are compared");
    let account = settled(&crowd, &city, SETTLED_WITHIN, REST).await?;
    let mut faults = account.faults();
    city.stop().await?;
    let growth_by_process = memory.growth();
    let rss_growth_bytes = growth_by_process.values().copied().max().unwrap_or(0);
    faults.extend(stuck.iter().map(|gate| format!("{gate} was stuck")));
    let grown = growth_by_process.iter().filter(|(_, bytes)| **bytes > GROWTH_MAX_BYTES);
    faults.extend(grown.map(|(process, bytes)| format!("{process} grew by {} MiB", bytes >> 20)));
    let report = Report {
        rss_growth_bytes,
        stuck: stuck.len(),
        growth_by_process,
        rss_bytes_by_process: memory.last(),
        account,
        gave_up: crowd.gave_up(),
        minutes,
        seed: options.seed,
    };
    faults.iter().for_each(|fault| say(&format!("DOES NOT HOLD: {fault}")));
    println!("{}", serde_json::to_string(&report)?);
    if options.check && !faults.is_empty() {
        bail!("{} promises do not hold", faults.len());
    }
    Ok(())
}

/// Reads the memory of all processes until the time is over; names the gates that got stuck.
async fn watch(city: &mut City, crowd: &Crowd, length: Duration) -> Result<(Memory, Vec<String>)> {
    let (begun, mut told) = (Stopwatch::start(), Duration::ZERO);
    let (mut memory, mut moves) = (Memory::default(), BTreeMap::<String, (usize, Duration)>::new());
    let mut stuck = Vec::new();
    while begun.elapsed() < length {
        tokio::time::sleep(READ_EVERY).await;
        city.check_running()?;
        let now = begun.elapsed();
        memory.read(&city.process_ids())?;
        for (gate, bodies) in crowd.bodies_by_gate() {
            let last = moves.entry(gate.clone()).or_insert((bodies, now));
            if last.0 != bodies {
                *last = (bodies, now);
            } else if now.saturating_sub(last.1) > STUCK_AFTER && !stuck.contains(&gate) {
                stuck.push(gate);
            }
        }
        if now > told + TELL_EVERY {
            told = now;
            say(&format!(
                "{:.0} minutes, {} bodies, {} MiB in all",
                now.as_secs_f64() / 60.0,
                crowd.bodies(),
                memory.last().values().sum::<i64>() >> 20
            ));
        }
    }
    Ok((memory, stuck))
}
