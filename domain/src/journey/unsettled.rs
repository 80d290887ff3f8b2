//! What is to be settled, given what was. What the taps make of each other, by all that is known now, is compared with
//! the rides that stand: a tap that comes late may show that two ends belong together, or that one ride was two. Then
//! the new rides supersede the old ones; whatever came when, the same rides stand in the end.

use std::collections::{BTreeMap, BTreeSet};

use super::{Incomplete, JourneyId, Pairing, Ridden};
use crate::ids::RecordId;
use crate::tap::Tap;

/// A ride that does not stand any more, since its taps are in others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Superseded {
    pub ride: JourneyId,
    /// The ride that its first tap of those is in; none if it was a second presentation.
    pub by: Option<JourneyId>,
}

/// What is to be settled.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unsettled {
    pub rides: Vec<Ridden>,
    /// Second presentations.
    pub merged: Vec<Tap>,
    /// Those of its taps that are neither in `rides` nor `merged` are open again.
    pub superseded: Vec<Superseded>,
    /// Taps that were taken for second presentations and are none; those that are not in `rides` are open again.
    pub unmerged: Vec<Tap>,
}

impl Unsettled {
    pub fn is_empty(&self) -> bool {
        self.rides.is_empty() && self.merged.is_empty() && self.superseded.is_empty()
    }
}

/// `pairing` is of one rider's taps from some time before the first open one; `settled` are those of them that were used
/// up, `standing` the rides that stand and ended since then.
///
/// A new ride waits until `is_ripe`, a second presentation until `is_second`; and what stands stands until then, or until
/// the last tap that speaks against it is used up: its taps are open again then, or nobody would look at them any more.
pub fn unsettled(
    pairing: Pairing,
    settled: &BTreeSet<RecordId>,
    standing: &[Ridden],
    is_ripe: impl Fn(&Ridden) -> bool,
    is_second: impl Fn(&Tap) -> bool,
) -> Unsettled {
    let is_open = |tap: &Tap| !settled.contains(&tap.id);
    // What was made of taps before the first open one stands: pairing goes from one to the next. What is paired at the
    // beginning of this time may be half of what was made of more taps then, and says nothing.
    let Some(since) = taps_of(&pairing).filter(|tap| is_open(tap)).map(|tap| tap.at).min() else {
        return Unsettled::default();
    };
    let stands: BTreeSet<JourneyId> = standing.iter().map(Ridden::id).collect();
    let used_by = |ride: &Ridden| -> Vec<RecordId> { ride.taps().map(|tap| tap.id.clone()).collect() };
    let used: BTreeSet<RecordId> = standing.iter().flat_map(used_by).collect();
    let in_doubt: BTreeSet<RecordId> =
        standing.iter().filter(|ride| ride.last().at >= since).flat_map(used_by).collect();
    let concerns = |tap: &Tap| is_open(tap) || in_doubt.contains(&tap.id);

    let never_left = pairing.open.into_iter().map(|entry| Incomplete::MissingExit { entry });
    let broken = pairing.incomplete.into_iter().chain(never_left).map(Ridden::Broken);
    let is_new = |ride: &Ridden| {
        let concerns = ride.last().at >= since || ride.taps().any(concerns);
        concerns && !stands.contains(&ride.id()) && is_ripe(ride)
    };
    let paired: Vec<Ridden> = pairing.journeys.into_iter().map(Ridden::Whole).chain(broken).collect();
    let rides: Vec<Ridden> = paired.iter().filter(|ride| is_new(ride)).cloned().collect();
    let merged: Vec<Tap> = pairing.merged.into_iter().filter(|tap| concerns(tap) && is_second(tap)).collect();

    let in_rides = rides.iter().flat_map(|ride| ride.taps().map(|tap| (&tap.id, Some(ride.id()))));
    let now_in: BTreeMap<&RecordId, Option<JourneyId>> =
        in_rides.chain(merged.iter().map(|tap| (&tap.id, None))).collect();
    let still: BTreeSet<JourneyId> = paired.iter().map(Ridden::id).collect();
    let is_gone = |ride: &Ridden| !now_in.is_empty() && ride.last().at >= since && !still.contains(&ride.id());
    let superseded = |ride: &Ridden| {
        let by = ride.taps().find_map(|tap| now_in.get(&tap.id)).copied();
        by.or(is_gone(ride).then_some(None)).map(|by| Superseded { ride: ride.id(), by })
    };
    let superseded = standing.iter().filter_map(superseded).collect();
    let was_merged = |tap: &&Tap| !is_open(tap) && !used.contains(&tap.id);
    let is_taken = |tap: &&Tap| now_in.contains_key(&tap.id) || (!now_in.is_empty() && tap.at >= since);
    let unmerged = paired.iter().flat_map(Ridden::taps).filter(was_merged).filter(is_taken).cloned().collect();
    Unsettled { rides, merged, superseded, unmerged }
}

fn taps_of(pairing: &Pairing) -> impl Iterator<Item = &Tap> {
    let of_journeys = pairing.journeys.iter().flat_map(|journey| [&journey.entry, &journey.exit]);
    let broken = pairing.incomplete.iter().map(Incomplete::tap);
    of_journeys.chain(broken).chain(&pairing.open).chain(&pairing.merged)
}
