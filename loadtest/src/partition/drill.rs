//! What happens to the wires, one after the other, and what has to be seen meanwhile.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use facegate_runtime::clock::Stopwatch;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::namespaces::{lan, set_wire, wan};
use super::{Lengths, PartitionOptions, Wires, lay_wires};
use crate::city::{City, CityOptions, STATIONS};
use crate::crowd::{Account, Crowd, settled};
use crate::demo::say;
use crate::demo::story::By;
use crate::wire::Faults;

/// One way: a mobile line on a bad day.
const SLOW: Duration = Duration::from_millis(100);
const LOSSY: Faults = Faults { delay: SLOW, loss: 0.1 };
const VERY_LOSSY: Faults = Faults { delay: SLOW, loss: 0.3 };
const PASSENGERS_BY_CODE: usize = 6;
/// How long a whole wire may take until nothing is behind.
const CONVERGES_WITHIN: Duration = Duration::from_secs(60);
const SETTLED_WITHIN: Duration = Duration::from_secs(240);
const REST: Duration = Duration::from_secs(5);
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// The last line.
#[derive(Debug, Default, Serialize)]
struct Report {
    #[serde(flatten)]
    account: Account,
    /// Bodies through the gates of the station that was cut off from the cloud.
    cut_off_by_face: usize,
    cut_off_by_code: usize,
    /// The most records that it held for the cloud.
    backlog_max: f64,
    /// From the whole wire to nothing held back and nothing of the feed missing.
    converged_s: Vec<f64>,
    /// Bodies through gates that were cut off from their station.
    offline_by_code: usize,
    packets_lost: u64,
    gave_up: usize,
    seconds: f64,
    seed: u64,
}

impl Report {
    fn faults(&self) -> Vec<String> {
        let mut faults = self.account.faults();
        let seen = [
            (self.cut_off_by_face > 0, "nobody passed by face at the station that was cut off"),
            (self.cut_off_by_code > 0, "nobody passed by code at the station that was cut off"),
            (self.backlog_max > 0.0, "the station that was cut off held nothing for the cloud"),
            (self.offline_by_code > 0, "nobody passed by code at gates without their station"),
            (self.packets_lost > 0, "no packet was lost"),
        ];
        faults.extend(seen.into_iter().filter(|(holds, _)| !holds).map(|(_, fault)| fault.to_owned()));
        faults
    }
}

/// Runs it inside the hub of `run`.
pub async fn run(options: &PartitionOptions, run: &str, home: &Path, folder: &Path) -> Result<()> {
    let watch = Stopwatch::start();
    let seed = options.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let lengths = Lengths::of(options);
    let (wires, network) = lay_wires(run, seed).await?;
    let city_options = CityOptions { network: Some(network), ..CityOptions::under_faults(home, folder) };
    let mut city = City::start(&city_options).await?;
    let crowd = Crowd::enrol(&city, home, PASSENGERS_BY_CODE).await?;
    let started = watch.elapsed().as_secs_f64();
    say(&format!("seed {seed}; {} passengers ride after {started:.0} s", crowd.passengers().len()));

    let stop = CancellationToken::new();
    let breaking = async {
        let broken = break_wires(&city, &crowd, &wires, lengths).await;
        stop.cancel();
        broken
    };
    let (broken, rode) = tokio::join!(breaking, crowd.ride_until(seed, &stop));
    let mut report = broken?;
    rode.with_context(|| format!("with seed {seed}"))?;
    city.check_running()?;
    say("everybody is out; the books are compared");
    report.account = settled(&crowd, &city, SETTLED_WITHIN, REST).await?;
    let stopped = city.stop().await;
    (report.packets_lost, report.gave_up) = (wires.lost(), crowd.gave_up());
    (report.seconds, report.seed) = (watch.elapsed().as_secs_f64(), seed);
    let faults = report.faults();
    faults.iter().for_each(|fault| say(&format!("DOES NOT HOLD (seed {seed}): {fault}")));
    println!("{}", serde_json::to_string(&report)?);
    stopped?;
    if options.check && !faults.is_empty() {
        bail!("{} promises do not hold", faults.len());
    }
    Ok(())
}

async fn break_wires(city: &City, crowd: &Crowd, wires: &Wires, lengths: Lengths) -> Result<Report> {
    let mut report = Report::default();
    tokio::time::sleep(lengths.whole).await;

    say("every wire is slow and loses one packet in ten, then three");
    for faults in [LOSSY, VERY_LOSSY] {
        wires.set(faults);
        tokio::time::sleep(lengths.cut / 2).await;
    }
    wires.set(Faults::default());
    report.converged_s.push(converges(city).await.context("after the lossy wires")?);

    say(&format!("station {} is cut off from the cloud", STATIONS[0]));
    let before = |by| crowd.passed(STATIONS[0], by);
    let (by_face, by_code) = (before(By::Face), before(By::Code));
    set_wire(&wan(0), false)?;
    report.backlog_max = watch_backlog(city, lengths.cut).await?;
    report.cut_off_by_face = before(By::Face) - by_face;
    report.cut_off_by_code = before(By::Code) - by_code;
    set_wire(&wan(0), true)?;
    report.converged_s.push(converges(city).await.context("after the station was cut off")?);

    say(&format!("the gates of {} are cut off from their station", STATIONS[1]));
    let by_code = crowd.passed(STATIONS[1], By::Code);
    set_wire(&lan(1), false)?;
    tokio::time::sleep(lengths.cut).await;
    report.offline_by_code = crowd.passed(STATIONS[1], By::Code) - by_code;
    set_wire(&lan(1), true)?;
    report.converged_s.push(converges(city).await.context("after the gates were cut off")?);

    say(&format!(
        "{} is cut off from the cloud, the gates of {} from theirs, all else is lossy",
        STATIONS[1], STATIONS[0]
    ));
    wires.set(LOSSY);
    for name in [wan(1), lan(0)] {
        set_wire(&name, false)?;
    }
    tokio::time::sleep(lengths.cut).await;
    for name in [wan(1), lan(0)] {
        set_wire(&name, true)?;
    }
    wires.set(Faults::default());
    report.converged_s.push(converges(city).await.context("after both were cut off")?);
    tokio::time::sleep(lengths.whole).await;
    Ok(report)
}

/// The most that the first station holds for the cloud in that time.
async fn watch_backlog(city: &City, length: Duration) -> Result<f64> {
    let until = tokio::time::Instant::now() + length;
    let mut most: f64 = 0.0;
    while tokio::time::Instant::now() < until {
        tokio::time::sleep(LOOK_EVERY).await;
        most = most.max(city.station_gauge(0, "facegate_backlog_records").await?);
    }
    Ok(most)
}

/// Waits until both stations have handed everything on, if only for a moment, and search by what the feed held then;
/// gives how long that took in seconds.
async fn converges(city: &City) -> Result<f64> {
    let watch = Stopwatch::start();
    let mut behind: Vec<usize> = (0..STATIONS.len()).collect();
    while watch.elapsed() < CONVERGES_WITHIN {
        for station in std::mem::take(&mut behind) {
            // It may still be out of reach for a moment.
            let held = city.station_gauge(station, "facegate_backlog_records").await;
            if !held.is_ok_and(|held| held == 0.0) {
                behind.push(station);
            }
        }
        if behind.is_empty() {
            city.wait_for_feed().await?;
            let took = watch.elapsed().as_secs_f64();
            say(&format!("  the wires are whole; nothing is behind after {took:.1} s"));
            return Ok(took);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    bail!("stations still hold records for the cloud after {} s: {behind:?}", CONVERGES_WITHIN.as_secs())
}
