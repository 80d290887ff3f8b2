//! What the cloud lacks, handed on once more.
//!
//! The cloud's answer to a report names the records that it should have and has not. Those that the station still keeps
//! go out again from its journal. For the rest it asks their gate, which hands over what it keeps; such records are
//! appended to the station's journal a second time and take the way of all others. What neither holds is told to the
//! cloud, which then calls it lost. Every step may be repeated: the cloud takes each record once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use facegate_domain::ids::GateId;
use facegate_domain::journal_audit::{JournalRange, Span};
use facegate_proto::v1;
use facegate_proto::v1::sync_service_client::SyncServiceClient;
use facegate_runtime::backoff::Backoff;
use facegate_runtime::grpc::Wire;
use facegate_runtime::journal::JournalError;
use facegate_runtime::simulation;
use prost::Message;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::forward::{put_off, told_of_conflicts};
use crate::metrics;
use crate::station::{Station, StationError};
use crate::store::{JournalKey, StoreError};

/// Ranges looked after in one round; the cloud names the next ones then.
const RANGES_MAX: usize = 64;
/// Records of one call.
const BATCH_RECORDS: usize = 500;
/// Records read at a time while looking for some.
const READ_RECORDS: usize = 1024;
/// Between two rounds, and what that grows to while the same is asked for in vain.
const PAUSE_FIRST: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// What is being looked for. In memory only: the cloud asks again.
#[derive(Debug, Default)]
pub struct Refetch {
    state: Mutex<State>,
    rung: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// What the cloud lacks, as it said last.
    asked: Vec<JournalRange>,
    /// Of that, what only a gate can still have.
    wanted: BTreeMap<JournalKey, Vec<Span>>,
    /// What a gate said that it does not have either.
    not_held: Vec<JournalRange>,
}

impl Refetch {
    /// The cloud lacks these.
    pub fn ask(&self, ranges: Vec<v1::JournalRange>) {
        let ranges: Vec<_> = ranges.into_iter().take(RANGES_MAX).filter_map(|range| range.try_into().ok()).collect();
        let any = !ranges.is_empty();
        self.state().asked = ranges;
        if any {
            self.rung.notify_one();
        }
    }

    /// Whether this record, which the station has had before, is to be taken once more.
    pub fn is_wanted(&self, journal: &JournalKey, sequence: u64) -> bool {
        self.state().wanted.get(journal).is_some_and(|spans| spans.iter().any(|span| span.contains(sequence)))
    }

    /// It is in the journal again.
    pub fn came(&self, journal: &JournalKey, sequence: u64) {
        let mut state = self.state();
        let Some(spans) = state.wanted.get_mut(journal) else { return };
        let taken = [Span { first: sequence, last: sequence }];
        *spans = spans.iter().flat_map(|span| span.without(&taken)).collect();
    }

    /// The gate does not hold these of its records; only what it was asked for counts.
    pub fn not_held(&self, gate: &GateId, ranges: impl IntoIterator<Item = JournalRange>) {
        let mut state = self.state();
        for range in ranges.into_iter().filter(|range| range.gate == *gate) {
            let journal = JournalKey { gate: range.gate.clone(), epoch: range.epoch };
            let asked = state.wanted.get(&journal).is_some_and(|spans| {
                spans.iter().any(|span| span.contains(range.span.first) && span.contains(range.span.last))
            });
            if asked && state.not_held.len() < RANGES_MAX && !state.not_held.contains(&range) {
                state.not_held.push(range);
            }
        }
        drop(state);
        self.rung.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, thiserror::Error)]
