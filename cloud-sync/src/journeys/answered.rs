//! The price that an external system gives a ride, long after it was settled.

use facegate_domain::Timestamp;
use facegate_domain::billing::BillingPolicy;
use facegate_domain::charge::ChargeError;
use facegate_domain::fares::{Fare, Ride, Tariff};
use facegate_domain::money::Money;

use super::TRIES_MAX;
use super::pricing::{self, Ahead, Items};
use crate::store::{PricedRide, Pricing, Settlement, Store, StoreError};

/// Gives the ride its price, or another than it was given before, and its rider the item of the difference. False if
/// nothing is to be done: what came late has superseded the ride, a person has priced it, or an answer of this version or
/// a later one is here. So an answer that comes twice counts once, and one that was overtaken counts no more.
pub async fn answered(
    store: &dyn Store,
    tariff: &Tariff,
    ride: &PricedRide,
    answer: Pricing,
    billing: &BillingPolicy,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let (rider, id) = (ride.ride.rider(), ride.id());
    for _ in 0..TRIES_MAX {
        let seen = store.settlements(rider).await?;
        let Some(known) = store.ride(id).await?.filter(|known| is_news(known, &answer)) else { return Ok(false) };
        let answer = match answer.fare() {
            Some(_) if !known.waits_elsewhere() && pricing::is_forgotten(store, rider).await? => return Ok(false),
            Some(fare) if pricing::is_forgotten(store, rider).await? => pricing::lost(fare.total()),
            _ => answer.clone(),
        };
        let nothing = Money::zero(tariff.currency());
        let total = answer.fare().map_or(nothing, Fare::total);
        let posted = known.posted(nothing).map_err(ChargeError::from)?;
        let amount = total.checked_sub(posted).map_err(ChargeError::from)?;
        let ahead = match known.items.is_empty() {
            true => pricing::ahead(store, billing, &known.ride).await?,
            false => Ahead::Nothing,
        };
        let before = [(id, known)].into();
        let owing = pricing::owing(store, rider, billing).await?;
        let mut items = Items::of(rider, &before, (billing, owing), now);
        items.add(id, tariff.day_of(Ride::from(&ride.ride)), amount, ahead);
        let settlement =
            Settlement { repriced: vec![(id, answer)], items: items.into_made(), ..Settlement::of(rider, seen) };
        match store.settle(settlement, now).await {
            Err(StoreError::SettledMeanwhile(_)) => {}
            // It is asked for again after the close.
            Err(StoreError::DayClosing(_)) => return Ok(false),
            other => return other.map(|()| true),
        }
    }
    Ok(false)
}

/// Whether the answer says more than what is known.
fn is_news(known: &PricedRide, answer: &Pricing) -> bool {
    if known.superseded.is_some() {
        return false;
    }
    match (known.pricing(), answer) {
        (Some(Pricing::Elsewhere), _) => true,
        // What could not be read is put right by an answer that can.
        (Some(Pricing::Held { .. } | Pricing::Priced { .. }), Pricing::Priced { version, .. }) => {
            let by_hand =
                known.fare().is_some() && !matches!(known.pricing(), Some(Pricing::Priced { version: 1.., .. }));
            !by_hand && known.answered_version().is_none_or(|before| *version > before)
        }
        _ => false,
    }
}
