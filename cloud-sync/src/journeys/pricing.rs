//! The prices of rides as they are settled, in the light of those that were settled before and of what is on record of the
//! rider, and the items that they make.

use std::collections::{BTreeMap, BTreeSet};

use facegate_domain::Timestamp;
use facegate_domain::billing::{BillingPolicy, Item, ItemKind, Unbilled};
use facegate_domain::charge::{ChargeError, ChargeId};
use facegate_domain::fares::{Fare, Pricer, PricingError, Ride, RiderTerms, Settled};
use facegate_domain::ids::RiderId;
use facegate_domain::journey::{JourneyId, Ridden, Unsettled};
use facegate_domain::money::Money;
use facegate_domain::risk::Measure;
use jiff::civil::Date;

use crate::store::{Again, PricedRide, Pricing, Settlement, Store, StoreError};

/// Asks for what was settled before only if the pricer has a rule that looks at it, or some of it does not stand any
/// more.
pub async fn price(
    store: &dyn Store,
    pricer: &dyn Pricer,
    rider: RiderId,
    (found, again): (Unsettled, Option<Again>),
    billing: &BillingPolicy,
    now: Timestamp,
) -> Result<Settlement, StoreError> {
    let mut settlement = Settlement { again: again.map(|again| again.version), ..Settlement::of(rider, 0) };
    let gone: BTreeSet<JourneyId> = found.superseded.iter().map(|superseded| superseded.ride).collect();
    let mut began: Vec<Timestamp> = found.rides.iter().map(|ride| ride.first().at).collect();
    for ride in &gone {
        began.extend(store.ride(*ride).await?.map(|priced| priced.ride.first().at));
    }
    (settlement.merged, settlement.superseded, settlement.unmerged) = (found.merged, found.superseded, found.unmerged);
    began.extend(again.map(|again| again.since));
    let Some(since) = began.into_iter().min() else { return Ok(settlement) };
    let before = match pricer.look_back(since) {
        Some(looked_back) => store.rides_since(rider, looked_back.from.min(since)).await?,
        None if again.is_some() => store.rides_since(rider, since).await?,
        None => named(store, &gone, &found.rides).await?,
    };
    let before: BTreeMap<JourneyId, PricedRide> = before.into_iter().map(|ride| (ride.id(), ride)).collect();

    if is_forgotten(store, rider).await? {
        let decided = store.terms(rider).await?.decisions;
        let waived = decided.iter().filter(|decision| decision.price_minor == 0);
        settlement.repriced.extend(waived.filter_map(|decision| {
            let priced = before.get(&decision.ride).filter(|priced| priced.is_held())?;
            let fare = pricer.decided(Ride::from(&priced.ride), decision).ok()?;
            Some((decision.ride, Pricing::ours(fare)))
        }));
        settlement.rides = found.rides.into_iter().map(|ride| uncollectable(pricer, ride)).collect::<Result<_, _>>()?;
        return Ok(settlement);
    }
    let terms = store.terms(rider).await?.terms();
    let owing = owing(store, rider, billing).await?;
    let mut items = Items::of(rider, &before, (billing, owing), now);
    let settling = {
        let settled = before.values().map(|priced| settled(pricer, priced, &gone)).collect::<Result<Vec<_>, _>>()?;
        let settled: Vec<Settled<'_>> = settled.into_iter().flatten().collect();
        let new: Vec<Ride<'_>> = found.rides.iter().map(Ride::from).collect();
        pricer.settle(&settled, &new, since, &terms).map_err(ChargeError::from)?
    };
    for change in settling.changes {
        // Held for its risk and not for its price: a person lets it go.
        if again.is_none() && before.get(&change.ride).is_some_and(is_held_for_risk) {
            continue;
        }
        let ahead = match before.get(&change.ride) {
            Some(priced) if priced.items.is_empty() => ahead(store, billing, &priced.ride).await?,
            _ => Ahead::Nothing,
        };
        items.add(change.ride, change.day, change.amount, ahead);
        settlement.repriced.extend(change.price.map(|price| (change.ride, pricing(price))));
    }
    for (ride, billed) in found.rides.into_iter().zip(settling.new) {
        if let Some(reason) = held_for_risk(store, &ride).await? {
            settlement.rides.push((ride, Pricing::Held { reason }));
            continue;
        }
        if let Some(total) = billed.total() {
            items.add(billed.ride, billed.day, total, ahead(store, billing, &ride).await?);
        }
        settlement.rides.push((ride, pricing(billed.price)));
    }
    settlement.items = items.into_made();
    Ok(settlement)
}

