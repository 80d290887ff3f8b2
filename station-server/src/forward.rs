//! Store and forward: the station's journal to the cloud, in order, until each record is acknowledged.
//!
//! Acknowledged records are kept for some days. Should the cloud lack some of them later, it says so when the station
//! reports, and [`crate::refetch`] hands them on once more.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use facegate_domain::ids::GateId;
use facegate_proto::v1;
use facegate_proto::v1::sync_service_client::SyncServiceClient;
use facegate_runtime::backoff::Backoff;
use facegate_runtime::grpc::Wire;
use facegate_runtime::journal::JournalError;
use prost::Message;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use crate::metrics;
use crate::station::Station;
use crate::store::{JournalKey, StoreError};

const BATCH_RECORDS: usize = 500;
const RETRY_FIRST: Duration = Duration::from_millis(200);
const RETRY_MAX: Duration = Duration::from_secs(15);
/// Metadata of the cloud's answer to one who is put off: milliseconds.
const RETRY_AFTER: &str = "retry-after-ms";

#[derive(Debug, thiserror::Error)]
enum ForwardError {
    #[error("the cloud did not take the records: {0}")]
    Cloud(Box<Status>),
    /// It serves others first. Not a failure.
    #[error("the cloud asks to wait for {0:?}")]
    PutOff(Duration),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("journal record {0} cannot be read")]
    Damaged(u64),
}

/// Forwards until stopped. Whatever fails is tried again, less and less often; nothing is skipped.
pub async fn forward(station: Arc<Station>, mut cloud: SyncServiceClient<Wire>, stop: CancellationToken) {
    let mut backoff = Backoff::new(RETRY_FIRST, RETRY_MAX);
    let forward = async {
        while let Err(error) = begin(&station).await {
            tracing::error!(%error, "the state cannot be made durable; forwarding waits");
            tokio::time::sleep(backoff.next_delay()).await;
        }
        backoff.reset();
        loop {
            match step(&station, &mut cloud).await {
                Ok(()) => backoff.reset(),
                Err(ForwardError::PutOff(delay)) => {
                    metrics::put_off();
                    tracing::debug!(backlog = station.backlog(), ?delay, "put off");
                    tokio::time::sleep(delay).await;
                }
                Err(error) => {
                    let delay = backoff.next_delay();
                    tracing::warn!(%error, backlog = station.backlog(), ?delay, "forwarding waits");
                    tokio::time::sleep(delay).await;
                }
            }
        }
    };
    tokio::select! {
        biased;
        () = forward => (),
        () = stop.cancelled() => (),
    }
}

/// What was acknowledged before this start may be let go, once the index of it is on the disk.
async fn begin(station: &Station) -> Result<(), StoreError> {
    station.store.commit().await?;
    station.journal.acknowledge_before(station.store.journals.forwarded()?);
    Ok(())
}

/// Waits for records, hands on one batch, and moves the cursor when the cloud has it.
async fn step(station: &Arc<Station>, cloud: &mut SyncServiceClient<Wire>) -> Result<(), ForwardError> {
    let journals = &station.store.journals;
    let from = journals.forwarded()?.max(station.journal.first_index());
    station.journal.wait_beyond(from).await;
    let batch = station.journal.read(from, BATCH_RECORDS)?;
    let Some((last, _)) = batch.last() else { return Ok(()) };
    let end = last + 1;
    let mut records = Vec::with_capacity(batch.len());
    for (index, payload) in &batch {
        records.push(v1::GateRecord::decode(payload.as_slice()).map_err(|_| ForwardError::Damaged(*index))?);
    }
    let ends = ends(&records);
    let behind = station.journal.next_index().saturating_sub(end);
    let request = v1::DeliverRequest { records, not_held: Vec::new(), behind };
    let answer = cloud.deliver(request).await.map_err(refused)?.into_inner();
    told_of_conflicts(&answer.conflicts);
    short(&ends, &answer.marks);
    for (journal, next) in &ends {
        journals.set_acknowledged(journal, *next)?;
    }
    journals.set_forwarded(end)?;
    // Before the journal may let go of anything, the index of it and the cursor must be on the disk.
    station.store.commit().await?;
    station.journal.acknowledge_before(end);
    Ok(())
}

