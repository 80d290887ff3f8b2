//! Taps become journeys. The result depends on the set of taps alone, never on the order or the number of times they
//! arrived: it is computed from the beginning each time, from taps sorted by their corrected time and then by id.

mod unsettled;

use std::collections::BTreeSet;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use unsettled::{Superseded, Unsettled, unsettled};

use crate::ids::{RecordId, RiderId};
use crate::tap::{Direction, Tap};

/// What makes two taps one, and two ends one journey.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PairingPolicy {
    /// Taps of one rider at one gate in one direction within this time of the first are one tap: a body cannot pass
    /// the same aisle twice in seconds, but it can be seen by face and show its code.
    pub merge_window: Duration,
    /// An exit later than this after the entry belongs to another journey whose entry is missing.
    pub journey_max: Duration,
}

impl Default for PairingPolicy {
    /// Ten seconds; eighteen hours, which no train service runs without a break.
    fn default() -> Self {
        Self { merge_window: Duration::from_secs(10), journey_max: Duration::from_secs(18 * 3600) }
    }
}

digest_id!(
    /// The identity of a ride: a digest of its entry's and its exit's record ids, or of the one that there is, so that
    /// whoever pairs the same taps, whenever and wherever, names the ride alike.
    JourneyId,
    "journey"
);

impl JourneyId {
    pub fn of(entry: &RecordId, exit: &RecordId) -> Self {
        Self::digest([entry, exit])
    }

    /// Of a ride that has this end alone. No record's name is without its gate, so that none is taken for two.
    pub fn of_broken(tap: &RecordId) -> Self {
        Self::digest(["broken", &tap.to_string()])
    }
}

/// A completed ride of one rider: in at `entry`, out at `exit`, by whichever medium at either end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journey {
    pub id: JourneyId,
    pub entry: Tap,
    pub exit: Tap,
}

impl Journey {
    /// Errors never: the two taps are what makes it. `entry` must be an entry and `exit` an exit of the same rider.
    pub fn new(entry: Tap, exit: Tap) -> Self {
        debug_assert!(entry.rider == exit.rider && entry.direction == Direction::Entry);
        Self { id: JourneyId::of(&entry.id, &exit.id), entry, exit }
    }

    pub fn rider(&self) -> RiderId {
        self.entry.rider
    }

    pub fn duration(&self) -> Duration {
        self.exit.at.since(self.entry.at)
    }
}

/// A tap whose other end is missing although another tap shows that the ride is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Incomplete {
    MissingExit { entry: Tap },
    MissingEntry { exit: Tap },
}

impl Incomplete {
    pub fn tap(&self) -> &Tap {
        match self {
            Self::MissingExit { entry } => entry,
            Self::MissingEntry { exit } => exit,
        }
    }
}

/// A ride that is over: what is settled, priced and billed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ridden {
    Whole(Journey),
    Broken(Incomplete),
}

impl Ridden {
    pub fn id(&self) -> JourneyId {
        match self {
            Self::Whole(journey) => journey.id,
            Self::Broken(incomplete) => JourneyId::of_broken(&incomplete.tap().id),
        }
    }

    pub fn rider(&self) -> RiderId {
        self.first().rider
    }

    pub fn entry(&self) -> Option<&Tap> {
        match self {
            Self::Whole(Journey { entry, .. }) | Self::Broken(Incomplete::MissingExit { entry }) => Some(entry),
            Self::Broken(Incomplete::MissingEntry { .. }) => None,
        }
    }

    pub fn exit(&self) -> Option<&Tap> {
        match self {
            Self::Whole(Journey { exit, .. }) | Self::Broken(Incomplete::MissingEntry { exit }) => Some(exit),
            Self::Broken(Incomplete::MissingExit { .. }) => None,
        }
    }

    /// The first tap that there is.
    pub fn first(&self) -> &Tap {
        match self {
            Self::Whole(journey) => &journey.entry,
            Self::Broken(incomplete) => incomplete.tap(),
        }
    }

