//! Which epoch a gate writes its journal under: the station issues them, so that no two records share an identity.

use std::time::Duration;

use facegate_domain::ids::GateId;

use crate::metrics;
use crate::station::{Station, StationError};
use crate::store::JournalKey;

/// Less than a gate waits for the answer.
const CLOUD_WITHIN: Duration = Duration::from_secs(8);

/// A gate's journal as the station sees it after a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Registered {
    pub epoch: u32,
    /// Delivery of this epoch starts here.
    pub delivered_next_sequence: u64,
}

/// The epoch under which `gate` goes on, given what it has on its disk (`epoch` 0: nothing). A new one is durable
/// before it is answered.
///
/// The gate keeps its epoch only if that is the last one issued and its journal has everything that it ever handed
/// over; a disk that was lost, restored from an older state or brought from elsewhere would write new records under
/// sequences that are taken, and gets a new epoch. What it still holds of older epochs it may deliver as before.
pub async fn register(
    station: &Station,
    gate: &GateId,
    epoch: u32,
    next_sequence: u64,
) -> Result<Registered, StationError> {
    let journals = &station.store.journals;
    if journals.epoch(gate)? == 0 {
        wait_for_the_cloud(station, gate).await?;
    }
    let issued = journals.epoch(gate)?;
    if epoch != 0 && epoch == issued {
        let key = JournalKey { gate: gate.clone(), epoch };
        let delivered = journals.mark(&key)?.unwrap_or(0);
        if next_sequence >= delivered {
            return Ok(Registered { epoch, delivered_next_sequence: delivered });
        }
        tracing::warn!(%gate, epoch, next_sequence, delivered, "the gate's journal lost records that were handed over");
    }
    let key = JournalKey { gate: gate.clone(), epoch: issued.max(epoch).saturating_add(1) };
    journals.issue(&key)?;
    station.store.commit().await?;
    metrics::epoch_issued();
    tracing::info!(%gate, epoch = key.epoch, had = epoch, "epoch issued");
    Ok(Registered { epoch: key.epoch, delivered_next_sequence: 0 })
}

/// The epoch under which the station's own recorder writes: its journal is the station's, so nothing of it is lost but with
/// the whole disk.
pub async fn own(station: &Station, recorder: &GateId) -> Result<u32, StationError> {
    let journals = &station.store.journals;
    let issued = journals.epoch(recorder)?;
    if issued > 0 && journals.mark(&JournalKey { gate: recorder.clone(), epoch: issued })?.is_some() {
        return Ok(issued);
    }
    Ok(register(station, recorder, 0, 0).await?.epoch)
}

/// A station that knows nothing of a gate may have lost its disk: the cloud tells which epochs were used, or a new one
/// might be issued twice and its records be taken for contradictions. A new station without a cloud is of no use anyway,
/// since it knows no rider and no key.
async fn wait_for_the_cloud(station: &Station, gate: &GateId) -> Result<(), StationError> {
    let mut learnt = station.epochs_learnt.subscribe();
    let waited = tokio::time::timeout(CLOUD_WITHIN, learnt.wait_for(|learnt| *learnt)).await;
    waited.map(|_| ()).map_err(|_| StationError::EpochsUnknown(gate.clone()))
}
