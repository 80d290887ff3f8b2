//! How fast stations follow the cloud: a change until the last of many stations honours it in a search, an entry at one
//! gate until all other stations know the rider inside, a whole snapshot into one station.
//!
//! The cloud is the real server, in this process so that its store can be filled and its commits be timed. The many
//! stations are real servers too, each with its certificate, data directory and connection, in this process as well: as
//! 100 processes they would measure this machine's scheduler. The station that takes the snapshot is a process of its
//! own, since its memory is measured.

mod cloud;
mod faces;
mod fleet;
mod snapshot;

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use serde::Serialize;

use crate::city::Certificates;
use cloud::BenchCloud;
use fleet::Fleet;

/// Stations that follow one cloud.
#[derive(Debug, Clone, clap::Args)]
pub struct SyncLoad {
    /// Stations that follow at a time; one more is where entries happen.
    #[arg(long, default_value_t = 100)]
    pub stations: usize,
    /// Changes, and entries, that are timed.
    #[arg(long, default_value_t = 200)]
    pub changes: usize,
    /// Templates of the snapshot. To import three million takes a quarter of an hour; a `--folder` that was filled before
    /// is used again.
    #[arg(long, default_value_t = 3_000_000)]
    pub templates: usize,
    /// A rough answer: 20 stations, 30 changes, 50,000 templates, unless given.
    #[arg(long)]
    pub quick: bool,
    /// Non-zero exit if a station did not honour what it acknowledged, or does not hold what the cloud holds.
    #[arg(long)]
    pub check: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    stations: usize,
    delta_ms_p50: f64,
    delta_ms_p99: f64,
    entry_ms_p50: f64,
    entry_ms_p99: f64,
    snapshot_templates: usize,
    snapshot_s: f64,
    snapshot_extra_bytes: u64,
    /// Acknowledged by a station whose search did not honour it.
    not_honoured: u64,
    /// Stations whose facts were not the cloud's in the end.
    diverged: u64,
}

/// Runs all three in `folder`, prints one JSON line last.
pub async fn run(load: &SyncLoad, folder: &Path) -> Result<()> {
    let load = load.clone().resolved();
    let certificates = Certificates::make(&folder.join("certificates"), &[])?;
    eprintln!("starting a cloud and {} stations…", load.stations + 1);
    // Anew each time; only the snapshot's cloud is worth keeping.
    let fresh = tempfile::tempdir_in(folder)?;
    let cloud = BenchCloud::start(&fresh.path().join("cloud"), &certificates, 1_000_000).await?;
    let fleet = Fleet::start(&fresh.path().join("stations"), &certificates, &cloud, load.stations + 1).await?;
    eprintln!("{} changes, one at a time, each until the last station honours it in a search…", load.changes);
    let (delta, not_honoured) = fleet.changes(&cloud, load.changes).await?;
    eprintln!("{} entries at one gate, each until all other stations know…", load.changes);
    let entry = fleet.entries(&certificates, load.changes).await?;
    let diverged = fleet.diverged(&cloud).await?;
    fleet.stop().await?;
    cloud.stop().await?;
    let snapshot = snapshot::measure(&folder.join("snapshot"), &certificates, load.templates).await?;
    let report = Report {
        stations: load.stations,
        delta_ms_p50: quantile(&delta, 0.5),
        delta_ms_p99: quantile(&delta, 0.99),
        entry_ms_p50: quantile(&entry, 0.5),
        entry_ms_p99: quantile(&entry, 0.99),
        snapshot_templates: load.templates,
        snapshot_s: snapshot.took.as_secs_f64(),
        snapshot_extra_bytes: snapshot.extra_bytes,
        not_honoured,
        diverged: diverged + u64::from(!snapshot.whole),
    };
    println!("{}", serde_json::to_string(&report)?);
    if load.check && (report.not_honoured > 0 || report.diverged > 0) {
        bail!("{} not honoured, {} diverged", report.not_honoured, report.diverged);
    }
    Ok(())
}

impl SyncLoad {
    fn resolved(mut self) -> Self {
        if self.quick {
            let all = Self { stations: 100, changes: 200, templates: 3_000_000, quick: true, check: self.check };
            let unless_given =
                |given: usize, default: usize, quick: usize| if given == default { quick } else { given };
            self.stations = unless_given(self.stations, all.stations, 20);
            self.changes = unless_given(self.changes, all.changes, 30);
            self.templates = unless_given(self.templates, all.templates, 50_000);
        }
        self
    }
}

/// In milliseconds.
fn quantile(times: &[Duration], q: f64) -> f64 {
    let mut times: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1000.0).collect();
    times.sort_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "a place")]
    let at = ((times.len().saturating_sub(1)) as f64 * q).ceil() as usize;
    times.get(at).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_take_the_worse_of_two() {
        let times: Vec<_> = (1..=100).map(Duration::from_millis).collect();
        assert!((quantile(&times, 0.5) - 51.0).abs() < 1e-9);
        assert!((quantile(&times, 0.99) - 100.0).abs() < 1e-9);
        assert!(quantile(&[], 0.5).abs() < 1e-9);
    }
}
