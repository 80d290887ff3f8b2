//! When items are billed, and which of a rider's items make one bill.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::civil::Date;

use super::{Item, ItemKind};
use crate::clock::Timestamp;
use crate::money::Currency;
use crate::travel_day::TravelDays;

const DAY: Duration = Duration::from_secs(86_400);

/// How rides are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bills {
    /// Each by itself, as soon as it is settled.
    PerTrip,
    /// Those of a travel day, once it is over and late taps had their time.
    PerDay,
    /// Once they come to so much, or the oldest has waited so long.
    AtAmount { minor: i64, wait_days: u16 },
}

/// What a rider owes before he is billed, with the item that is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unbilled {
    pub minor: i64,
    /// Whether a charge of his was ever captured.
    pub has_paid: bool,
}

/// The most that a ride may cost is held when it begins, and what it does cost is captured of that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prepayment {
    /// From the entry; what is not captured by then is released.
    pub hold_for: Duration,
    /// No more than this is held, whatever the ride may cost.
    pub at_most_minor: Option<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BillingPolicy {
    pub bills: Bills,
    pub days: TravelDays,
    /// From the end of a travel day to its bill.
    pub grace: Duration,
    /// The most that somebody who has never paid may owe before he is billed at once. None: no limit.
    pub first_ride_limit_minor: Option<i64>,
    /// None: rides are charged after they are made alone.
    pub prepaid: Option<Prepayment>,
}

impl BillingPolicy {
    /// Each ride by itself.
    pub fn per_trip(days: TravelDays) -> Self {
        Self { bills: Bills::PerTrip, days, grace: Duration::ZERO, first_ride_limit_minor: None, prepaid: None }
    }

    /// Whether what a rider owes matters for when he is billed.
    pub const fn looks_at_unbilled(&self) -> bool {
        match self.bills {
            Bills::PerTrip => false,
            Bills::PerDay => self.first_ride_limit_minor.is_some(),
            Bills::AtAmount { .. } => true,
        }
    }

    /// When an item of that travel day may be billed, as it is settled.
    pub fn bill_at(&self, day: Date, unbilled: Unbilled, now: Timestamp) -> Timestamp {
        let over = |limit: i64| unbilled.minor >= limit;
        let risky = !unbilled.has_paid && self.first_ride_limit_minor.is_some_and(over);
        let enough = matches!(self.bills, Bills::AtAmount { minor, .. } if over(minor));
        if risky || enough { now } else { self.closes(day).max(now) }
    }

    /// When the items of a travel day are billed at the latest.
    fn closes(&self, day: Date) -> Timestamp {
        match self.bills {
            Bills::PerTrip => Timestamp::from_unix_ms(i64::MIN),
            Bills::PerDay => self.days.end(day).plus(self.grace),
            Bills::AtAmount { wait_days, .. } => self.days.end(day).plus(self.grace + DAY * u32::from(wait_days)),
        }
    }

    /// The bills that a rider's uncharged items make now. An item that was not to wait takes along those that were.
    pub fn bills(&self, items: Vec<Item>, now: Timestamp) -> Vec<Vec<Item>> {
        let mut by_currency: BTreeMap<Currency, Vec<Item>> = BTreeMap::new();
        for item in items {
            by_currency.entry(item.amount().currency()).or_default().push(item);
        }
        let mut bills = Vec::new();
        for mut items in by_currency.into_values() {
            let due = |item: &Item| item.bill_at() <= now;
            let hurried = |item: &Item| due(item) && item.bill_at() < self.closes(item.day());
            if self.bills == Bills::PerTrip || !items.iter().any(hurried) {
                items.retain(due);
            }
            items.sort_unstable_by_key(|item| (item.bill_at(), item.id()));
            match self.bills {
                _ if items.is_empty() => {}
                Bills::PerTrip => bills.extend(one_by_one(items)),
                Bills::PerDay | Bills::AtAmount { .. } => bills.push(items),
            }
        }
        bills
    }
}

