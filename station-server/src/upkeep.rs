//! What the gallery wants done now and then, off the hot path: a snapshot when its log has grown or a removal is a day
//! old, a check of its recall, a look at what lies in memory. And what the hour means for the tiers.

use std::sync::{Arc, Weak};
use std::time::Duration;

use facegate_domain::Timestamp;
use facegate_gallery::monitor::Recall;
use facegate_runtime::simulation;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::facts::Facts;
use crate::metrics;
use crate::station::Station;
use crate::store::StoreError;

const EVERY: Duration = Duration::from_secs(10);
/// How often the templates in memory are looked at again for what has changed there by itself.
const VERIFY_EVERY_MS: u64 = 60 * 60 * 1000;
const TURN_EVERY: Duration = Duration::from_secs(2);
const HOUR_MS: i64 = 3_600_000;
/// A snapshot is all templates; one that failed, on a full disk perhaps, is not tried again before.
const SNAPSHOT_RETRY_MS: u64 = 5 * 60 * 1000;

/// Until stopped.
pub async fn upkeep(station: Arc<Station>, stop: CancellationToken) {
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut drifted = false;
    let mut snapshots_from_ms = 0;
    let mut verify_from_ms = station.clock.monotonic_ms() + VERIFY_EVERY_MS;
    loop {
        tokio::select! {
            biased;
            _ = tick.tick() => (),
            () = stop.cancelled() => return,
        }
        let (facts, now, now_ms) = (station.facts(), station.clock.now(), station.clock.monotonic_ms());
        let verify = now_ms >= verify_from_ms;
        if verify {
            verify_from_ms = now_ms + VERIFY_EVERY_MS;
        }
        let work = simulation::blocking(move || {
            let Some(gallery) = facts.gallery() else { return (Ok(()), Recall::default()) };
            if verify {
                // What differs from the cloud's shows in the next report, and is healed.
                gallery.verify();
            }
            let due = now_ms >= snapshots_from_ms;
            let written = if due { gallery.write_snapshots(now) } else { Ok(()) };
            (written, gallery.check_recall())
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

/// What the time brings about by itself, until stopped: regulars of the hour, the end of entries that have lasted too long
/// for anybody to be inside.
pub async fn turn(station: Arc<Station>, stop: CancellationToken) {
    let mut tick = tokio::time::interval(TURN_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut turned, mut hour) = (Weak::new(), 0);
    loop {
        tokio::select! {
            biased;
            _ = tick.tick() => (),
            () = stop.cancelled() => return,
        }
        let (facts, now) = (station.facts(), station.clock.now());
        let (this_hour, keeper) = (now.unix_ms().div_euclid(HOUR_MS), Arc::clone(&station));
        let regulars = this_hour != hour || !std::ptr::eq(turned.as_ptr(), Arc::as_ptr(&facts));
        (turned, hour) = (Arc::downgrade(&facts), this_hour);
        let work = simulation::blocking(move || {
            if regulars {
                facts.turn_regulars(now);
            }
            end_entries(&keeper, &facts, now)
        });
        match work.await {
            Ok(Ok(())) => (),
            Ok(Err(error)) => tracing::error!(%error, "entries that are too old could not be ended"),
            Err(error) => tracing::error!(%error, "turning the tiers panicked"),
        }
    }
}

fn end_entries(station: &Station, facts: &Facts, now: Timestamp) -> Result<(), StoreError> {
    let Some(gallery) = facts.gallery() else { return Ok(()) };
    let ended = gallery.end_entries(now.minus(station.config.inside_max));
    if !ended.is_empty() {
        tracing::info!(entries = ended.len(), "entries without an exit say nothing any more");
        station.store.facts()?.end_entries(&ended)?;
    }
    Ok(())
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
