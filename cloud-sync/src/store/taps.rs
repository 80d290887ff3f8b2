//! Taking in what gates wrote down.

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::ids::{GateId, RecordId, RiderId, StationId};
use facegate_domain::tap::{GateRecord, Tap};
use serde::{Deserialize, Serialize};

use super::StoreError;

/// How far one gate's journal has arrived, contiguously: all below `next_sequence` are durable here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    pub gate: GateId,
    pub epoch: u32,
    pub next_sequence: u64,
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Intake {
    /// One for each gate and epoch in the batch.
    pub marks: Vec<Mark>,
    /// Records whose id was here already with another content; not applied.
    pub conflicts: Vec<RecordId>,
    /// Taps that this batch completed.
    pub taps: Vec<Tap>,
    pub new_records: usize,
    pub duplicates: usize,
}

/// Sequences that have not arrived although a later one has: `first_missing..=last_missing`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    pub gate: GateId,
    pub epoch: u32,
    pub first_missing: u64,
    pub last_missing: u64,
}

/// Somebody was let through and nobody knows whether he went: reported, never charged by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnknownPassage {
    pub authorisation: RecordId,
    pub rider: RiderId,
    pub station: StationId,
    pub at: Timestamp,
}

/// The same id arrived with two contents. The first stands; this is the one that was refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Conflict {
    pub refused: GateRecord,
    pub refused_at: Timestamp,
}

/// One tap of a rider, and whether a settled journey has used it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RiderTaps {
    /// All taps that can still matter to the open ones, by time.
    pub taps: Vec<Tap>,
    /// Ids of those that settled journeys have used up.
    pub settled: std::collections::BTreeSet<RecordId>,
}

#[async_trait]
pub trait TapStore {
    /// Takes a batch in, wholly, in any order and with any repetition: stores what is new, joins authorisations with
    /// their passages into taps, moves riders in and out of the system on the feed, spends code nonces there.
    async fn record_taps(&self, records: Vec<GateRecord>, now: Timestamp) -> Result<Intake, StoreError>;

    /// The mark of each journal of `gate`.
    async fn marks(&self, gate: &GateId) -> Result<Vec<Mark>, StoreError>;

    /// At most `max` riders with taps that no journey has used, after `after`.
    async fn riders_with_open_taps(&self, after: Option<RiderId>, max: usize) -> Result<Vec<RiderId>, StoreError>;

    /// Of those, at most `max` who may have something to settle: an unused exit, or entry that came after a later tap, up to
    /// `left_by`, or any unused tap up to `given_up_by`. Whoever has neither is under way, and nothing can be settled of his.
    async fn riders_to_settle(
        &self,
        after: Option<RiderId>,
        max: usize,
        left_by: Timestamp,
        given_up_by: Timestamp,
    ) -> Result<Vec<RiderId>, StoreError>;

    /// The rider's taps from `reach` before the earliest open one.
    async fn taps_to_pair(&self, rider: RiderId, reach: std::time::Duration) -> Result<RiderTaps, StoreError>;

    async fn gaps(&self) -> Result<Vec<Gap>, StoreError>;

    async fn unknown_passages(&self) -> Result<Vec<UnknownPassage>, StoreError>;

    async fn conflicts(&self) -> Result<Vec<Conflict>, StoreError>;
}
