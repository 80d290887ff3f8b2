//! Figures for `/metrics` that are states and not events, looked at every few seconds.

use std::sync::Arc;
use std::time::Duration;

use facegate_domain::ids::StationId;

use crate::cloud::Cloud;
use crate::store::StoreError;

const EVERY: Duration = Duration::from_secs(2);

/// Another installation claimed a station that is live.
pub fn identity_conflict(station: &StationId) {
    metrics::counter!("facegate_station_identity_conflicts_total", "station" => station.to_string()).increment(1);
}

/// Keeps the gauges until the cloud stops.
pub async fn keep(cloud: Arc<Cloud>) {
    loop {
        if let Err(error) = look(&cloud).await {
            tracing::error!(%error, "the figures could not be read");
        }
        tokio::select! {
            biased;
            () = cloud.stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "gauges are floats; these counts stay far below 2^52")]
async fn look(cloud: &Cloud) -> Result<(), StoreError> {
    let overview = cloud.store.overview().await?;
    let gauge = |name: &'static str, value: u64| metrics::gauge!(name).set(value as f64);
    gauge("facegate_feed_head", overview.head_version);
    gauge("facegate_riders", overview.riders);
    gauge("facegate_riders_enrolled", overview.enrolled);
    gauge("facegate_riders_in_system", overview.in_system);
    gauge("facegate_record_gaps", overview.gaps.len() as u64);
    gauge("facegate_passages_unknown", overview.passages_unknown);
    gauge("facegate_codes_replayed", overview.codes_replayed);
    gauge("facegate_ledger_balanced", u64::from(overview.ledger_balanced));
    for charges in overview.charges {
        metrics::gauge!("facegate_charges", "state" => charges.state).set(charges.count as f64);
    }
    let now = cloud.clock.now();
    for view in overview.stations {
        let station = view.station.to_string();
        let differs = view.report.as_ref().map_or(0, |report| report.differs.len());
        metrics::gauge!("facegate_station_sets_differing", "station" => station.clone()).set(differs as f64);
        let applied = view.report.map_or(0, |report| report.applied_version);
        let lag = overview.head_version.saturating_sub(applied);
        metrics::gauge!("facegate_station_lag_versions", "station" => station.clone()).set(lag as f64);
        let silent = now.since(view.last_seen).as_secs_f64();
        metrics::gauge!("facegate_station_silent_seconds", "station" => station).set(silent);
    }
    Ok(())
}
