//! What was decided about risk, and who has to show his ride code for the rest of the day.

use std::time::Duration;

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::ids::{GateId, RecordId, RiderId, StationId};
use facegate_domain::risk::{AttacksTold, GateAttacks, RiskDecision};
use facegate_domain::tap::Tap;

use serde::{Deserialize, Serialize};

use super::StoreError;

/// A tap that is to be looked at for risk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    pub tap: Tap,
    /// It was looked at when it came; what is paid by face is looked at once more when its ride has its price.
    pub again: bool,
    pub due: Timestamp,
}

#[async_trait]
pub trait RiskStore {
    /// Whether every tap is to be looked at from now on, said in the transaction that takes it. None is before this is
    /// said: nobody would look.
    fn want_looks(&self, whether: bool);

    /// At most `max` looks that are due, the longest waiting first, for whoever asks: until `until` nobody else is told.
    async fn take_looks(&self, now: Timestamp, until: Timestamp, max: usize) -> Result<Vec<Look>, StoreError>;

    /// The tap was looked at; once more `again`, if it is to be.
    async fn looked(&self, tap: &RecordId, again: Option<Timestamp>) -> Result<(), StoreError>;

    /// The rider's taps between the two moments, by time.
    async fn taps_around(&self, rider: RiderId, from: Timestamp, to: Timestamp) -> Result<Vec<Tap>, StoreError>;

    /// Writes a decision down. False if one about the same tap is there: the first stands.
    async fn note_risk(&self, decision: &RiskDecision) -> Result<bool, StoreError>;

    /// At most `max` decisions, the latest taps first.
    async fn risk_log(&self, max: usize) -> Result<Vec<RiskDecision>, StoreError>;

    /// What was decided about a tap.
    async fn risk_of(&self, tap: &RecordId) -> Result<Option<RiskDecision>, StoreError>;

    /// What gates of a station say of the attacks that they have refused; each is kept for `kept`.
    async fn count_attacks(
        &self,
        station: &StationId,
        told: &[(GateId, AttacksTold)],
        now: Timestamp,
        kept: Duration,
    ) -> Result<(), StoreError>;

    /// By gate of the station, attacks that were refused lately.
    async fn attacks_at(&self, station: &StationId) -> Result<Vec<(GateId, GateAttacks)>, StoreError>;

    /// Tells stations that the rider's face alone does not open gates until then. Saying so again changes nothing.
    async fn cap_face(&self, rider: RiderId, until: Timestamp, now: Timestamp) -> Result<(), StoreError>;
}
