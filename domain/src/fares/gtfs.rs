//! GTFS-Fares v2: a feed's fares as a fare table of ours. What a feed says of areas, networks, timeframes, products, leg
//! rules, transfer rules, rider categories and media is checked, each problem with file, line and rule; stations and
//! tracks come from its stops and trips.
//!
//! The reference is <https://gtfs.org/documentation/schedule/reference/>.

mod csv;
mod fares;
mod feed;
mod network;
mod write;

use std::collections::BTreeMap;
use std::fmt;

use crate::fares::FareTable;

/// One thing wrong with a feed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    pub file: String,
    /// From 1.
    pub line: usize,
    /// Short and stable, such as `unknown_reference`.
    pub rule: &'static str,
    pub said: String,
}

impl Problem {
    fn new(file: &str, line: usize, rule: &'static str, said: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, rule, said: said.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} line {}: {}: {}", self.file, self.line, self.rule, self.said)
    }
}

/// What a feed does not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    pub name: String,
    /// With an offset, such as `2026-01-01T04:30:00+08:00`.
    pub valid_from: String,
    /// Of a product's prices those for this medium, and those for any.
    pub medium: Option<String>,
    /// The dearest product's price unless given.
    pub maximum_fare_minor: Option<i64>,
}

/// The files of a feed that fares are made of; the others may be left out.
pub const FILES: [&str; 17] = [
    "agency.txt",
    "stops.txt",
    "routes.txt",
    "trips.txt",
    "stop_times.txt",
    "calendar.txt",
    "areas.txt",
    "stop_areas.txt",
    "networks.txt",
    "route_networks.txt",
    "timeframes.txt",
    "rider_categories.txt",
    "fare_media.txt",
    "fare_products.txt",
    "fare_leg_rules.txt",
    "fare_transfer_rules.txt",
    "fare_leg_join_rules.txt",
];

/// Gives the text of a fare table that holds what the feed says. `files` are by name.
///
/// Errors: every problem of the feed; or what our own check of the table finds, named as `fares`.
pub fn import(files: &BTreeMap<String, String>, options: &Options) -> Result<String, Vec<Problem>> {
    let mut problems = Vec::new();
    let feed = feed::Feed::read(files, options.medium.as_deref(), &mut problems);
    if !problems.is_empty() {
        problems.sort();
        return Err(problems);
    }
    let text = write::table(&feed, options);
    match FareTable::parse(&text) {
        Ok(_) => Ok(text),
        Err(found) => {
            let of_table =
                |problem: &crate::fares::FareTableProblem| Problem::new("fares", 1, "table", problem.to_string());
            Err(found.0.iter().map(of_table).collect())
        }
    }
}

#[cfg(test)]
mod tests;
