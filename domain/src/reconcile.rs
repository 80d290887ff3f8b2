//! The three-way match of a travel day: what gates saw, what riders were billed, what acquirers settled.
//!
//! ```text
//! tap ──▶ ride ──▶ items ──▶ bill ──▶ outcome ──▶ line of a settlement file
//!      used by   come to    is in    captured    of the same amount, once
//!                the price
//! ```
//!
//! It goes rider by rider from the left ([`forward`]), and line by line of the day's files from the right ([`backward`]),
//! so that it needs no more memory for a city than for a rider. What does not fit is a [`Difference`]: it has a kind, an
//! amount, the names of what it is about, and what somebody has to do next.

mod difference;
mod rows;
mod totals;

pub use difference::{About, Difference, Kind};
pub use rows::{BillRow, ItemRow, LineRow, Outcome, Price, RefundRow, RideRow, RiderDay, TapRow, Used};
pub use totals::{Amounts, DayTotals};

use std::collections::BTreeSet;

use jiff::civil::Date;

use crate::charge::IdempotencyKey;
use crate::ids::RiderId;
use crate::money::Money;
use crate::settlement::SettledKind;

/// What does not fit of one rider's day, from the tap to the capture. The order of the rows makes no difference.
pub fn forward(day: Date, rows: &RiderDay) -> Vec<Difference> {
    let mut found = Vec::new();
    let rides: BTreeSet<_> = rows.rides.iter().map(|ride| ride.id).collect();
    for tap in &rows.taps {
        let kind = match &tap.used {
            // A ride that ends on another day is that day's.
            Used::Ride { id, exists } if *exists || rides.contains(id) => continue,
            Used::Merged => continue,
            Used::Open => Kind::TapWaits,
            Used::Ride { .. } | Used::Nothing => Kind::TapWithoutRide,
        };
        found.push(Difference::new(kind, rows.rider).tap(tap));
    }
    for ride in &rows.rides {
        found.extend(ride_difference(rows.rider, ride));
        for item in ride.items.iter().filter(|item| item.charge.is_none()) {
            let kind = if item.is_known { Kind::ItemWithoutBill } else { Kind::ItemMissing };
            found.push(Difference::new(kind, rows.rider).ride(ride.id).item(item.id).amount(item.amount));
        }
    }
    for bill in rows.bills.iter().filter(|bill| bill.day == day) {
        found.extend(bill_differences(rows.rider, bill));
    }
    found
}

fn ride_difference(rider: RiderId, ride: &RideRow) -> Option<Difference> {
    let zero = |money: Money| Money::zero(money.currency());
    let difference = |kind| Difference::new(kind, rider).ride(ride.id);
    let price = match (&ride.price, ride.superseded) {
        (Price::Held, false) => return Some(difference(Kind::PriceHeld)),
        // Whatever it cost was given back.
        (_, true) => None,
        (Price::Fare(fare), false) => Some(*fare),
    };
    let expected = price.or(ride.items.first().map(|item| zero(item.amount)))?;
    let posted = Money::checked_sum(expected.currency(), ride.items.iter().map(|item| item.amount));
    match posted {
        Ok(posted) if posted == expected => None,
        Ok(_) if ride.items.is_empty() => Some(difference(Kind::RideWithoutItem).amount(expected)),
        Ok(posted) => Some(difference(Kind::ItemsDiffer).amount(posted).expected(expected)),
        Err(_) => Some(difference(Kind::ItemsDiffer).expected(expected)),
    }
}

fn bill_differences(rider: RiderId, bill: &BillRow) -> Vec<Difference> {
    let about = |kind| Difference::new(kind, rider).charge(bill.id).amount(bill.billed);
    let mut found = Vec::new();
    if bill.items_come_to != Some(bill.billed) {
        let difference = about(Kind::BillDiffers);
        found.push(match bill.items_come_to {
            Some(items) => difference.expected(items),
            None => difference,
        });
    }
    let settled = bill.settled.iter().any(|line| line.line.kind == SettledKind::Capture);
    match &bill.outcome {
        Outcome::Waiting(state) => found.push(about(Kind::BillWithoutOutcome).amount(bill.amount).state(state)),
        Outcome::Captured if bill.acquirer.is_some() && !settled => {
            found.push(about(Kind::CaptureNotSettled).amount(bill.amount).acquirer(bill.acquirer.as_deref()));
        }
        _ => {}
    }
    found
}

/// A refund that no file has.
pub fn refund_difference(refund: &RefundRow) -> Option<Difference> {
    let settled = refund.settled.iter().any(|line| line.line.kind == SettledKind::Refund);
    let difference = || Difference::new(Kind::RefundNotSettled, refund.rider).amount(refund.amount);
    let difference = || difference().acquirer(refund.acquirer.as_deref()).key(&IdempotencyKey::of_refund(refund.id));
    (!settled).then(|| match refund.charge {
        Some(charge) => difference().charge(charge),
        None => difference(),
    })
}

/// What the books know of the line's key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ours {
    Nothing,
    /// A charge with this id.
    Bill(BillRow),
    /// Something else that was posted: a refund or a chargeback of this amount, positive.
    Posted(Money),
}

/// What does not fit of one line of a file, from the acquirer's side. `rider` is whose bill it is, if known.
pub fn backward(row: &LineRow, ours: &Ours, rider: Option<RiderId>) -> Vec<Difference> {
    let line = &row.line;
    let about = |kind| Difference { rider, ..Difference::of_line(kind, row) };
    let mut found = Vec::new();
    match (line.kind, ours) {
        (_, Ours::Nothing) => found.push(about(Kind::SettledNotOurs)),
        (SettledKind::Capture, Ours::Bill(bill)) => {
            let about = |kind| about(kind).charge(bill.id);
            if is_second(row, bill) {
                return vec![about(Kind::SettledTwice)];
            }
            if bill.outcome != Outcome::Captured {
                found.push(about(Kind::SettledNotCaptured).state(bill.outcome.name()));
            } else if bill.amount != line.amount {
                found.push(about(Kind::SettledAmountDiffers).expected(bill.amount));
            }
        }
        (SettledKind::Capture, Ours::Posted(_)) => found.push(about(Kind::SettledNotOurs)),
        (SettledKind::Refund, Ours::Bill(bill)) => found.push(about(Kind::RefundNotOurs).charge(bill.id)),
        (SettledKind::Chargeback | SettledKind::ChargebackReversed, Ours::Bill(bill)) => {
            found.push(about(Kind::ChargebackNotPosted).charge(bill.id));
        }
        (_, Ours::Posted(amount)) if *amount != line.amount => {
            found.push(about(Kind::SettledAmountDiffers).expected(*amount));
        }
        (_, Ours::Posted(_)) => {}
    }
    if row.is_of_another_date() {
        found.push(about(Kind::SettledOnAnotherDate));
    }
    found
}

/// Whether another line took the same charge's money before: by date of the file, then by the acquirer's name for it.
fn is_second(row: &LineRow, bill: &BillRow) -> bool {
    let name = |row: &LineRow| (row.date, row.acquirer.clone(), row.line.reference.clone());
    let captures = bill.settled.iter().filter(|other| other.line.kind == SettledKind::Capture);
    captures.map(name).any(|other| other < name(row))
}

#[cfg(test)]
mod tests;
