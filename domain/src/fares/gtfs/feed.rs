//! A feed as its files say it, with every reference followed.

use std::collections::{BTreeMap, BTreeSet};

use super::Problem;
use super::csv::{Row, Sheet};
use super::fares::{Leg, Product, TransferRule, legs, products, transfers};
use super::network::{Link, Station, links, stations};
use crate::money::Currency;

/// Everything that a fare table is made of.
#[derive(Debug)]
pub struct Feed {
    pub zone: Option<String>,
    pub stations: Vec<Station>,
    pub links: Vec<Link>,
    /// Hours as fare tables write them, by timeframe group.
    pub hours: BTreeMap<String, Vec<String>>,
    /// Rider categories that are not the default one.
    pub categories: Vec<String>,
    pub currency: Option<Currency>,
    pub products: BTreeMap<String, Vec<Product>>,
    pub legs: Vec<Leg>,
    /// Whether empty fields of leg rules match everything, and not just what no other rule names.
    pub by_priority: bool,
    pub transfers: Vec<TransferRule>,
}

/// The files, read.
pub struct Sheets<'f> {
    files: &'f BTreeMap<String, String>,
}

impl Sheets<'_> {
    pub fn read(&self, file: &'static str, required: &[&str], problems: &mut Vec<Problem>) -> Sheet {
        match self.files.get(file) {
            Some(text) => Sheet::parse(file, text, required, problems),
            None => Sheet::absent(file),
        }
    }

    pub fn must(&self, file: &'static str, required: &[&str], problems: &mut Vec<Problem>) -> Sheet {
        if !self.files.contains_key(file) {
            problems.push(Problem::new(file, 1, "missing_file", "fares cannot be made without it"));
        }
        self.read(file, required, problems)
    }
}

impl Feed {
    pub fn read(files: &BTreeMap<String, String>, medium: Option<&str>, problems: &mut Vec<Problem>) -> Self {
        let sheets = Sheets { files };
        let agency = sheets.read("agency.txt", &[], problems);
        let zone = agency.rows().find_map(|row| row.some("agency_timezone")).map(str::to_owned);
        let areas = ids(&sheets.read("areas.txt", &["area_id"], problems), "area_id", problems);
        let (stations, stops) = stations(&sheets, &areas, problems);
        let networks = ids(&sheets.read("networks.txt", &["network_id"], problems), "network_id", problems);
        let (links, of_routes) = links(&sheets, &stations, &stops, &networks, problems);
        let networks: BTreeSet<String> = networks.into_iter().chain(of_routes).collect();
        let hours = timeframes(&sheets, problems);
        let (all_categories, categories) = categories(&sheets, problems);
        let media = ids(&sheets.read("fare_media.txt", &["fare_media_id"], problems), "fare_media_id", problems);
        if let Some(medium) = medium.filter(|medium| !media.contains(*medium)) {
            problems.push(Problem::new(
                "fare_media.txt",
                1,
                "unknown_reference",
                format!("no fare_media_id {medium:?}"),
            ));
        }
        let (products, currency) = products(&sheets, medium, &all_categories, &categories, &media, problems);
        let known = super::fares::Known { networks: &networks, areas: &areas, hours: &hours, products: &products };
        let (legs, by_priority) = legs(&sheets, &known, problems);
        let transfers = transfers(&sheets, &legs, &products, problems);
        let joined = sheets.read("fare_leg_join_rules.txt", &[], problems);
        for row in joined.rows() {
            let (from, to) = (row.get("from_network_id"), row.get("to_network_id"));
            if from != to {
                let said = "legs of two networks are joined; a ride is one leg here, from gate to gate";
                problems.push(row.problem("unsupported", said));
            }
        }
        Self { zone, stations, links, hours, categories, currency, products, legs, by_priority, transfers }
    }
}

/// The ids of a file, each of which may be there once.
pub fn ids(sheet: &Sheet, column: &str, problems: &mut Vec<Problem>) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for row in sheet.rows() {
        match row.some(column) {
            None => problems.push(row.problem("missing_value", format!("{column} is empty"))),
            Some(id) if !ids.insert(id.to_owned()) => {
                problems.push(row.problem("duplicate_id", format!("{column} {id:?} is there twice")));
            }
            Some(_) => {}
        }
    }
    ids
}

/// What the column names, if it is known; a name that is not is a problem.
pub fn reference<'s>(
    row: Row<'s>,
    column: &str,
    known: impl Fn(&str) -> bool,
    problems: &mut Vec<Problem>,
) -> Option<&'s str> {
    let name = row.some(column)?;
    if known(name) {
        return Some(name);
    }
    problems.push(row.problem("unknown_reference", format!("{column} {name:?} is nowhere")));
    None
}

fn categories(sheets: &Sheets<'_>, problems: &mut Vec<Problem>) -> (BTreeSet<String>, Vec<String>) {
    let sheet = sheets.read("rider_categories.txt", &["rider_category_id"], problems);
    let all = ids(&sheet, "rider_category_id", problems);
    let others = sheet.rows().filter(|row| row.get("is_default_fare_category") != "1");
    let mut others: Vec<String> = others.filter_map(|row| row.some("rider_category_id")).map(str::to_owned).collect();
    others.dedup();
    (all, others)
}

/// Hours by group: those of each service's days of the week.
fn timeframes(sheets: &Sheets<'_>, problems: &mut Vec<Problem>) -> BTreeMap<String, Vec<String>> {
    const DAYS: [(&str, &str); 7] = [
        ("monday", "mon"),
        ("tuesday", "tue"),
        ("wednesday", "wed"),
        ("thursday", "thu"),
        ("friday", "fri"),
        ("saturday", "sat"),
        ("sunday", "sun"),
    ];
    let calendar = sheets.read("calendar.txt", &["service_id"], problems);
    let mut services: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for row in calendar.rows() {
        let days = DAYS.iter().filter(|(long, _)| row.get(long) == "1").map(|(_, short)| *short);
        services.insert(row.get("service_id"), days.collect());
    }
    let sheet = sheets.read("timeframes.txt", &["timeframe_group_id", "service_id"], problems);
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in sheet.rows() {
        let known = |service: &str| services.contains_key(service);
        let Some(service) = reference(row, "service_id", known, problems) else { continue };
        let clock = |column, otherwise: &str| match row.some(column) {
            None => Some(otherwise.to_owned()),
            Some(time) => clock(time),
        };
        let (from, until) = (clock("start_time", "00:00"), clock("end_time", "24:00"));
        let Some((from, until)) = from.zip(until).filter(|(from, until)| from < until) else {
            problems
                .push(row.problem("bad_time", "start_time and end_time are times up to 24:00:00, the later one last"));
            continue;
        };
        let group = groups.entry(row.get("timeframe_group_id").to_owned()).or_default();
        group.extend(services[service].iter().map(|day| format!("{day} {from}-{until}")));
    }
    groups
}

/// `HH:MM` of a GTFS time up to 24:00:00, in whole minutes.
fn clock(time: &str) -> Option<String> {
    let mut parts = time.split(':').map(|part| part.parse::<u8>().ok());
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next().unwrap_or(Some(0))?);
    let valid = minute < 60 && second == 0 && (hour < 24 || (hour, minute) == (24, 0)) && parts.next().is_none();
    valid.then(|| format!("{hour:02}:{minute:02}"))
}
