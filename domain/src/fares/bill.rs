//! A rider's bill: every ride with its price, or why it has none.

mod base;
mod ends;
mod most;
mod possible;
mod receipt;
mod reduce;
mod tally;

use jiff::civil::Date;

use crate::fares::rider::{Decision, RiderTerms};
use crate::fares::{Fare, Line, PricingError, Quantity, Ride, Rule, Tariff};
use crate::journey::{Journey, JourneyId};
use crate::money::{Money, MoneyError};

/// One ride with its price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Billed {
    pub ride: JourneyId,
    /// The travel day that it began on.
    pub day: Date,
    /// An error is a held case: nothing is charged for it until a person has looked.
    pub price: Result<Fare, PricingError>,
}

impl Billed {
    /// What is to be paid for it; nothing while it is held.
    pub fn total(&self) -> Option<Money> {
        self.price.as_ref().ok().map(Fare::total)
    }
}

/// In the order in which the rides began.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bill {
    pub rides: Vec<Billed>,
}

impl Bill {
    /// What is to be paid for the rides of one travel day.
    pub fn of_day(&self, tariff: &Tariff, day: Date) -> Result<Money, MoneyError> {
        let of_day = self.rides.iter().filter(|billed| billed.day == day);
        Money::checked_sum(tariff.currency(), of_day.filter_map(Billed::total))
    }
}

impl Tariff {
    /// The price of a journey by itself, as if it were the rider's only one.
    pub fn price(&self, journey: &Journey) -> Result<Fare, PricingError> {
        base::Biller::new(self, &RiderTerms::default()).price(Ride::Whole(journey))
    }

    /// The price that a person has given a ride which no rule prices.
    pub fn decided(&self, ride: Ride<'_>, decision: &Decision) -> Result<Fare, MoneyError> {
        let rule = Rule::Decided { reason: decision.reason.clone() };
        let amount = Money::from_minor(decision.price_minor, self.currency());
        let line = Line { rule, quantity: Quantity::Journeys(1), amount };
        Fare::new(self.nearest(ride.began()).name(), self.currency(), vec![line])
    }

    /// Prices all rides of one rider. Their order makes no difference; each may be there only once.
    pub fn bill(&self, rides: &[Ride<'_>], terms: &RiderTerms) -> Bill {
        self.bill_with(rides, terms).1
    }

    /// The same, with what prices the ride after these.
    fn bill_with<'t>(&'t self, rides: &[Ride<'_>], terms: &'t RiderTerms) -> (base::Biller<'t>, Bill) {
        let mut rides = rides.to_vec();
        rides.sort_unstable_by(|a, b| a.order().cmp(&b.order()));
        let mut held = possible::impossible(self, &rides);
        let mut biller = base::Biller::new(self, terms);
        let mut bill = Bill { rides: Vec::with_capacity(rides.len()) };
        for (at, ride) in rides.into_iter().enumerate() {
            let day = self.day_of(ride);
            let price = match held.get_mut(at).and_then(Option::take) {
                Some(reason) => Err(reason),
                None => biller.price(ride),
            };
            let price = price.or_else(|held| {
                let decision = terms.decisions.iter().rev().find(|decision| decision.ride == ride.id());
                decision.map_or(Err(held), |decision| Ok(self.decided(ride, decision)?))
            });
            bill.rides.push(Billed { ride: ride.id(), day, price });
        }
        (biller, bill)
    }
}

#[cfg(test)]
mod tests;
