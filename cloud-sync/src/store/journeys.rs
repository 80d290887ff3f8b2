//! Settled rides, what they cost, and the items that make bills.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::billing::{Item, ItemId};
use facegate_domain::charge::{Charge, ChargeId};
use facegate_domain::fares::Fare;
use facegate_domain::ids::RiderId;
use facegate_domain::journey::{JourneyId, Ridden, Superseded};
use facegate_domain::money::{Money, MoneyError};
use facegate_domain::notice::Told;
use facegate_domain::tap::Tap;
use serde::{Deserialize, Serialize};

use super::StoreError;

/// What a ride costs, or why that cannot be said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Pricing {
    Priced {
        fare: Fare,
        /// Of the answer of an external ticketing system; 0 of what is priced here.
        #[serde(default, skip_serializing_if = "is_ours")]
        version: u32,
    },
    /// Held for a person to look at; never charged as it stands.
    Held { reason: String },
    /// An external ticketing system prices it, and has not answered yet.
    Elsewhere,
}

impl Pricing {
    /// By our own tables, or by hand.
    pub const fn ours(fare: Fare) -> Self {
        Self::Priced { fare, version: 0 }
    }

    pub const fn fare(&self) -> Option<&Fare> {
        match self {
            Self::Priced { fare, .. } => Some(fare),
            Self::Held { .. } | Self::Elsewhere => None,
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
const fn is_ours(version: &u32) -> bool {
    *version == 0
}

/// A price from then on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceAt {
    pub at: Timestamp,
    pub pricing: Pricing,
}

/// An item of a ride.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Posted {
    pub item: ItemId,
    pub amount: Money,
}

/// A ride that is settled: its taps are used up, and its items come to its price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PricedRide {
    pub ride: Ridden,
    /// Never empty; the last one holds, those before it are why there are adjustments.
    pub prices: Vec<PriceAt>,
    pub items: Vec<Posted>,
    /// Since when its taps are in other rides; it costs nothing any more.
    pub superseded: Option<SupersededAt>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupersededAt {
    pub at: Timestamp,
    pub by: Option<JourneyId>,
}

impl PricedRide {
    pub fn id(&self) -> JourneyId {
        self.ride.id()
    }

    pub fn pricing(&self) -> Option<&Pricing> {
        self.prices.last().map(|price| &price.pricing)
    }

    pub fn fare(&self) -> Option<&Fare> {
        self.pricing().and_then(Pricing::fare)
    }

    pub fn is_held(&self) -> bool {
        self.superseded.is_none() && matches!(self.pricing(), Some(Pricing::Held { .. }))
    }

    pub fn waits_elsewhere(&self) -> bool {
        self.superseded.is_none() && matches!(self.pricing(), Some(Pricing::Elsewhere))
    }

    /// The version of the external ticketing system's answer that it has its price by; none if it has none by one.
    pub fn answered_version(&self) -> Option<u32> {
        let answers = self.prices.iter().rev().filter_map(|price| match price.pricing {
            Pricing::Priced { version, .. } if version > 0 => Some(version),
            _ => None,
        });
        answers.max()
    }

    /// What is neither a ride any more nor ever cost anything is no business of its rider's.
    pub fn is_shown(&self) -> bool {
        self.superseded.is_none() || !self.items.is_empty()
    }

    pub fn settled_at(&self) -> Timestamp {
        self.prices.first().map_or(Timestamp::default(), |price| price.at)
    }

    /// All its items together, of which there may be none.
    pub fn posted(&self, nothing: Money) -> Result<Money, MoneyError> {
        self.items.iter().try_fold(nothing, |sum, posted| sum.checked_add(posted.amount))
    }
}

/// A rider's taps made into rides, and what that comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    pub rider: RiderId,
    /// [`JourneyStore::settlements`] as it was before anything was read that this rests on.
    pub seen: u64,
    /// [`TermsStore::tariff_revision`](super::TermsStore::tariff_revision) of what its prices rest on; none if on none.
    pub tariff: Option<u64>,
    pub rides: Vec<(Ridden, Pricing)>,
    /// Second presentations, used up without a price.
    pub merged: Vec<Tap>,
    /// Rides that do not stand any more; those of their taps that no new ride has are open again.
    pub superseded: Vec<Superseded>,
    /// Taps of new rides that were taken for second presentations before.
    pub unmerged: Vec<Tap>,
    /// Rides of before that cost otherwise now.
    pub repriced: Vec<(JourneyId, Pricing)>,
    /// Of rides that are new or repriced or superseded.
    pub items: Vec<Item>,
    /// The [`Again::version`](super::Again) that it does.
    pub again: Option<u64>,
}

impl Settlement {
    /// Nothing yet.
    pub const fn of(rider: RiderId, seen: u64) -> Self {
        Self {
            rider,
            seen,
            tariff: None,
            rides: Vec::new(),
            merged: Vec::new(),
            superseded: Vec::new(),
            unmerged: Vec::new(),
            repriced: Vec::new(),
            items: Vec::new(),
            again: None,
        }
    }

