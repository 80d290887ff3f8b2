//! What to do with each record of a batch, decided before anything is written.

use std::collections::BTreeMap;

use facegate_domain::ids::RecordId;
use facegate_domain::tap::GateRecord;
use sha2::{Digest, Sha256};

use crate::refetch::Refetch;
use crate::store::{JournalKey, JournalStore, StoreError};

/// One record of a batch, checked and hashed.
#[derive(Debug)]
pub(super) struct Incoming {
    pub journal: JournalKey,
    pub record: GateRecord,
    /// As it is stored and hashed: the wire form.
    pub payload: Vec<u8>,
    pub hash: [u8; 16],
}

impl Incoming {
    pub fn new(record: GateRecord, payload: Vec<u8>) -> Self {
        let digest = Sha256::digest(&payload);
        let hash = std::array::from_fn(|i| digest[i]);
        let journal = JournalKey { gate: record.id.gate.clone(), epoch: record.id.epoch };
        Self { journal, record, payload, hash }
    }
}

/// How many records of a batch went which way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub accepted: u64,
    pub duplicate: u64,
    pub conflict: u64,
    pub after_gap: u64,
    pub again: u64,
}

/// The decision over a batch.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// Positions in the batch, in the order to be stored.
    pub accepted: Vec<usize>,
    /// Positions of those to be stored a second time, because the cloud lacks them.
    pub again: Vec<usize>,
    /// Where each journal of the batch stands once they are stored.
    pub marks: BTreeMap<JournalKey, u64>,
    pub conflicts: Vec<RecordId>,
    pub counts: Counts,
}

impl Plan {
    pub fn make(batch: &[Incoming], index: &JournalStore, refetch: &Refetch) -> Result<Self, StoreError> {
        let mut plan = Self::default();
        let mut fresh = BTreeMap::new();
        for (position, one) in batch.iter().enumerate() {
            let sequence = one.record.id.sequence;
            let wanted = refetch.is_wanted(&one.journal, sequence);
            let next = match plan.marks.get(&one.journal) {
                Some(next) => Some(*next),
                None => index.mark(&one.journal)?,
            };
            if next.is_none() && wanted {
                // It says nothing about where this journal, which the station does not know, begins for it.
                plan.again.push(position);
                continue;
            }
            // A journal that this station never saw begins where it begins; the cloud, which knows all of it, finds
            // what is missing.
            let next = next.unwrap_or(sequence);
            let mut reached = next;
            if sequence == next {
                plan.accepted.push(position);
                fresh.insert((&one.journal, sequence), one.hash);
                reached += 1;
            } else if sequence > next {
                if wanted {
                    plan.again.push(position);
                } else {
                    plan.counts.after_gap += 1;
                }
            } else {
                let stored = match fresh.get(&(&one.journal, sequence)) {
                    Some(hash) => Some(*hash),
                    None => index.hash(&one.journal, sequence)?,
                };
                if stored.is_some_and(|hash| hash != one.hash) {
                    plan.conflicts.push(one.record.id.clone());
                } else if wanted {
                    plan.again.push(position);
                } else {
                    plan.counts.duplicate += 1;
                }
            }
            plan.marks.insert(one.journal.clone(), reached);
        }
        plan.counts.accepted = plan.accepted.len() as u64;
        plan.counts.again = plan.again.len() as u64;
        plan.counts.conflict = plan.conflicts.len() as u64;
        Ok(plan)
    }
}
