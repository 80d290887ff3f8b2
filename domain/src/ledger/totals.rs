//! The trial balance as finance reads it: what was debited and credited, by control account and currency.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Control, Entry};
use crate::clock::Timestamp;
use crate::money::Currency;

/// Totals are kept by hours of entries: the balances at any moment are the hours before it and part of one.
const HOUR_MS: i64 = 3_600_000;

/// What an account moved. Both sides are zero or positive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Turnover {
    pub debits: i128,
    pub credits: i128,
}

impl Turnover {
    /// Of one posting: a debit if positive.
    pub fn of(minor: i64) -> Self {
        let amount = i128::from(minor);
        Self { debits: amount.max(0), credits: (-amount).max(0) }
    }

    /// Debits less credits. Sums of 64 bits do not leave 128, however many there are.
    pub const fn balance(self) -> i128 {
        self.debits - self.credits
    }

    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self { debits: self.debits + other.debits, credits: self.credits + other.credits }
    }

    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self { debits: self.debits - other.debits, credits: self.credits - other.credits }
    }
}

/// The hour that an entry counts in.
pub const fn hour_of(at: Timestamp) -> i64 {
    at.unix_ms().div_euclid(HOUR_MS)
}

/// The moment at which that hour begins.
pub const fn hour_begins(hour: i64) -> Timestamp {
    Timestamp::from_unix_ms(hour.saturating_mul(HOUR_MS))
}

/// Turnovers of every control account that was ever posted to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Totals(BTreeMap<(Currency, Control), Turnover>);

impl Totals {
    pub fn of<'e>(entries: impl IntoIterator<Item = &'e Entry>) -> Self {
        let mut totals = Self::default();
        entries.into_iter().for_each(|entry| totals.add(entry));
        totals
    }

    pub fn add(&mut self, entry: &Entry) {
        for posting in entry.postings() {
            self.add_turnover(
                posting.account.control(),
                posting.amount.currency(),
                Turnover::of(posting.amount.minor()),
            );
        }
    }

    pub fn add_turnover(&mut self, control: Control, currency: Currency, turnover: Turnover) {
        let held = self.0.entry((currency, control)).or_default();
        *held = held.plus(turnover);
    }

    /// What was moved since `before`, which must be of the same books.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let mut moved = self.clone();
        for (key, turnover) in &before.0 {
            let held = moved.0.entry(*key).or_default();
            *held = held.minus(*turnover);
        }
        moved.0.retain(|_, turnover| *turnover != Turnover::default());
        moved
    }

    pub fn turnover(&self, control: Control, currency: Currency) -> Turnover {
        self.0.get(&(currency, control)).copied().unwrap_or_default()
    }

    /// By currency, in the order of the chart.
    pub fn iter(&self) -> impl Iterator<Item = (Control, Currency, Turnover)> + '_ {
        self.0.iter().map(|((currency, control), turnover)| (*control, *currency, *turnover))
    }

    /// All debits and credits of each currency. Should the two differ, stop and report.
    pub fn sums(&self) -> BTreeMap<Currency, Turnover> {
        let mut sums = BTreeMap::<Currency, Turnover>::new();
        for ((currency, _), turnover) in &self.0 {
            let sum = sums.entry(*currency).or_default();
            *sum = sum.plus(*turnover);
        }
        sums
    }

    pub fn is_balanced(&self) -> bool {
        self.sums().values().all(|sum| sum.balance() == 0)
    }
}
