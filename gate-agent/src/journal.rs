//! The gate's journals: one directory `epoch-<n>` for each epoch, in which a record's index is its sequence.
//!
//! | field | |
//! |---|---|
//! | segment files | `facegate_runtime::journal`, which see for the bytes |
//! | payload of a record | protobuf `facegate.v1.GateRecord` |
//!
//! New records go to the newest epoch; a passage goes to the epoch of its authorisation. Older epochs are delivered to
//! the end. What the station holds, and what has its passage, is kept for some days all the same, so that it can be asked
//! for once more; it goes sooner when new records need the room.

mod epoch;
mod redelivery;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use facegate_domain::gate::GateMode;
use facegate_domain::ids::{GateId, RecordId, StationId};
use facegate_domain::journal_audit::JournalRange;
use facegate_domain::tap::{Authorisation, GateRecord, GateStamp, Passage, PassageOutcome, RecordBody, Remarks};
use facegate_domain::{Clock, Timestamp};
use facegate_proto::convert::InvalidMessage;
use facegate_proto::v1;
use facegate_runtime::disk::Disk;
use facegate_runtime::journal::{JournalError, JournalOptions};
use prost::Message;
use tokio::sync::Notify;

use self::epoch::Epoch;
pub use self::redelivery::Again;
use crate::actuator::PassageToken;
use crate::memory::{Memory, MemoryError};

/// Why a record could not be written or the journals not be opened.
#[derive(Debug, thiserror::Error)]
pub enum GateJournalError {
    #[error(
        "the station has not given this gate an epoch yet: nobody can be let through before it has registered once"
    )]
    NotRegistered,
    #[error("epoch {0} is not open here; the record was not written")]
    UnknownEpoch(u32),
    #[error("epoch {epoch} wrote record {index} where {expected} was due; restart the gate")]
    OutOfStep { epoch: u32, index: u64, expected: u64 },
    #[error(
        "record {index} of epoch {epoch} is not a gate record ({reason}); nothing is started: keep the file and report it"
    )]
    Unreadable { epoch: u32, index: u64, reason: String },
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(transparent)]
    Memory(#[from] MemoryError),
    #[error("cannot look into {}: {source}", path.display())]
    Directory { path: PathBuf, source: std::io::Error },
}

/// Delivered epochs that are kept, beside the one in use, each within the journal's bounds.
const OLD_EPOCHS_MAX: usize = 4;

/// Records of one epoch on their way to the station.
#[derive(Debug)]
pub struct Batch {
    pub epoch: u32,
    pub records: Vec<v1::GateRecord>,
}

/// Where and how the journals live.
#[derive(Debug)]
pub struct JournalPlace {
    pub gate: GateId,
    pub dir: PathBuf,
    pub options: JournalOptions,
    /// How long delivered records are kept.
    pub kept: Duration,
    pub disk: Arc<dyn Disk>,
    pub clock: Arc<dyn Clock>,
}

/// All journals of this gate. Shared between the door, which writes, and the delivery, which reads.
#[derive(Debug)]
pub struct GateJournal {
    place: JournalPlace,
    memory: Memory,
    state: Mutex<State>,
    /// One writer at a time, so that index and sequence stay the same number.
    writing: tokio::sync::Mutex<()>,
    /// Registration or delivery, never both: records delivered while a registration with an older position is on its
    /// way would look to the station like a journal that lost them.
    handover: tokio::sync::Mutex<()>,
    changed: Notify,
}

#[derive(Debug)]
struct State {
    station: Option<StationId>,
    epochs: BTreeMap<u32, Epoch>,
    /// The epoch that new authorisations go to.
    current: Option<u32>,
    /// What the station has asked for once more.
    asked: Vec<JournalRange>,
}

impl GateJournal {
    /// Opens every epoch on the disk. An epoch without any record is taken for lost: the station gives a new one.
    pub fn open(place: JournalPlace, memory: Memory) -> Result<Self, GateJournalError> {
        let mut epochs = BTreeMap::new();
        for number in epochs_in(place.disk.as_ref(), &place.dir)? {
            let epoch = Epoch::open(&place, number, memory.delivered(number)?)?;
            if epoch.next_sequence() > 0 {
                epochs.insert(number, epoch);
            }
        }
        let current = epochs.last_key_value().map(|(number, _)| *number);
        let state = Mutex::new(State { station: memory.station()?, epochs, current, asked: Vec::new() });
        Ok(Self {
            place,
            memory,
            state,
            writing: tokio::sync::Mutex::new(()),
            handover: tokio::sync::Mutex::new(()),
            changed: Notify::new(),
        })
    }