/// Where every ride is priced by itself: those that do not stand any more, and those that stand again.
async fn named(store: &dyn Store, gone: &BTreeSet<JourneyId>, new: &[Ridden]) -> Result<Vec<PricedRide>, StoreError> {
    let mut before = Vec::new();
    let broken = new.iter().filter(|ride| ride.whole().is_none()).map(Ridden::id);
    for ride in gone.iter().copied().chain(broken) {
        before.extend(store.ride(ride).await?);
    }
    Ok(before)
}

/// None if it stood neither before nor now.
fn settled<'a>(
    pricer: &dyn Pricer,
    priced: &'a PricedRide,
    gone: &BTreeSet<JourneyId>,
) -> Result<Option<Settled<'a>>, StoreError> {
    if priced.superseded.is_some() {
        return Ok(None);
    }
    let posted = priced.posted(Money::zero(pricer.currency())).map_err(ChargeError::from)?;
    let stands = !gone.contains(&priced.id());
    Ok(Some(Settled { ride: Ride::from(&priced.ride), posted, held: priced.fare().is_none(), stands }))
}

/// The items of one settlement.
pub struct Items<'a> {
    rider: RiderId,
    before: &'a BTreeMap<JourneyId, PricedRide>,
    billing: &'a BillingPolicy,
    owing: Unbilled,
    now: Timestamp,
    made: Vec<Item>,
}

/// What came of holding the fare at the entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ahead {
    Nothing,
    /// So much is held, or asked for.
    Held(Money),
    /// No instrument was good for it.
    Refused,
}

pub async fn ahead(store: &dyn Store, billing: &BillingPolicy, ride: &Ridden) -> Result<Ahead, StoreError> {
    let (Some(_), Some(entry)) = (billing.prepaid, ride.entry()) else { return Ok(Ahead::Nothing) };
    let hold = store.charge(ChargeId::of_hold(&entry.id)).await?;
    Ok(match hold {
        Some(hold) if hold.takes_bill(hold.asked()) => Ahead::Held(hold.asked()),
        Some(hold) if hold.is_refused_hold() => Ahead::Refused,
        _ => Ahead::Nothing,
    })
}

/// What the rider owes and is not billed for yet, if that matters for when he is.
pub async fn owing(store: &dyn Store, rider: RiderId, billing: &BillingPolicy) -> Result<Unbilled, StoreError> {
    if !billing.looks_at_unbilled() {
        return Ok(Unbilled { minor: 0, has_paid: true });
    }
    let waiting = store.uncharged_items_of(rider).await?;
    let minor = waiting.iter().map(|item| item.amount().minor()).fold(0_i64, i64::saturating_add);
    Ok(Unbilled { minor, has_paid: store.has_paid(rider).await? })
}

