//! The index of the station's journal: how far each gate's journal has arrived, what each record was, what the cloud
//! has. And the epochs issued to gates, the only thing here that the journal could not give back.
//!
//! | key | value (numbers big-endian) |
//! |---|---|
//! | `e` gate | highest epoch issued, 4 bytes |
//! | `m` gate `/` epoch (4) | next sequence awaited, 8 bytes |
//! | `a` gate `/` epoch (4) | next sequence that the cloud has not acknowledged, 8 bytes |
//! | `h` gate `/` epoch (4) sequence (8) | first 16 bytes of the record's SHA-256 |
//! | `p` gate `/` epoch (4) sequence (8) | journal index of that record, 8 bytes; of one in so many, to start looking at |
//! | `i` | journal index up to which the above is complete, 8 bytes |
//! | `f` | journal index up to which the cloud has acknowledged, 8 bytes |

use facegate_domain::ids::GateId;
use facegate_runtime::kv::{Batch, Tree};

use super::{StoreError, number};

const INDEXED: &[u8] = b"i";
const FORWARDED: &[u8] = b"f";

/// Records behind a mark whose hashes are kept, per journal: an older duplicate is acknowledged without comparing,
/// since the cloud compares again.
const HASHES_KEPT: u64 = 100_000;

/// One gate's journal of one epoch.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct JournalKey {
    pub gate: GateId,
    pub epoch: u32,
}

/// The place of one record in so many is remembered.
const PLACES_EVERY: u64 = 64;

pub type RecordHash = [u8; 16];

/// How far one journal has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalMarks {
    pub journal: JournalKey,
    /// The sequence awaited next from the gate.
    pub next: u64,
    /// The cloud has acknowledged all below.
    pub acknowledged: u64,
}

/// What a stretch of the station's journal adds to the index.
#[derive(Debug, Default)]
pub struct IndexUpdate {
    /// Sequence, journal index and hash of each record.
    pub records: Vec<(JournalKey, u64, u64, RecordHash)>,
    pub marks: Vec<(JournalKey, u64)>,
    /// Journal index after the last record covered.
    pub indexed: u64,
}

/// See the module.
#[derive(Debug)]
pub struct JournalStore {
    tree: Tree,
}

impl JournalStore {
    pub(super) fn new(tree: Tree) -> Self {
        Self { tree }
    }

    /// The highest epoch issued to a gate; 0 if none was.
    pub fn epoch(&self, gate: &GateId) -> Result<u32, StoreError> {
        let Some(value) = self.tree.get(epoch_key(gate))? else { return Ok(0) };
        let bytes = value.try_into().map_err(|_| StoreError::Damaged { what: "epoch" })?;
        Ok(u32::from_be_bytes(bytes))
    }

    /// Epochs up to this one were used, perhaps before this store was made.
    pub fn raise_epoch(&self, gate: &GateId, epoch: u32) -> Result<(), StoreError> {
        if epoch > self.epoch(gate)? {
            self.tree.insert(epoch_key(gate), epoch.to_be_bytes())?;
        }
        Ok(())
    }

