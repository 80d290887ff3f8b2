//! Store and forward: the station's journal to the cloud, in order, until each record is acknowledged.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use facegate_proto::v1;
use facegate_proto::v1::sync_service_client::SyncServiceClient;
use facegate_runtime::backoff::Backoff;
use facegate_runtime::grpc::Wire;
use facegate_runtime::journal::JournalError;
use prost::Message;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::metrics;
use crate::station::Station;
use crate::store::StoreError;

const BATCH_RECORDS: usize = 500;
const RETRY_FIRST: Duration = Duration::from_millis(200);
const RETRY_MAX: Duration = Duration::from_secs(15);

#[derive(Debug, thiserror::Error)]
enum ForwardError {
    #[error("the cloud did not take the records: {0}")]
    Cloud(Box<Status>),
    /// The cloud waits for earlier records of a journal: it lost something, or this station did.
    #[error(
        "the cloud acknowledged {gate}/{epoch} up to {next_sequence} only, though {first_sent} and later were sent"
    )]
    Shortfall { gate: String, epoch: u32, next_sequence: u64, first_sent: u64 },
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
        loop {
            match step(&station, &mut cloud).await {
                Ok(()) => backoff.reset(),
                Err(error) => {
                    let delay = backoff.next_delay();
                    tracing::warn!(%error, backlog = station.backlog(), ?delay, "forwarding waits");
                    tokio::time::sleep(delay).await;
                }
            }
        }
    };
    tokio::select! {
        () = forward => (),
        () = stop.cancelled() => (),
    }
}

/// Waits for records, hands on one batch, and moves the cursor when the cloud has all of it.
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
    let spans = spans(&records);
    let answer = cloud.deliver(v1::DeliverRequest { records }).await;
    let answer = answer.map_err(|status| ForwardError::Cloud(Box::new(status)))?.into_inner();
    for conflict in &answer.conflicts {
        tracing::error!(record = ?conflict, "the cloud has this record with another content; the cloud's stands");
    }
    if let Err(shortfall) = acknowledged(&spans, &answer.marks) {
        metrics::forward_shortfall();
        // Whatever is still kept is sent again; if that does not help, a person must look.
        journals.set_forwarded(station.journal.first_index())?;
        return Err(shortfall);
    }
    journals.set_forwarded(end)?;
    // Before the journal lets go of anything, the index of it and the cursor must be on the disk.
    station.store.commit().await?;
    station.journal.release_before(end)?;
    Ok(())
}

/// First and last sequence of each journal in a batch.
fn spans(records: &[v1::GateRecord]) -> BTreeMap<(String, u32), (u64, u64)> {
    let mut spans = BTreeMap::new();
    for id in records.iter().filter_map(|record| record.id.as_ref()) {
        let span = spans.entry((id.gate.clone(), id.epoch)).or_insert((id.sequence, id.sequence));
        span.0 = span.0.min(id.sequence);
        span.1 = span.1.max(id.sequence);
    }
    spans
}

fn acknowledged(spans: &BTreeMap<(String, u32), (u64, u64)>, marks: &[v1::JournalMark]) -> Result<(), ForwardError> {
    for ((gate, epoch), (first_sent, last)) in spans {
        let mark = marks.iter().find(|mark| mark.gate == *gate && mark.epoch == *epoch);
        let next_sequence = mark.map_or(0, |mark| mark.next_sequence);
        if next_sequence <= *last {
            let (gate, epoch, first_sent) = (gate.clone(), *epoch, *first_sent);
            return Err(ForwardError::Shortfall { gate, epoch, next_sequence, first_sent });
        }
    }
    Ok(())
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
    fn a_batch_is_done_only_when_every_journal_in_it_is_acknowledged_to_its_end() {
        let spans = spans(&[record("a", 3), record("b", 0), record("a", 4)]);
        assert!(acknowledged(&spans, &[mark("a", 5), mark("b", 1)]).is_ok());
        assert!(acknowledged(&spans, &[mark("a", 9), mark("b", 1)]).is_ok(), "others may have delivered more");
        for short in [vec![mark("a", 4), mark("b", 1)], vec![mark("a", 5)], vec![mark("a", 5), mark("b", 0)]] {
            assert!(matches!(acknowledged(&spans, &short), Err(ForwardError::Shortfall { .. })));
        }
    }
}
