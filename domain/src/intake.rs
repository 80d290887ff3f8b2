//! What a gate's records amount to when they are taken in, whichever store keeps them. A store reads what these rules
//! ask for and writes what they answer; nothing here depends on the order in which records arrive, nor on how often.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::Timestamp;
use crate::ids::{RecordId, RiderId};
use crate::tap::{Direction, Evidence, GateRecord, Passage, PassageOutcome, RecordBody, Tap};

/// An entry that arrives later than this after it happened says nothing about where its rider is now.
const INSIDE_AT_MOST: Duration = Duration::from_secs(24 * 3600);

/// What a record is beside what is kept under its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    New,
    /// It is here already.
    Duplicate,
    /// Another one is here under its id: the first stands, this one is refused.
    Conflict,
}

impl Standing {
    pub fn of(content: &[u8], kept: Option<&[u8]>) -> Self {
        match kept {
            None => Self::New,
            Some(kept) if kept == content => Self::Duplicate,
            Some(_) => Self::Conflict,
        }
    }
}

/// How much of one journal has arrived.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// All below are here.
    pub next: u64,
    /// The highest that was seen; at or above `next` only if there is a gap.
    pub highest: u64,
}

impl Progress {
    /// Notes what is in by now.
    pub fn note(&mut self, sequences: &BTreeSet<u64>) {
        self.highest = self.highest.max(sequences.last().copied().unwrap_or(0));
        while sequences.contains(&self.next) {
            self.next += 1;
        }
    }

    /// Whether what came early may close a gap: the store is asked for sequences from `next` on.
    pub const fn has_gap(self) -> bool {
        self.next <= self.highest
    }

    /// `here` are sequences that the store holds, in their order from `next` on. Gives whether the next ones may be there
    /// too.
    pub fn close_gap(&mut self, here: impl IntoIterator<Item = u64>) -> bool {
        let before = self.next;
        for sequence in here {
            if sequence != self.next {
                return false;
            }
            self.next += 1;
        }
        self.next > before && self.has_gap()
    }

    /// False if the record is surely new: beyond all that has come of its journal.
    pub const fn may_have(self, sequence: u64) -> bool {
        let has_any = self.next > 0 || self.highest > 0;
        has_any && sequence <= self.highest
    }
}

/// The passage that a record tells of, with the authorisation that it is of.
pub fn passage_of(record: &GateRecord) -> Option<(RecordId, Passage)> {
    let RecordBody::Passage(passage) = &record.body else { return None };
    Some((RecordId { sequence: passage.authorisation, ..record.id.clone() }, *passage))
}

/// What all passages that are known of an authorisation amount to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Amount {
    /// Nothing yet, or nothing more than before.
    Nothing,
    Tap(Tap),
    /// Nobody knows whether this tap was one: reported, never charged by itself.
    Unknown(Tap),
}

impl Amount {
    /// A tap if any passage was seen, else unknown if any says so. Of one with a tap nothing more comes.
    pub fn of(authorisation: &GateRecord, passages: &[Passage], has_tap: bool) -> Self {
        let those = |outcome| passages.iter().filter(move |passage| passage.outcome == outcome);
        match Tap::once_passed(authorisation) {
            Some(tap) if !has_tap && those(PassageOutcome::Passed).count() > 0 => {
                Self::Tap(those(PassageOutcome::Passed).fold(tap, Tap::seen))
            }
            Some(tap) if !has_tap && those(PassageOutcome::Unknown).count() > 0 => Self::Unknown(tap),
            _ => Self::Nothing,
        }
    }
}

/// The ride codes that new records opened gates with.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Codes<'r> {
    /// By code, the first record of each. One of a code that is spent already belongs to `again`.
    pub first: BTreeMap<[u8; 8], &'r GateRecord>,
    /// A code that opened a second gate, while a station was cut off.
    pub again: Vec<([u8; 8], &'r RecordId)>,
}

impl<'r> Codes<'r> {
    pub fn of(new: impl IntoIterator<Item = &'r GateRecord>) -> Self {
        let mut codes = Self::default();
        for record in new {
            let RecordBody::Authorisation(granted) = &record.body else { continue };
            let Evidence::Code { nonce, .. } = granted.evidence else { continue };
            match codes.first.entry(nonce) {
                Entry::Vacant(first) => _ = first.insert(record),
                Entry::Occupied(_) => codes.again.push((nonce, &record.id)),
            }
        }
        codes
    }
}

/// What is known of one rider's whereabouts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Place {
    /// None for one of whom no tap has come.
    pub latest: Option<(Timestamp, RecordId, Direction)>,
    /// Stations have him as inside, by the latest tap.
    pub inside: bool,
    /// His face was withdrawn then: nobody is told where he was before.
    pub silent_until: Option<Timestamp>,
    pub erased: bool,
}

