//! Charges. A transition is stored before the call that it leads to is made.

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::charge::{Advanced, Charge, ChargeId, Event, RetryPolicy};

use super::StoreError;

#[async_trait]
pub trait ChargeStore {
    /// Stores a charge that was just opened with its ledger entry, and marks its items as charged, in one
    /// transaction. Opening it again gives what is stored.
    ///
    /// Errors: `ItemCharged` if one of the items is in another charge, `UnknownItem`.
    async fn open_charge(&self, opened: Advanced) -> Result<Charge, StoreError>;

    /// Applies `event` to the charge as it is stored, in one transaction; the call in the answer may be made.
    async fn advance_charge(
        &self,
        charge: ChargeId,
        event: Event,
        now: Timestamp,
        retry: &RetryPolicy,
    ) -> Result<Advanced, StoreError>;

    /// Reads the wallet's balance and pays from it in one transaction, so that no two charges spend the same money.
    async fn pay_from_wallet(
        &self,
        charge: ChargeId,
        now: Timestamp,
        retry: &RetryPolicy,
    ) -> Result<Advanced, StoreError>;

    async fn charge(&self, id: ChargeId) -> Result<Option<Charge>, StoreError>;

    /// At most `max` unfinished charges whose next look is due, the longest waiting first.
    async fn due_charges(&self, now: Timestamp, max: usize) -> Result<Vec<Charge>, StoreError>;
}
