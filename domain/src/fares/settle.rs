//! Prices for journeys as they are settled, some now and others before. Those of before keep their fares for ever; what
//! they would cost otherwise, by all that is known now, is a line of its own on a journey that is settled now.

use std::collections::{BTreeMap, BTreeSet};

use crate::fares::adjust::{Adjustment, Posted, adjustments};
use crate::fares::{Bill, Fare, Line, PricingError, Quantity, Ride, RideId, RiderTerms, Rule, Tariff};
use crate::journey::Journey;
use crate::money::{Money, MoneyError};

/// A journey that was settled before; without a fare if it is held.
#[derive(Debug, Clone, Copy)]
pub struct Settled<'a> {
    pub journey: &'a Journey,
    pub fare: Option<&'a Fare>,
}

impl Tariff {
    /// The prices of `new`, in its order. `before` are the rider's settled journeys from [`Tariff::look_back`] on.
    ///
    /// A credit is taken off as far as the journey costs something; the rest comes off the next one's.
    pub fn settle(
        &self,
        before: &[Settled<'_>],
        new: &[Journey],
        terms: &RiderTerms,
    ) -> Vec<Result<Fare, PricingError>> {
        let settled = before.iter().map(|settled| Ride::Whole(settled.journey));
        let rides: Vec<Ride<'_>> = settled.chain(new.iter().map(Ride::Whole)).collect();
        let bill = self.bill(&rides, terms);
        let priced: BTreeMap<&RideId, &Result<Fare, PricingError>> =
            bill.rides.iter().map(|billed| (&billed.ride, &billed.price)).collect();
        let mut prices: Vec<Result<Fare, PricingError>> =
            new.iter().map(|journey| priced[&RideId::Journey(journey.id)].clone()).collect();
        // Of journeys that end alike the last one named carries the difference.
        let carrier = (0..new.len()).filter(|at| prices[*at].is_ok()).max_by_key(|at| new[*at].exit.at);
        if let Some(at) = carrier {
            let changed = self.changes(&bill, before, new);
            let carried = changed.and_then(|changes| prices[at].as_ref().map_or(Ok(None), |fare| carry(fare, changes)));
            match carried {
                Ok(Some(fare)) => prices[at] = Ok(fare),
                Ok(None) => {}
                Err(error) => prices[at] = Err(error.into()),
            }
        }
        prices
    }

    /// What the journeys of before cost otherwise now, of those days that the bill knows wholly.
    fn changes(&self, bill: &Bill, before: &[Settled<'_>], new: &[Journey]) -> Result<Vec<Adjustment>, MoneyError> {
        let began = new.iter().map(|journey| journey.entry.at).min();
        let Some(looked_back) = began.and_then(|began| self.look_back(began)) else { return Ok(Vec::new()) };
        let is_new: BTreeSet<RideId> = new.iter().map(|journey| RideId::Journey(journey.id)).collect();
        let counts = |ride: &RideId, day| !is_new.contains(ride) && day >= looked_back.first_day;
        let rides = bill.rides.iter().filter(|billed| counts(&billed.ride, billed.day)).cloned().collect();
        let mut posted: BTreeMap<RideId, Posted> = BTreeMap::new();
        for Settled { journey, fare } in before {
            let day = self.nearest(journey.entry.at).calendar().moment(journey.entry.at).day;
            let own = RideId::Journey(journey.id);
            for line in fare.iter().flat_map(|fare| fare.lines()) {
                let (ride, day) = match &line.rule {
                    Rule::Adjustment { of, .. } => (of.clone(), day),
                    _ => (own.clone(), day),
                };
                let amount = Money::zero(line.amount.currency());
                let until_now = posted.entry(ride).or_insert(Posted { day, amount });
                until_now.amount = until_now.amount.checked_add(line.amount)?;
            }
        }
        // An adjustment is on a later journey than what it adjusts, which may lie before the days that are known.
        let known: BTreeSet<&RideId> = bill.rides.iter().map(|billed| &billed.ride).collect();
        let days: BTreeMap<&RideId, _> = bill.rides.iter().map(|billed| (&billed.ride, billed.day)).collect();
        posted.retain(|ride, posted| {
            posted.day = days.get(ride).copied().unwrap_or(posted.day);
            known.contains(ride) && counts(ride, posted.day)
        });
        adjustments(&Bill { rides }, &posted)
    }
}

/// Puts the changes on the fare, credits as far as there is something to take them off; None if there is no change.
fn carry(fare: &Fare, changes: Vec<Adjustment>) -> Result<Option<Fare>, MoneyError> {
    let (mut due, mut lines) = (fare.total(), fare.lines().to_vec());
    let (more, less): (Vec<_>, Vec<_>) = changes.into_iter().partition(|change| change.amount.is_positive());
    for Adjustment { ride, amount, .. } in more.into_iter().chain(less) {
        let most = due.checked_neg()?;
        let amount = if amount.minor() < most.minor() { most } else { amount };
        if !amount.is_zero() {
            due = due.checked_add(amount)?;
            lines.push(Line { rule: Rule::Adjustment { of: ride }, quantity: Quantity::Journeys(1), amount });
        }
    }
    let changed = lines.len() > fare.lines().len();
    changed.then(|| Fare::new(fare.table(), fare.total().currency(), lines)).transpose()
}

#[cfg(test)]
mod tests;
