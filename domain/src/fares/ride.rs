//! What is priced: a journey, or a tap whose other end is missing.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::ids::RecordId;
use crate::journey::{Incomplete, Journey, JourneyId, Pairing};
use crate::tap::Tap;

/// The identity of a ride: of its taps, whoever made it of them and when.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RideId {
    Journey(JourneyId),
    /// The end that is there.
    Tap(RecordId),
}

impl fmt::Display for RideId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Journey(id) => write!(f, "journey {id}"),
            Self::Tap(id) => write!(f, "tap {id}"),
        }
    }
}

impl fmt::Debug for RideId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One ride of a rider.
#[derive(Debug, Clone, Copy)]
pub enum Ride<'a> {
    Whole(&'a Journey),
    Broken(&'a Incomplete),
}

impl<'a> Ride<'a> {
    /// All rides that the taps made; riders who are still inside have none yet.
    pub fn of(pairing: &'a Pairing) -> Vec<Self> {
        let whole = pairing.journeys.iter().map(Ride::Whole);
        whole.chain(pairing.incomplete.iter().map(Ride::Broken)).collect()
    }

    pub fn id(self) -> RideId {
        match self {
            Self::Whole(journey) => RideId::Journey(journey.id),
            Self::Broken(incomplete) => RideId::Tap(incomplete.tap().id.clone()),
        }
    }

    /// The first tap that there is.
    pub fn first(self) -> &'a Tap {
        match self {
            Self::Whole(journey) => &journey.entry,
            Self::Broken(incomplete) => incomplete.tap(),
        }
    }

    /// The last tap that there is.
    pub fn last(self) -> &'a Tap {
        match self {
            Self::Whole(journey) => &journey.exit,
            Self::Broken(incomplete) => incomplete.tap(),
        }
    }

    pub fn began(self) -> Timestamp {
        self.first().at
    }

    pub(super) fn order(self) -> impl Ord + 'a {
        (self.began(), self.last().at, &self.first().id)
    }
}
