//! One epoch: its journal, and what its records say that is still needed.

use std::collections::{BTreeMap, VecDeque};

use facegate_domain::Timestamp;
use facegate_domain::tap::{Authorisation, Evidence, GateRecord, RecordBody};
use facegate_proto::v1;
use facegate_runtime::journal::Journal;
use prost::Message;

use super::{GateJournalError, JournalPlace, decode};

/// Records read at once while opening.
const CHUNK: usize = 1024;
/// Nonces remembered; codes live for minutes, and nobody passes a gate more often than once a second.
const NONCES_MAX: usize = 4096;

#[derive(Debug)]
pub(super) struct Epoch {
    pub journal: Journal,
    /// The next sequence that the station waits for.
    pub delivered: u64,
    /// Authorisations without their passage, by sequence.
    pub unconcluded: BTreeMap<u64, Authorisation>,
    /// Codes that opened the gate.
    pub nonces: VecDeque<([u8; 8], Timestamp)>,
    /// When its newest record was written.
    newest: Option<Timestamp>,
}

impl Epoch {
    pub fn open(place: &JournalPlace, number: u32, delivered: u64) -> Result<Self, GateJournalError> {
        let dir = place.dir.join(format!("epoch-{number}"));
        let (journal, recovery) = Journal::open(place.disk.clone(), &dir, place.options)?;
        if let Some(torn) = &recovery.torn {
            tracing::warn!(
                epoch = number,
                ?torn,
                "a write cut short by a crash was removed; nobody had been told of it"
            );
        }
        let mut epoch =
            Self { journal, delivered: 0, unconcluded: BTreeMap::new(), nonces: VecDeque::new(), newest: None };
        let mut next = recovery.first_index;
        while next < recovery.next_index {
            for (index, bytes) in epoch.journal.read(next, CHUNK)? {
                epoch.note(&decode(number, index, &bytes)?);
                next = index + 1;
            }
        }
        epoch.delivered = delivered.min(recovery.next_index);
        Ok(epoch)
    }

    pub fn next_sequence(&self) -> u64 {
        self.journal.next_index()
    }

    /// Takes in what a durable record says.
    pub fn note(&mut self, record: &GateRecord) {
        self.newest = Some(record.stamp.wall);
        match &record.body {
            RecordBody::Authorisation(authorisation) => {
                if let Evidence::Code { nonce, .. } = authorisation.evidence {
                    if self.nonces.len() == NONCES_MAX {
                        self.nonces.pop_front();
                    }
                    self.nonces.push_back((nonce, record.stamp.wall));
                }
                self.unconcluded.insert(record.id.sequence, authorisation.clone());
            }
            RecordBody::Passage(passage) => {
                self.unconcluded.remove(&passage.authorisation);
            }
            // A booth's alone.
            RecordBody::GateOpened(_) => {}
        }
    }

    /// Tells the journal what nobody needs any more (delivered, and every authorisation in it concluded), and lets go of
    /// what was written before `kept_from`.
    pub fn release(&self, kept_from: Timestamp) -> Result<(), GateJournalError> {
        let oldest_open = self.unconcluded.first_key_value().map_or(u64::MAX, |(sequence, _)| *sequence);
        self.journal.acknowledge_before(self.delivered.min(oldest_open));
        let old = |bytes: &[u8]| {
            let record = v1::GateRecord::decode(bytes).ok();
            record.and_then(|record| record.stamp).is_some_and(|stamp| stamp.wall_unix_ms < kept_from.unix_ms())
        };
        Ok(self.journal.release_old(old)?)
    }

    /// Nothing in it is needed any more, but to be asked for once more.
    pub fn is_done(&self) -> bool {
        self.unconcluded.is_empty() && self.delivered == self.next_sequence()
    }

    /// Everything in it was written before `kept_from`.
    pub fn is_old(&self, kept_from: Timestamp) -> bool {
        self.newest.is_none_or(|newest| newest < kept_from)
    }
}
