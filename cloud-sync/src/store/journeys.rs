//! Settled journeys and what they cost.

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::charge::{Charge, ChargeId};
use facegate_domain::fares::Fare;
use facegate_domain::ids::RiderId;
use facegate_domain::journey::{Incomplete, Journey, JourneyId};
use facegate_domain::notice::Told;
use facegate_domain::tap::Tap;
use serde::{Deserialize, Serialize};

use super::StoreError;

/// What a journey costs, or why that cannot be said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Pricing {
    Priced {
        fare: Fare,
    },
    /// Held for a person to look at; never charged as it stands.
    Held {
        reason: String,
    },
}

/// A journey that is settled: its taps are used up, its price stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PricedJourney {
    pub journey: Journey,
    pub pricing: Pricing,
    pub settled_at: Timestamp,
    /// The charge that it is in; set in the same transaction that opens the charge.
    pub charge: Option<ChargeId>,
}

impl PricedJourney {
    pub fn fare(&self) -> Option<&Fare> {
        match &self.pricing {
            Pricing::Priced { fare } => Some(fare),
            Pricing::Held { .. } => None,
        }
    }

    /// What its rider is told of it.
    pub fn told(&self) -> Option<Told> {
        self.fare().map(|fare| Told::TripPriced { journey: self.journey.id, amount: fare.total() })
    }

    /// Whether there is something to charge.
    pub fn costs(&self) -> bool {
        self.fare().is_some_and(|fare| fare.total().is_positive())
    }
}

/// One rider's taps made into journeys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    pub rider: RiderId,
    pub journeys: Vec<(Journey, Pricing)>,
    /// Second presentations, used up without a price.
    pub merged: Vec<Tap>,
    /// Taps whose other end has not come for so long that nobody waits for it any more; kept for the report.
    pub given_up: Vec<Incomplete>,
}

/// A journey as its rider sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trip {
    pub journey: PricedJourney,
    /// None until the scheduler has opened one, for a free journey, and while the price is held.
    pub charge: Option<Charge>,
}

#[async_trait]
pub trait JourneyStore {
    /// Stores the journeys and uses up their taps.
    ///
    /// Errors: `TapSettled` if a journey has used one of the taps already; nothing is stored then.
    async fn settle(&self, settlement: Settlement, now: Timestamp) -> Result<(), StoreError>;

    async fn journey(&self, id: JourneyId) -> Result<Option<PricedJourney>, StoreError>;

    /// At most `max` priced journeys that cost something and are in no charge yet, those settled first first; from the
    /// one after `after` on.
    async fn uncharged_journeys(
        &self,
        after: Option<&PricedJourney>,
        max: usize,
    ) -> Result<Vec<PricedJourney>, StoreError>;

    /// The rider's settled journeys that ended at `since` or later, in the order in which they ended.
    async fn journeys_since(&self, rider: RiderId, since: Timestamp) -> Result<Vec<PricedJourney>, StoreError>;

    /// All the rider's trips, the latest first.
    async fn trips(&self, rider: RiderId) -> Result<Vec<Trip>, StoreError>;
}
