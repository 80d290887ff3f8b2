//! What was decided about risk, and who has to show his ride code for the rest of the day.

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::ids::{RecordId, RiderId};
use facegate_domain::risk::RiskDecision;
use facegate_domain::tap::Tap;

use super::StoreError;

#[async_trait]
pub trait RiskStore {
    /// The rider's taps between the two moments, by time.
    async fn taps_around(&self, rider: RiderId, from: Timestamp, to: Timestamp) -> Result<Vec<Tap>, StoreError>;

    /// Writes a decision down. False if one about the same tap is there: the first stands.
    async fn note_risk(&self, decision: &RiskDecision) -> Result<bool, StoreError>;

    /// At most `max` decisions, the latest taps first.
    async fn risk_log(&self, max: usize) -> Result<Vec<RiskDecision>, StoreError>;

    /// What was decided about a tap.
    async fn risk_of(&self, tap: &RecordId) -> Result<Option<RiskDecision>, StoreError>;

    /// Tells stations that the rider's face alone does not open gates until then. Saying so again changes nothing.
    async fn cap_face(&self, rider: RiderId, until: Timestamp, now: Timestamp) -> Result<(), StoreError>;
}
