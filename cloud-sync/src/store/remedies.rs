//! Money given back, and disputes. A transition is stored, with its ledger entry, its notice and its line of the audit
//! log, before the call that it leads to is made.

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::charge::{ChargeId, RetryPolicy};
use facegate_domain::dispute::{Dispute, DisputeId, DisputeState};
use facegate_domain::ids::RiderId;
use facegate_domain::money::{Currency, Money};
use facegate_domain::remedy::{Moved, Remedy, RemedyEvent, RemedyId, RemedyPolicy, RemedyRequest};

use super::{Credit, StoreError};

/// What an acquirer tells of a charge that a rider takes back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chargeback {
    pub charge: ChargeId,
    /// The acquirer's.
    pub reference: String,
    pub amount: Money,
}

#[async_trait]
pub trait RemedyStore {
    /// Asks for a remedy; done at once if it needs neither an approval nor an acquirer. Asking again under the same name
    /// gives what is stored.
    ///
    /// Errors: what `Remedy::ask` refuses, `UnknownRider`, `UnknownCharge`, `RemedyOtherWords`.
    async fn ask_remedy(
        &self,
        request: RemedyRequest,
        policy: &RemedyPolicy,
        now: Timestamp,
    ) -> Result<Remedy, StoreError>;

    /// The second person's word. Errors: `SamePerson`, `UnknownRemedy`.
    async fn decide_remedy(&self, id: RemedyId, approves: bool, by: &str, now: Timestamp)
    -> Result<Remedy, StoreError>;

    /// Applies `event` to the remedy as it is stored; the call in the answer may be made.
    async fn advance_remedy(
        &self,
        id: RemedyId,
        event: RemedyEvent,
        now: Timestamp,
        retry: &RetryPolicy,
    ) -> Result<Moved, StoreError>;

    /// Has a remedy whose outcome is waited for looked at now. False if none is waited for.
    async fn hurry_remedy(&self, id: RemedyId, now: Timestamp) -> Result<bool, StoreError>;

    /// At most `max` riders, by id behind `after`, with what they have to their credit since `since` or before.
    async fn old_credits(
        &self,
        since: Timestamp,
        after: Option<(RiderId, Currency)>,
        max: usize,
    ) -> Result<Vec<(RiderId, Credit)>, StoreError>;

    /// Has what the rider has to his credit since `since` or before go back to his captured charges, the latest first, as
    /// far as they go; what is left stays. The credit is less by it at once, so that no bill uses it too.
    async fn pay_credit_out(
        &self,
        rider: RiderId,
        currency: Currency,
        since: Timestamp,
        now: Timestamp,
    ) -> Result<Vec<Remedy>, StoreError>;

    async fn remedy(&self, id: RemedyId) -> Result<Option<Remedy>, StoreError>;

    /// At most `max` that are under way and whose next look is due, the longest waiting first.
    async fn due_remedies(&self, now: Timestamp, max: usize) -> Result<Vec<Remedy>, StoreError>;

    /// At most `max` that wait for a second person.
    async fn awaiting_remedies(&self, max: usize) -> Result<Vec<Remedy>, StoreError>;

    /// All of a rider's, the latest first.
    async fn remedies_of(&self, rider: RiderId) -> Result<Vec<Remedy>, StoreError>;

    /// A charge is taken back. Hearing so again gives what is stored.
    ///
    /// Errors: what `Dispute::open` refuses, `UnknownCharge`.
    async fn open_dispute(&self, chargeback: &Chargeback, now: Timestamp) -> Result<Dispute, StoreError>;

    /// The bank has decided; a lost one that becomes a debt is a charge from then on. Hearing so again gives what is stored. Errors: `UnknownDispute`, one that ended otherwise.
    async fn close_dispute(&self, id: DisputeId, state: DisputeState, now: Timestamp) -> Result<Dispute, StoreError>;

    /// At most `max` that are open.
    async fn open_disputes(&self, max: usize) -> Result<Vec<Dispute>, StoreError>;

    async fn disputes_of(&self, rider: RiderId) -> Result<Vec<Dispute>, StoreError>;
}
