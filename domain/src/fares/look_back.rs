//! How far back other rides of the rider matter for the price of one.

use jiff::Span;
use jiff::civil::Date;

use crate::clock::Timestamp;
use crate::fares::calendar::Period;
use crate::fares::{FareTable, Tariff};

/// Two days: a ride begun before midnight, and what it goes on to.
const RIDE_DAYS: u32 = 2;
/// Without a time limit a transfer is looked for this long.
const TRANSFER_DAYS: u32 = 7;
/// So many days before a ride are looked at, for whether they are known as wholly as its own.
const STEPS_MAX: u32 = 62;

/// The rides to be known before one of a day can be priced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LookBack {
    /// All rides that began from here on make the bill.
    pub from: Timestamp,
    /// In which the rides from this travel day on have the prices that they have in the bill of all rides; of rides
    /// before it, a period may have begun that is not looked back to.
    pub first_day: Date,
}

impl Tariff {
    /// For a ride that began `at`, and all later ones; None if every ride is priced by itself.
    pub fn look_back(&self, at: Timestamp) -> Option<LookBack> {
        let calendar = self.nearest(at).calendar();
        let day = calendar.moment(at).day;
        let begins = |day: Date| self.tables().iter().filter_map(|table| begins(table, day)).min();
        let begun = begins(day)?;
        // The later the day, the later it begins, so that the first one with the same beginning is looked for.
        let days_before = (1..=STEPS_MAX).take_while(|days| begins(minus(day, *days)) == Some(begun));
        let first_day = minus(day, days_before.last().unwrap_or(0));
        let from = calendar.days().end(minus(begun, RIDE_DAYS + 1));
        Some(LookBack { from, first_day })
    }
}

/// The first day whose rides may matter for one on this day; None if the table asks for no other ride.
fn begins(table: &FareTable, day: Date) -> Option<Date> {
    let rules = &table.rules;
    let periods = rules.caps.iter().map(|cap| cap.period);
    let periods = periods.chain(rules.discounts.iter().filter_map(|discount| discount.rule.period));
    let mut days: Vec<Date> = periods.map(|period| period.since(day)).collect();
    if rules.fastest_kmh.is_some() || !rules.interchanges.is_empty() {
        days.push(day);
    }
    if !rules.transfers.is_empty() {
        days.push(minus(day, TRANSFER_DAYS));
    }
    if let Some(autofill) = &rules.autofill {
        days.push(minus(Period::Month.since(day), autofill.days));
    }
    if rules.repairs.is_some() {
        days.push(Period::Month.since(day));
    }
    let counted = rules.passes.iter().filter(|pass| pass.rides.is_some());
    days.extend(counted.map(|pass| minus(day, pass.days)));
    // How many rides a coupon has left is known from the beginning of its time alone.
    if rules.discounts.iter().any(|discount| discount.rule.coupon) {
        days.push(Date::MIN);
    }
    days.into_iter().min()
}

fn minus(day: Date, days: u32) -> Date {
    day.checked_sub(Span::new().days(i64::from(days))).unwrap_or(Date::MIN)
}