    /// What the rider is told: what rides cost that are new or cost otherwise. One that does not stand any more costs
    /// nothing.
    pub(super) fn told(&self) -> Vec<Told> {
        let gone = self.items.iter().filter_map(|item| {
            let ride = item.kind().ride()?;
            let is_gone = self.superseded.iter().any(|superseded| superseded.ride == ride);
            is_gone.then(|| Told::TripPriced { journey: ride, amount: Money::zero(item.amount().currency()) })
        });
        let new = self.rides.iter().map(|(ride, pricing)| (ride.id(), pricing));
        let priced = new.chain(self.repriced.iter().map(|(ride, pricing)| (*ride, pricing)));
        let priced =
            priced.filter_map(|(journey, pricing)| Some(Told::TripPriced { journey, amount: pricing.fare()?.total() }));
        gone.chain(priced).collect()
    }

    /// The rides that it writes, by what is stored of them.
    pub(super) fn touched(&self) -> BTreeSet<JourneyId> {
        let new = self.rides.iter().map(|(ride, _)| ride.id());
        let gone = self.superseded.iter().map(|superseded| superseded.ride);
        let billed = self.items.iter().filter_map(|item| item.kind().ride());
        new.chain(gone).chain(self.repriced.iter().map(|(ride, _)| *ride)).chain(billed).collect()
    }

    /// What the rides are once it is stored; `rides` are those of [`Self::touched`] that are stored.
    ///
    /// Errors: `UnknownJourney` if one is not there that should be.
    pub(super) fn apply(
        &self,
        mut rides: BTreeMap<JourneyId, PricedRide>,
        now: Timestamp,
    ) -> Result<Applied, StoreError> {
        let mut applied = Applied::default();
        for superseded in &self.superseded {
            let ride = known(&mut rides, superseded.ride)?;
            ride.superseded = Some(SupersededAt { at: now, by: superseded.by });
            applied.reopened.extend(ride.ride.taps().cloned());
            applied.journeys -= i64::from(ride.ride.whole().is_some());
        }
        applied.reopened.extend(self.unmerged.iter().cloned());
        for (new, pricing) in &self.rides {
            let ride = rides.entry(new.id()).or_insert_with(|| PricedRide {
                ride: new.clone(),
                prices: Vec::new(),
                items: Vec::new(),
                superseded: None,
            });
            ride.superseded = None;
            ride.prices.push(PriceAt { at: now, pricing: pricing.clone() });
            applied.journeys += i64::from(new.whole().is_some());
        }
        for (ride, pricing) in &self.repriced {
            known(&mut rides, *ride)?.prices.push(PriceAt { at: now, pricing: pricing.clone() });
        }
        for item in &self.items {
            if let Some(ride) = item.kind().ride() {
                known(&mut rides, ride)?.items.push(Posted { item: item.id(), amount: item.amount() });
            }
        }
        applied.rides = rides.into_values().collect();
        Ok(applied)
    }
}

fn known(rides: &mut BTreeMap<JourneyId, PricedRide>, id: JourneyId) -> Result<&mut PricedRide, StoreError> {
    rides.get_mut(&id).ok_or(StoreError::UnknownJourney(id))
}

/// What a settlement writes.
#[derive(Debug, Default)]
pub(super) struct Applied {
    pub rides: Vec<PricedRide>,
    /// Taps to free before the new rides take theirs.
    pub reopened: Vec<Tap>,
    /// Whole rides that stand, more or fewer than before.
    pub journeys: i64,
}

/// An item and where it is charged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BilledItem {
    pub item: Item,
    /// None until the scheduler has opened one.
    pub charge: Option<Charge>,
}

/// A ride as its rider sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trip {
    pub priced: PricedRide,
    /// First its price as it was settled, then adjustments; none for what was free all the time or is held.
    pub items: Vec<BilledItem>,
}

impl Trip {
    /// The charge of its first item.
    pub fn charge(&self) -> Option<&Charge> {
        self.items.first().and_then(|billed| billed.charge.as_ref())
    }
}

#[async_trait]
pub trait JourneyStore {
    /// How many settlements of the rider are stored.
    async fn settlements(&self, rider: RiderId) -> Result<u64, StoreError>;

    /// Stores the rides and their items and uses up their taps.
    ///
    /// Errors: `SettledMeanwhile` if another settlement of the rider was stored since `seen`, `TapSettled` if a ride that
    /// stands has used one of the taps, `TariffChanged` if it is priced by another tariff than holds now,
    /// `UnknownJourney`; nothing is stored then.
    async fn settle(&self, settlement: Settlement, now: Timestamp) -> Result<(), StoreError>;

    async fn ride(&self, id: JourneyId) -> Result<Option<PricedRide>, StoreError>;

    /// At most `max` items that may be billed at `until` and are in no charge yet, in the order of that moment; from the
    /// one after `after` on.
    async fn uncharged_items(
        &self,
        until: Timestamp,
        after: Option<&Item>,
        max: usize,
    ) -> Result<Vec<Item>, StoreError>;

    /// All the rider's items that are in no charge, whenever they may be billed.
    async fn uncharged_items_of(&self, rider: RiderId) -> Result<Vec<Item>, StoreError>;

    async fn item(&self, id: ItemId) -> Result<Option<(Item, Option<ChargeId>)>, StoreError>;

    /// The rider's settled rides that ended at `since` or later, in the order in which they ended; also those that do
    /// not stand any more.
    async fn rides_since(&self, rider: RiderId, since: Timestamp) -> Result<Vec<PricedRide>, StoreError>;

    /// All the rider's trips that stand or have cost something, the latest first.
    async fn trips(&self, rider: RiderId) -> Result<Vec<Trip>, StoreError>;
}
