//! The outbox of notices to riders: written in the transaction of what they tell, delivered in order per rider.

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::ids::RiderId;
use facegate_domain::notice::{Notice, NoticeQueue, NoticeRest, Told};

use super::StoreError;

#[async_trait]
pub trait NoticeStore {
    /// Whether commands write notices from now on. None does before this is said: nobody would deliver them.
    fn keep_notices(&self, whether: bool);

    /// Tells a rider what is no part of another command.
    async fn tell_rider(&self, rider: RiderId, at: Timestamp, told: Told) -> Result<(), StoreError>;

    /// Of at most `max` riders whose next try is due, the notice that is to be delivered next; the longest waiting first.
    async fn due_notices(&self, now: Timestamp, max: usize) -> Result<Vec<Notice>, StoreError>;

    /// The receiver has this notice: it is let go. Gives the rider's next one. Saying so again changes nothing.
    async fn notice_delivered(&self, rider: RiderId, number: u64, now: Timestamp)
    -> Result<Option<Notice>, StoreError>;

    /// The receiver did not take this notice: it and the rider's later ones rest.
    async fn notice_failed(
        &self,
        rider: RiderId,
        number: u64,
        now: Timestamp,
        rest: &NoticeRest,
    ) -> Result<(), StoreError>;

    /// How far the rider's notices are.
    async fn notices_of(&self, rider: RiderId) -> Result<NoticeQueue, StoreError>;
}
