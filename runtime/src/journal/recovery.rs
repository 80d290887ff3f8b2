//! Opening: what a crash left is checked, cut to what is whole, and made durable before anybody reads it.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::JournalError;
use super::record::Frame;
use super::segment::{self, Scan, Segment};
use crate::disk::{DirLock, Disk, DiskFile};

/// What opening found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovery {
    pub first_index: u64,
    pub next_index: u64,
    /// A write that the power cut short. It was never acknowledged, and is gone now.
    pub torn: Option<TornTail>,
}

/// Bytes that were cut off the end of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    pub segment: PathBuf,
    pub offset: u64,
    pub bytes: u64,
    pub what: &'static str,
}

pub(super) struct Opened {
    pub segments: VecDeque<Segment>,
    pub active: Arc<dyn DiskFile>,
    pub recovery: Recovery,
    pub lock: DirLock,
}

pub(super) fn open(disk: &dyn Disk, dir: &Path) -> Result<Opened, JournalError> {
    disk.create_dir(dir).map_err(JournalError::io("make the journal directory", dir))?;
    let lock = disk.lock(dir).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => JournalError::InUse { dir: dir.to_owned() },
        _ => JournalError::io("lock the journal directory", dir)(error),
    })?;
    let firsts = list(disk, dir)?;
    let Some((&last, closed)) = firsts.split_last() else {
        let active = create_segment(disk, dir, 0).map_err(|(_, error)| error)?;
        let recovery = Recovery { first_index: 0, next_index: 0, torn: None };
        return Ok(Opened { segments: VecDeque::from([Segment::empty(0)]), active, recovery, lock });
    };
    let mut segments = VecDeque::new();
    let mut next = firsts[0];
    for &first in closed {
        let scan = check_closed(disk, dir, first, next)?;
        next = scan.next;
        segments.push_back(scan.segment);
    }
    let last = recover_last(disk, dir, last, next)?;
    let recovery = Recovery { first_index: firsts[0], next_index: last.scan.next, torn: last.torn };
    segments.push_back(last.scan.segment);
    Ok(Opened { segments, active: last.file, recovery, lock })
}

/// First indexes of the segments, rising. Files whose making was interrupted are removed.
fn list(disk: &dyn Disk, dir: &Path) -> Result<Vec<u64>, JournalError> {
    let names = disk.list(dir).map_err(JournalError::io("list the journal directory", dir))?;
    for name in names.iter().filter(|name| name.ends_with(segment::UNFINISHED)) {
        let path = dir.join(name);
        disk.remove(&path).map_err(JournalError::io("remove the unfinished segment", &path))?;
    }
    // Names are padded with zeros, so their order is the numbers'.
    Ok(names.iter().filter_map(|name| segment::first_of_name(name)).collect())
}

/// A segment that is not the last was complete and durable before the next was made: any damage is corruption.
fn check_closed(disk: &dyn Disk, dir: &Path, first: u64, expected: u64) -> Result<Scan, JournalError> {
    let path = dir.join(segment::file_name(first));
    let (_, bytes) = load(disk, &path)?;
    let scan = checked_scan(&path, &bytes, first, expected)?;
    match scan.damage {
        Some(what) => Err(JournalError::corrupt(&path, scan.good_bytes(), what)),
        None => Ok(scan),
    }
}

fn checked_scan(path: &Path, bytes: &[u8], first: u64, expected: u64) -> Result<Scan, JournalError> {
    if first != expected {
        return Err(JournalError::corrupt(path, 0, "records between the segment before and this one are missing"));
    }
    segment::check_header(bytes, first).map_err(|what| JournalError::corrupt(path, 0, what))?;
    Ok(segment::scan(bytes, first))
}

/// The segment to go on writing.
struct Last {
    file: Arc<dyn DiskFile>,
    scan: Scan,
    torn: Option<TornTail>,
}

fn recover_last(disk: &dyn Disk, dir: &Path, first: u64, expected: u64) -> Result<Last, JournalError> {
    let path = dir.join(segment::file_name(first));
    let (file, bytes) = load(disk, &path)?;
    let mut scan = checked_scan(&path, &bytes, first, expected)?;
    let good = scan.good_bytes();
    let torn = match scan.damage {
        Some(what) if segment::was_durable(&bytes, good, scan.next) => {
            return Err(JournalError::corrupt(&path, good, what));
        }
        Some(what) => {
            let lost = (bytes.len() - good) as u64;
            Some(TornTail { segment: path.clone(), offset: good as u64, bytes: lost, what })
        }
        None => None,
    };
    let whole = torn.is_none() && !scan.unsure_records;
    let unsure = &bytes[scan.sure_bytes..good];
    make_durable(file.as_ref(), &mut scan, unsure, whole).map_err(JournalError::io("recover the segment", &path))?;
    Ok(Last { file, scan, torn })
}

/// Makes durable what is there, and cuts the torn tail off unless the segment is `whole`. Frames that are only in the
/// page cache, perhaps since a sync that failed, are written once more: the kernel may think them clean, marks too, and
/// a mark that never reaches the disk is a hole before the next record. Same bytes at the same place, so a crash in
/// the middle does no harm.
fn make_durable(file: &dyn DiskFile, scan: &mut Scan, unsure: &[u8], whole: bool) -> io::Result<()> {
    if !unsure.is_empty() {
        file.write_at(scan.sure_bytes as u64, unsure)?;
    }
    if whole {
        return Ok(());
    }
    file.truncate(scan.segment.bytes)?;
    file.sync_data()?;
    let mut mark = Vec::new();
    Frame::mark(scan.next).encode(&mut mark);
    // The mark spares the next opening this work. A disk too full for it must still let the records be read.
    if file.write_at(scan.segment.bytes, &mark).is_ok() {
        scan.segment.bytes += mark.len() as u64;
    }
    Ok(())
}

fn load(disk: &dyn Disk, path: &Path) -> Result<(Arc<dyn DiskFile>, Vec<u8>), JournalError> {
    let load = || {
        let file = disk.open(path)?;
        let mut bytes = vec![0; usize::try_from(file.size()?).unwrap_or(usize::MAX)];
        file.read_at(0, &mut bytes)?;
        Ok((file, bytes))
    };
    load().map_err(JournalError::io("read the segment", path))
}

/// Makes an empty segment. It gets its name only once its header is durable, so a named segment without a good
/// header is always damage. On an error the flag says whether the name may exist already.
pub(super) fn create_segment(
    disk: &dyn Disk,
    dir: &Path,
    first: u64,
) -> Result<Arc<dyn DiskFile>, (bool, JournalError)> {
    let path = dir.join(segment::file_name(first));
    let unfinished = dir.join(format!("{}{}", segment::file_name(first), segment::UNFINISHED));
    let mut named = false;
    let mut create = || {
        let file = disk.create(&unfinished)?;
        file.write_at(0, &segment::header(first))?;
        file.sync_data()?;
        named = true;
        disk.rename(&unfinished, &path)?;
        disk.sync_dir(dir)?;
        Ok(file)
    };
    create().map_err(|error| (named, JournalError::io("make the segment", &path)(error)))
}
