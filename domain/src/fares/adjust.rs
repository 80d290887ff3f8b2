//! What is still to be charged or given back, when a bill has changed since something of it was charged. A charge is
//! never edited: the difference is a charge, or a credit, of its own.

use std::collections::BTreeMap;

use jiff::civil::Date;

use crate::fares::{Bill, Billed, RideId};
use crate::money::{Money, MoneyError};

/// What was charged for a ride until now, in all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posted {
    pub day: Date,
    pub amount: Money,
}

/// The difference for one ride: positive is still to be charged, negative to be given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adjustment {
    pub ride: RideId,
    pub day: Date,
    pub amount: Money,
}

/// What brings `posted` up to the bill. Rides that the bill has no longer (their taps make another ride, now that more
/// is known) and those that are held cost nothing.
pub fn adjustments(bill: &Bill, posted: &BTreeMap<RideId, Posted>) -> Result<Vec<Adjustment>, MoneyError> {
    let mut changes = Vec::new();
    let mut billed: BTreeMap<&RideId, &Billed> = bill.rides.iter().map(|billed| (&billed.ride, billed)).collect();
    for (ride, Posted { day, amount }) in posted {
        let now = billed.remove(ride).and_then(Billed::total).unwrap_or(Money::zero(amount.currency()));
        changes.push(Adjustment { ride: ride.clone(), day: *day, amount: now.checked_sub(*amount)? });
    }
    let new = billed.into_values().filter_map(|billed| Some((billed, billed.total()?)));
    changes.extend(new.map(|(Billed { ride, day, .. }, amount)| Adjustment { ride: ride.clone(), day: *day, amount }));
    changes.retain(|change| !change.amount.is_zero());
    changes.sort_by(|a, b| (a.day, &a.ride).cmp(&(b.day, &b.ride)));
    Ok(changes)
}

/// Notes the changes as charged.
pub fn post(posted: &mut BTreeMap<RideId, Posted>, changes: Vec<Adjustment>) -> Result<(), MoneyError> {
    for Adjustment { ride, day, amount } in changes {
        let until_now = posted.entry(ride).or_insert(Posted { day, amount: Money::zero(amount.currency()) });
        until_now.amount = until_now.amount.checked_add(amount)?;
    }
    Ok(())
}
