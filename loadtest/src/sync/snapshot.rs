//! A whole snapshot into one station, a process of its own.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use facegate_cloud_sync::cloud::Cloud;
use facegate_cloud_sync::store::StationReport;
use facegate_domain::Clock;
use facegate_domain::ids::StationId;
use facegate_runtime::clock::SystemClock;
use facegate_runtime::identity::Role;
use tokio::time::Instant;

use super::cloud::{BenchCloud, config_in};
use super::faces;
use crate::city::network::{LOOPBACK, free_port};
use crate::city::{Certificates, Process, configs};

/// Riders in one import.
const PAGE: usize = 2000;
/// Changes that the log keeps: far fewer than templates, so that a new station must take a snapshot.
const KEPT: u64 = 10_000;
/// How long the snapshot may take before it is given up.
const PATIENCE: Duration = Duration::from_secs(1800);
/// What the bench's station is called.
const STATION: &str = "s-0";

/// What a snapshot came to.
pub struct Snapshot {
    /// From the start of the station's process to its acknowledgement.
    pub took: Duration,
    /// The most memory it had meanwhile, over what the same station has after a restart.
    pub extra_bytes: u64,
    /// The station holds what the cloud holds.
    pub whole: bool,
}

/// Fills a cloud, unless the folder is from a run that has, and lets an empty station take everything.
pub async fn measure(folder: &Path, certificates: &Certificates, templates: usize) -> Result<Snapshot> {
    let cloud_folder = folder.join("cloud");
    let started = Instant::now();
    fill(&cloud_folder, certificates, templates).await?;
    eprintln!("{templates} riders imported in {:.1} s; the cloud opens them…", started.elapsed().as_secs_f64());
    let cloud = BenchCloud::start(&cloud_folder, certificates, KEPT).await?;
    let head = *cloud.cloud.store.head().borrow();
    let tls = certificates.issue(Role::Station, STATION)?;
    let uri = format!("https://{}", cloud.address);
    let empty = tempfile::tempdir_in(folder)?;
    let listen = SocketAddr::new(LOOPBACK, free_port()?);
    let config = configs::station(STATION, listen, &[uri], &["g-0"], &[], &tls, empty.path());
    let config = configs::write(folder, "station", &config)?;
    let arguments = vec!["--config".to_owned(), config.display().to_string()];
    eprintln!("an empty station takes a snapshot…");
    let began = Instant::now();
    let mut station = Process::start("station", "facegate-station-server", arguments.clone(), folder, None)?;
    let report = reported(&cloud, &mut station, |report| report.applied_version >= head).await?;
    let took = began.elapsed();
    let peak = memory(&station, "VmHWM")?;
    let settled = memory(&station, "VmRSS")?;
    station.stop().await?;
    let mut station = Process::start("station", "facegate-station-server", arguments, folder, None)?;
    // It knows its version at once, but reads the templates for a while; what it needs is what it has then.
    reported(&cloud, &mut station, |report| report.templates == templates as u64).await?;
    let restarted = memory(&station, "VmRSS")?;
    station.stop().await?;
    cloud.stop().await?;
    let mib = |bytes: u64| bytes >> 20;
    eprintln!(
        "{:.1} s; memory at most {} MiB, {} MiB when it was done, {} MiB after a restart",
        took.as_secs_f64(),
        mib(peak),
        mib(settled),
        mib(restarted)
    );
    let whole = report.templates == templates as u64 && report.differs.is_empty();
    Ok(Snapshot { took, extra_bytes: peak.saturating_sub(restarted), whole })
}

async fn fill(folder: &Path, certificates: &Certificates, templates: usize) -> Result<()> {
    let config = config_in(folder, certificates, KEPT)?;
    let store = Cloud::open_store(&config).await?;
    let clock = SystemClock::new();
    if store.overview().await?.enrolled == templates as u64 {
        return Ok(());
    }
    for first in (0..templates).step_by(PAGE) {
        let numbers = first..templates.min(first + PAGE);
        let page = numbers.map(|number| faces::rider(number as u64, clock.now())).collect::<Result<Vec<_>>>()?;
        store.import(page, clock.now()).await?;
        if first % 200_000 == 0 {
            eprintln!("  {first} of {templates} riders");
        }
    }
    Ok(())
}

/// Waits until the station, from now on, reports what is wanted.
async fn reported(
    cloud: &BenchCloud,
    station: &mut Process,
    wanted: impl Fn(&StationReport) -> bool,
) -> Result<StationReport> {
    let begin = Instant::now();
    let since = SystemClock::new().now();
    let name = StationId::new(STATION)?;
    loop {
        let views = cloud.cloud.store.stations().await?;
        let view = views.into_iter().find(|view| view.station == name && view.last_seen > since);
        if let Some(report) = view.and_then(|view| view.report).filter(&wanted) {
            return Ok(report);
        }
        station.check_running()?;
        if begin.elapsed() > PATIENCE {
            bail!("the station did not take the snapshot; see {}", station.log().display());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A figure of the process in bytes, as the kernel has it.
fn memory(process: &Process, figure: &str) -> Result<u64> {
    let pid = process.id().context("the station is not running")?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(figure));
    let kib = line.and_then(|line| line.trim_start_matches(':').split_whitespace().next());
    let kib: u64 = kib.context("the kernel tells no such figure")?.parse()?;
    ensure!(kib > 0, "{figure} is 0");
    Ok(kib << 10)
}