impl<'a> Items<'a> {
    pub const fn of(
        rider: RiderId,
        before: &'a BTreeMap<JourneyId, PricedRide>,
        (billing, owing): (&'a BillingPolicy, Unbilled),
        now: Timestamp,
    ) -> Self {
        Self { rider, before, billing, owing, now, made: Vec::new() }
    }

    pub fn into_made(self) -> Vec<Item> {
        self.made
    }

    /// What costs nothing has no item. What is held for a ride is billed at once, and what it costs beyond that is an
    /// item of its own, for the next bill; so is a ride for which nothing could be held, so that its rider, who may not
    /// ride until he has paid, can.
    pub fn add(&mut self, ride: JourneyId, day: Date, amount: Money, ahead: Ahead) {
        if amount.is_zero() {
            return;
        }
        let items = self.before.get(&ride).map_or(0, |priced| priced.items.len());
        match (u32::try_from(items).unwrap_or(u32::MAX), ahead) {
            (0, Ahead::Held(held)) if amount.is_positive() => {
                let covered = amount.minor().min(held.minor());
                let part = |minor| Money::from_minor(minor, amount.currency());
                self.push(part(covered), day, ItemKind::Ride { ride }, self.now);
                if covered < amount.minor() {
                    let rest = part(amount.minor() - covered);
                    self.push_by_policy(rest, day, ItemKind::Adjustment { of: ride, number: 1 });
                }
            }
            (0, Ahead::Refused) => self.push(amount, day, ItemKind::Ride { ride }, self.now),
            (0, _) => self.push_by_policy(amount, day, ItemKind::Ride { ride }),
            (number, _) => self.push_by_policy(amount, day, ItemKind::Adjustment { of: ride, number }),
        }
    }

    fn push_by_policy(&mut self, amount: Money, day: Date, kind: ItemKind) {
        self.owing.minor = self.owing.minor.saturating_add(amount.minor());
        let bill_at = self.billing.bill_at(day, self.owing, self.now);
        self.push(amount, day, kind, bill_at);
    }

    fn push(&mut self, amount: Money, day: Date, kind: ItemKind, bill_at: Timestamp) {
        self.made.push(Item::new(self.rider, day, amount, kind, bill_at));
    }
}

fn pricing(price: Result<Fare, PricingError>) -> Pricing {
    match price {
        Ok(fare) => Pricing::ours(fare),
        Err(PricingError::Elsewhere) => Pricing::Elsewhere,
        Err(error) => Pricing::Held { reason: error.to_string() },
    }
}

fn is_held_for_risk(priced: &PricedRide) -> bool {
    matches!(priced.pricing(), Some(Pricing::Held { reason }) if reason.starts_with("risk: "))
}

/// Why a person should look at the ride before it is charged.
async fn held_for_risk(store: &dyn Store, ride: &Ridden) -> Result<Option<String>, StoreError> {
    for tap in ride.taps() {
        let decided = store.risk_of(&tap.id).await?.filter(|decision| decision.measure == Measure::Hold);
        if let Some(decision) = decided {
            let saw: Vec<String> = decision.findings.iter().map(|f| format!("{}: {}", f.rule.name(), f.saw)).collect();
            return Ok(Some(format!("risk: {}", saw.join("; "))));
        }
    }
    Ok(None)
}

/// Whether nobody knows any more how this rider pays, and nobody ever will.
pub async fn is_forgotten(store: &dyn Store, rider: RiderId) -> Result<bool, StoreError> {
    let erased = store.rider(rider).await?.is_some_and(|rider| rider.erasure.is_some());
    Ok(erased && store.account(rider).await?.is_none())
}

/// A ride of a rider who is forgotten: revenue that is lost, and said to be.
fn uncollectable(pricer: &dyn Pricer, ride: Ridden) -> Result<(Ridden, Pricing), StoreError> {
    let began = ride.first().at;
    let settling =
        pricer.settle(&[], &[Ride::from(&ride)], began, &RiderTerms::default()).map_err(ChargeError::from)?;
    let price = settling.new.into_iter().next().map(|billed| pricing(billed.price));
    Ok(match price {
        Some(Pricing::Priced { fare, .. }) => (ride, lost(fare.total())),
        Some(other) => (ride, other),
        None => (ride, Pricing::Held { reason: "nobody has priced it".to_owned() }),
    })
}

pub fn lost(cost: Money) -> Pricing {
    metrics::counter!("facegate_journeys_uncollectable_total").increment(1);
    let reason =
        format!("uncollectable: the rider and how he paid were forgotten before this ride of {cost} was known");
    Pricing::Held { reason }
}
