//! Domain values as columns, and back.

use facegate_domain::billing::ItemId;
use facegate_domain::charge::ChargeId;
use facegate_domain::ids::{GateId, RecordId, RiderId};
use facegate_domain::journey::JourneyId;
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::store::StoreError;

pub(super) fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("what the store keeps always serialises: a test writes each kind")
}

/// `what` names the row, should its body not be readable.
pub(super) fn read<T: DeserializeOwned>(what: impl std::fmt::Display, body: &str) -> Result<T, StoreError> {
    serde_json::from_str(body).map_err(|error| damaged(what, error))
}

pub(super) fn damaged(what: impl std::fmt::Display, reason: impl std::fmt::Display) -> StoreError {
    StoreError::Damaged { key: what.to_string(), reason: reason.to_string() }
}

/// A row count or version for SQL, which knows no unsigned numbers: the largest there is, if it is larger still.
pub(super) fn at_most(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

/// A number that was never stored negative.
pub(super) fn from_number(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// Errors: `BeyondRange` for a sequence that no journal can have.
pub(super) fn sequence(id: &RecordId) -> Result<i64, StoreError> {
    i64::try_from(id.sequence).map_err(|_| StoreError::BeyondRange(id.clone()))
}

pub(super) fn journey_uuid(id: JourneyId) -> Uuid {
    Uuid::from_bytes(*id.as_bytes())
}

pub(super) fn item_uuid(id: ItemId) -> Uuid {
    Uuid::from_bytes(*id.as_bytes())
}

pub(super) fn charge_uuid(id: ChargeId) -> Uuid {
    Uuid::from_bytes(*id.as_bytes())
}

pub(super) fn rider_of(uuid: Uuid) -> RiderId {
    RiderId::from_uuid(uuid)
}

pub(super) fn gate_of(name: String) -> Result<GateId, StoreError> {
    GateId::new(name).map_err(|error| damaged("a gate's name", error))
}

pub(super) fn record_of(gate: String, epoch: i64, sequence: i64) -> Result<RecordId, StoreError> {
    let epoch = u32::try_from(epoch).map_err(|error| damaged("an epoch", error))?;
    Ok(RecordId { gate: gate_of(gate)?, epoch, sequence: from_number(sequence) })
}

/// Record ids as the three columns that `UNNEST` takes.
#[derive(Debug, Default)]
pub(super) struct IdColumns {
    pub gates: Vec<String>,
    pub epochs: Vec<i64>,
    pub sequences: Vec<i64>,
}

impl IdColumns {
    pub fn of<'i>(ids: impl IntoIterator<Item = &'i RecordId>) -> Result<Self, StoreError> {
        let mut columns = Self::default();
        ids.into_iter().try_for_each(|id| columns.push(id))?;
        Ok(columns)
    }

    pub fn push(&mut self, id: &RecordId) -> Result<(), StoreError> {
        self.sequences.push(sequence(id)?);
        self.gates.push(id.gate.as_str().to_owned());
        self.epochs.push(i64::from(id.epoch));
        Ok(())
    }

    pub fn is_empty(&self) -> bool {
        self.gates.is_empty()
    }
}