    /// Notes a newly issued epoch and that its journal starts at sequence 0.
    pub fn issue(&self, journal: &JournalKey) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        batch.insert(epoch_key(&journal.gate), journal.epoch.to_be_bytes());
        batch.insert(journal.key(b'm'), 0u64.to_be_bytes());
        Ok(self.tree.apply(batch)?)
    }

    /// The sequence awaited next; `None` if nothing is known of this journal (a replaced station).
    pub fn mark(&self, journal: &JournalKey) -> Result<Option<u64>, StoreError> {
        self.tree.get(journal.key(b'm'))?.map(|value| number(&value, "mark")).transpose()
    }

    /// What the record with this sequence was, if that is still kept.
    pub fn hash(&self, journal: &JournalKey, sequence: u64) -> Result<Option<RecordHash>, StoreError> {
        let read = |value: Vec<u8>| value.try_into().map_err(|_| StoreError::Damaged { what: "hash" });
        self.tree.get(journal.hash_key(sequence))?.map(read).transpose()
    }

    /// Journal index from which the index has to be completed after a start.
    pub fn indexed(&self) -> Result<u64, StoreError> {
        self.number(INDEXED)
    }

    /// Adds to the index, in one step.
    pub fn index(&self, update: &IndexUpdate) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        for (journal, sequence, index, hash) in &update.records {
            let place = journal.sequence_key(b'p', *sequence);
            // The first place of a record counts; it may be in the journal a second time.
            if sequence.is_multiple_of(PLACES_EVERY) && !self.tree.contains(&place)? {
                batch.insert(place, index.to_be_bytes());
            }
            batch.insert(journal.hash_key(*sequence), hash);
            if let Some(old) = sequence.checked_sub(HASHES_KEPT) {
                batch.remove(journal.hash_key(old));
            }
        }
        for (journal, next) in &update.marks {
            batch.insert(journal.key(b'm'), next.to_be_bytes());
        }
        batch.insert(INDEXED, update.indexed.to_be_bytes());
        Ok(self.tree.apply(batch)?)
    }

    /// Journal index of the first record that the cloud has not acknowledged.
    pub fn forwarded(&self) -> Result<u64, StoreError> {
        self.number(FORWARDED)
    }

    pub fn set_forwarded(&self, index: u64) -> Result<(), StoreError> {
        self.tree.insert(FORWARDED, index.to_be_bytes())?;
        Ok(())
    }

    /// Where in the station's journal to start looking for a record; `None` if that is not known.
    pub fn place_before(&self, journal: &JournalKey, sequence: u64) -> Result<Option<u64>, StoreError> {
        let range = journal.sequence_key(b'p', 0)..=journal.sequence_key(b'p', sequence);
        let found = self.tree.range(range).next_back().transpose()?;
        found.map(|(_, value)| number(&value, "place")).transpose()
    }

    /// Forgets the places of records that the journal has let go of.
    pub fn forget_places(&self, first_index: u64) -> Result<(), StoreError> {
        for pair in self.tree.scan(b"p") {
            let (key, value) = pair?;
            if number(&value, "place")? < first_index {
                self.tree.remove(key)?;
            }
        }
        Ok(())
    }

    /// The newest `max` journals of a gate, by epoch.
    pub fn marks(&self, gate: &GateId, max: usize) -> Result<Vec<JournalMarks>, StoreError> {
        let prefix = [b"m", gate.as_str().as_bytes(), b"/"].concat();
        let mut marks = Vec::new();
        for pair in self.tree.scan(&prefix).rev().take(max) {
            let (key, next) = pair?;
            let epoch = key.get(prefix.len()..).and_then(|epoch| epoch.try_into().ok()).map(u32::from_be_bytes);
            let journal = JournalKey { gate: gate.clone(), epoch: epoch.ok_or(StoreError::Damaged { what: "mark" })? };
            let acknowledged = self.acknowledged(&journal)?;
            marks.push(JournalMarks { journal, next: number(&next, "mark")?, acknowledged });
        }
        Ok(marks)
    }

    /// The next sequence that the cloud has not acknowledged, as far as is remembered.
    pub fn acknowledged(&self, journal: &JournalKey) -> Result<u64, StoreError> {
        self.number(&journal.key(b'a'))
    }

    /// The cloud has everything of this journal below `next`. Does not move back.
    pub fn set_acknowledged(&self, journal: &JournalKey, next: u64) -> Result<(), StoreError> {
        if next > self.acknowledged(journal)? {
            self.tree.insert(journal.key(b'a'), next.to_be_bytes())?;
        }
        Ok(())
    }

    fn number(&self, key: &[u8]) -> Result<u64, StoreError> {
        self.tree.get(key)?.map_or(Ok(0), |value| number(&value, "journal index"))
    }
}

impl JournalKey {
    fn key(&self, kind: u8) -> Vec<u8> {
        [&[kind], self.gate.as_str().as_bytes(), b"/", &self.epoch.to_be_bytes()].concat()
    }

    fn hash_key(&self, sequence: u64) -> Vec<u8> {
        self.sequence_key(b'h', sequence)
    }

    fn sequence_key(&self, kind: u8, sequence: u64) -> Vec<u8> {
        [self.key(kind).as_slice(), &sequence.to_be_bytes()].concat()
    }
}

fn epoch_key(gate: &GateId) -> Vec<u8> {
    [b"e", gate.as_str().as_bytes()].concat()
}