enum RefetchError {
    #[error("the cloud did not take them: {0}")]
    Cloud(#[from] tonic::Status),
    #[error(transparent)]
    Station(#[from] StationError),
}

/// Serves the cloud's asking until stopped.
pub async fn refetch(station: Arc<Station>, mut cloud: SyncServiceClient<Wire>, stop: CancellationToken) {
    let mut backoff = Backoff::new(PAUSE_FIRST, PAUSE_MAX);
    let mut before = Vec::new();
    let serve = async {
        loop {
            station.refetch.rung.notified().await;
            let asked = std::mem::take(&mut station.refetch.state().asked);
            let not_held = std::mem::take(&mut station.refetch.state().not_held);
            if let Err(error) = tell_not_held(&mut cloud, not_held).await {
                tracing::warn!(%error, "what is lost could not be told; the cloud asks again");
            }
            if asked.is_empty() {
                continue;
            }
            if let Err(error) = round(&station, &mut cloud, &asked).await {
                tracing::warn!(%error, "records could not be handed on once more; the cloud asks again");
            }
            if asked != before {
                backoff.reset();
            }
            before = asked;
            let pause = tokio::time::sleep(backoff.next_delay());
            tokio::pin!(pause);
            // A gate's word is passed on at once; what the cloud asks for meanwhile waits.
            loop {
                tokio::select! {
                    biased;
                    () = &mut pause => break,
                    () = station.refetch.rung.notified() => {
                        let not_held = std::mem::take(&mut station.refetch.state().not_held);
                        if let Err(error) = tell_not_held(&mut cloud, not_held).await {
                            tracing::warn!(%error, "what is lost could not be told; the cloud asks again");
                        }
                    }
                }
            }
            if !station.refetch.state().asked.is_empty() {
                station.refetch.rung.notify_one();
            }
        }
    };
    tokio::select! {
        biased;
        () = serve => (),
        () = stop.cancelled() => (),
    }
}

async fn tell_not_held(cloud: &mut SyncServiceClient<Wire>, ranges: Vec<JournalRange>) -> Result<(), tonic::Status> {
    if ranges.is_empty() {
        return Ok(());
    }
    tracing::error!(?ranges, "neither the station nor its gate holds these records any more: they are lost");
    let not_held = ranges.into_iter().map(Into::into).collect();
    cloud.deliver(v1::DeliverRequest { not_held, ..v1::DeliverRequest::default() }).await?;
    Ok(())
}

async fn round(
    station: &Arc<Station>,
    cloud: &mut SyncServiceClient<Wire>,
    asked: &[JournalRange],
) -> Result<(), RefetchError> {
    let mut holes = Vec::new();
    for range in asked {
        let (shared, wanted) = (Arc::clone(station), range.clone());
        let held = simulation::blocking(move || held(&shared, &wanted)).await;
        let (records, missing) = held.map_err(|_| StationError::Panicked)??;
        tracing::info!(?range, held = records.len(), "the cloud lacks records; handing on once more what is kept here");
        metrics::refetched("station", records.len());
        holes.extend(missing);
        for part in records.chunks(BATCH_RECORDS) {
            hand_on(cloud, part).await?;
        }
    }
    ask_gates(station, holes);
    Ok(())
}

async fn hand_on(cloud: &mut SyncServiceClient<Wire>, records: &[v1::GateRecord]) -> Result<(), tonic::Status> {
    loop {
        let request = v1::DeliverRequest { records: records.to_vec(), ..v1::DeliverRequest::default() };
        match cloud.deliver(request).await {
            Ok(answer) => {
                told_of_conflicts(&answer.into_inner().conflicts);
                return Ok(());
            }
            Err(status) => match put_off(&status) {
                Some(delay) => tokio::time::sleep(delay).await,
                None => return Err(status),
            },
        }
    }
}

/// What the gates may still have they are asked for; those that are not connected are asked in a later round.
fn ask_gates(station: &Station, holes: Vec<JournalRange>) {
    let mut by_gate = BTreeMap::<GateId, Vec<JournalRange>>::new();
    let mut wanted = BTreeMap::<JournalKey, Vec<Span>>::new();
    for hole in holes {
        let journal = JournalKey { gate: hole.gate.clone(), epoch: hole.epoch };
        wanted.entry(journal).or_default().push(hole.span);
        by_gate.entry(hole.gate.clone()).or_default().push(hole);
    }
    station.refetch.state().wanted = wanted;
    for (gate, ranges) in by_gate {
        let ranges = ranges.into_iter().map(Into::into).collect();
        let command = v1::gate_command::Command::Redeliver(v1::Redeliver { ranges });
        let sent = station.attendance.command(&gate, command);
        tracing::info!(%gate, sent, "records that this station let go of are asked of their gate");
    }
}

/// What the station's journal has of a range, and what it has not. Blocks.
fn held(station: &Station, range: &JournalRange) -> Result<(Vec<v1::GateRecord>, Vec<JournalRange>), StationError> {
    let journal = JournalKey { gate: range.gate.clone(), epoch: range.epoch };
    let place = station.store.journals.place_before(&journal, range.span.first)?;
    let mut from = place.unwrap_or(0).max(station.journal.first_index());
    let mut found = BTreeMap::new();
    'read: loop {
        let batch = match station.journal.read(from, READ_RECORDS) {
            // Let go of between the two looks.
            Err(JournalError::Released { first, .. }) => {
                from = first;
                continue;
            }
            batch => batch?,
        };
        let Some((last, _)) = batch.last() else { break };
        from = last + 1;
        for (_, payload) in batch {
            let record = v1::GateRecord::decode(payload.as_slice())
                .map_err(|_| StoreError::Damaged { what: "journal record" })?;
            let Some(id) = record.id.as_ref().filter(|id| id.epoch == range.epoch && id.gate == range.gate.as_str())
            else {
                continue;
            };
            if id.sequence > range.span.last {
                break 'read;
            }
            if range.span.contains(id.sequence) {
                found.insert(id.sequence, record);
            }
        }
    }
    let holes = holes(range.span, found.keys().copied());
    let holes = holes.into_iter().map(|span| JournalRange { span, ..range.clone() }).collect();
    Ok((found.into_values().collect(), holes))
}

/// The parts of `span` without any of `found`, which come in order.
fn holes(span: Span, found: impl Iterator<Item = u64>) -> Vec<Span> {
    let mut next = Some(span.first);
    let mut holes = Vec::new();
    for sequence in found {
        let hole = next.and_then(|first| Span::new(first, sequence.checked_sub(1)?));
        holes.extend(hole);
        next = sequence.checked_add(1);
    }
    holes.extend(next.and_then(|first| Span::new(first, span.last)));
    holes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(first: u64, last: u64) -> Span {
        Span { first, last }
    }

    #[test]
    fn holes_are_what_is_between() {
        let of = |found: &[u64]| holes(span(3, 9), found.iter().copied());
        assert_eq!(of(&[]), [span(3, 9)]);
        assert_eq!(of(&[3, 4, 6, 9]), [span(5, 5), span(7, 8)]);
        assert_eq!(of(&[4, 5, 6, 7, 8]), [span(3, 3), span(9, 9)]);
        assert_eq!(of(&[3, 4, 5, 6, 7, 8, 9]), []);
    }

    #[test]
    fn what_came_is_wanted_no_more_and_a_gate_answers_only_for_what_it_was_asked() {
        let refetch = Refetch::default();
        let (gate, other) = (GateId::new("a").unwrap(), GateId::new("b").unwrap());
        let journal = JournalKey { gate: gate.clone(), epoch: 1 };
        refetch.state().wanted = BTreeMap::from([(journal.clone(), vec![span(3, 9)])]);
        refetch.came(&journal, 3);
        refetch.came(&journal, 5);
        let wanted: Vec<u64> = (0..12).filter(|sequence| refetch.is_wanted(&journal, *sequence)).collect();
        assert_eq!(wanted, [4, 6, 7, 8, 9]);
        let range = |gate: &GateId, first, last| JournalRange { gate: gate.clone(), epoch: 1, span: span(first, last) };
        refetch.not_held(&gate, [range(&gate, 6, 7), range(&gate, 4, 7), range(&gate, 20, 21), range(&other, 6, 7)]);
        assert_eq!(refetch.state().not_held, [range(&gate, 6, 7)]);
    }
}
