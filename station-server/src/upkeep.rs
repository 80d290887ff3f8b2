//! What the gallery wants done now and then, off the hot path: a snapshot when its log has grown, and a check of its
//! recall.

use std::sync::Arc;
use std::time::Duration;

use facegate_gallery::monitor::Recall;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::metrics;
use crate::station::Station;

const EVERY: Duration = Duration::from_secs(10);

/// Until stopped.
pub async fn upkeep(station: Arc<Station>, stop: CancellationToken) {
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut drifted = false;
    loop {
        tokio::select! {
            _ = tick.tick() => (),
            () = stop.cancelled() => return,
        }
        let facts = station.facts();
        let work = tokio::task::spawn_blocking(move || {
            if let Err(error) = facts.gallery.write_snapshots(false) {
                tracing::error!(%error, "no snapshot of the gallery; its log goes on");
            }
            facts.gallery.check_recall()
        });
        match work.await {
            Ok(recall) => drifted = tell(recall, drifted),
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
