//! What came of every fare: the cloud's ledger beside the acquirer's own book and its settlement files.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use facegate_cloud_sync::cloud::Cloud;
use facegate_cloud_sync::config::Config;
use facegate_cloud_sync::store::Store;
use facegate_domain::ledger::Account;
use facegate_domain::money::Currency;
use serde::Serialize;

use super::fill::{FARE_MINOR, Rider};
use crate::acquirer::{ByToken, Statistics};

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    pub charges: usize,
    pub captured_once: usize,
    pub in_debt_once: usize,
    /// Taken more than once, or taken and still owed, or given for nothing.
    pub double: usize,
    /// Neither, or not at its end.
    pub unresolved: usize,
    /// Minor units between the ledger, the acquirer's book and its settlement files, and lines that fit no charge.
    pub differences: i64,
}

impl Tally {
    /// What does not hold.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.double > 0 {
            faults.push(format!("{} fares were taken twice, or taken and still owed", self.double));
        }
        if self.unresolved > 0 {
            faults.push(format!("{} fares are neither paid nor owed, or not at their end", self.unresolved));
        }
        if self.differences != 0 {
            faults.push(format!("the books differ by {}", self.differences));
        }
        if self.captured_once + self.in_debt_once != self.charges {
            let sum = self.captured_once + self.in_debt_once;
            faults.push(format!("{sum} of {} fares are captured once or in debt once", self.charges));
        }
        faults
    }

    /// `owed` is what the ledger has against the rider, `taken` what the acquirer has of him.
    fn count(&mut self, owed: i64, taken: ByToken) {
        self.charges += 1;
        match (owed, taken.captures, taken.captured_minor) {
            (0, 1, FARE_MINOR) => self.captured_once += 1,
            (FARE_MINOR, 0, 0) => self.in_debt_once += 1,
            (0, 0, 0) => self.unresolved += 1,
            _ => self.double += 1,
        }
    }
}

/// Opens the store again, and counts. `in_flight` charges were not at their end, whatever the books say of them.
pub async fn tally(
    config: &Config,
    riders: &[Rider],
    statistics: &Statistics,
    files: &[String],
    in_flight: usize,
) -> Result<Tally> {
    let store = Cloud::open_store(config).await?;
    let currency: Currency = "CNY".parse()?;
    let mut tally = Tally::default();
    for rider in riders {
        let owed = store.balance(Account::RiderReceivable(rider.id), currency).await?.minor();
        tally.count(owed, statistics.tokens.get(&rider.token).copied().unwrap_or_default());
    }
    tally.unresolved += in_flight;
    tally.in_debt_once = tally.in_debt_once.saturating_sub(in_flight);
    tally.differences = differences(&*store, statistics, files, currency).await?;
    Ok(tally)
}

async fn differences(store: &dyn Store, statistics: &Statistics, files: &[String], currency: Currency) -> Result<i64> {
    let booked = store.balance(Account::AcquirerReceivable, currency).await?.minor();
    let taken: i64 = statistics.tokens.values().map(|token| token.captured_minor - token.refunded_minor).sum();
    let mut settled: BTreeMap<&str, i64> = BTreeMap::new();
    for line in files.iter().flat_map(|file| file.lines()).filter(|line| line.starts_with("capture,")) {
        let fields: Vec<&str> = line.split(',').collect();
        let (key, amount) = (fields.get(2).context(line.to_owned())?, fields.get(3).context(line.to_owned())?);
        *settled.entry(key).or_default() += amount.parse::<i64>().with_context(|| line.to_owned())?;
    }
    let captured = statistics.charges.iter().filter(|charge| charge.captures > 0);
    let of_keys: BTreeMap<&str, i64> = captured.map(|charge| (charge.key.as_str(), charge.captured_minor)).collect();
    let unbalanced = i64::from(!store.is_balanced().await?);
    let in_files: i64 = settled.values().sum();
    let otherwise = i64::from(settled != of_keys);
    Ok((booked - taken).abs() + (booked - in_files).abs() + otherwise + unbalanced)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(captures: u64, captured_minor: i64) -> ByToken {
        ByToken { captures, captured_minor, ..ByToken::default() }
    }

    #[test]
    fn a_fare_is_paid_once_or_owed_once_and_anything_else_is_found() {
        let mut tally = Tally::default();
        tally.count(0, taken(1, FARE_MINOR));
        tally.count(FARE_MINOR, taken(0, 0));
        assert!(tally.faults().is_empty(), "{tally:?}");
        for (owed, taken, what) in [
            (0, taken(2, 2 * FARE_MINOR), "taken twice"),
            (FARE_MINOR, taken(1, FARE_MINOR), "taken and owed"),
            (0, taken(1, FARE_MINOR - 1), "another amount"),
            (-FARE_MINOR, taken(0, 0), "given"),
            (0, taken(0, 0), "nothing at all"),
        ] {
            let mut tally = Tally::default();
            tally.count(owed, taken);
            assert!(!tally.faults().is_empty(), "{what}");
        }
    }
}
