//! Hands the journals on to the station, in order, until it has acknowledged every record; then lets go of them.

use std::sync::Arc;
use std::time::Duration;

use facegate_runtime::backoff::Backoff;
use tokio_util::sync::CancellationToken;

use crate::board::Board;
use crate::journal::{GateJournal, GateJournalError};
use crate::station::{Station, StationError};

/// Records of one call.
const BATCH_MAX: usize = 256;

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
            board.journal(journal.position().1, journal.backlog());
        };
        if shutdown.run_until_cancelled(step).await.is_none() {
            return;
        }
    }
}

/// False if there was nothing to deliver.
async fn deliver_batch(journal: &GateJournal, station: &dyn Station) -> Result<bool, DeliveryError> {
    let _alone = journal.handover().await;
    let Some(batch) = journal.undelivered(BATCH_MAX)? else { return Ok(false) };
    let first = batch.records.first().and_then(|r| r.id.as_ref()).map_or(0, |id| id.sequence);
    let delivered = station.deliver(batch.records).await?;
    for record in &delivered.conflicts {
        metrics::counter!("facegate_gate_delivery_conflicts_total").increment(1);
        tracing::error!(%record, "the station holds another record under this id; it keeps that one: have both looked at");
    }
    let mark = delivered.marks.iter().find(|(epoch, _)| *epoch == batch.epoch);
    let next = mark.map(|(_, next)| *next).ok_or(DeliveryError::NoProgress)?;
    journal.delivered(batch.epoch, next)?;
    if next <= first { Err(DeliveryError::NoProgress) } else { Ok(true) }
}