pub(crate) fn told_of_conflicts(conflicts: &[v1::RecordId]) {
    for conflict in conflicts {
        tracing::error!(record = ?conflict, "the cloud has this record with another content; the cloud's stands");
    }
}

fn refused(status: Status) -> ForwardError {
    put_off(&status).map_or_else(|| ForwardError::Cloud(Box::new(status)), ForwardError::PutOff)
}

/// For how long the cloud puts off one who has a backlog, spread so that those who were put off together do not come
/// back together.
pub(crate) fn put_off(status: &Status) -> Option<Duration> {
    let hint = status.metadata().get(RETRY_AFTER).filter(|_| status.code() == Code::ResourceExhausted)?;
    let delay = Duration::from_millis(hint.to_str().ok()?.parse().ok()?).min(RETRY_MAX);
    Some(Backoff::new(delay * 2, delay * 2).next_delay())
}

/// Next sequence of each journal after a batch.
fn ends(records: &[v1::GateRecord]) -> BTreeMap<JournalKey, u64> {
    let mut ends = BTreeMap::new();
    for id in records.iter().filter_map(|record| record.id.as_ref()) {
        let Ok(gate) = GateId::new(id.gate.clone()) else { continue };
        let end = ends.entry(JournalKey { gate, epoch: id.epoch }).or_insert(0);
        *end = id.sequence.saturating_add(1).max(*end);
    }
    ends
}

/// The cloud took the batch, but lacks earlier records of these journals: it lost something, or this station did.
fn short(ends: &BTreeMap<JournalKey, u64>, marks: &[v1::JournalMark]) -> Vec<JournalKey> {
    let reached = |(journal, end): &(&JournalKey, &u64)| {
        let here = |mark: &&v1::JournalMark| mark.gate == journal.gate.as_str() && mark.epoch == journal.epoch;
        marks.iter().find(here).is_some_and(|mark| mark.next_sequence >= **end)
    };
    let short: Vec<_> = ends.iter().filter(|one| !reached(one)).map(|(journal, _)| journal.clone()).collect();
    for journal in &short {
        metrics::forward_shortfall();
        tracing::warn!(gate = %journal.gate, epoch = journal.epoch, "the cloud lacks earlier records; it will ask for them");
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(gate: &str, sequence: u64) -> v1::GateRecord {
        let id = v1::RecordId { gate: gate.into(), epoch: 1, sequence };
        v1::GateRecord { id: Some(id), ..v1::GateRecord::default() }
    }

    fn mark(gate: &str, next_sequence: u64) -> v1::JournalMark {
        v1::JournalMark { gate: gate.into(), epoch: 1, next_sequence }
    }

    #[test]
    fn a_journal_with_a_gap_before_the_batch_is_noticed() {
        let ends = ends(&[record("a", 3), record("b", 0), record("a", 4)]);
        let gates =
            |marks: &[v1::JournalMark]| short(&ends, marks).iter().map(|j| j.gate.to_string()).collect::<Vec<_>>();
        assert!(gates(&[mark("a", 5), mark("b", 1)]).is_empty());
        assert!(gates(&[mark("a", 9), mark("b", 1)]).is_empty(), "others may have delivered more");
        assert_eq!(gates(&[mark("a", 4), mark("b", 1)]), ["a"]);
        assert_eq!(gates(&[mark("a", 5)]), ["b"]);
    }

    #[test]
    fn who_is_put_off_comes_back_after_about_the_time_he_was_told() {
        let mut status = Status::resource_exhausted("later");
        assert_eq!(put_off(&status), None, "without a hint it is a failure like any other");
        status.metadata_mut().insert(RETRY_AFTER, "400".parse().unwrap());
        let delays: Vec<_> = (0..50).map(|_| put_off(&status).unwrap().as_millis()).collect();
        assert!(delays.iter().all(|delay| (400..=800).contains(delay)), "{delays:?}");
        assert!(delays.iter().min() != delays.iter().max(), "spread");
    }
}
