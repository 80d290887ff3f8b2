//! Who is who in the simulated city: one cloud, a few stations, an entry and an exit gate at each.

use std::fmt;

use facegate_domain::ids::{GateId, StationId};
use facegate_domain::tap::Direction;
use facegate_runtime::identity::{PeerIdentity, Role};

pub const STATIONS: u8 = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Node {
    Cloud,
    Station(u8),
    Gate(u8, Direction),
}

impl Node {
    pub fn all() -> Vec<Self> {
        let stations = (0..STATIONS).map(Self::Station);
        std::iter::once(Self::Cloud).chain(stations).chain(Self::gates()).collect()
    }

    pub fn gates() -> impl Iterator<Item = Self> {
        (0..STATIONS).flat_map(|station| [Direction::Entry, Direction::Exit].map(|way| Self::Gate(station, way)))
    }

    /// Whom it calls.
    pub fn above(self) -> Option<Self> {
        match self {
            Self::Cloud => None,
            Self::Station(_) => Some(Self::Cloud),
            Self::Gate(station, _) => Some(Self::Station(station)),
        }
    }

    /// As in its certificate.
    pub fn peer(self) -> PeerIdentity {
        let role = match self {
            Self::Cloud => Role::Cloud,
            Self::Station(_) => Role::Station,
            Self::Gate(..) => Role::Gate,
        };
        PeerIdentity { role, id: self.to_string() }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cloud => f.write_str("cloud"),
            Self::Station(number) => write!(f, "s{number}"),
            Self::Gate(station, Direction::Entry) => write!(f, "s{station}-in"),
            Self::Gate(station, Direction::Exit) => write!(f, "s{station}-out"),
        }
    }
}

pub fn station_id(number: u8) -> StationId {
    StationId::new(Node::Station(number).to_string()).expect("a plain name")
}

pub fn gate_id(station: u8, way: Direction) -> GateId {
    GateId::new(Node::Gate(station, way).to_string()).expect("a plain name")
}
