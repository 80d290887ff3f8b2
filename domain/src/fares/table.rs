//! The fare table's file: TOML, as an operator's fare office writes it.
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

use std::collections::HashMap;
use std::fmt;

use serde::Deserialize;

use crate::clock::Timestamp;
use crate::fares::bands::{Band, BandProblem, Bands};
use crate::fares::network::{Link, Network, NetworkProblem};
use crate::fares::{Fare, Line, PricingError, Quantity, Rule};
use crate::ids::{InvalidId, StationId};
use crate::journey::{Incomplete, Journey};
use crate::money::{Currency, InvalidCurrency, Money};

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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    name: String,
    valid_from: String,
    currency: String,
    maximum_fare_minor: i64,
    #[serde(default)]
    station: Vec<RawStation>,
    #[serde(default)]
    link: Vec<RawLink>,
    #[serde(default)]
    band: Vec<RawBand>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStation {
    id: String,
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLink {
    from: String,
    to: String,
    metres: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBand {
    from_m: i64,
    up_to_m: Option<i64>,
    price_minor: i64,
}

/// A checked distance fare table. Pricing looks two numbers up and allocates only the explanation.
#[derive(Debug, Clone)]
pub struct FareTable {
    name: String,
    valid_from: Timestamp,
    currency: Currency,
    maximum_fare: Money,
    station_names: HashMap<StationId, String>,
    network: Network,
    bands: Bands,
}

impl FareTable {
    /// Reads and checks the file's text; all problems at once.
    pub fn parse(text: &str) -> Result<Self, FareTableProblems> {
        let raw: Raw =
            toml::from_str(text).map_err(|e| FareTableProblems(vec![FareTableProblem::Syntax(e.to_string())]))?;
        let mut problems = Vec::new();
        if raw.name.trim().is_empty() {
            problems.push(FareTableProblem::NoName);
        }
        let valid_from = kept(&mut problems, parse_time(&raw.valid_from));
        let currency = kept(&mut problems, raw.currency.parse::<Currency>());
        let network = check_network(&raw, &mut problems);
        // A currency that is wrong must not hide what is wrong with the bands.
        let stand_in = currency.unwrap_or_else(|| "XXX".parse().expect("XXX is ISO 4217's code for no currency"));
        let bands = check_bands(&raw, stand_in, network.as_ref(), &mut problems);
        match (valid_from, currency, network, bands) {
            (Some(valid_from), Some(currency), Some(network), Some(bands)) if problems.is_empty() => Ok(Self {
                valid_from,
                currency,
                maximum_fare: Money::from_minor(raw.maximum_fare_minor, currency),
                station_names: station_names(&raw),
                name: raw.name,
                network,
                bands,
            }),
            _ => Err(FareTableProblems(problems)),
        }
    }

    /// Prices a complete journey by the shortest way between its two stations.
    pub fn price(&self, journey: &Journey) -> Result<Fare, PricingError> {
        self.check_began(journey.entry.at)?;
        let (from, to) = (&journey.entry.station, &journey.exit.station);
        self.check_station(from)?;
        self.check_station(to)?;
        // Both stations are known, so the fallback is never taken; no band reaches it if it were.
        let metres = self.network.metres(from, to).unwrap_or(u32::MAX);
        let band = self.bands.of(metres).ok_or_else(|| PricingError::NoBand { table: self.name.clone(), metres })?;
        let rule = Rule::DistanceBand { from_m: band.from_m, up_to_m: band.up_to_m };
        Ok(self.fare(rule, Quantity::Metres(metres), band.price)?)
    }

    /// What a journey costs of which one end is missing, if nobody repairs it: the maximum fare.
    pub fn price_incomplete(&self, journey: &Incomplete) -> Result<Fare, PricingError> {
        self.check_began(journey.tap().at)?;
        self.check_station(&journey.tap().station)?;
        Ok(self.fare(Rule::MaximumFare, Quantity::Journeys(1), self.maximum_fare)?)
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

    /// The name that riders know the station by, or its id if the table gives none.
    pub fn station_name<'a>(&'a self, station: &'a StationId) -> &'a str {
        self.station_names.get(station).map_or(station.as_str(), String::as_str)
    }

    fn check_began(&self, began: Timestamp) -> Result<(), PricingError> {
        if began >= self.valid_from {
            return Ok(());
        }
        Err(PricingError::NotYetValid { table: self.name.clone(), valid_from: self.valid_from, began })
    }

    fn check_station(&self, station: &StationId) -> Result<(), PricingError> {
        if self.network.contains(station) {
            return Ok(());
        }
        Err(PricingError::UnknownStation { table: self.name.clone(), station: station.clone() })
    }

    fn fare(&self, rule: Rule, quantity: Quantity, amount: Money) -> Result<Fare, crate::money::MoneyError> {
        Fare::new(self.name.clone(), self.currency, vec![Line { rule, quantity, amount }])
    }
}

/// Keeps the value, or notes the problem and goes on to the next check.
fn kept<T, P: Into<FareTableProblem>>(problems: &mut Vec<FareTableProblem>, result: Result<T, P>) -> Option<T> {
    result.map_err(|problem| problems.push(problem.into())).ok()
}

fn parse_time(given: &str) -> Result<Timestamp, FareTableProblem> {
    given
        .parse::<jiff::Timestamp>()
        .map(|time| Timestamp::from_unix_ms(time.as_millisecond()))
        .map_err(|_| FareTableProblem::ValidFrom { given: given.to_owned() })
}

fn station_names(raw: &Raw) -> HashMap<StationId, String> {
    raw.station
        .iter()
        .filter_map(|station| Some((StationId::new(station.id.clone()).ok()?, station.name.clone()?)))
        .collect()
}

fn check_network(raw: &Raw, problems: &mut Vec<FareTableProblem>) -> Option<Network> {
    let named_well = problems.len();
    let stations: Vec<StationId> =
        raw.station.iter().filter_map(|station| kept(problems, StationId::new(station.id.clone()))).collect();
    let links: Vec<Link> = raw
        .link
        .iter()
        .filter_map(|link| {
            let from = kept(problems, StationId::new(link.from.clone()));
            let to = kept(problems, StationId::new(link.to.clone()));
            Some(Link { from: from?, to: to?, metres: link.metres })
        })
        .collect();
    let named_well = problems.len() == named_well;
    match Network::new(stations, &links) {
        Ok(network) => named_well.then_some(network),
        Err(found) => {
            problems.extend(found.into_iter().map(FareTableProblem::from));
            None
        }
    }
}

fn check_bands(
    raw: &Raw,
    currency: Currency,
    network: Option<&Network>,
    problems: &mut Vec<FareTableProblem>,
) -> Option<Bands> {
    let mut bands = Vec::with_capacity(raw.band.len());
    for (number, band) in (1..).zip(&raw.band) {
        let from_m = kept(problems, metres(number, "from_m", band.from_m));
        let up_to_m = band.up_to_m.map(|up_to_m| kept(problems, metres(number, "up_to_m", up_to_m)));
        if band.price_minor < 0 {
            problems.push(FareTableProblem::NegativePrice { number, price_minor: band.price_minor });
        }
        if raw.maximum_fare_minor < band.price_minor {
            let (maximum_minor, price_minor) = (raw.maximum_fare_minor, band.price_minor);
            problems.push(FareTableProblem::MaximumTooLow { maximum_minor, number, price_minor });
        }
        let price = Money::from_minor(band.price_minor, currency);
        match (from_m, up_to_m) {
            (Some(from_m), None) => bands.push(Band { from_m, up_to_m: None, price }),
            (Some(from_m), Some(Some(up_to_m))) => bands.push(Band { from_m, up_to_m: Some(up_to_m), price }),
            _ => {}
        }
    }
    // Bands with a number that is no distance were left out, and every gap they leave would be reported as a hole.
    if bands.len() < raw.band.len() {
        return None;
    }
    let bands = Bands::new(bands).map_err(|found| problems.extend(found.into_iter().map(Into::into))).ok()?;
    let (from, to, metres) = network.map(Network::longest)?;
    if let Some(up_to_m) = bands.up_to_m().filter(|up_to_m| *up_to_m < metres) {
        let (from, to) = (from.to_string(), to.to_string());
        problems.push(BandProblem::TooShort { up_to_m, from, to, metres }.into());
    }
    Some(bands)
}

fn metres(number: usize, field: &'static str, given: i64) -> Result<u32, FareTableProblem> {
    u32::try_from(given).map_err(|_| FareTableProblem::Metres { number, field, given })
}

#[cfg(test)]
mod tests;
