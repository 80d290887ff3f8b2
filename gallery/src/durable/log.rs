//! The log: sealed pieces of records, one for each append unless that is very long. What is torn at the end was never
//! acknowledged.
//!
//! | bytes | record |
//! |---|---|
//! | 8 | version of the feed |
//! | 1 | 0 nothing, 1 put, 2 remove a template, 3 remove a rider |
//! | 16 | the id to remove; for a put, a row as the index stores it (or did, by the file's format) |

use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};

use facegate_domain::face::Template;
use facegate_domain::ids::{RiderId, TemplateId};
use zeroize::Zeroizing;

use super::disk::{self, Output};
use super::format::{Format, Kind, PIECE_BYTES_MAX, Piece, Pieces};
use super::{Change, DurableError};
use crate::engine::EngineError;
use crate::index::{Changing, Index, Layout, Row};

const PREFIX: &str = "changes-";

/// An open log, at its end.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    file: Output,
    pieces: Pieces,
    bytes: u64,
    /// An append failed: nothing may be written behind it.
    broken: bool,
}

/// A log that a start has to replay before the current one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OldLog {
    pub path: PathBuf,
    pub bytes: u64,
}

impl OldLog {
    pub fn failed(&self, source: std::io::Error) -> DurableError {
        DurableError::File { path: self.path.clone(), source }
    }
}

/// What replaying a log came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replayed {
    pub version: u64,
    /// Whether it removed a template, which then lies in a file before.
    pub removed: bool,
}

/// One change as it is stored.
#[derive(Clone)]
pub struct Record {
    version: u64,
    what: What,
}

#[derive(Clone)]
enum What {
    Nothing,
    Put(Row),
    RemoveTemplate(TemplateId),
    RemoveRider(RiderId),
}

/// The logs in a directory, in the order of what they hold.
pub fn list(dir: &Path) -> Result<Vec<OldLog>, DurableError> {
    let failed = |source| DurableError::File { path: dir.to_owned(), source };
    let mut logs = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if let Some(base) = base_of(&entry.path()) {
            logs.push((base, OldLog { path: entry.path(), bytes: entry.metadata().map_err(failed)?.len() }));
        }
    }
    logs.sort_by_key(|(base, _)| *base);
    Ok(logs.into_iter().map(|(_, log)| log).collect())
}

/// The version that a log follows, by its name.
fn base_of(path: &Path) -> Option<u64> {
    u64::from_str_radix(path.file_name()?.to_str()?.strip_prefix(PREFIX)?, 16).ok()
}

/// Applies a log to the index, but for what is at or before `version`. The last log may be torn.
pub fn replay(path: &Path, format: &Format, index: &Index, version: u64, last: bool) -> Result<Replayed, DurableError> {
    let failed = |source| DurableError::File { path: path.to_owned(), source };
    let damaged = |what| DurableError::Damaged { path: path.to_owned(), what };
    // What is torn is cut off, so that nothing is ever written behind it.
    let torn = |whole: u64| {
        if !last {
            return Err(damaged("it ends in the middle, though another follows"));
        }
        let file = OpenOptions::new().write(true).open(path).map_err(failed)?;
        file.set_len(whole).and_then(|()| file.sync_all()).map_err(failed)
    };
    let mut replayed = Replayed { version, removed: false };
    if base_of(path).is_some_and(|base| base > version) {
        return Err(damaged("what comes before it is missing"));
    }
    let mut input = BufReader::with_capacity(1 << 20, File::open(path).map_err(failed)?);
    let Some(mut pieces) = format.resume(Kind::Log, path, &mut input)? else {
        // Not even its head: nothing was ever written to it.
        if !last {
            return Err(damaged("it ends in the middle, though another follows"));
        }
        fs::remove_file(path).map_err(failed)?;
        return Ok(replayed);
    };
    if base_of(path) != Some(pieces.base()) {
        return Err(damaged("it was renamed"));
    }
    let layout = pieces.layout();
    loop {
        match pieces.read(&mut input).map_err(failed)? {
            Piece::End => return Ok(replayed),
            Piece::Torn => return torn(pieces.whole_bytes()).map(|()| replayed),
            Piece::Altered => return Err(damaged("a change was altered")),
            Piece::Whole(plain) => {
                let mut rest = plain.as_slice();
                while !rest.is_empty() {
                    let record =
                        Record::take(&mut rest, index, layout).ok_or_else(|| damaged("a change cannot be read"))?;
                    if record.version > version {
                        replayed.removed |= record.apply(&mut index.changing())?;
                    }
                    replayed.version = replayed.version.max(record.version);
                }
            }
        }
    }
}

