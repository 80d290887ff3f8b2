//! A durable, ordered, checksummed sequence of records in segment files. One writer thread: all appends that wait
//! share one `fdatasync`. (On a [`Disk`] that is instant, each append is written where it is made.)
//!
//! A segment file `00000000000000000042.seg` holds the records from index 42 on. Integers are little-endian.
//!
//! | offset | bytes | segment header |
//! |---|---|---|
//! | 0 | 8 | `FGATEJNL` |
//! | 8 | 4 | format version, 1 |
//! | 12 | 8 | index of the first record; all before it are durable in earlier segments |
//! | 20 | 4 | crc32 of bytes 0–19 |
//! | 24 | … | frames |
//!
//! | offset | bytes | frame |
//! |---|---|---|
//! | 0 | 4 | `REC1`: a record; `MRK1`: a mark, no payload, written (not synced) after a commit |
//! | 4 | 4 | payload bytes n |
//! | 8 | 8 | index of the record; of a mark: of the next record |
//! | 16 | 8 | every record below this index was durable when this frame was written |
//! | 24 | 4 | crc32 of bytes 0–23 and the payload |
//! | 28 | n | payload |
//!
//! **Torn tail or corrupt middle?** At a frame that does not check, index i: if any later frame says that i was durable,
//! or this is not the last segment, acknowledged data is damaged: [`JournalError::CorruptMiddle`], nothing is changed.
//! Otherwise the power went before anybody was told of i: the tail is cut off and [`Recovery::torn`] tells. Marks make this
//! certain whenever the process, not the machine, died; a machine that lost its power before the mark reached the disk
//! *and* damaged the last acknowledged commit leaves something that cannot be told from a torn write.
//!
//! **After a failed sync** nobody knows what the disk holds, so the journal refuses further work until it is opened again;
//! opening writes every frame not known to be durable anew before it syncs.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot};

use crate::disk::Disk;

mod error;
mod reader;
mod record;
mod recovery;
mod segment;
mod shared;
mod writer;

pub use error::JournalError;
pub use recovery::{Recovery, TornTail};

use shared::Shared;
use writer::{Append, Writer};

/// Requests that may wait for the writer; further appends wait for a place.
const APPENDS_QUEUED_MAX: usize = 1024;

/// How large a journal may grow.
#[derive(Clone, Copy, Debug)]
pub struct JournalOptions {
    /// A segment is closed before it would grow beyond this; records are released by whole segments.
    pub segment_bytes_max: u64,
    /// Beyond this, acknowledged records are let go, the oldest first; when there are none, appends fail with
    /// [`JournalError::Full`]. At least twice a segment.
    pub total_bytes_max: u64,
}

impl Default for JournalOptions {
    fn default() -> Self {
        Self { segment_bytes_max: 16 << 20, total_bytes_max: 1 << 30 }
    }
}

/// An open journal. Clones are the same journal; when the last is dropped, the writer thread ends.
#[derive(Clone, Debug)]
pub struct Journal(Arc<Handle>);

#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    writing: Writing,
}

/// Where appends are written.
enum Writing {
    Thread {
        /// `None` only while dropping.
        appends: Option<mpsc::Sender<Append>>,
        writer: Option<JoinHandle<()>>,
    },
    /// By whoever appends; on a disk that takes no time.
    Here(Box<Mutex<Writer>>),
}

impl std::fmt::Debug for Writing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if matches!(self, Self::Here(_)) { "Here" } else { "Thread" })
    }
}

