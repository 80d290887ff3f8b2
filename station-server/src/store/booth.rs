//! What was done at the booth lately: an index of the booth's records in the journal, from which it is completed after a
//! crash.
//!
//! | key | value |
//! |---|---|
//! | `a` act (16) | [`KeptAct`] as JSON |
//! | `t` moment (8) act (16) | nothing: acts in the order in which they were done |
//! | `l` epoch (4) sequence (8) | act of an authorisation whose passage is not written yet |
//! | `r` rider (16) | [`LastAct`] of his, as JSON, until a gate here lets him through |

use facegate_domain::Timestamp;
use facegate_domain::booth::BoothReason;
use facegate_domain::ids::{ActId, GateId, RecordId, RiderId, StationId};
use facegate_domain::tap::{Direction, Evidence, GateRecord, PassageOutcome, RecordBody};
use facegate_runtime::kv::{Batch, Tree};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::StoreError;

/// One act, as the page lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptAct {
    pub id: ActId,
    pub record: RecordId,
    pub done_at: Timestamp,
    pub attendant: String,
    pub reason: BoothReason,
    pub what: ActKind,
    /// A crash came between: it does not count, and is to be done again under another name.
    pub interrupted: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "snake_case")]
pub enum ActKind {
    Entry { rider: RiderId, station: StationId, at: Timestamp },
    Exit { rider: RiderId, mode: facegate_domain::gate::GateMode },
    Open { gate: GateId },
}

/// Where the booth put a rider last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastAct {
    pub id: ActId,
    pub record: RecordId,
    pub direction: Direction,
    pub done_at: Timestamp,
}

#[derive(Debug)]
pub struct BoothStore {
    tree: Tree,
}

impl BoothStore {
    pub(super) fn new(tree: Tree) -> Self {
        Self { tree }
    }

    pub fn act(&self, id: ActId) -> Result<Option<KeptAct>, StoreError> {
        self.read(&key(b'a', id.as_bytes()))
    }

    /// The newest first.
    pub fn latest(&self, max: usize) -> Result<Vec<KeptAct>, StoreError> {
        let mut latest = Vec::new();
        for pair in self.tree.scan(b"t").rev().take(max) {
            latest.extend(self.act(act_of(&pair?.0)?)?);
        }
        Ok(latest)
    }

    pub fn last_of(&self, rider: RiderId) -> Result<Option<LastAct>, StoreError> {
        self.read(&key(b'r', rider.as_bytes()))
    }

    /// Authorisations that a crash left alone: epoch and sequence of each.
    pub fn alone(&self) -> Result<Vec<(u32, u64)>, StoreError> {
        let place = |pair: Result<(Vec<u8>, Vec<u8>), _>| {
            let (key, _) = pair?;
            let read = |key: &[u8]| {
                let (epoch, sequence) = key.get(1..)?.split_first_chunk()?;
                Some((u32::from_be_bytes(*epoch), u64::from_be_bytes(sequence.try_into().ok()?)))
            };
            read(&key).ok_or(StoreError::Damaged { what: "act of the booth" })
        };
        self.tree.scan(b"l").map(place).collect()
    }