impl Log {
    /// A new log for what follows `base`, in place of an empty one of that base (one with records leads beyond it).
    pub fn create(dir: &Path, format: &Format, base: u64) -> Result<Self, DurableError> {
        let path = dir.join(format!("{PREFIX}{base:016x}"));
        let failed = |source| DurableError::File { path: path.clone(), source };
        let fresh = path.with_extension("new");
        let mut file = Output::create(&fresh).map_err(failed)?;
        let pieces = format.begin(Kind::Log, base, &mut file).map_err(failed)?;
        file.sync().map_err(failed)?;
        disk::rename(&fresh, &path).map_err(failed)?;
        if let Err(error) = disk::sync_dir(dir) {
            // The log of before goes on, and must be the last.
            let _ = disk::remove(&path);
            return Err(failed(error));
        }
        let bytes = pieces.head_bytes();
        Ok(Self { path, file, pieces, bytes, broken: false })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it can go on as the log of what follows this version, without a new one.
    pub fn is_new(&self, version: u64) -> bool {
        !self.broken && self.bytes == self.pieces.head_bytes() && self.pieces.base() == version
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether an append failed; then a new log must follow, once this one is cut back.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// Cuts off what a failed append may have left: only the last log may be torn.
    pub fn cut_back(&self) -> Result<(), DurableError> {
        self.file.set_len(self.bytes).and_then(|()| self.file.sync()).map_err(|source| self.failed(source))
    }

    /// Writes records and syncs. On an error none of them is in the log, and nothing more may be appended.
    pub fn append(&mut self, records: &[Record]) -> Result<(), DurableError> {
        let written = self.write(records);
        match &written {
            Ok(bytes) => self.bytes += bytes,
            Err(_) => {
                // Its bytes may be there in part, and its nonces must not be used again.
                self.broken = true;
                let _ = self.cut_back();
            }
        }
        written.map(drop)
    }

    fn write(&mut self, records: &[Record]) -> Result<u64, DurableError> {
        let mut sealed = Vec::new();
        for records in in_pieces(records, PIECE_BYTES_MAX / 4) {
            let mut plain = Zeroizing::new(Vec::with_capacity(records.iter().map(Record::bytes).sum()));
            records.iter().for_each(|record| record.put_into(&mut plain));
            self.pieces.write(&mut plain, &mut sealed).map_err(|source| self.failed(source))?;
        }
        let synced = self.file.write_all(&sealed).and_then(|()| self.file.sync());
        synced.map(|()| sealed.len() as u64).map_err(|source| self.failed(source))
    }

    fn failed(&self, source: std::io::Error) -> DurableError {
        DurableError::File { path: self.path.clone(), source }
    }
}

/// Stretches of about `most` bytes. Records of one version stay together: a crash leaves all of them or none.
fn in_pieces(records: &[Record], most: usize) -> impl Iterator<Item = &[Record]> {
    let mut bytes = 0;
    records.chunk_by(move |record, next| {
        bytes += record.bytes();
        let together = bytes < most || record.version == next.version;
        bytes = if together { bytes } else { 0 };
        together
    })
}

impl Record {
    /// `row`: a template as the index stores it.
    pub fn of(
        version: u64,
        change: &Change,
        row: impl FnOnce(&Template) -> Result<Row, EngineError>,
    ) -> Result<Self, EngineError> {
        let what = match change {
            Change::Put(template) => What::Put(row(template)?),
            Change::RemoveTemplate(template) => What::RemoveTemplate(*template),
            Change::RemoveRider(rider) => What::RemoveRider(*rider),
        };
        Ok(Self { version, what })
    }

    /// Only that the feed came so far.
    pub fn nothing(version: u64) -> Self {
        Self { version, what: What::Nothing }
    }

    /// Gives whether it removed a template.
    pub fn apply(&self, index: &mut Changing<'_>) -> Result<bool, EngineError> {
        match &self.what {
            What::Nothing => Ok(false),
            What::Put(row) => index.put(row).map(|()| false),
            What::RemoveTemplate(template) => Ok(index.remove(*template)),
            What::RemoveRider(rider) => Ok(index.remove_rider(*rider) > 0),
        }
    }

    /// Bytes that it takes in a piece.
    fn bytes(&self) -> usize {
        let of_what = match &self.what {
            What::Nothing => 0,
            What::Put(row) => row.bytes(),
            What::RemoveTemplate(_) | What::RemoveRider(_) => 16,
        };
        9 + of_what
    }

    fn put_into(&self, plain: &mut Vec<u8>) {
        plain.extend_from_slice(&self.version.to_le_bytes());
        match &self.what {
            What::Nothing => plain.push(0),
            What::Put(row) => {
                plain.push(1);
                row.put_into(plain);
            }
            What::RemoveTemplate(template) => {
                plain.push(2);
                plain.extend_from_slice(template.as_bytes());
            }
            What::RemoveRider(rider) => {
                plain.push(3);
                plain.extend_from_slice(rider.as_bytes());
            }
        }
    }

    /// Reads the next record; `None` if there is no whole one.
    fn take(plain: &mut &[u8], index: &Index, layout: Layout) -> Option<Self> {
        let (version, rest) = plain.split_first_chunk::<8>()?;
        let (kind, rest) = rest.split_first()?;
        let (what, rest) = match kind {
            0 => (What::Nothing, rest),
            1 => {
                let (row, rest) = rest.split_at_checked(index.row_bytes(layout))?;
                (What::Put(index.read_row(row, layout)?), rest)
            }
            2 | 3 => {
                let (id, rest) = rest.split_first_chunk::<16>()?;
                let template = What::RemoveTemplate(TemplateId::from_bytes(*id));
                (if *kind == 2 { template } else { What::RemoveRider(RiderId::from_bytes(*id)) }, rest)
            }
            _ => return None,
        };
        *plain = rest;
        Some(Self { version: u64::from_le_bytes(*version), what })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_of_one_version_stay_in_one_piece() {
        let versions = [1, 2, 2, 2, 3, 4, 5, 5];
        let records: Vec<_> = versions.map(Record::nothing).into();
        let pieces: Vec<Vec<u64>> =
            in_pieces(&records, 18).map(|piece| piece.iter().map(|record| record.version).collect()).collect();
        assert_eq!(pieces, [vec![1, 2, 2, 2], vec![3, 4], vec![5, 5]]);
    }
}
