//! What is on record that decides what riders pay, what is waived, and whose rides are to be priced anew because of it.

use std::ops::Range;

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::billing::Item;
use facegate_domain::fares::Waiver;
use facegate_domain::ids::{RiderId, StationId};
use facegate_domain::journey::JourneyId;
use facegate_domain::terms::{KeptTerms, TermsChange};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{PricedRide, StoreError};

/// Something that costs nothing somewhere for some time, and who said so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptWaiver {
    pub id: Uuid,
    pub waiver: Waiver,
    /// Whoever told it; none if the station's mode says so.
    pub told_by: Option<String>,
    /// The station whose mode it follows, as long as that lasts.
    pub follows: Option<StationId>,
    /// Settled rides that ended in this time are to be priced anew because of it; none once that is under way.
    pub spreads: Option<Range<Timestamp>>,
}

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

    /// All that ever was waived.
    async fn waivers(&self) -> Result<Vec<KeptWaiver>, StoreError>;

    /// Keeps a new one; false, and nothing is changed, if its id is known.
    async fn add_waiver(&self, waiver: KeptWaiver) -> Result<bool, StoreError>;

    /// Keeps `after` in place of `before`; false, and nothing is changed, if that is not what is kept any more.
    async fn change_waiver(&self, before: &KeptWaiver, after: KeptWaiver) -> Result<bool, StoreError>;

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
