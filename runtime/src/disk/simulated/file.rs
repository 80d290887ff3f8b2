//! One simulated file: what is seen, what is durable, and the writes in between.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use rand::Rng;
use rand::rngs::SmallRng;

use super::{DiskFile, SimDisk};

/// What the disk writes in one piece. Smaller than a real sector, so that small tests see torn ones.
const SECTOR_BYTES: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FileId(u64);

impl FileId {
    pub(super) fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct SimFile {
    pub(super) seen: Vec<u8>,
    durable: Vec<u8>,
    /// Since the last sync, oldest first.
    pending: Vec<Change>,
    /// So many of them a disk that lies has said to be durable.
    promised: usize,
}

#[derive(Clone, Debug)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Truncate(usize),
}

impl SimFile {
    pub(super) fn durable(content: Vec<u8>) -> Self {
        Self { seen: content.clone(), durable: content, ..Self::default() }
    }

    fn change(&mut self, change: Change) {
        apply(&mut self.seen, &change);
        self.pending.push(change);
    }

    fn sync(&mut self) {
        self.promised = self.pending.len();
        self.sync_late();
    }

    /// Makes durable what it said of the sync before, and says so of this one.
    fn sync_late(&mut self) {
        self.pending.drain(..self.promised).for_each(|change| apply(&mut self.durable, &change));
        self.promised = self.pending.len();
    }

    fn forget_pending(&mut self) {
        self.pending.clear();
        self.promised = 0;
    }

    /// What the disk has, whatever is on its way there.
    pub(super) fn image(&self) -> Self {
        Self::durable(self.durable.clone())
    }

    pub(super) fn lose_power(&mut self, rng: &mut SmallRng) {
        if rng.random() {
            self.keep_prefix(rng);
        } else {
            self.keep_sectors(rng);
        }
        self.seen = self.durable.clone();
        self.forget_pending();
    }

    /// The disk got through some of the writes in order, and a part of the next.
    fn keep_prefix(&mut self, rng: &mut SmallRng) {
        let whole = rng.random_range(0..=self.pending.len());
        for change in &self.pending[..whole] {
            apply(&mut self.durable, change);
        }
        if let Some(Change::Write { offset, bytes }) = self.pending.get(whole) {
            let bytes = bytes[..rng.random_range(0..=bytes.len())].to_vec();
            apply(&mut self.durable, &Change::Write { offset: *offset, bytes });
        }
    }

    /// The disk wrote sectors in any order: the size is the new one, each sector is the old or the new one.
    fn keep_sectors(&mut self, rng: &mut SmallRng) {
        let mut mixed = self.seen.clone();
        for (number, sector) in mixed.chunks_mut(SECTOR_BYTES).enumerate() {
            if rng.random() {
                let old = self.durable.get(number * SECTOR_BYTES..).unwrap_or_default();
                for (at, byte) in sector.iter_mut().enumerate() {
                    *byte = old.get(at).copied().unwrap_or(0);
                }
            }
        }
        // Without a change there is nothing that could be mixed.
        if !self.pending.is_empty() {
            self.durable = mixed;
        }
    }
}

fn apply(content: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write { offset, bytes } => {
            let end = offset + bytes.len();
            if content.len() < end {
                content.resize(end, 0);
            }
            content[*offset..end].copy_from_slice(bytes);
        }
        Change::Truncate(size) => content.resize(*size, 0),
    }
}

#[derive(Debug)]
pub(super) struct SimHandle {
    pub(super) disk: SimDisk,
    pub(super) id: FileId,
    pub(super) boot: u64,
}

impl SimHandle {
    fn with<T>(&self, work: impl FnOnce(&mut SimFile) -> T) -> io::Result<T> {
        let mut state = self.disk.state();
        let boot = state.boot;
        match state.files.get_mut(&self.id) {
            Some(file) if boot == self.boot => Ok(work(file)),
            _ => Err(io::Error::other("the file was open before the power was cut")),
        }
    }

    fn change<T>(&self, work: impl FnOnce(&mut SimFile) -> T) -> io::Result<T> {
        self.disk.state().powered()?;
        self.with(work)
    }
}

fn position(offset: u64) -> usize {
    usize::try_from(offset).unwrap_or(usize::MAX)
}

impl DiskFile for SimHandle {
    fn size(&self) -> io::Result<u64> {
        self.with(|file| file.seen.len() as u64)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let length = buffer.len();
        self.with(|file| {
            let bytes = file.seen.get(position(offset)..).and_then(|rest| rest.get(..length));
            buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })?
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let offset = position(offset);
        let free = position(self.disk.state().free_bytes());
        self.change(|file| {
            let room = file.seen.len().saturating_add(free).saturating_sub(offset);
            let fits = bytes.len().min(room);
            file.change(Change::Write { offset, bytes: bytes[..fits].to_vec() });
            if fits < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
        })?
    }

    fn truncate(&self, size: u64) -> io::Result<()> {
        self.change(|file| file.change(Change::Truncate(position(size))))
    }

    fn sync_data(&self) -> io::Result<()> {
        let (fails, lies) = {
            let mut state = self.disk.state();
            let fails = state.syncs_to_fail > 0;
            state.syncs_to_fail = state.syncs_to_fail.saturating_sub(1);
            (fails, state.lies)
        };
        if fails {
            self.change(SimFile::forget_pending)?;
            return Err(io::Error::other("the disk reported an error on sync"));
        }
        self.change(if lies { SimFile::sync_late } else { SimFile::sync })?;
        self.disk.state().syncs += 1;
        Ok(())
    }
}