impl Place {
    /// The entry that he is inside by.
    pub fn entry(&self) -> Option<&RecordId> {
        self.latest.as_ref().filter(|_| self.inside).map(|(_, id, _)| id)
    }

    /// After `tap` has come as well. Only a tap later than all before says anything: one that arrives late must not bring
    /// back an entry that was ended meanwhile, by a withdrawal, its limit, or because nobody waits for its exit any more.
    #[must_use]
    pub fn after(&self, tap: &Tap, now: Timestamp) -> Self {
        let later = |latest: &(Timestamp, RecordId, Direction)| (latest.0, &latest.1) >= (tap.at, &tap.id);
        if self.latest.as_ref().is_some_and(later) || self.silent_until.is_some_and(|until| tap.at <= until) {
            return self.clone();
        }
        let fresh = tap.direction == Direction::Entry && now.since(tap.at) <= INSIDE_AT_MOST;
        let latest = Some((tap.at, tap.id.clone(), tap.direction));
        Self { latest, inside: fresh && !self.erased, ..self.clone() }
    }
}

/// A rider whose whereabouts changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    pub rider: RiderId,
    /// None: nothing was known of him.
    pub before: Option<Place>,
    pub after: Place,
}

impl Move {
    /// The entry that he is not inside by any more, and the one that he is inside by now.
    pub fn entries(&self) -> [Option<&RecordId>; 2] {
        let before = self.before.as_ref().and_then(Place::entry);
        let after = self.after.entry();
        if before == after { [None, None] } else { [before, after] }
    }
}

/// The latest of a batch's taps for each of its riders: the only ones that can move them.
pub fn latest_taps(taps: &[Tap]) -> BTreeMap<RiderId, &Tap> {
    let mut latest: BTreeMap<RiderId, &Tap> = BTreeMap::new();
    for tap in taps {
        let last = latest.entry(tap.rider).or_insert(tap);
        if (tap.at, &tap.id) > (last.at, &last.id) {
            *last = tap;
        }
    }
    latest
}