    /// Held while registering, from the position to what the station said of it, and while delivering.
    pub async fn handover(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.handover.lock().await
    }

    /// What to register with: current epoch (0 for none) and its next sequence.
    pub fn position(&self) -> (u32, u64) {
        let state = self.state();
        let current = state.current.and_then(|number| Some((number, state.epochs.get(&number)?.next_sequence())));
        current.unwrap_or((0, 0))
    }

    /// Takes up what the station said at registration. False if the station holds more of this epoch than we do, so
    /// that our journal was lost and the epoch must not be used again: register with none.
    pub fn adopt(&self, epoch: u32, station: StationId, delivered: u64) -> Result<bool, GateJournalError> {
        let mut state = self.state();
        if state.epochs.get(&epoch).map_or(0, Epoch::next_sequence) < delivered {
            state.current = None;
            return Ok(false);
        }
        if let std::collections::btree_map::Entry::Vacant(place) = state.epochs.entry(epoch) {
            place.insert(Epoch::open(&self.place, epoch, 0)?);
        }
        state.current = Some(epoch);
        state.station = Some(station);
        drop(state);
        self.delivered(epoch, delivered)?;
        Ok(true)
    }

    /// Durable when it returns; gives the token to open the door with.
    pub async fn authorise(&self, authorisation: Authorisation) -> Result<PassageToken, GateJournalError> {
        let epoch = self.state().current.ok_or(GateJournalError::NotRegistered)?;
        let sequence = self.append(epoch, RecordBody::Authorisation(authorisation)).await?;
        Ok(PassageToken { epoch, sequence })
    }

    /// Durable when it returns. `ended_in` is the mode that the gate went into meanwhile.
    pub async fn conclude(
        &self,
        token: PassageToken,
        outcome: PassageOutcome,
        remarks: Remarks,
        ended_in: Option<GateMode>,
    ) -> Result<(), GateJournalError> {
        let passage = Passage { authorisation: token.sequence, outcome, remarks, ended_in };
        self.append(token.epoch, RecordBody::Passage(passage)).await?;
        Ok(())
    }

    /// Authorisations whose passage is not recorded, oldest first.
    pub fn unconcluded(&self) -> Vec<(PassageToken, Authorisation)> {
        let state = self.state();
        let of = |(number, epoch): (&u32, &Epoch)| {
            let number = *number;
            let token = move |sequence| PassageToken { epoch: number, sequence };
            epoch.unconcluded.iter().map(|(s, a)| (token(*s), a.clone())).collect::<Vec<_>>()
        };
        state.epochs.iter().flat_map(of).collect()
    }

    /// Nonces of the codes that opened this gate, with the time, as far as the journals reach back.
    pub fn nonces(&self) -> Vec<([u8; 8], Timestamp)> {
        self.state().epochs.values().flat_map(|epoch| epoch.nonces.iter().copied()).collect()
    }

    /// The oldest records that the station does not have, of one epoch, at most `max`.
    pub fn undelivered(&self, max: usize) -> Result<Option<Batch>, GateJournalError> {
        let waiting = {
            let state = self.state();
            let behind = |(_, epoch): &(&u32, &Epoch)| epoch.delivered < epoch.next_sequence();
            state.epochs.iter().find(behind).map(|(number, epoch)| (*number, epoch.journal.clone(), epoch.delivered))
        };
        let Some((epoch, journal, delivered)) = waiting else { return Ok(None) };
        let from = delivered.max(journal.first_index());
        if from > delivered {
            tracing::error!(
                epoch,
                missing_from = delivered,
                missing_before = from,
                "the station lacks records that were released here: the gap stays"
            );
        }
        let records = journal
            .read(from, max)?
            .into_iter()
            .map(|(index, bytes)| v1::GateRecord::decode(bytes.as_slice()).map_err(|e| unreadable(epoch, index, &e)));
        Ok(Some(Batch { epoch, records: records.collect::<Result<_, _>>()? }))
    }

    /// Resolves when something was written or taken up since the last call.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// The station holds everything of this epoch below `next_sequence`.
    pub fn delivered(&self, epoch: u32, next_sequence: u64) -> Result<(), GateJournalError> {
        let kept_from = self.place.clock.now().minus(self.place.kept);
        let mut state = self.state();
        let Some(known) = state.epochs.get_mut(&epoch) else { return Ok(()) };
        known.delivered = next_sequence.min(known.next_sequence());
        self.memory.set_delivered(epoch, known.delivered)?;
        known.release(kept_from)?;
        let done = state.take_old_epochs(kept_from);
        drop(state);
        done.into_iter().for_each(|epoch| remove_epoch(self.place.disk.as_ref(), epoch));
        self.changed.notify_one();
        Ok(())
    }

