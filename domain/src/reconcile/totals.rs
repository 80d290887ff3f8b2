//! What a day comes to.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{BillRow, Difference, Kind, LineRow, Outcome, Price, RiderDay, Used};
use crate::money::{Currency, Money};

/// How many, and how much in minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Amounts {
    pub count: u64,
    pub minor: i64,
}

impl Amounts {
    fn add(&mut self, amount: Money) {
        self.count += 1;
        self.minor = self.minor.saturating_add(amount.minor());
    }
}

/// The figures that a day is closed with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayTotals {
    pub currency: Currency,
    pub riders: u64,
    pub taps: u64,
    pub taps_merged: u64,
    pub taps_open: u64,
    pub rides: Amounts,
    pub rides_held: u64,
    pub rides_superseded: u64,
    pub items: Amounts,
    pub bills: Amounts,
    /// Collected by acquirers.
    pub captured: Amounts,
    /// Collected from prepaid wallets.
    pub from_wallets: Amounts,
    pub debts: Amounts,
    pub waiting: Amounts,
    /// Lines of the day's settlement files, refunds and chargebacks negative.
    pub settled: Amounts,
    pub fees: Amounts,
    /// By kind; those that there are none of are left out.
    pub differences: BTreeMap<Kind, Amounts>,
}

impl DayTotals {
    pub fn new(currency: Currency) -> Self {
        let none = Amounts::default();
        Self {
            currency,
            riders: 0,
            taps: 0,
            taps_merged: 0,
            taps_open: 0,
            rides: none,
            rides_held: 0,
            rides_superseded: 0,
            items: none,
            bills: none,
            captured: none,
            from_wallets: none,
            debts: none,
            waiting: none,
            settled: none,
            fees: none,
            differences: BTreeMap::new(),
        }
    }

    pub fn add_rider(&mut self, day: Date, rows: &RiderDay) {
        self.riders += 1;
        self.taps += rows.taps.len() as u64;
        self.taps_merged += rows.taps.iter().filter(|tap| tap.used == Used::Merged).count() as u64;
        self.taps_open += rows.taps.iter().filter(|tap| tap.used == Used::Open).count() as u64;
        for ride in &rows.rides {
            match ride.price {
                _ if ride.superseded => self.rides_superseded += 1,
                Price::Held => self.rides_held += 1,
                Price::Fare(fare) => self.rides.add(fare),
            }
            ride.items.iter().for_each(|item| self.items.add(item.amount));
        }
        rows.bills.iter().filter(|bill| bill.day == day).for_each(|bill| self.add_bill(bill));
    }

    fn add_bill(&mut self, bill: &BillRow) {
        self.bills.add(bill.billed);
        match (&bill.outcome, &bill.acquirer) {
            (Outcome::Captured, Some(_)) => self.captured.add(bill.amount),
            (Outcome::Captured, None) => self.from_wallets.add(bill.amount),
            (Outcome::Debt, _) => self.debts.add(bill.amount),
            (Outcome::Waiting(_), _) => self.waiting.add(bill.amount),
            (Outcome::Nothing, _) => {}
        }
    }

    pub fn add_line(&mut self, row: &LineRow) {
        self.settled.add(Money::from_minor(row.line.signed_minor(), row.line.amount.currency()));
        if !row.line.fee.is_zero() {
            self.fees.add(row.line.fee);
        }
    }

    pub fn add_difference(&mut self, difference: &Difference) {
        let amount = difference.amount.or(difference.expected).unwrap_or(Money::zero(self.currency));
        self.differences.entry(difference.kind).or_default().add(amount);
    }

    /// All differences together.
    pub fn differences_count(&self) -> u64 {
        self.differences.values().map(|amounts| amounts.count).sum()
    }
}