    /// The last tap that there is.
    pub fn last(&self) -> &Tap {
        match self {
            Self::Whole(journey) => &journey.exit,
            Self::Broken(incomplete) => incomplete.tap(),
        }
    }

    pub fn taps(&self) -> impl Iterator<Item = &Tap> {
        self.entry().into_iter().chain(self.exit())
    }

    pub fn whole(&self) -> Option<&Journey> {
        match self {
            Self::Whole(journey) => Some(journey),
            Self::Broken(_) => None,
        }
    }
}

impl From<Journey> for Ridden {
    fn from(journey: Journey) -> Self {
        Self::Whole(journey)
    }
}

impl From<Incomplete> for Ridden {
    fn from(incomplete: Incomplete) -> Self {
        Self::Broken(incomplete)
    }
}

/// What a set of taps amounts to. Every distinct tap is in exactly one of the four lists.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pairing {
    pub journeys: Vec<Journey>,
    /// Riders who, as far as these taps tell, are still inside: at most one tap each.
    pub open: Vec<Tap>,
    pub incomplete: Vec<Incomplete>,
    /// Second presentations (a code shown by someone whose face was taken already); they have no price.
    pub merged: Vec<Tap>,
}

/// Pairs `taps`, of one rider or of many (riders never pair with each other), in any order and with any repetition.
///
/// Of taps with one id the first in sorted order counts; that all carry the same content is the intake's business.
pub fn pair(taps: &[Tap], policy: &PairingPolicy) -> Pairing {
    let mut sorted: Vec<&Tap> = taps.iter().collect();
    sorted.sort_unstable_by(|a, b| order(a).cmp(&order(b)));
    let mut seen = BTreeSet::new();
    sorted.retain(|tap| seen.insert(&tap.id));

    let mut pairing = Pairing::default();
    for of_rider in sorted.chunk_by(|a, b| a.rider == b.rider) {
        let single = merge_presentations(of_rider, policy.merge_window, &mut pairing.merged);
        pair_one_rider(&single, policy.journey_max, &mut pairing);
    }
    pairing
}

/// A total order over whole taps, so that not even taps that contradict each other can make arrival order show.
fn order(tap: &Tap) -> impl Ord + '_ {
    (tap.rider, tap.at, &tap.id, tap.direction, tap.medium, &tap.station)
}

/// A second presentation directly follows the first: after a tap elsewhere, one at the same gate is a new ride. The
/// window is measured from the first tap of a group and not from the last, or a chain of taps could grow for ever.
fn merge_presentations<'t>(taps: &[&'t Tap], window: Duration, merged: &mut Vec<Tap>) -> Vec<&'t Tap> {
    let mut single: Vec<&Tap> = Vec::with_capacity(taps.len());
    for &tap in taps {
        let is_second = single.last().is_some_and(|first| {
            first.id.gate == tap.id.gate && first.direction == tap.direction && tap.at.since(first.at) <= window
        });
        if is_second {
            merged.push(tap.clone());
        } else {
            single.push(tap);
        }
    }
    single
}

fn pair_one_rider(taps: &[&Tap], journey_max: Duration, pairing: &mut Pairing) {
    let mut inside: Option<&Tap> = None;
    for &tap in taps {
        match (tap.direction, inside.take()) {
            (Direction::Entry, before) => {
                pairing.incomplete.extend(before.map(|entry| Incomplete::MissingExit { entry: entry.clone() }));
                inside = Some(tap);
            }
            (Direction::Exit, Some(entry)) if tap.at.since(entry.at) <= journey_max => {
                pairing.journeys.push(Journey::new(entry.clone(), tap.clone()));
            }
            (Direction::Exit, before) => {
                pairing.incomplete.extend(before.map(|entry| Incomplete::MissingExit { entry: entry.clone() }));
                pairing.incomplete.push(Incomplete::MissingEntry { exit: tap.clone() });
            }
        }
    }
    pairing.open.extend(inside.cloned());
}

#[cfg(test)]
mod tests;
