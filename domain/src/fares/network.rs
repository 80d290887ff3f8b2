//! The stations and the tracks between them, with the length of the shortest way between any two worked out once.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use crate::ids::StationId;

/// A bound on stations keeps the matrix under 17 MB; the largest metro has fewer than 500.
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
}

/// A connected network with all its shortest distances.
#[derive(Debug, Clone)]
pub struct Network {
    stations: Vec<StationId>,
    index: HashMap<StationId, usize>,
    /// Metres, shape `[stations, stations]`, row by row.
    metres: Vec<u32>,
}

impl Network {
    /// Checks and measures; all problems at once.
    pub fn new(stations: Vec<StationId>, links: &[Link]) -> Result<Self, Vec<NetworkProblem>> {
        let mut problems = Vec::new();
        if stations.is_empty() {
            problems.push(NetworkProblem::NoStation);
        }
        if stations.len() > STATIONS_MAX {
            problems.push(NetworkProblem::TooManyStations { got: stations.len() });
        }
        let mut index = HashMap::new();
        for (at, station) in stations.iter().enumerate() {
            if index.insert(station.clone(), at).is_some() {
                problems.push(NetworkProblem::DuplicateStation { station: station.clone() });
            }
        }
        let neighbours = neighbours(&index, stations.len(), links, &mut problems);
        // Distances over a broken graph would only add problems that follow from the first ones.
        if !problems.is_empty() {
            return Err(problems);
        }
        let mut metres = Vec::with_capacity(stations.len() * stations.len());
        for start in 0..stations.len() {
            let row = shortest_from(start, &neighbours);
            if start == 0 {
                problems.extend(row.iter().zip(&stations).filter(|(metres, _)| metres.is_none()).map(
                    |(_, station)| NetworkProblem::Unconnected { station: station.clone(), first: stations[0].clone() },
                ));
                if !problems.is_empty() {
                    return Err(problems);
                }
            }
            metres.extend(row.into_iter().flatten());
        }
        Ok(Self { stations, index, metres })
    }

    pub fn contains(&self, station: &StationId) -> bool {
        self.index.contains_key(station)
    }

    /// Metres of the shortest way; None if either station is unknown.
    pub fn metres(&self, from: &StationId, to: &StationId) -> Option<u32> {
        let (from, to) = (*self.index.get(from)?, *self.index.get(to)?);
        Some(self.metres[from * self.stations.len() + to])
    }

    /// The two stations that are farthest apart, with their distance.
    pub fn longest(&self) -> (&StationId, &StationId, u32) {
        let (at, metres) = (0..).zip(&self.metres).max_by_key(|(_, metres)| **metres).unwrap_or((0, &0));
        (&self.stations[at / self.stations.len()], &self.stations[at % self.stations.len()], *metres)
    }
}

/// For each station its neighbours with metres.
fn neighbours(
    index: &HashMap<StationId, usize>,
    count: usize,
    links: &[Link],
    problems: &mut Vec<NetworkProblem>,
) -> Vec<Vec<(usize, u32)>> {
    let mut neighbours: Vec<Vec<(usize, u32)>> = vec![Vec::new(); count];
    for Link { from, to, metres } in links {
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
        if neighbours[a].iter().any(|(other, _)| *other == b) {
            problems.push(NetworkProblem::DuplicateLink { from: from.clone(), to: to.clone() });
        }
        neighbours[a].push((b, length));
        neighbours[b].push((a, length));
    }
    neighbours
}

/// Dijkstra's algorithm: metres from `start` to each station, None where no way leads.
fn shortest_from(start: usize, neighbours: &[Vec<(usize, u32)>]) -> Vec<Option<u32>> {
    let mut metres = vec![None; neighbours.len()];
    let mut frontier = BinaryHeap::from([Reverse((0, start))]);
    while let Some(Reverse((so_far, here))) = frontier.pop() {
        if metres[here].is_some() {
            continue;
        }
        metres[here] = Some(so_far);
        frontier.extend(
            neighbours[here]
                .iter()
                .filter(|(next, _)| metres[*next].is_none())
                .map(|(next, m)| Reverse((so_far + m, *next))),
        );
    }
    metres
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> StationId {
        StationId::new(name).unwrap()
    }

    fn network(stations: &[&str], links: &[(&str, &str, i64)]) -> Result<Network, Vec<NetworkProblem>> {
        let links: Vec<Link> =
            links.iter().map(|(from, to, metres)| Link { from: id(from), to: id(to), metres: *metres }).collect();
        Network::new(stations.iter().map(|name| id(name)).collect(), &links)
    }

    #[test]
    fn the_shortest_way_counts_and_not_the_one_with_fewest_stops() {
        let net =
            network(&["a", "b", "c", "d"], &[("a", "b", 10), ("b", "c", 10), ("a", "c", 25), ("c", "d", 7)]).unwrap();
        for (from, to, metres) in [("a", "c", 20), ("c", "a", 20), ("a", "d", 27), ("d", "a", 27), ("b", "b", 0)] {
            assert_eq!(net.metres(&id(from), &id(to)), Some(metres), "{from} to {to}");
        }
        assert_eq!(net.metres(&id("a"), &id("z")), None);
        assert_eq!(net.longest(), (&id("d"), &id("a"), 27));
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
