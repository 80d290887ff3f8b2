//! Stations and tracks, of a feed's stops and trips.

use std::collections::{BTreeMap, BTreeSet};

use super::Problem;
use super::feed::{Sheets, reference};
use crate::ids::StationId;

/// A stop without a parent, with everything that belongs to it.
#[derive(Debug)]
pub struct Station {
    pub id: String,
    pub name: String,
    pub areas: BTreeSet<String>,
    /// Latitude and longitude in degrees.
    at: Option<(f64, f64)>,
}

/// A track that some trip takes from one station to the next.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link {
    pub from: String,
    pub to: String,
    pub line: String,
    pub metres: u32,
}

/// The stations, and the number of each stop's station by its stop_id.
pub fn stations(
    sheets: &Sheets<'_>,
    areas: &BTreeSet<String>,
    problems: &mut Vec<Problem>,
) -> (Vec<Station>, BTreeMap<String, usize>) {
    let sheet = sheets.must("stops.txt", &["stop_id"], problems);
    let (mut stations, mut stops, mut taken) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
    for row in sheet.rows().filter(|row| row.some("parent_station").is_none()) {
        let Some(stop) = row.some("stop_id") else {
            problems.push(row.problem("missing_value", "stop_id is empty"));
            continue;
        };
        let id: String = stop.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        if let Err(error) = StationId::new(id.clone()) {
            problems.push(row.problem("bad_id", error.to_string()));
        }
        if let Some(other) = taken.insert(id.clone(), stop.to_owned()) {
            problems.push(row.problem("duplicate_id", format!("stop_id {stop:?} and {other:?} are one here: {id}")));
        }
        let degrees = |column| row.some(column).and_then(|degrees| degrees.parse::<f64>().ok());
        let at = degrees("stop_lat").zip(degrees("stop_lon"));
        stops.insert(stop.to_owned(), stations.len());
        let name = row.some("stop_name").unwrap_or(stop).to_owned();
        stations.push(Station { id, name, areas: BTreeSet::new(), at });
    }
    for row in sheet.rows() {
        let parent = reference(row, "parent_station", |parent| stops.contains_key(parent), problems);
        if let Some(station) = parent.and_then(|parent| stops.get(parent).copied()) {
            stops.insert(row.get("stop_id").to_owned(), station);
        }
    }
    let of_areas = sheets.read("stop_areas.txt", &["area_id", "stop_id"], problems);
    for row in of_areas.rows() {
        let area = reference(row, "area_id", |area| areas.contains(area), problems);
        let stop = reference(row, "stop_id", |stop| stops.contains_key(stop), problems);
        if let (Some(area), Some(stop)) = (area, stop) {
            stations[stops[stop]].areas.insert(area.to_owned());
        }
    }
    (stations, stops)
}

/// The tracks, and the networks that routes name themselves.
pub fn links(
    sheets: &Sheets<'_>,
    stations: &[Station],
    stops: &BTreeMap<String, usize>,
    networks: &BTreeSet<String>,
    problems: &mut Vec<Problem>,
) -> (Vec<Link>, BTreeSet<String>) {
    let routes = sheets.must("routes.txt", &["route_id"], problems);
    let mut of_route: BTreeMap<String, String> = BTreeMap::new();
    for row in routes.rows() {
        of_route.insert(row.get("route_id").to_owned(), row.get("network_id").to_owned());
    }
    let named: BTreeSet<String> = of_route.values().filter(|network| !network.is_empty()).cloned().collect();
    for row in sheets.read("route_networks.txt", &["network_id", "route_id"], problems).rows() {
        let network = reference(row, "network_id", |network| networks.contains(network), problems);
        let route = reference(row, "route_id", |route| of_route.contains_key(route), problems);
        if let (Some(network), Some(route)) = (network, route) {
            of_route.insert(route.to_owned(), network.to_owned());
        }
    }
    let trips = sheets.must("trips.txt", &["route_id", "trip_id"], problems);
    let mut of_trip: BTreeMap<&str, &str> = BTreeMap::new();
    for row in trips.rows() {
        if let Some(route) = reference(row, "route_id", |route| of_route.contains_key(route), problems) {
            of_trip.insert(row.get("trip_id"), of_route[route].as_str());
        }
    }
    let times = sheets.must("stop_times.txt", &["trip_id", "stop_sequence", "stop_id"], problems);
    let mut calls: BTreeMap<(&str, u32), usize> = BTreeMap::new();
    for row in times.rows() {
        let trip = reference(row, "trip_id", |trip| of_trip.contains_key(trip), problems);
        let stop = reference(row, "stop_id", |stop| stops.contains_key(stop), problems);
        let Ok(sequence) = row.get("stop_sequence").parse() else {
            problems.push(row.problem("bad_number", "stop_sequence is no number"));
            continue;
        };
        if let (Some(trip), Some(stop)) = (trip, stop) {
            calls.insert((trip, sequence), stops[stop]);
        }
    }
    let calls: Vec<((&str, u32), usize)> = calls.into_iter().collect();
    let mut links: BTreeMap<(usize, usize, &str), u32> = BTreeMap::new();
    for pair in calls.windows(2) {
        let [((trip, _), from), ((next, _), to)] = pair else { continue };
        if trip == next && from != to {
            let metres = metres(&stations[*from], &stations[*to]);
            links.insert((*from.min(to), *from.max(to), of_trip[trip]), metres);
        }
    }
    let link = |((from, to, line), metres): ((usize, usize, &str), u32)| Link {
        from: stations[from].id.clone(),
        to: stations[to].id.clone(),
        line: line.to_owned(),
        metres,
    };
    (links.into_iter().map(link).collect(), named)
}

/// As the crow flies, on a sphere of 6,371 km; one metre at least, also where the feed names no place.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 1 and 20,100,000")]
fn metres(a: &Station, b: &Station) -> u32 {
    let Some(((lat_a, lon_a), (lat_b, lon_b))) = a.at.zip(b.at) else { return 1 };
    let half_chord = |from: f64, to: f64| ((to - from).to_radians() / 2.0).sin().powi(2);
    let across = lat_a.to_radians().cos() * lat_b.to_radians().cos() * half_chord(lon_a, lon_b);
    let chord = half_chord(lat_a, lat_b) + across;
    (2.0 * 6_371_000.0 * chord.sqrt().min(1.0).asin()).round().max(1.0) as u32
}