    /// Takes in a record that is in the station's journal: of the booth, or of a gate here, which knows better where its
    /// rider is. Taking one in again changes nothing.
    pub fn learn(&self, record: &GateRecord) -> Result<(), StoreError> {
        match &record.body {
            RecordBody::Authorisation(granted) => {
                let Evidence::Booth { act, station, at } = &granted.evidence else {
                    return self.seen_at_a_gate(granted.rider, record.stamp.wall);
                };
                let rider = granted.rider;
                let what = match granted.direction {
                    Direction::Entry => ActKind::Entry { rider, station: station.clone(), at: *at },
                    Direction::Exit => ActKind::Exit { rider, mode: granted.mode },
                };
                let last = LastAct {
                    id: act.id,
                    record: record.id.clone(),
                    direction: granted.direction,
                    done_at: record.stamp.wall,
                };
                let mut batch = self.noted(record, act, what);
                batch.insert(alone_key(&record.id), act.id.as_bytes());
                batch.insert(key(b'r', rider.as_bytes()), json(&last));
                Ok(self.tree.apply(batch)?)
            }
            RecordBody::GateOpened(opened) => {
                let gate = opened.gate.clone();
                Ok(self.tree.apply(self.noted(record, &opened.act, ActKind::Open { gate }))?)
            }
            RecordBody::Passage(passage) => {
                let authorisation = RecordId { sequence: passage.authorisation, ..record.id.clone() };
                let alone = alone_key(&authorisation);
                let Some(id) = self.tree.get(&alone)? else { return Ok(()) };
                let act: Option<KeptAct> = self.read(&key(b'a', &id))?;
                // A gate's passage may be of an authorisation with the same numbers.
                let Some(act) = act.filter(|act| act.record == authorisation) else { return Ok(()) };
                let mut batch = Batch::default();
                batch.remove(&alone);
                if passage.outcome != PassageOutcome::Passed {
                    if let ActKind::Entry { rider, .. } | ActKind::Exit { rider, .. } = &act.what {
                        batch.remove(key(b'r', rider.as_bytes()));
                    }
                    batch.insert(key(b'a', &id), json(&KeptAct { interrupted: true, ..act }));
                }
                Ok(self.tree.apply(batch)?)
            }
        }
    }

    /// Drops acts of before then.
    pub fn forget(&self, before: Timestamp) -> Result<(), StoreError> {
        for pair in self.tree.scan(b"t") {
            let (at, _) = pair?;
            if at >= key(b't', &unsigned(before)) {
                break;
            }
            let id = act_of(&at)?;
            let mut batch = Batch::default();
            if let Some(KeptAct { what: ActKind::Entry { rider, .. } | ActKind::Exit { rider, .. }, .. }) =
                self.act(id)?
                && self.last_of(rider)?.is_some_and(|last| last.id == id)
            {
                batch.remove(key(b'r', rider.as_bytes()));
            }
            batch.remove(key(b'a', id.as_bytes()));
            batch.remove(at);
            self.tree.apply(batch)?;
        }
        Ok(())
    }

    fn noted(&self, record: &GateRecord, act: &facegate_domain::booth::BoothAct, what: ActKind) -> Batch {
        let kept = KeptAct {
            id: act.id,
            record: record.id.clone(),
            done_at: record.stamp.wall,
            attendant: act.attendant.clone(),
            reason: act.reason,
            what,
            interrupted: false,
        };
        let mut batch = Batch::default();
        batch.insert(key(b'a', act.id.as_bytes()), json(&kept));
        batch.insert([key(b't', &unsigned(kept.done_at)), act.id.as_bytes().to_vec()].concat(), []);
        batch
    }

    fn seen_at_a_gate(&self, rider: RiderId, at: Timestamp) -> Result<(), StoreError> {
        if self.last_of(rider)?.is_some_and(|last| at > last.done_at) {
            self.tree.remove(key(b'r', rider.as_bytes()))?;
        }
        Ok(())
    }

    fn read<T: DeserializeOwned>(&self, key: &[u8]) -> Result<Option<T>, StoreError> {
        let damaged = |_| StoreError::Damaged { what: "act of the booth" };
        self.tree.get(key)?.map(|value| serde_json::from_slice(&value).map_err(damaged)).transpose()
    }
}

fn key(kind: u8, rest: &[u8]) -> Vec<u8> {
    [&[kind], rest].concat()
}

fn alone_key(id: &RecordId) -> Vec<u8> {
    [&[b'l'][..], &id.epoch.to_be_bytes(), &id.sequence.to_be_bytes()].concat()
}

fn unsigned(at: Timestamp) -> [u8; 8] {
    u64::try_from(at.unix_ms()).unwrap_or(0).to_be_bytes()
}

