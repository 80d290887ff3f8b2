//! What the journal's handles and its writer both see.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::segment::Segment;
use super::{JournalError, JournalOptions};
use crate::disk::{DirLock, Disk};

pub(super) struct Shared {
    pub disk: Arc<dyn Disk>,
    pub dir: PathBuf,
    pub options: JournalOptions,
    /// The next index, for those who wait.
    pub durable: watch::Sender<u64>,
    state: Mutex<State>,
    /// One release at a time, so that segments go oldest first.
    releasing: Mutex<()>,
    _lock: DirLock,
}

#[derive(Debug)]
pub(super) struct State {
    /// Oldest first; the last is being written. Never empty.
    pub segments: VecDeque<Segment>,
    /// All records below are durable.
    pub next: u64,
    /// Records below are needed by nobody who does not have them.
    pub acknowledged: u64,
    /// Set once what the disk holds is unknown.
    pub failed: Option<JournalError>,
}

impl State {
    pub(super) fn first_index(&self) -> u64 {
        self.segments.front().map_or(self.next, |segment| segment.first)
    }

    pub(super) fn total_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// Where the second segment begins, if nobody needs the first any more.
    pub(super) fn second_if_acknowledged(&self) -> Option<u64> {
        self.segments.get(1).map(|second| second.first).filter(|first| *first <= self.acknowledged)
    }

    pub(super) fn waiting_bytes(&self) -> u64 {
        if self.acknowledged >= self.next {
            return 0;
        }
        let waiting = |segment: &Segment| {
            // A segment that begins later counts whole.
            let passed = self.acknowledged.checked_sub(segment.first).and_then(|_| segment.landmark(self.acknowledged));
            segment.bytes - passed.map_or(0, |(offset, _)| offset)
        };
        let after = self.segments.partition_point(|segment| segment.first <= self.acknowledged);
        self.segments.iter().skip(after.saturating_sub(1)).map(waiting).sum()
    }

    /// The segment that holds record `index`; the caller has checked that it is kept.
    pub(super) fn segment_of(&self, index: u64) -> Option<&Segment> {
        let after = self.segments.partition_point(|segment| segment.first <= index);
        self.segments.get(after.checked_sub(1)?)
    }

    pub(super) fn active(&mut self) -> &mut Segment {
        self.segments.back_mut().expect("a journal always has a segment to write to")
    }
}

impl Shared {
    pub(super) fn new(
        disk: Arc<dyn Disk>,
        dir: PathBuf,
        options: JournalOptions,
        segments: VecDeque<Segment>,
        next: u64,
        lock: DirLock,
    ) -> Self {
        let state = Mutex::new(State { segments, next, acknowledged: 0, failed: None });
        let durable = watch::Sender::new(next);
        Self { disk, dir, options, durable, state, releasing: Mutex::new(()), _lock: lock }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // No holder panics half-way through a change, so a poisoned lock still guards a sound state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn acknowledge_before(&self, index: u64) {
        let mut state = self.state();
        state.acknowledged = state.acknowledged.max(index.min(state.next));
    }

    /// Lets go of acknowledged segments, the oldest first, until only `bytes` are left or none of them is.
    pub(super) fn make_room(&self, bytes: u64) -> Result<(), JournalError> {
        loop {
            let second = {
                let state = self.state();
                if state.total_bytes() <= bytes { None } else { state.second_if_acknowledged() }
            };
            match second {
                Some(second) => self.release_before(second)?,
                None => return Ok(()),
            }
        }
    }

    pub(super) fn release_before(&self, index: u64) -> Result<(), JournalError> {
        let _one_at_a_time = self.releasing.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let path = {
                let state = self.state();
                match state.segments.get(1) {
                    // The first segment's records all lie below the second's first.
                    Some(second) if second.first <= index => self.dir.join(state.segments[0].file_name()),
                    _ => return Ok(()),
                }
            };
            self.disk.remove(&path).map_err(JournalError::io("remove the segment", &path))?;
            self.state().segments.pop_front();
            // Each removal is durable before the next, or a power cut could leave a gap in the middle.
            self.disk.sync_dir(&self.dir).map_err(JournalError::io("sync the directory", &self.dir))?;
        }
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("dir", &self.dir).field("state", &self.state).finish_non_exhaustive()
    }
}
