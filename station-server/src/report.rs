//! Once a second: what the station looks like, to the cloud and to the metrics. The report also acknowledges the feed.

use std::sync::Arc;
use std::time::Duration;

use facegate_domain::Timestamp;
use facegate_domain::fingerprint::FactSet;
use facegate_domain::ids::{GateId, TemplateId};
use facegate_domain::operation::PublishedFares;
use facegate_domain::score::Tier;
use facegate_proto::convert::sync::FEED_LEVEL;
use facegate_proto::v1;
use facegate_proto::v1::sync_service_client::SyncServiceClient;
use facegate_runtime::grpc::Wire;
use facegate_runtime::simulation;
use prost::Message;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::backlog::{Backlog, BacklogView};
use crate::station::{Station, StationError};
use crate::store::{JournalKey, StoreError};
use crate::{lease, metrics};

const REPORT_EVERY: Duration = Duration::from_secs(1);
/// Journals of each gate that are told, the newest.
const EPOCHS_TOLD_MAX: usize = 4;
/// How long the booth's page knows what was done there.
const BOOTH_KEPT: Duration = Duration::from_secs(7 * 86_400);
/// Reports between two sweeps of the remembered codes.
const SWEEP_EVERY: u64 = 60;

/// Reports until stopped. A report that fails is not repeated: the next one says it all again.
pub async fn report(station: Arc<Station>, mut cloud: SyncServiceClient<Wire>, stop: CancellationToken) {
    let mut tick = tokio::time::interval(REPORT_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut reachable = true;
    let mut differed = Vec::new();
    let mut backlog = Backlog::default();
    for round in 0.. {
        tokio::select! {
            biased;
            _ = tick.tick() => (),
            () = stop.cancelled() => return,
        }
        metrics::sizes(&station);
        if round % SWEEP_EVERY == 0 {
            sweep(&station).await;
        }
        let told = station.store.tombstones.to_report().unwrap_or_else(|error| {
            tracing::error!(%error, "what came back cannot be reported");
            Vec::new()
        });
        let Some(status) = status(&station, &told, &mut backlog).await else { continue };
        let (applied, roots) = (status.applied_version, status.roots.clone());
        let answer = tokio::select! {
            biased;
            answer = cloud.report(status) => answer,
            () = stop.cancelled() => return,
        };
        match answer {
            Ok(answer) => {
                let answer = answer.into_inner();
                metrics::feed_head(answer.head_version);
                differed = compare(&station, &roots, &answer.roots, &differed);
                let now = station.clock.now();
                if let Err(error) = station.contact.heard(&station.store, answer.head_version, applied, now) {
                    tracing::error!(%error, "the moment of this contact is not kept");
                }
                station.refetch.ask(answer.missing);
                if let Err(error) = learn_epochs(&station, answer.newest).await {
                    tracing::error!(%error, "the cloud's epochs are not kept; gates that are new here wait");
                }
                if !answer.lease_revoked {
                    station.leases.told(answer.lease_generation);
                } else if let Err(error) = lease::revoked(&station).await {
                    tracing::error!(%error, "the templates are still in memory, and not searched");
                }
                if let Err(error) = station.store.tombstones.reported(&told) {
                    tracing::error!(%error, "what came back is reported once more");
                }
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
    let root = |set: &str| match theirs.iter().find(|theirs| theirs.set == set) {
        Some(theirs) => Some(theirs.root),
        // A set without facts may be missing; regulars are compared where the cloud says what they are.
        None => (!is_of_regulars(set)).then_some(0),
    };
    let compared = ours.iter().filter(|ours| root(&ours.set).is_some_and(|theirs| theirs != ours.root));
    let not_compared = before.iter().filter(|set| root(set).is_none());
    let differ: Vec<String> = compared.map(|ours| ours.set.clone()).collect();
    let waits: Vec<String> = not_compared.cloned().collect();
    let lasting: Vec<FactSet> = differ.iter().filter(|s| before.contains(s)).filter_map(|s| s.parse().ok()).collect();
    if !lasting.is_empty() {
        station.differing().send_replace(lasting);
        return waits;
    }
    [differ, waits].concat()
}

fn is_of_regulars(set: &str) -> bool {
    matches!(set.parse(), Ok(FactSet::Regulars(_)))
}

/// The version is read before the commit, so that what it acknowledges is durable. `None` if it cannot be made so.
async fn status(station: &Station, come_back: &[TemplateId], backlog: &mut Backlog) -> Option<v1::StationStatus> {
    let (applied_version, roots) = station.roots();
    let roots = roots.into_iter().map(|(set, root)| v1::SetRoot { set: set.to_string(), root }).collect();
    if let Err(error) = station.store.commit().await {
        tracing::error!(%error, "the state cannot be made durable, so nothing is acknowledged");
        return None;
    }
    let view = watch(station, backlog);
    let journals = journals(station);
    let (facts, now) = (station.facts(), station.clock.now());
    let riders = |tier| facts.gallery().map_or(0, |gallery| gallery.tier_len(tier, now) as u64);
    Some(v1::StationStatus {
        applied_version,
        templates: facts.gallery().map_or(0, |gallery| gallery.templates() as u64),
        in_system: riders(Tier::InSystem),
        backlog: station.backlog(),
        gates: gates(station),
        software_version: env!("CARGO_PKG_VERSION").to_owned(),
        feed_level: FEED_LEVEL,
        mode: facts.mode().name().to_owned(),
        fare_tables: facts.instructions().fares().map(fares_held).collect(),
        installation: station.installation.to_vec(),
        roots,
        healed_buckets: station.healed_buckets(),
        journals,
        journal_waiting_percent: view.percent,
        journal_days_left: view.days_left,
        lease_generation: station.leases.generation(),
        lease_ends_unix_ms: station.leases.ends().map_or(0, Timestamp::unix_ms),
        recognises: station.searchable().is_ok(),
        templates_come_back: come_back.iter().map(|template| template.as_bytes().to_vec()).collect(),
        come_back_refused: station.figures.come_back_refused(),
        tiers: Tier::ALL.into_iter().map(|tier| station.figures.report(tier, riders(tier))).collect(),
    })
}

/// What gates decided lately is for the booth here.
fn gates(station: &Station) -> Vec<v1::GateReport> {
    let without = |report: v1::GateReport| v1::GateReport {
        status: report.status.map(|status| v1::GateStatus { decisions: Vec::new(), ..status }),
        ..report
    };
    station.attendance.report().into_iter().map(without).collect()
}

fn fares_held(fares: &PublishedFares) -> v1::FareTableHeld {
    let valid_from_unix_ms = fares.valid_from.unix_ms();
    v1::FareTableHeld { name: fares.name.clone(), valid_from_unix_ms, sha256: fares.sha256().to_vec() }
}

fn watch(station: &Station, backlog: &mut Backlog) -> BacklogView {
    let max = station.journal.options().total_bytes_max;
    let view = backlog.look(station.clock.monotonic_ms(), station.journal.waiting_bytes(), max);
    metrics::backlog(view);
    if backlog.begins_to_be_much(view, station.config.waiting_warned_percent) {
        let (percent, days_left, records) = (view.percent, view.days_left, station.backlog());
        tracing::warn!(
            percent,
            ?days_left,
            records,
            "the journal fills; when it is full, gates fill theirs, then shut"
        );
    }
    view
}

/// The newest journals of this station's gates and of its booth, so that the cloud can tell what it lacks.
fn journals(station: &Station) -> Vec<v1::StationJournal> {
    let mut told = Vec::new();
    for gate in station.config.gates.iter().chain(station.config.booth.as_ref().map(|booth| &booth.recorder)) {
        match station.store.journals.marks(gate, EPOCHS_TOLD_MAX) {
            Ok(marks) => told.extend(marks.into_iter().map(|marks| v1::StationJournal {
                gate: gate.as_str().to_owned(),
                epoch: marks.journal.epoch,
                next_sequence: marks.next,
                acknowledged_next_sequence: marks.acknowledged,
            })),
            Err(error) => tracing::error!(%error, %gate, "the index of the journal cannot be read"),
        }
    }
    told
}

/// Epochs that were used before are not issued again, whatever this station's disk still knows.
async fn learn_epochs(station: &Station, newest: Vec<v1::JournalMark>) -> Result<(), StoreError> {
    for mark in newest {
        if let Ok(gate) = GateId::new(mark.gate) {
            let journal = JournalKey { gate, epoch: mark.epoch };
            let journals = &station.store.journals;
            journals.raise_epoch(&journal.gate, mark.epoch)?;
            // The booth's own journal comes back from an old disk with fewer records than the cloud has of it: what is written
            // next must not take their names.
            let is_own = station.config.booth.as_ref().is_some_and(|booth| booth.recorder == journal.gate);
            if is_own && journals.mark(&journal)?.is_some_and(|held| held < mark.next_sequence) {
                journals.raise_epoch(&journal.gate, mark.epoch.saturating_add(1))?;
            }
        }
    }
    if !*station.epochs_learnt.borrow() {
        station.store.commit().await?;
        station.epochs_learnt.send_replace(true);
    }
    Ok(())
}

/// Forgets the codes whose time is over, tombstones of long ago, and the acknowledged records that are old enough.
async fn sweep(station: &Arc<Station>) {
    let shared = Arc::clone(station);
    let swept = simulation::blocking(move || {
        if let Err(error) = release_old(&shared) {
            tracing::error!(%error, "old records stay in the journal");
        }
        let forgotten = shared.store.codes.forget(shared.clock.now())?;
        shared.store.tombstones.forget(shared.clock.now())?;
        shared.store.booth.forget(shared.clock.now().minus(BOOTH_KEPT))?;
        Ok::<_, StoreError>((forgotten, shared.store.codes.len()))
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

/// Blocks.
fn release_old(station: &Station) -> Result<(), StationError> {
    let kept_from = station.clock.now().minus(station.config.journal_kept).unix_ms();
    let old = |payload: &[u8]| {
        let stamp = v1::GateRecord::decode(payload).ok().and_then(|record| record.stamp);
        stamp.is_some_and(|stamp| stamp.wall_unix_ms < kept_from)
    };
    let before = station.journal.first_index();
    station.journal.release_old(old)?;
    let first = station.journal.first_index();
    if first > before {
        station.store.journals.forget_places(first)?;
    }
    Ok(())
}