fn act_of(key: &[u8]) -> Result<ActId, StoreError> {
    let id = key.get(9..).and_then(|id| id.try_into().ok());
    id.map(ActId::from_bytes).ok_or(StoreError::Damaged { what: "act of the booth" })
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("acts are plain data")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use facegate_domain::booth::BoothAct;
    use facegate_domain::tap::{Authorisation, GateStamp, Passage};
    use facegate_runtime::disk::{Disk, SimDisk};

    use super::*;

    fn record(recorder: &str, sequence: u64, at_ms: i64, body: RecordBody) -> GateRecord {
        let id = RecordId { gate: GateId::new(recorder).unwrap(), epoch: 1, sequence };
        let stamp = GateStamp { wall: Timestamp::from_unix_ms(at_ms), monotonic_ms: 0 };
        GateRecord { id, station: StationId::new("north").unwrap(), stamp, body }
    }

    fn entered(rider: RiderId, id: ActId, at_ms: i64) -> RecordBody {
        let act = BoothAct { id, attendant: "li".into(), reason: BoothReason::Other };
        let (station, at) = (StationId::new("south").unwrap(), Timestamp::from_unix_ms(at_ms));
        RecordBody::Authorisation(Authorisation::new(rider, Direction::Entry, Evidence::Booth { act, station, at }))
    }

    #[test]
    fn an_act_is_whole_with_its_own_passage_alone_and_a_gate_knows_better() {
        let store = BoothStore::new(SimDisk::new().database(Path::new("state"), super::super::OPTIONS).unwrap().root());
        let (rider, id) = (RiderId::random(), ActId::random());
        let passed = |outcome| RecordBody::Passage(Passage::new(0, outcome));
        store.learn(&record("north-booth", 0, 1000, entered(rider, id, 500))).unwrap();
        store.learn(&record("north-in", 1, 1000, passed(PassageOutcome::TurnedBack))).unwrap();
        assert_eq!(store.alone().unwrap(), [(1, 0)], "another's passage is none of it");
        store.learn(&record("north-booth", 1, 1000, passed(PassageOutcome::Passed))).unwrap();
        assert_eq!(store.alone().unwrap(), []);
        assert!(!store.act(id).unwrap().unwrap().interrupted && store.last_of(rider).unwrap().is_some());
        let code = Evidence::Code { nonce: [1; 8], checked_online: true, face: None };
        let left = RecordBody::Authorisation(Authorisation::new(rider, Direction::Exit, code));
        store.learn(&record("north-out", 0, 900, left.clone())).unwrap();
        assert!(store.last_of(rider).unwrap().is_some(), "that was before");
        store.learn(&record("north-out", 1, 2000, left)).unwrap();
        assert_eq!(store.last_of(rider).unwrap(), None);
    }

    #[test]
    fn old_acts_are_forgotten_and_the_newest_come_first() {
        let store = BoothStore::new(SimDisk::new().database(Path::new("state"), super::super::OPTIONS).unwrap().root());
        let acts: Vec<(RiderId, ActId)> = (0..3).map(|_| (RiderId::random(), ActId::random())).collect();
        for (n, (rider, id)) in (0..).zip(&acts) {
            let body = entered(*rider, *id, 0);
            store.learn(&record("north-booth", n, 1000 + i64::try_from(n).unwrap(), body)).unwrap();
        }
        let listed: Vec<ActId> = store.latest(2).unwrap().into_iter().map(|act| act.id).collect();
        assert_eq!(listed, [acts[2].1, acts[1].1]);
        store.forget(Timestamp::from_unix_ms(1002)).unwrap();
        assert_eq!(store.latest(9).unwrap().len(), 1);
        assert_eq!((store.last_of(acts[0].0).unwrap(), store.act(acts[0].1).unwrap()), (None, None));
        assert!(store.last_of(acts[2].0).unwrap().is_some());
    }
}
