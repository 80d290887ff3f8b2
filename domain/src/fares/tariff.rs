//! All fare tables, by the time from which they hold.

use std::sync::Arc;

use crate::clock::Timestamp;
use crate::fares::{FareTable, PricingError, Waiver};
use crate::money::Currency;

/// Why some tables make no tariff.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TariffProblem {
    #[error("there is no fare table")]
    None,
    #[error("fare tables {one:?} and {other:?} are valid from the same moment: give one of them another valid_from")]
    SameTime { one: String, other: String },
    #[error("fare table {name:?} is in {got}, the one before it in {expected}: a rider's day has one currency")]
    Currency { name: String, got: Currency, expected: Currency },
}

/// Each table holds for the rides that begin from its `valid_from` until the next one's.
#[derive(Debug, Clone)]
pub struct Tariff {
    /// By `valid_from`; never empty.
    tables: Vec<Arc<FareTable>>,
}

impl Tariff {
    pub fn new(mut tables: Vec<Arc<FareTable>>) -> Result<Self, TariffProblem> {
        tables.sort_by(|a, b| (a.valid_from(), a.name()).cmp(&(b.valid_from(), b.name())));
        let first = tables.first().ok_or(TariffProblem::None)?;
        let expected = first.currency();
        for pair in tables.windows(2) {
            if pair[0].valid_from() == pair[1].valid_from() {
                let (one, other) = (pair[0].name().to_owned(), pair[1].name().to_owned());
                return Err(TariffProblem::SameTime { one, other });
            }
        }
        if let Some(other) = tables.iter().find(|table| table.currency() != expected) {
            let (name, got) = (other.name().to_owned(), other.currency());
            return Err(TariffProblem::Currency { name, got, expected });
        }
        Ok(Self { tables })
    }

    /// The table for rides that begin then: it stays theirs, also if the next one begins while they last.
    pub fn at(&self, began: Timestamp) -> Result<&Arc<FareTable>, PricingError> {
        let holds = self.tables.partition_point(|table| table.valid_from() <= began);
        holds.checked_sub(1).map(|at| &self.tables[at]).ok_or_else(|| {
            let first = &self.tables[0];
            PricingError::NotYetValid { table: first.name().to_owned(), valid_from: first.valid_from(), began }
        })
    }

    /// As [`Self::at`]; before the first table that one's calendar counts.
    pub(super) fn nearest(&self, began: Timestamp) -> &FareTable {
        self.at(began).unwrap_or(&self.tables[0])
    }

    /// The same tables with more that is waived, whenever it was told.
    #[must_use]
    pub fn with_waivers(&self, waivers: &[Waiver]) -> Self {
        if waivers.is_empty() {
            return self.clone();
        }
        Self { tables: self.tables.iter().map(|table| Arc::new(table.with_waivers(waivers))).collect() }
    }

    pub fn tables(&self) -> &[Arc<FareTable>] {
        &self.tables
    }

    pub fn currency(&self) -> Currency {
        self.tables[0].currency()
    }
}
