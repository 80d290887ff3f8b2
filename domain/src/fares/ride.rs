//! What is priced: a journey, or a tap whose other end is missing.

use crate::clock::Timestamp;
use crate::journey::{Incomplete, Journey, JourneyId, Pairing, Ridden};
use crate::tap::Tap;

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

    pub fn id(self) -> JourneyId {
        match self {
            Self::Whole(journey) => journey.id,
            Self::Broken(incomplete) => JourneyId::of_broken(&incomplete.tap().id),
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

impl<'a> From<&'a Ridden> for Ride<'a> {
    fn from(ridden: &'a Ridden) -> Self {
        match ridden {
            Ridden::Whole(journey) => Self::Whole(journey),
            Ridden::Broken(incomplete) => Self::Broken(incomplete),
        }
    }
}