/// Moves riders in and out as their new taps say. `before` is where they were without these taps.
pub fn moves(taps: &[Tap], mut before: BTreeMap<RiderId, Place>, now: Timestamp) -> Vec<Move> {
    let mut moves = Vec::new();
    for (rider, tap) in latest_taps(taps) {
        let before = before.remove(&rider);
        let after = before.as_ref().map_or_else(|| Place::default().after(tap, now), |place| place.after(tap, now));
        if before.as_ref() != Some(&after) {
            moves.push(Move { rider, before, after });
        }
    }
    moves
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::GateMode;
    use crate::ids::{GateId, StationId};
    use crate::tap::{Authorisation, GateStamp, Medium};

    const NOW: Timestamp = Timestamp::from_unix_ms(1_795_000_000_000);

    fn id(sequence: u64) -> RecordId {
        RecordId { gate: GateId::new("north-in").unwrap(), epoch: 1, sequence }
    }

    fn tap(rider: RiderId, sequence: u64, direction: Direction) -> Tap {
        let (station, at) = (StationId::new("north").unwrap(), NOW.plus(Duration::from_secs(sequence)));
        Tap { id: id(sequence), rider, station, direction, medium: Medium::Code, mode: GateMode::Normal, at }
    }

    fn opened_by(nonce: u8, sequence: u64) -> GateRecord {
        let evidence = Evidence::Code { nonce: [nonce; 8], checked_online: true, face: None };
        let authorisation = Authorisation::new(RiderId::random(), Direction::Entry, evidence);
        let stamp = GateStamp { wall: NOW, monotonic_ms: 0 };
        let station = StationId::new("north").unwrap();
        GateRecord { id: id(sequence), station, stamp, body: RecordBody::Authorisation(authorisation) }
    }

    #[test]
    fn the_first_of_two_contents_stands() {
        assert_eq!(Standing::of(b"a", None), Standing::New);
        assert_eq!(Standing::of(b"a", Some(b"a")), Standing::Duplicate);
        assert_eq!(Standing::of(b"b", Some(b"a")), Standing::Conflict);
    }

    #[test]
    fn a_mark_goes_as_far_as_nothing_is_missing() {
        let mut progress = Progress::default();
        assert!(!progress.may_have(0));
        progress.note(&BTreeSet::from([1, 2, 5]));
        assert_eq!(progress, Progress { next: 0, highest: 5 });
        assert!(progress.may_have(5) && !progress.may_have(6));
        progress.note(&BTreeSet::from([0]));
        assert!(progress.has_gap());
        assert!(!progress.close_gap([1, 2, 5]));
        assert_eq!(progress, Progress { next: 3, highest: 5 });
        assert!(progress.close_gap([3, 4]), "five may be there");
        assert!(!progress.close_gap([5]) && !progress.has_gap());
    }

    #[test]
    fn a_seen_passage_counts_before_an_unknown_one_and_only_once() {
        let granted = opened_by(1, 0);
        let tap = Tap::once_passed(&granted).unwrap();
        let [passed, unknown, abandoned] =
            [PassageOutcome::Passed, PassageOutcome::Unknown, PassageOutcome::TurnedBack]
                .map(|outcome| Passage::new(0, outcome));
        assert_eq!(Amount::of(&granted, &[unknown, passed], false), Amount::Tap(tap.clone()));
        assert_eq!(Amount::of(&granted, &[abandoned, unknown], false), Amount::Unknown(tap));
        for (outcomes, has_tap) in [(&[abandoned][..], false), (&[], false), (&[passed], true), (&[unknown], true)] {
            assert_eq!(Amount::of(&granted, outcomes, has_tap), Amount::Nothing);
        }
    }

    #[test]
    fn a_tap_has_the_mode_that_the_gate_went_into_while_he_passed_if_it_gives_up_more() {
        let RecordBody::Authorisation(granted) = opened_by(1, 0).body else { unreachable!() };
        for authorised in GateMode::ALL {
            let body = RecordBody::Authorisation(granted.clone().in_mode(authorised));
            let record = GateRecord { body, ..opened_by(1, 0) };
            let of = |passages: &[Passage]| match Amount::of(&record, passages, false) {
                Amount::Tap(tap) => tap.mode,
                other => panic!("{other:?}"),
            };
            let passed = |ended_in| Passage { ended_in, ..Passage::new(0, PassageOutcome::Passed) };
            assert_eq!(of(&[passed(None)]), authorised, "as a record of before");
            for ended in GateMode::ALL {
                assert_eq!(of(&[passed(Some(ended))]), authorised.then(ended), "{authorised} {ended}");
                let unknown = Passage { outcome: PassageOutcome::Unknown, ..passed(Some(ended)) };
                assert_eq!(of(&[unknown, passed(None)]), authorised, "only what was seen says anything");
            }
            assert_eq!(of(&[passed(Some(GateMode::EmergencyOpen))]), GateMode::EmergencyOpen, "{authorised}");
        }
    }

    #[test]
    fn a_code_that_comes_twice_in_a_batch_is_spent_by_the_first() {
        let records = [opened_by(1, 0), opened_by(2, 1), opened_by(1, 2)];
        let codes = Codes::of(&records);
        assert_eq!(codes.first.values().map(|record| record.id.sequence).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(codes.again, [([1; 8], &records[2].id)]);
    }

    #[test]
    fn the_latest_tap_says_where_a_rider_is_however_late_the_others_come() {
        let rider = RiderId::random();
        let [entry, exit] = [tap(rider, 1, Direction::Entry), tap(rider, 9, Direction::Exit)];
        for order in [[&entry, &exit], [&exit, &entry]] {
            let place = order.iter().fold(Place::default(), |place, tap| place.after(tap, NOW));
            assert_eq!((place.latest.as_ref().unwrap().2, place.inside), (Direction::Exit, false));
        }
        let moved = moves(&[exit, entry.clone()], BTreeMap::new(), NOW);
        assert_eq!(moved[0].entries(), [None, None], "within one batch nobody is told of the entry");
        let moved = moves(std::slice::from_ref(&entry), BTreeMap::new(), NOW);
        assert_eq!(moved[0].entries(), [None, Some(&entry.id)]);
    }

    #[test]
    fn what_ended_an_entry_is_not_undone_by_an_older_tap() {
        let rider = RiderId::random();
        let inside = Place::default().after(&tap(rider, 5, Direction::Entry), NOW);
        assert!(inside.inside);
        let ended = Place { inside: false, ..inside };
        assert_eq!(ended.after(&tap(rider, 2, Direction::Exit), NOW), ended);
        assert_eq!(ended.after(&tap(rider, 2, Direction::Entry), NOW), ended);
        assert!(ended.after(&tap(rider, 7, Direction::Entry), NOW).inside, "a new ride is one");
        let withdrawn = Place { silent_until: Some(NOW.plus(Duration::from_secs(7))), ..Place::default() };
        assert_eq!(withdrawn.after(&tap(rider, 7, Direction::Entry), NOW), withdrawn, "the first that is heard of him");
        assert!(withdrawn.after(&tap(rider, 8, Direction::Entry), NOW).inside);
        let erased = Place { erased: true, ..ended };
        assert!(!erased.after(&tap(rider, 7, Direction::Entry), NOW).inside);
    }

    #[test]
    fn an_old_entry_moves_nobody_in() {
        let entry = tap(RiderId::random(), 0, Direction::Entry);
        assert!(Place::default().after(&entry, NOW.plus(INSIDE_AT_MOST)).inside);
        assert!(!Place::default().after(&entry, NOW.plus(INSIDE_AT_MOST + Duration::from_millis(1))).inside);
    }
}
