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
            Ok(recall) => tell(recall),
            Err(error) => tracing::error!(%error, "the gallery's upkeep panicked"),
        }
    }
}

fn tell(recall: Recall) {
    metrics::recall(recall);
    if recall.has_drifted() {
        let Recall { mates, missed, .. } = recall;
        tracing::error!(mates, missed, "searches miss riders whom an exhaustive search finds: recalibrate the index");
    }
}