impl Journal {
    /// Opens the journal in `dir`, or creates it. Blocks while it reads the segments.
    ///
    /// # Errors
    /// [`JournalError::CorruptMiddle`] names file and offset; [`JournalError::InUse`] if another has it open.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path, options: JournalOptions) -> Result<(Self, Recovery), JournalError> {
        if options.segment_bytes_max < segment::BYTES_MIN
            || options.segment_bytes_max > segment::BYTES_MAX
            || options.total_bytes_max / 2 < options.segment_bytes_max
        {
            return Err(JournalError::Options(options));
        }
        let opened = recovery::open(disk.as_ref(), dir)?;
        let recovery = opened.recovery;
        let next = recovery.next_index;
        let shared = Arc::new(Shared::new(disk, dir.to_owned(), options, opened.segments, next, opened.lock));
        let writer = Writer::new(Arc::clone(&shared), opened.active);
        let writing = if shared.disk.is_instant() {
            Writing::Here(Box::new(Mutex::new(writer)))
        } else {
            let (appends, queue) = mpsc::channel(APPENDS_QUEUED_MAX);
            let thread = std::thread::Builder::new().name("journal".into()).spawn(move || writer.run(queue));
            let writer = thread.map_err(JournalError::io("start the writer of", dir))?;
            Writing::Thread { appends: Some(appends), writer: Some(writer) }
        };
        Ok((Self(Arc::new(Handle { shared, writing })), recovery))
    }

    /// Durable before it returns; gives the record's index. If the caller stops waiting, or on an I/O error, the record
    /// may or may not be kept.
    pub async fn append(&self, payload: Vec<u8>) -> Result<u64, JournalError> {
        Ok(self.append_all(vec![payload]).await?.start)
    }

    /// All durable, under consecutive indexes, before it returns. On an I/O error a first part may be kept.
    ///
    /// # Errors
    /// [`JournalError::Full`] and [`JournalError::RecordTooLarge`] leave the journal as it was.
    pub async fn append_all(&self, payloads: Vec<Vec<u8>>) -> Result<Range<u64>, JournalError> {
        let (done, outcome) = oneshot::channel();
        let append = Append { payloads, done };
        match &self.0.writing {
            Writing::Thread { appends, .. } => {
                let appends = appends.as_ref().ok_or(JournalError::WriterGone)?;
                appends.send(append).await.map_err(|_| JournalError::WriterGone)?;
            }
            Writing::Here(writer) => {
                writer.lock().unwrap_or_else(PoisonError::into_inner).serve(vec![append], true);
            }
        }
        outcome.await.map_err(|_| JournalError::WriterGone)?
    }

    /// Durable records from index `from` on: at most `max`, and fewer when they add up to over 2 MiB (but at least
    /// one if there is one). Blocks for the reads.
    ///
    /// # Errors
    /// [`JournalError::Released`] if `from` was released already; `CorruptMiddle` if the disk changed a record.
    pub fn read(&self, from: u64, max: usize) -> Result<Vec<(u64, Vec<u8>)>, JournalError> {
        reader::read(&self.0.shared, from, max)
    }

    /// The index that the next record gets; all below it are durable.
    pub fn next_index(&self) -> u64 {
        self.0.shared.state().next
    }

    /// The oldest index still kept; equals [`Journal::next_index`] if there is none.
    pub fn first_index(&self) -> u64 {
        self.0.shared.state().first_index()
    }

    /// Bytes of all segments.
    pub fn total_bytes(&self) -> u64 {
        self.0.shared.state().total_bytes()
    }

    /// Why the journal refuses work, if it does: for health checks.
    pub fn failure(&self) -> Option<JournalError> {
        self.0.shared.state().failed.clone()
    }

    /// Whoever needs the records below `index` has them. They are kept all the same, so that they can be asked for once
    /// more, until [`Journal::release_old`] or until new records need their room; records from `index` on are never let
    /// go for either. Does not move back.
    pub fn acknowledge_before(&self, index: u64) {
        self.0.shared.acknowledge_before(index);
    }

    /// Bytes of the records that nobody has acknowledged, within some records.
    pub fn waiting_bytes(&self) -> u64 {
        self.0.shared.state().waiting_bytes()
    }

    /// The bounds it was opened with.
    pub fn options(&self) -> JournalOptions {
        self.0.shared.options
    }

    /// Drops, from the oldest on, the segments that are acknowledged and of which the record after their last is `old`:
    /// then all of them are. Blocks for a read or two.
    pub fn release_old(&self, old: impl Fn(&[u8]) -> bool) -> Result<(), JournalError> {
        loop {
            let second = self.0.shared.state().second_if_acknowledged();
            let Some(start) = second else { return Ok(()) };
            match reader::read(&self.0.shared, start, 1)?.first() {
                Some((_, payload)) if old(payload) => self.0.shared.release_before(start)?,
                _ => return Ok(()),
            }
        }
    }

    /// Drops the segments all of whose records are below `index`. The segment being written is always kept.
    pub fn release_before(&self, index: u64) -> Result<(), JournalError> {
        self.0.shared.release_before(index)
    }

    /// Resolves when `next_index() > index`, so that a forwarder need not poll.
    pub async fn wait_beyond(&self, index: u64) {
        let mut next = self.0.shared.durable.subscribe();
        if next.wait_for(|next| *next > index).await.is_err() {
            // The sender lives as long as we do, so this does not happen; never resolving is the honest answer.
            std::future::pending::<()>().await;
        }
    }

    /// The directory it lives in.
    pub fn dir(&self) -> &PathBuf {
        &self.0.shared.dir
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // The writer ends when the queue closes; waiting for it lets the directory be opened again at once.
        let Writing::Thread { appends, writer } = &mut self.writing else { return };
        *appends = None;
        if let Some(writer) = writer.take()
            && writer.join().is_err()
        {
            tracing::error!(dir = %self.shared.dir.display(), "the journal's writer panicked");
        }
    }
}
