//! The stations and the tracks between them, with the shortest way between any two worked out once.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use crate::ids::StationId;

/// A bound on stations keeps the matrix under 68 MB; the largest metro has fewer than 500.
pub const STATIONS_MAX: usize = 2_048;
/// No track between neighbours is longer, so that no path overflows 32 bits.
pub const LINK_METRES_MAX: u32 = 1_000_000;

/// What is wrong with a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkProblem {
    #[error("there is no station: give at least one [[station]]")]
    NoStation,
    #[error("{got} stations, at most {STATIONS_MAX} are supported")]
    TooManyStations { got: usize },
    #[error("station {station} is given twice")]
    DuplicateStation { station: StationId },
    #[error("the link {from} – {to} names station {unknown}, which is not in the table")]
    UnknownStation { from: StationId, to: StationId, unknown: StationId },
    #[error("the link {from} – {to} joins a station to itself")]
    Loop { from: StationId, to: StationId },
    #[error("the link {from} – {to} is given twice")]
    DuplicateLink { from: StationId, to: StationId },
    #[error("the link {from} – {to} is {metres} m long: use 1 to {LINK_METRES_MAX}")]
    Length { from: StationId, to: StationId, metres: i64 },
    #[error("station {station} is not connected with {first}: add the missing [[link]]")]
    Unconnected { station: StationId, first: StationId },
}

/// A track between neighbours, usable both ways.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    pub from: StationId,
    pub to: StationId,
    pub metres: i64,
    /// The line that runs on it, counted from 0; none if the table names no lines.
    pub line: Option<u8>,
}

/// A way through the network: how long, by which lines, through which zones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    pub metres: u32,
    /// Bit n: line n is used.
    pub lines: u64,
    /// Lowest and highest zone of its stations that lie in one zone alone; (255, 0) if there is none.
    pub zones: (u8, u8),
}

impl Way {
    const HERE: Self = Self { metres: 0, lines: 0, zones: (u8::MAX, 0) };

    /// This way and then the other.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            metres: self.metres.saturating_add(other.metres),
            lines: self.lines | other.lines,
            zones: (self.zones.0.min(other.zones.0), self.zones.1.max(other.zones.1)),
        }
    }
}

/// A station's place in the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub id: StationId,
    /// Bit n: it lies in zone n; more than one at a boundary, none if the table names no zones.
    pub zones: u32,
}

/// A connected network with all its shortest ways.
#[derive(Debug, Clone)]
pub struct Network {
    stations: Vec<Place>,
    index: HashMap<StationId, usize>,
    /// Shape `[stations, stations]`, row by row.
    ways: Vec<Way>,
}

impl Network {
    /// Checks and measures; all problems at once.
    pub fn new(stations: Vec<Place>, links: &[Link]) -> Result<Self, Vec<NetworkProblem>> {
        let mut problems = Vec::new();
        if stations.is_empty() {
            problems.push(NetworkProblem::NoStation);
        }
        if stations.len() > STATIONS_MAX {
            problems.push(NetworkProblem::TooManyStations { got: stations.len() });
        }
        let mut index = HashMap::new();
        for (at, station) in stations.iter().enumerate() {
            if index.insert(station.id.clone(), at).is_some() {
                problems.push(NetworkProblem::DuplicateStation { station: station.id.clone() });
            }
        }
        let neighbours = neighbours(&index, stations.len(), links, &mut problems);
        // Distances over a broken graph would only add problems that follow from the first ones.
        if !problems.is_empty() {
            return Err(problems);
        }
        let mut ways = Vec::with_capacity(stations.len() * stations.len());
        for start in 0..stations.len() {
            let row = shortest_from(start, &stations, &neighbours);
            if start == 0 {
                let first = &stations[0].id;
                problems.extend(row.iter().zip(&stations).filter(|(way, _)| way.is_none()).map(|(_, station)| {
                    NetworkProblem::Unconnected { station: station.id.clone(), first: first.clone() }
                }));
                if !problems.is_empty() {
                    return Err(problems);
                }
            }
            ways.extend(row.into_iter().flatten());
        }
        Ok(Self { stations, index, ways })
    }

    /// The station's number in the table; None if it is unknown.
    pub fn number(&self, station: &StationId) -> Option<usize> {
        self.index.get(station).copied()
    }

    pub fn zones(&self, station: usize) -> u32 {
        self.stations[station].zones
    }

    pub fn stations(&self) -> impl ExactSizeIterator<Item = &StationId> {
        self.stations.iter().map(|place| &place.id)
    }

    /// The shortest way between two stations by their numbers.
    pub fn way(&self, from: usize, to: usize) -> Way {
        self.ways[from * self.stations.len() + to]
    }

    /// The two stations that are farthest apart, with their distance.
    pub fn longest(&self) -> (&StationId, &StationId, u32) {
        let longest = self.ways.iter().enumerate().max_by_key(|(_, way)| way.metres);
        let (at, metres) = longest.map_or((0, 0), |(at, way)| (at, way.metres));
        (&self.stations[at / self.stations.len()].id, &self.stations[at % self.stations.len()].id, metres)
    }
}

/// A neighbour: which, how far, by which line.
type Neighbour = (usize, u32, Option<u8>);

