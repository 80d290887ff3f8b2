//! What is on record that decides what riders pay, and whose rides are to be priced anew because of it.

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::billing::Item;
use facegate_domain::ids::RiderId;
use facegate_domain::journey::JourneyId;
use facegate_domain::terms::{KeptTerms, TermsChange};
use serde::{Deserialize, Serialize};

use super::{PricedRide, StoreError};

/// Since when a rider's rides are to be priced anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Again {
    pub since: Timestamp,
    /// Rises when it is asked for once more: a settlement takes away what it knew of alone.
    pub version: u64,
}

#[async_trait]
pub trait TermsStore {
    /// What is on record of the rider; nothing of one who is not known.
    async fn terms(&self, rider: RiderId) -> Result<KeptTerms, StoreError>;

    /// Keeps the change, the item of what was bought, and that rides since then are to be priced anew, in one
    /// transaction. False if it was told before, and nothing has changed.
    ///
    /// Errors: `UnknownRider`, `Erased`; but what a ride of anybody costs may be decided.
    async fn change_terms(
        &self,
        rider: RiderId,
        change: TermsChange,
        since: Timestamp,
        bought: Option<Item>,
    ) -> Result<bool, StoreError>;

    /// These riders' rides are to be priced anew.
    async fn reprice(&self, riders: &[RiderId], since: Timestamp) -> Result<(), StoreError>;

    /// At most `max` riders whose rides are to be priced anew, in the order of their ids, after `after`.
    async fn riders_to_reprice(&self, after: Option<RiderId>, max: usize) -> Result<Vec<(RiderId, Again)>, StoreError>;

    /// Rises whenever what rides are priced by is changed: a waiver, a fare table that is published or withdrawn. Whoever
    /// prices asks for it before he reads any of that.
    async fn tariff_revision(&self) -> Result<u64, StoreError>;

    /// At most `max` rides that are held, in the order of their ids, after `after`.
    async fn held_rides(&self, after: Option<JourneyId>, max: usize) -> Result<Vec<PricedRide>, StoreError>;

    /// The same of rides that wait for the price of an external system.
    async fn rides_priced_elsewhere(&self, after: Option<JourneyId>, max: usize)
    -> Result<Vec<PricedRide>, StoreError>;

    /// At most `max` rides that ended from `from` until before `until`, in that order, after the one at `after`.
    async fn rides_ended(
        &self,
        from: Timestamp,
        until: Timestamp,
        after: Option<(Timestamp, JourneyId)>,
        max: usize,
    ) -> Result<Vec<PricedRide>, StoreError>;
}