    /// Undelivered records, in hundredths of what a journal may hold.
    pub fn waiting_percent(&self) -> u32 {
        let waiting = self.state().epochs.values().map(|epoch| epoch.journal.waiting_bytes()).sum::<u64>();
        let percent = waiting.saturating_mul(100) / self.place.options.total_bytes_max.max(1);
        u32::try_from(percent).unwrap_or(u32::MAX)
    }

    /// Records that the station does not have yet.
    pub fn backlog(&self) -> u64 {
        self.state().epochs.values().map(|epoch| epoch.next_sequence().saturating_sub(epoch.delivered)).sum()
    }

    /// The record's name on all records of this gate.
    pub fn record_id(&self, token: PassageToken) -> RecordId {
        RecordId { gate: self.place.gate.clone(), epoch: token.epoch, sequence: token.sequence }
    }

    async fn append(&self, epoch: u32, body: RecordBody) -> Result<u64, GateJournalError> {
        let _order = self.writing.lock().await;
        let (journal, station) = {
            let state = self.state();
            let known = state.epochs.get(&epoch).ok_or(GateJournalError::UnknownEpoch(epoch))?;
            (known.journal.clone(), state.station.clone().ok_or(GateJournalError::NotRegistered)?)
        };
        let expected = journal.next_index();
        let id = self.record_id(PassageToken { epoch, sequence: expected });
        let clock = &self.place.clock;
        let stamp = GateStamp { wall: clock.now(), monotonic_ms: clock.monotonic_ms() };
        let record = GateRecord { id, station, stamp, body };
        let index = journal.append(v1::GateRecord::from(record.clone()).encode_to_vec()).await?;
        if index != expected {
            return Err(GateJournalError::OutOfStep { epoch, index, expected });
        }
        if let Some(known) = self.state().epochs.get_mut(&epoch) {
            known.note(&record);
        }
        self.changed.notify_one();
        Ok(index)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes out the delivered epochs that are too old or too many to be kept, the oldest first.
    fn take_old_epochs(&mut self, kept_from: Timestamp) -> Vec<Epoch> {
        let current = self.current;
        let done = |(number, epoch): &(&u32, &Epoch)| current != Some(**number) && epoch.is_done();
        let mut rest = self.epochs.iter().filter(done).count();
        let mut goes = |_: &u32, epoch: &mut Epoch| {
            let goes = epoch.is_done() && (rest > OLD_EPOCHS_MAX || epoch.is_old(kept_from));
            rest -= usize::from(goes);
            goes
        };
        let taken = self.epochs.extract_if(.., |number, epoch| current != Some(*number) && goes(number, epoch));
        taken.map(|(_, epoch)| epoch).collect()
    }
}

fn epochs_in(disk: &dyn Disk, dir: &Path) -> Result<Vec<u32>, GateJournalError> {
    let failed = |source| GateJournalError::Directory { path: dir.to_owned(), source };
    disk.create_dir(dir).map_err(failed)?;
    let names = disk.list_dirs(dir).map_err(failed)?;
    Ok(names.iter().filter_map(|name| name.strip_prefix("epoch-")?.parse().ok()).collect())
}

/// Everything in it is at the station; a directory that cannot be removed is only untidy.
fn remove_epoch(disk: &dyn Disk, epoch: Epoch) {
    let dir = epoch.journal.dir().clone();
    drop(epoch);
    match disk.remove_dir(&dir) {
        Ok(()) => tracing::info!(dir = %dir.display(), "old epoch, delivered to the end, removed"),
        Err(error) => tracing::warn!(dir = %dir.display(), %error, "a delivered epoch cannot be removed"),
    }
}

fn unreadable(epoch: u32, index: u64, reason: &dyn std::fmt::Display) -> GateJournalError {
    GateJournalError::Unreadable { epoch, index, reason: reason.to_string() }
}

fn decode(epoch: u32, index: u64, bytes: &[u8]) -> Result<GateRecord, GateJournalError> {
    let wire = v1::GateRecord::decode(bytes).map_err(|e| unreadable(epoch, index, &e))?;
    wire.try_into().map_err(|e: InvalidMessage| unreadable(epoch, index, &e))
}

#[cfg(test)]
mod tests;