/// A bill for each ride or purchase; adjustments go with the first of them.
fn one_by_one(items: Vec<Item>) -> Vec<Vec<Item>> {
    let (mut adjustments, own): (Vec<Item>, Vec<Item>) =
        items.into_iter().partition(|item| matches!(item.kind(), ItemKind::Adjustment { .. }));
    let mut bills: Vec<Vec<Item>> = own.into_iter().map(|item| vec![item]).collect();
    match bills.first_mut() {
        Some(first) => first.append(&mut adjustments),
        None if adjustments.is_empty() => {}
        None => bills.push(adjustments),
    }
    bills
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{GateId, RecordId, RiderId};
    use crate::journey::JourneyId;
    use crate::money::Money;

    const START: Timestamp = Timestamp::from_unix_ms(1_795_000_000_000);
    const HOUR: Duration = Duration::from_secs(3600);

    fn policy(bills: Bills) -> BillingPolicy {
        let days = TravelDays::new("UTC", "04:30").unwrap();
        BillingPolicy { bills, days, grace: HOUR * 2, first_ride_limit_minor: Some(1000), prepaid: None }
    }

    fn ride(number: u64) -> JourneyId {
        let record = |sequence| RecordId { gate: GateId::new("g").unwrap(), epoch: 1, sequence };
        JourneyId::of(&record(number), &record(number + 1))
    }

    fn item(number: u64, minor: i64, bill_at: Timestamp) -> Item {
        let amount = Money::from_minor(minor, "CNY".parse().unwrap());
        let kind = match minor {
            0.. => ItemKind::Ride { ride: ride(number) },
            _ => ItemKind::Adjustment { of: ride(number), number: 1 },
        };
        let day = policy(Bills::PerDay).days.of(START);
        Item::new(RiderId::from_bytes([1; 16]), day, amount, kind, bill_at)
    }

    #[test]
    fn a_day_is_billed_after_its_grace_and_a_stranger_at_his_limit() {
        let per_day = policy(Bills::PerDay);
        let day = per_day.days.of(START);
        let closes = per_day.days.end(day).plus(HOUR * 2);
        let of = |minor, has_paid| per_day.bill_at(day, Unbilled { minor, has_paid }, START);
        assert_eq!((of(999, false), of(1000, false), of(100_000, true)), (closes, START, closes));
        assert_eq!(per_day.bill_at(day, Unbilled { minor: 1, has_paid: true }, closes.plus(HOUR)), closes.plus(HOUR));

        let at_amount = policy(Bills::AtAmount { minor: 500, wait_days: 7 });
        let of = |minor, has_paid| at_amount.bill_at(day, Unbilled { minor, has_paid }, START);
        assert_eq!((of(499, true), of(500, true)), (closes.plus(DAY * 7), START));
        let per_trip = policy(Bills::PerTrip);
        assert_eq!(per_trip.bill_at(day, Unbilled { minor: 1, has_paid: true }, START), START);
    }

    #[test]
    fn one_bill_takes_what_is_due_and_a_hurried_item_takes_all() {
        let per_day = policy(Bills::PerDay);
        let closes = per_day.days.end(per_day.days.of(START)).plus(HOUR * 2);
        let (one, two, back) = (item(1, 300, closes), item(3, 400, closes), item(5, -100, closes.plus(HOUR)));
        assert!(per_day.bills(vec![one.clone(), two.clone()], closes.minus(HOUR)).is_empty());
        let told: Vec<usize> =
            per_day.bills(vec![one.clone(), back.clone(), two.clone()], closes).iter().map(Vec::len).collect();
        assert_eq!(told, [2], "the adjustment has its time yet");
        let now = item(7, 900, START);
        let all = per_day.bills(vec![one.clone(), two.clone(), now], START);
        assert_eq!(all.iter().map(Vec::len).collect::<Vec<_>>(), [3]);
        let reversed = per_day.bills(vec![two.clone(), one.clone()], closes);
        assert_eq!(per_day.bills(vec![one, two], closes), reversed, "however they were read");
    }

    #[test]
    fn trips_are_billed_by_themselves_and_adjustments_with_the_first() {
        let per_trip = policy(Bills::PerTrip);
        let items = vec![item(1, 300, START), item(3, 400, START), item(5, -100, START), item(7, 1, START.plus(HOUR))];
        let bills = per_trip.bills(items, START);
        assert_eq!(bills.iter().map(Vec::len).sum::<usize>(), 3);
        assert_eq!((bills.len(), bills[0].len()), (2, 2));
        assert_eq!(per_trip.bills(vec![item(5, -100, START)], START).len(), 1);
    }
}
