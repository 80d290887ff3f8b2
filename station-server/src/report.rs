//! Once a second: what the station looks like, to the cloud and to the metrics. The report also acknowledges the feed.

use std::sync::Arc;
use std::time::Duration;

use facegate_domain::fingerprint::FactSet;
use facegate_domain::operation::PublishedFares;
use facegate_domain::score::Tier;
use facegate_proto::convert::sync::FEED_LEVEL;
use facegate_proto::v1;
use facegate_proto::v1::sync_service_client::SyncServiceClient;
use facegate_runtime::grpc::Wire;
use facegate_runtime::simulation;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::metrics;
use crate::station::Station;

const REPORT_EVERY: Duration = Duration::from_secs(1);
/// Reports between two sweeps of the remembered codes.
const SWEEP_EVERY: u64 = 60;

/// Reports until stopped. A report that fails is not repeated: the next one says it all again.
pub async fn report(station: Arc<Station>, mut cloud: SyncServiceClient<Wire>, stop: CancellationToken) {
    let mut tick = tokio::time::interval(REPORT_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut reachable = true;
    let mut differed = Vec::new();
    for round in 0.. {
        tokio::select! {
            _ = tick.tick() => (),
            () = stop.cancelled() => return,
        }
        metrics::sizes(&station);
        if round % SWEEP_EVERY == 0 {
            sweep(&station).await;
        }
        let Some(status) = status(&station).await else { continue };
        let roots = status.roots.clone();
        let answer = tokio::select! {
            answer = cloud.report(status) => answer,
            () = stop.cancelled() => return,
        };
        match answer {
            Ok(answer) => {
                let answer = answer.into_inner();
                metrics::feed_head(answer.head_version);
                differed = compare(&station, &roots, &answer.roots, &differed);
                if !reachable {
                    tracing::info!("the cloud takes reports again");
                }
                reachable = true;
            }
            Err(error) => {
                if reachable {
                    tracing::warn!(%error, "the cloud takes no reports; the station goes on by itself");
                }
                reachable = false;
            }
        }
    }
}

/// Asks for what differs to be healed, if it did at the report before as well: what was on its way is no difference.
/// Gives what differs now.
fn compare(station: &Station, ours: &[v1::SetRoot], theirs: &[v1::SetRoot], before: &[String]) -> Vec<String> {
    // A cloud that does not know what it was at our version says nothing.
    if ours.is_empty() || theirs.is_empty() {
        return before.to_vec();
    }
    let root = |set: &str| theirs.iter().find(|theirs| theirs.set == set).map_or(0, |theirs| theirs.root);
    let differ = ours.iter().filter(|ours| ours.root != root(&ours.set)).map(|ours| ours.set.clone());
    let differ: Vec<String> = differ.collect();
    let lasting: Vec<FactSet> = differ.iter().filter(|s| before.contains(s)).filter_map(|s| s.parse().ok()).collect();
    if !lasting.is_empty() {
        station.differing().send_replace(lasting);
        return Vec::new();
    }
    differ
}

/// The version is read before the commit, so that what it acknowledges is durable. `None` if it cannot be made so.
async fn status(station: &Station) -> Option<v1::StationStatus> {
    let (applied_version, roots) = station.roots();
    let roots = roots.into_iter().map(|(set, root)| v1::SetRoot { set: set.to_string(), root }).collect();
    if let Err(error) = station.store.commit().await {
        tracing::error!(%error, "the state cannot be made durable, so nothing is acknowledged");
        return None;
    }
    let facts = station.facts();
    let gallery = &facts.gallery;
    Some(v1::StationStatus {
        applied_version,
        templates: gallery.templates() as u64,
        in_system: gallery.tier_len(Tier::InSystem, station.clock.now()) as u64,
        backlog: station.backlog(),
        gates: station.attendance.report(),
        software_version: env!("CARGO_PKG_VERSION").to_owned(),
        feed_level: FEED_LEVEL,
        mode: facts.mode().name().to_owned(),
        fare_tables: facts.instructions().fares().map(fares_held).collect(),
        installation: station.installation.to_vec(),
        roots,
        healed_buckets: station.healed_buckets(),
        ..v1::StationStatus::default()
    })
}

fn fares_held(fares: &PublishedFares) -> v1::FareTableHeld {
    let valid_from_unix_ms = fares.valid_from.unix_ms();
    v1::FareTableHeld { name: fares.name.clone(), valid_from_unix_ms, sha256: fares.sha256().to_vec() }
}

/// Forgets the codes whose time is over.
async fn sweep(station: &Arc<Station>) {
    let shared = Arc::clone(station);
    let swept = simulation::blocking(move || {
        let forgotten = shared.store.codes.forget(shared.clock.now())?;
        Ok::<_, crate::store::StoreError>((forgotten, shared.store.codes.len()))
    });
    match swept.await {
        Ok(Ok((forgotten, kept))) => {
            metrics::codes(kept);
            tracing::debug!(forgotten, kept, "codes swept");
        }
        Ok(Err(error)) => tracing::error!(%error, "the remembered codes could not be swept"),
        Err(error) => tracing::error!(%error, "sweeping the remembered codes panicked"),
    }
}
