//! What a sequence of deliveries must amount to, as plainly as it can be said: no database, no batches.

use std::collections::{BTreeMap, BTreeSet};

use facegate_cloud_sync::store::{Gap, Mark};
use facegate_domain::ids::{GateId, RecordId, RiderId};
use facegate_domain::tap::{Direction, Evidence, GateRecord, Passage, PassageOutcome, RecordBody, Tap};

#[derive(Debug, Default)]
pub struct Model {
    records: BTreeMap<RecordId, GateRecord>,
    /// Contents that came second, once each.
    pub conflicts: Vec<GateRecord>,
}

impl Model {
    pub fn deliver(&mut self, record: &GateRecord) {
        match self.records.get(&record.id) {
            None => drop(self.records.insert(record.id.clone(), record.clone())),
            Some(stands) if stands != record && !self.conflicts.contains(record) => self.conflicts.push(record.clone()),
            Some(_) => {}
        }
    }

    fn passages(&self, of: &RecordId) -> impl Iterator<Item = &Passage> {
        self.records.values().filter_map(move |record| match &record.body {
            RecordBody::Passage(passage)
                if (&record.id.gate, record.id.epoch, passage.authorisation) == (&of.gate, of.epoch, of.sequence) =>
            {
                Some(passage)
            }
            _ => None,
        })
    }

    pub fn taps(&self) -> Vec<Tap> {
        let tap = |record: &GateRecord| {
            let mut passed = self.passages(&record.id).filter(|passage| passage.outcome == PassageOutcome::Passed);
            let first = passed.next()?;
            Some(passed.fold(Tap::once_passed(record)?.seen(first), Tap::seen))
        };
        self.records.values().filter_map(tap).collect()
    }

    pub fn unknown(&self) -> BTreeSet<RecordId> {
        let taps: BTreeSet<RecordId> = self.taps().into_iter().map(|tap| tap.id).collect();
        let unknown = |record: &&GateRecord| {
            matches!(record.body, RecordBody::Authorisation(_))
                && self.passages(&record.id).any(|passage| passage.outcome == PassageOutcome::Unknown)
        };
        let unknown = self.records.values().filter(unknown).map(|record| record.id.clone());
        unknown.filter(|id| !taps.contains(id)).collect()
    }

    pub fn inside(&self) -> BTreeMap<RiderId, RecordId> {
        let mut latest: BTreeMap<RiderId, Tap> = BTreeMap::new();
        for tap in self.taps() {
            let last = latest.entry(tap.rider).or_insert_with(|| tap.clone());
            if (tap.at, &tap.id) > (last.at, &last.id) {
                *last = tap;
            }
        }
        let inside = latest.into_iter().filter(|(_, tap)| tap.direction == Direction::Entry);
        inside.map(|(rider, tap)| (rider, tap.id)).collect()
    }

    pub fn replays(&self) -> u64 {
        let nonces: Vec<[u8; 8]> = self
            .records
            .values()
            .filter_map(|record| match &record.body {
                RecordBody::Authorisation(granted) => match granted.evidence {
                    Evidence::Code { nonce, .. } => Some(nonce),
                    Evidence::Face { .. } | Evidence::Booth { .. } => None,
                },
                RecordBody::Passage(_) | RecordBody::GateOpened(_) => None,
            })
            .collect();
        (nonces.len() - nonces.iter().collect::<BTreeSet<_>>().len()) as u64
    }

    fn journals(&self) -> BTreeMap<(GateId, u32), BTreeSet<u64>> {
        let mut journals: BTreeMap<(GateId, u32), BTreeSet<u64>> = BTreeMap::new();
        for id in self.records.keys() {
            journals.entry((id.gate.clone(), id.epoch)).or_default().insert(id.sequence);
        }
        journals
    }

    pub fn marks(&self) -> Vec<Mark> {
        let next = |here: &BTreeSet<u64>| (0..).find(|n| !here.contains(n)).unwrap();
        let mark =
            |((gate, epoch), here): ((GateId, u32), BTreeSet<u64>)| Mark { gate, epoch, next_sequence: next(&here) };
        self.journals().into_iter().map(mark).collect()
    }

    pub fn gaps(&self) -> Vec<Gap> {
        let mut gaps: Vec<Gap> = Vec::new();
        for ((gate, epoch), here) in self.journals() {
            let mut expected = 0;
            for sequence in here {
                if sequence > expected {
                    let gate = gate.clone();
                    gaps.push(Gap { gate, epoch, first_missing: expected, last_missing: sequence - 1 });
                }
                expected = sequence + 1;
            }
        }
        gaps
    }
}
