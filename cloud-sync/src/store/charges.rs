//! Charges. A transition is stored before the call that it leads to is made.

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::billing::Item;
use facegate_domain::charge::{Advanced, Charge, ChargeId, Event, RetryPolicy};
use facegate_domain::ids::{RecordId, RiderId};
use facegate_domain::money::{Currency, Money};
use facegate_domain::tap::Tap;
use serde::{Deserialize, Serialize};

use super::StoreError;

/// What the operator owes a rider, for his next bills.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credit {
    pub amount: Money,
    /// When it was last nothing.
    pub since: Timestamp,
}

/// A rider whose instrument is to be verified, since he has begun a ride.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FirstRide {
    pub rider: RiderId,
    pub entry: RecordId,
}

#[async_trait]
pub trait ChargeStore {
    /// Stores a charge that was just opened with its ledger entry, and marks its items as charged, in one transaction.
    /// What the rider has to his credit is set off against it there. Opening it again gives what is stored.
    ///
    /// Errors: `ItemCharged` if one of the items is in another charge, `UnknownItem`.
    async fn open_charge(&self, opened: Advanced) -> Result<Charge, StoreError>;

    /// Whether every entry asks for a hold from now on, in the transaction that takes its tap. None does before this is
    /// said: nobody would open them.
    fn want_holds(&self, whether: bool);

    /// At most `max` entries whose hold is asked for. Opening it, or letting it go, takes an entry from here.
    async fn wanted_holds(&self, max: usize) -> Result<Vec<Tap>, StoreError>;

    /// Puts the bill over `items` on a hold, as `open_charge` does on a charge of its own. None if there is no such hold,
    /// or it does not take the bill as it is stored.
    async fn bill_hold(&self, hold: ChargeId, items: &[Item], now: Timestamp) -> Result<Option<Charge>, StoreError>;

    /// Nothing will be put on this hold: it is not asked for any more, or given back. False if there is nothing to give
    /// back.
    async fn let_hold_go(&self, hold: ChargeId, now: Timestamp) -> Result<bool, StoreError>;

    /// Applies `event` to the charge as it is stored, in one transaction; the call in the answer may be made. `attempt` is
    /// the one that the event is about. A debt puts the rider on the deny list with it, and its payment takes him off.
    ///
    /// Errors: `Charge` for what cannot happen to it, or is about an attempt of before.
    async fn advance_charge(
        &self,
        charge: ChargeId,
        attempt: u32,
        event: Event,
        now: Timestamp,
        retry: &RetryPolicy,
    ) -> Result<Advanced, StoreError>;

    /// Has a charge whose outcome is waited for looked at now. False if none is waited for.
    async fn hurry_charge(&self, charge: ChargeId, now: Timestamp) -> Result<bool, StoreError>;

    async fn charge(&self, id: ChargeId) -> Result<Option<Charge>, StoreError>;

    /// At most `max` unfinished charges whose next look is due, the longest waiting first.
    async fn due_charges(&self, now: Timestamp, max: usize) -> Result<Vec<Charge>, StoreError>;

    /// The rider's charges that were opened at `since` or later, in that order.
    async fn charges_since(&self, rider: RiderId, since: Timestamp) -> Result<Vec<Charge>, StoreError>;

    /// What the rider is behind with, also what is being tried again.
    async fn debts(&self, rider: RiderId) -> Result<Vec<Charge>, StoreError>;

    /// The rider wants his debts tried now; gives how many there are to try.
    async fn ask_for_debts(&self, rider: RiderId, now: Timestamp) -> Result<usize, StoreError>;

    async fn credit(&self, rider: RiderId, currency: Currency) -> Result<Option<Credit>, StoreError>;

    /// Whether a charge of the rider was ever captured.
    async fn has_paid(&self, rider: RiderId) -> Result<bool, StoreError>;

    /// At most `max` riders with an instrument that was never shown to pay, who have begun a ride. Opening a verification
    /// takes its rider from here.
    async fn first_rides(&self, max: usize) -> Result<Vec<FirstRide>, StoreError>;

    /// The same without a verification: there is nothing to verify.
    async fn pass_first_ride(&self, rider: RiderId) -> Result<(), StoreError>;
}
