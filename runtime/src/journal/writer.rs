//! What writes: collects the appends that wait, writes them in one piece, syncs once, answers all. In a thread of its own,
//! or, on a disk that takes no time, where the append is made.

use std::ops::Range;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::record::{FRAME_HEADER_BYTES, Frame};
use super::segment::{self, HEADER_BYTES, Segment};
use super::shared::Shared;
use super::{JournalError, recovery};
use crate::clock::Stopwatch;
use crate::disk::DiskFile;

/// Appends that one sync may serve.
const APPENDS_PER_COMMIT_MAX: usize = 1024;
/// Every segment keeps room for a mark after its last record.
const MARK_BYTES: u64 = FRAME_HEADER_BYTES as u64;

/// One caller's records, and where to tell him.
#[derive(Debug)]
pub(super) struct Append {
    pub payloads: Vec<Vec<u8>>,
    pub done: Done,
}

type Done = oneshot::Sender<Result<Range<u64>, JournalError>>;

pub(super) struct Writer {
    shared: Arc<Shared>,
    file: Arc<dyn DiskFile>,
    /// First index of the segment being written.
    first: u64,
    /// Where the next frame goes in it.
    end: u64,
    /// Index after the last durable record.
    durable: u64,
    /// Frames written next, in one piece, after the durable ones.
    chunk: Vec<u8>,
    /// Where in the chunk each record begins.
    begins: Vec<usize>,
    /// Complete in the chunk, not yet told.
    waiting: Vec<(Range<u64>, Done)>,
    /// Whether the last commit has its mark.
    marked: bool,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, file: Arc<dyn DiskFile>) -> Self {
        let (first, end, durable) = {
            let mut state = shared.state();
            (state.active().first, state.active().bytes, state.next)
        };
        let (chunk, begins, waiting) = Default::default();
        Self { shared, file, first, end, durable, chunk, begins, waiting, marked: true }
    }

    pub(super) fn run(mut self, mut queue: mpsc::Receiver<Append>) {
        while let Some(first) = queue.blocking_recv() {
            let mut appends = vec![first];
            while appends.len() < APPENDS_PER_COMMIT_MAX
                && let Ok(append) = queue.try_recv()
            {
                appends.push(append);
            }
            self.serve(appends, queue.is_empty());
        }
    }

    /// One commit for all of them; `idle` if no other follows at once.
    pub(super) fn serve(&mut self, appends: Vec<Append>, idle: bool) {
        appends.into_iter().for_each(|append| self.take(append));
        // Errors were told to those who waited.
        let _ = self.flush();
        if idle {
            self.mark();
        }
    }

    /// Puts one append into the chunk, closing segments on the way, or refuses it.
    fn take(&mut self, append: Append) {
        let result = self.admit(&append.payloads).and_then(|()| {
            let start = self.next();
            for payload in &append.payloads {
                self.push(payload)?;
            }
            Ok(start..self.next())
        });
        match result {
            Ok(range) => self.waiting.push((range, append.done)),
            Err(error) => tell(append.done, Err(error)),
        }
    }

    /// Refuses what would not fit before anything of it is written.
    fn admit(&self, payloads: &[Vec<u8>]) -> Result<(), JournalError> {
        let options = &self.shared.options;
        let room = options.segment_bytes_max - HEADER_BYTES as u64 - MARK_BYTES;
        let total = {
            let state = self.shared.state();
            if let Some(failed) = &state.failed {
                return Err(failed.clone());
            }
            state.total_bytes()
        };
        let mut bytes = 0;
        for payload in payloads {
            let frame = (FRAME_HEADER_BYTES + payload.len()) as u64;
            if frame > room {
                return Err(JournalError::RecordTooLarge {
                    bytes: payload.len() as u64,
                    max: room - FRAME_HEADER_BYTES as u64,
                });
            }
            bytes += frame;
        }
        // Every frame might need a segment of its own; few do, but the limit must hold.
        let segments = 1 + bytes / (room / 2).max(1);
        let bytes = self.chunk.len() as u64 + bytes + segments * (HEADER_BYTES as u64 + MARK_BYTES);
        let Some(room) = options.total_bytes_max.checked_sub(bytes) else {
            return Err(JournalError::Full { bytes: total, max: options.total_bytes_max });
        };
        if total > room {
            self.shared.make_room(room)?;
        }
        let total = self.shared.state().total_bytes();
        if total > room {
            return Err(JournalError::Full { bytes: total, max: options.total_bytes_max });
        }
        Ok(())
    }

    fn push(&mut self, payload: &[u8]) -> Result<(), JournalError> {
        let frame = (FRAME_HEADER_BYTES + payload.len()) as u64;
        let bytes = self.end + self.chunk.len() as u64 + frame + MARK_BYTES;
        if bytes > self.shared.options.segment_bytes_max {
            self.flush()?;
            self.rotate()?;
        }
        self.begins.push(self.chunk.len());
        let index = self.durable + self.begins.len() as u64 - 1;
        Frame::record(index, self.durable, payload).encode(&mut self.chunk);
        Ok(())
    }

    /// Index of the record that is pushed next.
    fn next(&self) -> u64 {
        self.durable + self.begins.len() as u64
    }

    /// Writes and syncs the chunk, then tells those whose records are durable now.
    fn flush(&mut self) -> Result<(), JournalError> {
        let written = if self.begins.is_empty() { Ok(()) } else { self.write_and_sync() };
        if written.is_ok() {
            self.publish();
        }
        self.chunk.clear();
        self.begins.clear();
        for (range, done) in self.waiting.drain(..) {
            tell(done, written.clone().map(|()| range));
        }
        written
    }

    fn write_and_sync(&mut self) -> Result<(), JournalError> {
        let path = self.shared.dir.join(segment::file_name(self.first));
        if let Err(error) = self.file.write_at(self.end, &self.chunk) {
            // What did get written must not be found at the next opening, where it would take the place of others.
            let undone = self.file.truncate(self.end).and_then(|()| self.file.sync_data());
            let error = JournalError::io("write to the segment", &path)(error);
            return Err(match undone {
                Ok(()) => error,
                Err(undo) => self.stop(&format!("a failed write that could not be undone ({undo}): {error}")),
            });
        }
        let stopwatch = Stopwatch::start();
        if let Err(error) = self.file.sync_data() {
            return Err(self.stop(&format!("a failed sync of {}: {error}", path.display())));
        }
        metrics::histogram!("facegate_journal_sync_seconds").record(stopwatch.elapsed());
        metrics::counter!("facegate_journal_records_total").increment(self.begins.len() as u64);
        Ok(())
    }

    /// Lets readers see what is durable.
    fn publish(&mut self) {
        if self.begins.is_empty() {
            return;
        }
        let mut state = self.shared.state();
        for begin in &self.begins {
            state.active().note(self.durable, self.end + *begin as u64);
            self.durable += 1;
        }
        self.end += self.chunk.len() as u64;
        self.marked = false;
        state.active().bytes = self.end;
        state.next = self.durable;
        drop(state);
        self.shared.durable.send_replace(self.durable);
    }

    /// Goes on in a new segment. The old one's records are durable; its closing mark may be torn or not be, and must
    /// be made so, because in a closed segment whatever does not check is corruption.
    fn rotate(&mut self) -> Result<(), JournalError> {
        if let Err(error) = self.file.truncate(self.end).and_then(|()| self.file.sync_data()) {
            return Err(self.stop(&format!("a segment that could not be closed: {error}")));
        }
        match recovery::create_segment(self.shared.disk.as_ref(), &self.shared.dir, self.durable) {
            Ok(file) => self.file = file,
            Err((false, error)) => return Err(error),
            Err((true, error)) => return Err(self.stop(&format!("an unfinished change of segments: {error}"))),
        }
        let segment = Segment::empty(self.durable);
        self.first = segment.first;
        self.end = segment.bytes;
        self.marked = true;
        self.shared.state().segments.push_back(segment);
        Ok(())
    }

    /// Notes, without a sync, that the last commit was durable. Whether it can be written does not matter: the next
    /// frame goes to the same place, and is at least as long.
    fn mark(&mut self) {
        if self.marked || self.shared.state().failed.is_some() {
            return;
        }
        let mut mark = Vec::new();
        Frame::mark(self.durable).encode(&mut mark);
        if self.file.write_at(self.end, &mark).is_ok() {
            self.end += mark.len() as u64;
            self.shared.state().active().bytes = self.end;
        }
        self.marked = true;
    }

    /// The disk's content is unknown from here on: no more work before the journal is opened anew.
    fn stop(&mut self, why: &str) -> JournalError {
        tracing::error!(dir = %self.shared.dir.display(), why, "the journal stopped");
        let error = JournalError::Stopped(why.to_owned());
        self.shared.state().failed = Some(error.clone());
        error
    }
}

fn tell(done: Done, result: Result<Range<u64>, JournalError>) {
    // A caller who stopped waiting is told nothing.
    let _ = done.send(result);
}
