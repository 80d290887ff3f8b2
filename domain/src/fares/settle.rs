//! Prices for rides as they are settled, some now and others before, and what those of before cost otherwise by all that
//! is known now. What was billed is never edited: the difference is an item of its own, at once.

use std::collections::BTreeMap;

use jiff::civil::Date;

use crate::clock::Timestamp;
use crate::fares::{Billed, Fare, PricingError, Ride, RiderTerms, Tariff};
use crate::journey::JourneyId;
use crate::money::{Money, MoneyError};

/// A ride that was settled before.
#[derive(Debug, Clone, Copy)]
pub struct Settled<'a> {
    pub ride: Ride<'a>,
    /// All its items together.
    pub posted: Money,
    pub held: bool,
    /// False if its taps make another ride, now that more is known: it costs nothing any more.
    pub stands: bool,
}

/// What a ride of before costs otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub ride: JourneyId,
    pub day: Date,
    /// None of a ride that does not stand any more.
    pub price: Option<Result<Fare, PricingError>>,
    /// Positive is still to be paid, negative to be given back; nothing if it is only held now, or no longer.
    pub amount: Money,
}

/// What one settlement comes to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settling {
    /// In the order of the new rides.
    pub new: Vec<Billed>,
    pub changes: Vec<Change>,
}

impl Tariff {
    /// `before` are the rider's settled rides from [`Tariff::look_back`] on, `since` is when the first of what changes
    /// began: a new ride, one that does not stand any more, or one whose price depends on terms that have changed.
    pub fn settle(
        &self,
        before: &[Settled<'_>],
        new: &[Ride<'_>],
        since: Timestamp,
        terms: &RiderTerms,
    ) -> Result<Settling, MoneyError> {
        let standing = before.iter().filter(|settled| settled.stands).map(|settled| settled.ride);
        let rides: Vec<Ride<'_>> = standing.chain(new.iter().copied()).collect();
        let bill = self.bill(&rides, terms);
        let mut billed: BTreeMap<JourneyId, Billed> =
            bill.rides.into_iter().map(|billed| (billed.ride, billed)).collect();
        // Of days before it not all is known that their prices depend on.
        let first_day = self.look_back(since).map_or(Date::MIN, |looked_back| looked_back.first_day);
        let mut settling = Settling::default();
        settling.new.extend(new.iter().filter_map(|ride| billed.remove(&ride.id())));
        for settled in before {
            let (ride, nothing) = (settled.ride.id(), Money::zero(self.currency()));
            let (day, price) = match billed.remove(&ride) {
                Some(now) if settled.stands => (now.day, Some(now.price)),
                _ => (self.day_of(settled.ride), None),
            };
            let total = price.as_ref().map_or(nothing, |price| price.as_ref().map_or(nothing, Fare::total));
            let amount = total.checked_sub(settled.posted)?;
            let held = price.as_ref().is_some_and(Result::is_err);
            let known = !settled.stands || day >= first_day;
            if known && (!amount.is_zero() || (settled.stands && held != settled.held)) {
                settling.changes.push(Change { ride, day, price, amount });
            }
        }
        Ok(settling)
    }

    /// The travel day that a ride is counted on.
    pub fn day_of(&self, ride: Ride<'_>) -> Date {
        self.nearest(ride.began()).calendar().moment(ride.began()).day
    }
}

#[cfg(test)]
mod tests;
