//! From the file as written to the table as used: head, calendar, stations and tracks.

use std::collections::HashMap;

use super::names::{NAMES_MAX, Names};
use super::raw::Raw;
use super::{FareTable, FareTableProblem, FareTableProblems, products, rules};
use crate::clock::Timestamp;
use crate::fares::calendar::Calendar;
use crate::fares::network::{Link, Network, Place};
use crate::ids::StationId;
use crate::money::Currency;
use crate::travel_day::TravelDays;

/// Zones are numbered so that a set of them is a word of 32 bits.
pub const ZONE_MAX: u8 = 31;

pub fn check(raw: Raw) -> Result<FareTable, FareTableProblems> {
    let mut problems = Vec::new();
    if raw.name.trim().is_empty() {
        problems.push(FareTableProblem::NoName);
    }
    let valid_from = kept(&mut problems, parse_time(&raw.valid_from));
    let currency = kept(&mut problems, raw.currency.parse::<Currency>());
    let calendar = check_calendar(&raw, &mut problems);
    let (mut lines, mut areas) = (Names::default(), Names::default());
    let network = check_network(&raw, &mut lines, &mut problems);
    let of_stations = check_areas(&raw, &mut areas, &mut problems);
    // A currency that is wrong must not hide what is wrong with the prices.
    let stand_in = currency.unwrap_or_else(|| "XXX".parse().expect("XXX is ISO 4217's code for no currency"));
    let products = products::check(&raw, stand_in, network.as_ref(), (&lines, &areas), &mut problems);
    let station_names = station_names(&raw);
    let (name, maximum_fare_minor) = (raw.name.clone(), raw.maximum_fare_minor);
    let rules = rules::check(raw, network.as_ref(), &products, &mut problems);
    match (valid_from, currency, calendar, network) {
        (Some(valid_from), Some(currency), Some(calendar), Some(network)) if problems.is_empty() => Ok(FareTable {
            name,
            valid_from,
            currency,
            station_names,
            maximum_fare_minor,
            calendar,
            network,
            areas: of_stations,
            products,
            rules,
        }),
        _ => Err(FareTableProblems(problems)),
    }
}

/// Keeps the value, or notes the problem and goes on to the next check.
pub fn kept<T, P: Into<FareTableProblem>>(problems: &mut Vec<FareTableProblem>, result: Result<T, P>) -> Option<T> {
    result.map_err(|problem| problems.push(problem.into())).ok()
}

pub fn parse_time(given: &str) -> Result<Timestamp, FareTableProblem> {
    given
        .parse::<jiff::Timestamp>()
        .map(|time| Timestamp::from_unix_ms(time.as_millisecond()))
        .map_err(|_| FareTableProblem::ValidFrom { given: given.to_owned() })
}

fn check_calendar(raw: &Raw, problems: &mut Vec<FareTableProblem>) -> Option<Calendar> {
    let zone = raw.zone.as_deref().or_else(|| offset(&raw.valid_from))?;
    let days = TravelDays::new(zone, raw.day_starts_at.as_deref().unwrap_or("04:30"));
    Some(Calendar::new(kept(problems, days)?, raw.holidays.iter().copied().collect()))
}

/// The offset that a time is written with; None if it is no such time, which is reported elsewhere.
fn offset(time: &str) -> Option<&str> {
    if time.ends_with(['Z', 'z']) {
        return Some("UTC");
    }
    let begins = time.len().checked_sub("+00:00".len())?;
    time.get(begins..).filter(|offset| offset.starts_with(['+', '-']))
}

fn station_names(raw: &Raw) -> HashMap<StationId, String> {
    raw.station
        .iter()
        .filter_map(|station| Some((StationId::new(station.id.clone()).ok()?, station.name.clone()?)))
        .collect()
}

fn check_network(raw: &Raw, lines: &mut Names, problems: &mut Vec<FareTableProblem>) -> Option<Network> {
    let named_well = problems.len();
    let mut stations = Vec::with_capacity(raw.station.len());
    for (number, station) in (1..).zip(&raw.station) {
        if let Some(zone) = station.zones.iter().find(|zone| **zone > ZONE_MAX) {
            let said = format!("zone {zone}: use 0 to {ZONE_MAX}");
            problems.push(FareTableProblem::Rule { kind: "station", number, said });
            continue;
        }
        let zones = station.zones.iter().fold(0, |zones, zone| zones | 1 << zone);
        stations.extend(kept(problems, StationId::new(station.id.clone())).map(|id| Place { id, zones }));
    }
    let mut links = Vec::with_capacity(raw.link.len());
    for (number, link) in (1..).zip(&raw.link) {
        let line = link.line.as_ref().map(|line| lines.add(line));
        if line == Some(None) {
            let said = format!("more than {NAMES_MAX} lines");
            problems.push(FareTableProblem::Rule { kind: "link", number, said });
        }
        let from = kept(problems, StationId::new(link.from.clone()));
        let to = kept(problems, StationId::new(link.to.clone()));
        let (Some(from), Some(to)) = (from, to) else { continue };
        links.push(Link { from, to, metres: link.metres, line: line.flatten() });
    }
    let named_well = problems.len() == named_well;
    match Network::new(stations, &links) {
        Ok(network) => named_well.then_some(network),
        Err(found) => {
            problems.extend(found.into_iter().map(FareTableProblem::from));
            None
        }
    }
}

/// The areas of each station, as bits.
fn check_areas(raw: &Raw, areas: &mut Names, problems: &mut Vec<FareTableProblem>) -> Vec<u64> {
    let mut of_stations = Vec::with_capacity(raw.station.len());
    for (number, station) in (1..).zip(&raw.station) {
        let mut set = 0;
        for area in &station.areas {
            match areas.add(area) {
                Some(at) => set |= 1 << at,
                None => {
                    let said = format!("more than {NAMES_MAX} areas");
                    problems.push(FareTableProblem::Rule { kind: "station", number, said });
                }
            }
        }
        of_stations.push(set);
    }
    of_stations
}
