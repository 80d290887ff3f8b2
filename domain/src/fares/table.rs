//! The fare table's file: TOML, as an operator's fare office writes it. `docs/FARES.md` explains every key; the least is
//!
//! ```toml
//! name = "metro 2026"
//! valid_from = "2026-01-01T04:30:00+08:00"
//! currency = "CNY"
//! maximum_fare_minor = 900          # what a journey costs whose other end is missing
//!
//! [[station]]
//! id = "north-square"
//! name = "North Square"             # as receipts show it; without it, the id
//!
//! [[station]]
//! id = "harbour"
//!
//! [[link]]                          # a track between neighbours, both ways
//! from = "north-square"
//! to = "harbour"
//! metres = 1850
//!
//! [[band]]                          # over from_m, up to and including up_to_m
//! from_m = 0
//! up_to_m = 6000
//! price_minor = 300
//!
//! [[band]]                          # only the last may have no up_to_m
//! from_m = 6000
//! price_minor = 400
//! ```

mod check;
mod names;
mod products;
mod raw;
mod rules;

use std::collections::HashMap;
use std::fmt;

use crate::clock::Timestamp;
use crate::fares::bands::BandProblem;
use crate::fares::calendar::{Calendar, InvalidHours};
use crate::fares::network::{Network, NetworkProblem};
use crate::fares::product::Product;
use crate::ids::{InvalidId, StationId};
use crate::money::{Currency, InvalidCurrency, Money};
use crate::travel_day::TravelDayError;

pub use rules::Waiver;
pub(super) use rules::{Reduction, Rules};

/// One thing wrong with a fare table's file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FareTableProblem {
    #[error("not a fare table: {0}")]
    Syntax(String),
    #[error("the name is empty")]
    NoName,
    #[error("valid_from {given:?} is not a time with an offset, such as 2026-01-01T04:30:00+08:00")]
    ValidFrom { given: String },
    #[error("currency {0}")]
    Currency(#[from] InvalidCurrency),
    #[error(transparent)]
    Day(#[from] TravelDayError),
    #[error(transparent)]
    Id(#[from] InvalidId),
    #[error(transparent)]
    Network(#[from] NetworkProblem),
    #[error(transparent)]
    Band(#[from] BandProblem),
    #[error("band {number}: {field} is {given}, which is not a distance in metres")]
    Metres { number: usize, field: &'static str, given: i64 },
    #[error("band {number} has the negative price {price_minor}")]
    NegativePrice { number: usize, price_minor: i64 },
    #[error("maximum_fare_minor is {maximum_minor}, less than the {price_minor} of band {number}")]
    MaximumTooLow { maximum_minor: i64, number: usize, price_minor: i64 },
    #[error("product {product}: {problem}")]
    ProductBand { product: String, problem: Box<Self> },
    #[error("{kind} {number}: {said}")]
    Rule { kind: &'static str, number: usize, said: String },
    #[error("{kind} {number}: {hours}")]
    Hours { kind: &'static str, number: usize, hours: InvalidHours },
    #[error("{key} is {given}: {allowed}")]
    Value { key: &'static str, given: i64, allowed: &'static str },
}

/// Everything wrong with a fare table's file; the table in force stays in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FareTableProblems(pub Vec<FareTableProblem>);

impl fmt::Display for FareTableProblems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the fare table is refused:")?;
        self.0.iter().try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}

impl std::error::Error for FareTableProblems {}

/// A checked fare table.
#[derive(Debug, Clone)]
pub struct FareTable {
    name: String,
    valid_from: Timestamp,
    currency: Currency,
    station_names: HashMap<StationId, String>,
    pub(super) maximum_fare_minor: i64,
    pub(super) calendar: Calendar,
    pub(super) network: Network,
    /// By the number of the station; bits.
    pub(super) areas: Vec<u64>,
    /// Of those that take a ride, the first prices it.
    pub(super) products: Vec<Product>,
    pub(super) rules: Rules,
}

impl FareTable {
    /// Reads and checks the file's text; all problems at once.
    pub fn parse(text: &str) -> Result<Self, FareTableProblems> {
        let raw: raw::Raw =
            toml::from_str(text).map_err(|e| FareTableProblems(vec![FareTableProblem::Syntax(e.to_string())]))?;
        check::check(raw)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn currency(&self) -> Currency {
        self.currency
    }

    pub fn valid_from(&self) -> Timestamp {
        self.valid_from
    }

    /// By which it counts days and hours.
    pub fn calendar(&self) -> &Calendar {
        &self.calendar
    }

    /// The stations that it prices.
    pub fn stations(&self) -> impl ExactSizeIterator<Item = &StationId> {
        self.network.stations()
    }

    /// The name that riders know the station by, or its id if the table gives none.
    pub fn station_name<'a>(&'a self, station: &'a StationId) -> &'a str {
        self.station_names.get(station).map_or(station.as_str(), String::as_str)
    }

    /// Whether it says what riders of this category pay: by itself, or in a product, discount or cap.
    pub fn knows_category(&self, name: &str) -> bool {
        let named = |category: &Option<String>| category.as_deref() == Some(name);
        let rules = &self.rules;
        rules.categories.iter().any(|category| category.name == name)
            || self.products.iter().any(|product| named(&product.category))
            || rules.discounts.iter().any(|discount| named(&discount.rule.category))
            || rules.caps.iter().any(|cap| named(&cap.category))
    }

    /// What a pass of this name costs; None if there is none, or it is not sold.
    pub fn pass_price(&self, name: &str) -> Option<Money> {
        let pass = self.rules.passes.iter().find(|pass| pass.name == name)?;
        pass.price_minor.map(|minor| self.money(minor))
    }

    /// Whether riders can hold coupons of a discount of this name.
    pub fn has_coupon(&self, discount: &str) -> bool {
        self.rules.discounts.iter().any(|known| known.rule.coupon && known.rule.name == discount)
    }

    /// How many days after a ride its rider may tell a missing end; None if he may not.
    pub fn repair_days(&self) -> Option<u32> {
        self.rules.repairs.as_ref().map(|repairs| repairs.within_days)
    }

    /// The same table with more that is waived.
    #[must_use]
    pub fn with_waivers(&self, waivers: &[Waiver]) -> Self {
        let mut table = self.clone();
        table.rules.waivers.extend(waivers.iter().cloned());
        table
    }

    pub(super) fn money(&self, minor: i64) -> Money {
        Money::from_minor(minor, self.currency)
    }
}

#[cfg(test)]
mod tests;
