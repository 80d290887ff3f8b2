//! Taps taken in: how many a second, and whether each counts exactly once. A whole cloud (in this process, over real
//! mutual TLS) takes what the certificates of several stations deliver, some of it twice; then the backlog of an outage
//! is drained while live traffic goes on. At the end the store is opened again and counted against what was sent.

mod cloud;
mod count;
mod traffic;

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde::Serialize;
use tokio::time::Instant;

use crate::city::Certificates;
use crate::database::StoreKind;
use crate::intake::cloud::Cloud;
use crate::intake::traffic::{Live, Station};

#[derive(Debug, Clone, clap::Args)]
pub struct IntakeLoad {
    /// Which store takes the taps.
    #[arg(long, value_enum, default_value_t = StoreKind::Sled)]
    pub store: StoreKind,
    /// Stations that deliver at the same time, each from two gates.
    #[arg(long, default_value_t = 8)]
    pub stations: usize,
    /// How long the rate is measured.
    #[arg(long, default_value_t = 20)]
    pub seconds: u64,
    /// Taps that waited for the end of an outage.
    #[arg(long, default_value_t = 1_000_000)]
    pub backlog: usize,
    /// Stations with live traffic while the backlog is drained: four taps a second each.
    #[arg(long, default_value_t = 4)]
    pub live_stations: usize,
    /// A rough answer within a minute: five seconds, a backlog of 20,000 taps.
    #[arg(long)]
    pub quick: bool,
    /// Exit non-zero if a tap was lost or counted twice, or a live delivery was refused.
    #[arg(long)]
    pub check: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    store: StoreKind,
    taps_per_s: f64,
    lost: u64,
    double: u64,
    backlog_taps: usize,
    backlog_drained_s: f64,
    live_refused: u64,
    live_deliveries: u64,
    live_ms_p50: f64,
    live_ms_p99: f64,
    records_sent_again: u64,
}

pub async fn run(load: &IntakeLoad, folder: &Path) -> Result<()> {
    let (seconds, backlog) = if load.quick { (5, load.backlog.min(20_000)) } else { (load.seconds, load.backlog) };
    let certificates = Certificates::make(&folder.join("certificates"), &[])?;
    let cloud = Cloud::start(load.store, folder, &certificates).await?;
    let uri = cloud.uri()?;

    eprintln!("{} stations deliver for {seconds} s…", load.stations);
    let names = (0..load.stations).map(|n| format!("busy-{n}"));
    let mut busy = names.map(|name| Station::new(&certificates, &uri, &name)).collect::<Result<Vec<_>>>()?;
    let (taken, took) = traffic::flood(&mut busy, Duration::from_secs(seconds)).await?;
    #[expect(clippy::cast_precision_loss, reason = "a count of taps")]
    let taps_per_s = taken as f64 / took.as_secs_f64();
    eprintln!("{taken} taps in {:.1} s: {taps_per_s:.0} a second", took.as_secs_f64());

    eprintln!("a backlog of {backlog} taps is drained while {} stations go on live…", load.live_stations);
    let names = (0..load.live_stations).map(|n| format!("live-{n}"));
    let live = names.map(|name| Station::new(&certificates, &uri, &name)).collect::<Result<Vec<_>>>()?;
    let live = Live::start(live);
    let begun = Instant::now();
    traffic::drain(&mut busy, backlog).await?;
    let backlog_drained_s = begun.elapsed().as_secs_f64();
    let (live, told) = live.stop().await?;
    eprintln!("drained in {backlog_drained_s:.1} s");

    let sent: Vec<_> = busy.into_iter().chain(live).map(Station::into_sent).collect();
    let store = cloud.stop_and_open_again().await?;
    let counted = count::count(&*store, &sent).await?;
    let report = Report {
        store: load.store,
        taps_per_s,
        lost: counted.lost,
        double: counted.double,
        backlog_taps: backlog,
        backlog_drained_s,
        live_refused: told.refused,
        live_deliveries: told.deliveries,
        live_ms_p50: told.at(0.5),
        live_ms_p99: told.at(0.99),
        records_sent_again: sent.iter().map(|sent| sent.again).sum(),
    };
    println!("{}", serde_json::to_string(&report)?);
    ensure!(
        !load.check || (report.lost, report.double, report.live_refused) == (0, 0, 0),
        "something was lost, counted twice or refused: see the line above"
    );
    Ok(())
}
