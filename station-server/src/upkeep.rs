//! What the gallery wants done now and then, off the hot path: a snapshot when its log has grown or a removal is a day
//! old, and a check of its recall.

use std::sync::Arc;
use std::time::Duration;

use facegate_gallery::monitor::Recall;
use facegate_runtime::simulation;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::metrics;
use crate::station::Station;

const EVERY: Duration = Duration::from_secs(10);
/// A snapshot is all templates; one that failed, on a full disk perhaps, is not tried again before.
const SNAPSHOT_RETRY_MS: u64 = 5 * 60 * 1000;

/// Until stopped.
pub async fn upkeep(station: Arc<Station>, stop: CancellationToken) {
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut drifted = false;
    let mut snapshots_from_ms = 0;
    loop {
        tokio::select! {
            biased;
            _ = tick.tick() => (),
            () = stop.cancelled() => return,
        }
        let (facts, now, now_ms) = (station.facts(), station.clock.now(), station.clock.monotonic_ms());
        let work = simulation::blocking(move || {
            let due = now_ms >= snapshots_from_ms;
            let written = if due { facts.gallery.write_snapshots(now) } else { Ok(()) };
            (written, facts.gallery.check_recall())
        });
        match work.await {
            Ok((written, recall)) => {
                if let Err(error) = written {
                    tracing::error!(%error, "no snapshot of the gallery; its log goes on");
                    snapshots_from_ms = now_ms + SNAPSHOT_RETRY_MS;
                }
                drifted = tell(recall, drifted);
            }
            Err(error) => tracing::error!(%error, "the gallery's upkeep panicked"),
        }
    }
}

/// The log has the beginning and the end of an alarm; the gauges have it all the while. Gives whether there is one now.
fn tell(recall: Recall, before: bool) -> bool {
    metrics::recall(recall);
    let (now, Recall { mates, missed, .. }) = (recall.has_drifted(), recall);
    if now && !before {
        tracing::error!(mates, missed, "searches miss riders whom an exhaustive search finds: recalibrate the index");
    } else if before && !now {
        tracing::info!(mates, missed, "searches find again whom an exhaustive search finds");
    }
    now
}