/// For each station its neighbours.
fn neighbours(
    index: &HashMap<StationId, usize>,
    count: usize,
    links: &[Link],
    problems: &mut Vec<NetworkProblem>,
) -> Vec<Vec<Neighbour>> {
    let mut neighbours: Vec<Vec<Neighbour>> = vec![Vec::new(); count];
    for Link { from, to, metres, line } in links {
        for unknown in [from, to].into_iter().filter(|station| !index.contains_key(*station)) {
            let unknown = unknown.clone();
            problems.push(NetworkProblem::UnknownStation { from: from.clone(), to: to.clone(), unknown });
        }
        let length = u32::try_from(*metres).ok().filter(|metres| (1..=LINK_METRES_MAX).contains(metres));
        if length.is_none() {
            problems.push(NetworkProblem::Length { from: from.clone(), to: to.clone(), metres: *metres });
        }
        if from == to {
            problems.push(NetworkProblem::Loop { from: from.clone(), to: to.clone() });
        }
        let (Some(&a), Some(&b), Some(length)) = (index.get(from), index.get(to), length) else { continue };
        if neighbours[a].iter().any(|(other, _, by)| *other == b && by == line) {
            problems.push(NetworkProblem::DuplicateLink { from: from.clone(), to: to.clone() });
        }
        neighbours[a].push((b, length, *line));
        neighbours[b].push((a, length, *line));
    }
    neighbours
}

/// Dijkstra's algorithm: the way from `start` to each station, None where none leads. Of ways of one length the one by
/// the stations and lines that the table names first counts.
fn shortest_from(start: usize, stations: &[Place], neighbours: &[Vec<Neighbour>]) -> Vec<Option<Way>> {
    let mut ways: Vec<Option<Way>> = vec![None; neighbours.len()];
    let mut frontier = BinaryHeap::from([Reverse((0, start, start, None))]);
    while let Some(Reverse((metres, here, before, line))) = frontier.pop() {
        if ways[here].is_some() {
            continue;
        }
        let so_far = ways[before].unwrap_or(Way::HERE);
        let lines = so_far.lines | line.map_or(0, |line: u8| 1 << line);
        let way = Way { metres, lines, zones: so_far.zones };
        ways[here] = Some(way.and(Way { zones: only_zone(stations[here].zones), ..Way::HERE }));
        let open = neighbours[here].iter().filter(|(next, ..)| ways[*next].is_none());
        frontier.extend(open.map(|(next, far, line)| Reverse((metres + far, *next, here, *line))));
    }
    // Who leaves where he came in may have been on any line there.
    if let Some(here) = &mut ways[start] {
        here.lines = neighbours[start].iter().filter_map(|(.., line)| *line).fold(0, |lines, line| lines | 1 << line);
    }
    ways
}

fn only_zone(zones: u32) -> (u8, u8) {
    if zones.count_ones() != 1 {
        return Way::HERE.zones;
    }
    let zone = u8::try_from(zones.trailing_zeros()).unwrap_or(0);
    (zone, zone)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> StationId {
        StationId::new(name).unwrap()
    }

    fn network(stations: &[&str], links: &[(&str, &str, i64)]) -> Result<Network, Vec<NetworkProblem>> {
        let link =
            |(from, to, metres): &(&str, &str, i64)| Link { from: id(from), to: id(to), metres: *metres, line: None };
        let links: Vec<Link> = links.iter().map(link).collect();
        Network::new(stations.iter().map(|name| Place { id: id(name), zones: 0 }).collect(), &links)
    }

    #[test]
    fn the_shortest_way_counts_and_not_the_one_with_fewest_stops() {
        let net =
            network(&["a", "b", "c", "d"], &[("a", "b", 10), ("b", "c", 10), ("a", "c", 25), ("c", "d", 7)]).unwrap();
        for (from, to, metres) in [("a", "c", 20), ("c", "a", 20), ("a", "d", 27), ("d", "a", 27), ("b", "b", 0)] {
            let number = |name| net.number(&id(name)).unwrap();
            assert_eq!(net.way(number(from), number(to)).metres, metres, "{from} to {to}");
        }
        assert_eq!(net.number(&id("z")), None);
        assert_eq!(net.longest(), (&id("d"), &id("a"), 27));
    }

    #[test]
    fn a_way_knows_its_lines_and_the_zones_between_boundaries() {
        let place = |name, zones| Place { id: id(name), zones };
        let link = |from, to, line| Link { from: id(from), to: id(to), metres: 5, line: Some(line) };
        // a in zone 3, b on the boundary of 2 and 3, c in 1, d in 2.
        let places = vec![place("a", 1 << 3), place("b", 3 << 2), place("c", 1 << 1), place("d", 1 << 2)];
        let net = Network::new(places, &[link("a", "b", 0), link("b", "c", 0), link("c", "d", 4)]).unwrap();
        assert_eq!(net.way(0, 3), Way { metres: 15, lines: 0b1_0001, zones: (1, 3) });
        assert_eq!(net.way(0, 1).zones, (3, 3));
        assert_eq!(net.way(1, 1), Way { lines: 0b1, ..Way::HERE });
    }

    #[test]
    fn everything_wrong_with_a_network_is_named_at_once() {
        let problems = network(
            &["a", "b", "b"],
            &[("a", "x", 10), ("a", "a", 5), ("a", "b", 0), ("a", "b", -4), ("a", "b", 5), ("b", "a", 6)],
        )
        .unwrap_err();
        let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
        for expected in [
            "station b is given twice",
            "the link a – x names station x",
            "the link a – a joins a station to itself",
            "the link a – b is 0 m long",
            "the link a – b is -4 m long",
            "the link b – a is given twice",
        ] {
            assert!(said.iter().any(|line| line.contains(expected)), "{expected} in {said:?}");
        }
        assert_eq!(network(&[], &[]).unwrap_err(), [NetworkProblem::NoStation]);
    }

    #[test]
    fn islands_are_named_station_by_station() {
        let problems = network(&["a", "b", "c", "d"], &[("a", "b", 10), ("c", "d", 10)]).unwrap_err();
        let island = |name| NetworkProblem::Unconnected { station: id(name), first: id("a") };
        assert_eq!(problems, [island("c"), island("d")]);
    }
}
