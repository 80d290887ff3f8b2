//! Hands the journals on to the station, in order, until it has acknowledged every record; then lets go of them.

use std::sync::Arc;
use std::time::Duration;

use facegate_domain::ids::RecordId;
use facegate_runtime::backoff::Backoff;
use tokio_util::sync::CancellationToken;

use crate::board::Board;
use crate::journal::{GateJournal, GateJournalError};
use crate::station::{Station, StationError};

/// Records of one call.
const BATCH_MAX: usize = 256;

/// Undelivered records beyond this share of the journal's bound are worth a warning.
const WAITING_WARNED_PERCENT: u32 = 70;

/// Why a batch did not arrive.
#[derive(Debug, thiserror::Error)]
enum DeliveryError {
    #[error(transparent)]
    Station(#[from] StationError),
    #[error(transparent)]
    Journal(#[from] GateJournalError),
    #[error("the station took the batch but moved no mark; it is tried again")]
    NoProgress,
}

/// Runs until `shutdown`.
pub async fn deliver(
    journal: Arc<GateJournal>,
    station: Arc<dyn Station>,
    board: Arc<Board>,
    shutdown: CancellationToken,
) {
    let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
    let mut full = false;
    loop {
        let step = async {
            match deliver_batch(&journal, station.as_ref()).await {
                Ok(true) => backoff.reset(),
                Ok(false) => journal.changed().await,
                Err(error) => {
                    let backlog = journal.backlog();
                    tracing::warn!(%error, backlog, "records are not delivered; they stay in the journal");
                    tokio::time::sleep(backoff.next_delay()).await;
                }
            }
            tell(&journal, &board, &mut full);
        };
        if shutdown.run_until_cancelled(step).await.is_none() {
            return;
        }
    }
}

/// Shows how much waits, and says once when that begins to be much.
fn tell(journal: &GateJournal, board: &Board, warned: &mut bool) {
    let percent = journal.waiting_percent();
    board.journal(journal.position(), journal.backlog(), percent);
    let much = percent >= WAITING_WARNED_PERCENT;
    if much && !*warned {
        let backlog = journal.backlog();
        tracing::warn!(percent, backlog, "the journal fills, since the station takes no records: at 100 nobody passes");
    }
    *warned = much;
}

/// False if there was nothing to deliver.
async fn deliver_batch(journal: &GateJournal, station: &dyn Station) -> Result<bool, DeliveryError> {
    let _alone = journal.handover().await;
    if let Some(again) = journal.asked_again(BATCH_MAX)? {
        tracing::info!(records = again.records.len(), not_held = ?again.not_held, "handing over once more");
        let delivered = station.deliver(again.records.clone(), again.not_held.clone()).await?;
        told_of_conflicts(&delivered.conflicts);
        journal.answered(again);
        return Ok(true);
    }
    let Some(batch) = journal.undelivered(BATCH_MAX)? else { return Ok(false) };
    let first = batch.records.first().and_then(|r| r.id.as_ref()).map_or(0, |id| id.sequence);
    let delivered = station.deliver(batch.records, Vec::new()).await?;
    told_of_conflicts(&delivered.conflicts);
    let mark = delivered.marks.iter().find(|(epoch, _)| *epoch == batch.epoch);
    let next = mark.map(|(_, next)| *next).ok_or(DeliveryError::NoProgress)?;
    journal.delivered(batch.epoch, next)?;
    if next <= first { Err(DeliveryError::NoProgress) } else { Ok(true) }
}

fn told_of_conflicts(conflicts: &[RecordId]) {
    for record in conflicts {
        metrics::counter!("facegate_gate_delivery_conflicts_total").increment(1);
        tracing::error!(%record, "the station holds another record under this id; it keeps that one: have both looked at");
    }
}
