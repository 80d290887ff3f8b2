//! What is taken off: passes, the rider's category, discounts and coupons, caps. In this order; each sees what the one
//! before has left.

use jiff::civil::Date;

use super::base::{Biller, Priced};
use super::receipt::Receipt;
use crate::fares::calendar::Period;
use crate::fares::rules::{Cap, Discount};
use crate::fares::table::Reduction;
use crate::fares::{FareTable, Quantity, Rule};
use crate::money::{BasisPoints, Money, MoneyError};

impl<'t> Biller<'t> {
    pub(super) fn reduce(&mut self, receipt: &mut Receipt<'t>, priced: &Priced) -> Result<(), MoneyError> {
        let table = receipt.table;
        let number = u32::from(!priced.goes_on);
        if receipt.due().is_positive() {
            self.use_pass(receipt, priced)?;
        }
        let category = self.terms.category_on(priced.day);
        let rule = table.rules.categories.iter().find(|rule| Some(rule.name.as_str()) == category);
        if let Some(rule) = rule {
            let due = receipt.due().minor().saturating_sub(rule.less_minor).max(0);
            let share = share(table, table.money(due), rule.pays_bp)?;
            let line = Rule::Category { name: rule.name.clone(), pays_bp: rule.pays_bp };
            receipt.leave(line, Quantity::Journeys(1), share)?;
        }
        if !table.rules.discounts.is_empty() && receipt.due().is_positive() {
            self.discount(receipt, priced)?;
        }
        self.cap(receipt, priced)?;
        let due = receipt.due().minor();
        for period in [Period::Day, Period::Week, Period::Month] {
            let tally = self.tallies.of(period, priced.day);
            tally.rides = tally.rides.saturating_add(number);
            tally.pay(due);
        }
        Ok(())
    }

    fn use_pass(&mut self, receipt: &mut Receipt<'t>, priced: &Priced) -> Result<(), MoneyError> {
        let table = receipt.table;
        for (held, used) in self.terms.passes.iter().zip(&mut self.pass_rides) {
            let Some(pass) = table.rules.passes.iter().find(|pass| pass.name == held.pass) else { continue };
            let days = i64::from(pass.days) - 1;
            let last = held.first_day.checked_add(jiff::Span::new().days(days)).unwrap_or(Date::MAX);
            let holds = (held.first_day..=last).contains(&priced.day)
                && within(pass.zones, priced.zones)
                && pass.rides.is_none_or(|rides| *used < rides);
            if holds {
                *used += 1;
                let line = Rule::Pass { name: pass.name.clone() };
                return receipt.leave(line, Quantity::Ride(*used), table.money(0));
            }
        }
        Ok(())
    }

    /// The discount that leaves the rider least; of equal ones the first in the table.
    fn discount(&mut self, receipt: &mut Receipt<'t>, priced: &Priced) -> Result<(), MoneyError> {
        let (table, due) = (receipt.table, receipt.due());
        let mut best: Option<(&Discount, Money, Option<usize>)> = None;
        for Reduction { rule, when } in &table.rules.discounts {
            let hours = when.is_empty() || when.iter().any(|hours| hours.contain(priced.trip.began));
            if !hours || !self.counts(rule, priced) {
                continue;
            }
            let coupon = self.coupon(rule, priced.day);
            if rule.coupon && coupon.is_none() {
                continue;
            }
            let left = share(table, due, rule.pays_bp)?;
            if best.as_ref().is_none_or(|(_, least, _)| left.minor() < least.minor()) {
                best = Some((rule, left, coupon));
            }
        }
        let Some((rule, left, coupon)) = best else { return Ok(()) };
        if let Some(coupon) = coupon {
            self.coupon_rides[coupon] += 1;
        }
        let number = rule.period.map(|period| self.number(period, priced));
        let line = Rule::Discount { name: rule.name.clone(), pays_bp: rule.pays_bp };
        receipt.leave(line, number.map_or(Quantity::Journeys(1), Quantity::Ride), left)
    }

    /// Whether the discount is for this rider, this day, this ride of his.
    fn counts(&mut self, rule: &Discount, priced: &Priced) -> bool {
        let day = priced.day;
        let for_him = rule.category.is_none() || rule.category.as_deref() == self.terms.category_on(day);
        let in_days = rule.first_day.is_none_or(|first| first <= day) && rule.last_day.is_none_or(|last| day <= last);
        if !for_him || !in_days {
            return false;
        }
        let Some(period) = rule.period else { return true };
        let (paid, ride) = (self.tallies.of(period, day).paid_minor, self.number(period, priced));
        rule.paid_from_minor.is_none_or(|from| paid >= from)
            && rule.paid_below_minor.is_none_or(|below| paid < below)
            && rule.ride_from.is_none_or(|from| ride >= from)
            && rule.ride_up_to.is_none_or(|up_to| ride <= up_to)
            && rule.every.is_none_or(|every| ride > 0 && ride % every == 0)
    }

    /// The number of this ride in the period, from 1; what goes on from the ride before has its number.
    fn number(&mut self, period: Period, priced: &Priced) -> u32 {
        self.tallies.of(period, priced.day).rides.saturating_add(u32::from(!priced.goes_on))
    }

    /// The first coupon of the discount that has a ride left.
    fn coupon(&self, rule: &Discount, day: Date) -> Option<usize> {
        let held = self.terms.coupons.iter().zip(&self.coupon_rides);
        rule.coupon.then_some(())?;
        held.enumerate().find_map(|(at, (coupon, used))| {
            let holds = coupon.discount == rule.name
                && (coupon.first_day..=coupon.last_day).contains(&day)
                && *used < coupon.rides;
            holds.then_some(at)
        })
    }

    /// Each cap counts the rides that it is for; the one with the least room left holds.
    fn cap(&mut self, receipt: &mut Receipt<'t>, priced: &Priced) -> Result<(), MoneyError> {
        let table = receipt.table;
        let category = self.terms.category_on(priced.day);
        // Who has a cap of his own category is not asked by those for everybody.
        let own = table.rules.caps.iter().any(|cap| cap.category.is_some() && cap.category.as_deref() == category);
        let holds = |cap: &&'t Cap| {
            let for_him = if own { cap.category.as_deref() == category } else { cap.category.is_none() };
            for_him && within(cap.zones, priced.zones)
        };
        let mut least: Option<(&Cap, i64)> = None;
        for cap in table.rules.caps.iter().filter(holds) {
            let paid = self.tallies.cap(&cap.name, cap.period, priced.day).paid_minor;
            let room = cap.most_minor.saturating_sub(paid).max(0);
            if least.is_none_or(|(_, least)| room < least) {
                least = Some((cap, room));
            }
        }
        let Some((cap, room)) = least else { return Ok(()) };
        if receipt.due().minor() > room {
            let line = Rule::Cap { name: cap.name.clone(), period: cap.period };
            receipt.leave(line, Quantity::Journeys(1), table.money(room))?;
        }
        let due = receipt.due().minor();
        for cap in table.rules.caps.iter().filter(holds) {
            self.tallies.cap(&cap.name, cap.period, priced.day).pay(due);
        }
        Ok(())
    }
}

fn share(table: &FareTable, due: Money, pays_bp: u32) -> Result<Money, MoneyError> {
    due.checked_share_in(BasisPoints::new(pays_bp), table.rules.step, table.rules.rounding)
}

/// Without zones everything is within; a ride without zones is within no others.
fn within(zones: Option<[u8; 2]>, ride: Option<(u8, u8)>) -> bool {
    zones.is_none_or(|[from, to]| ride.is_some_and(|(low, high)| from <= low && high <= to))
}
