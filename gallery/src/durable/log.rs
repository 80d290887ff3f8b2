//! The log: one sealed piece for each append, with all its records. What is torn at the end was never acknowledged.
//!
//! | bytes | record |
//! |---|---|
//! | 8 | version of the feed |
//! | 1 | 0 nothing, 1 put, 2 remove a template, 3 remove a rider |
//! | 16 | the id to remove; for a put, a row as the index stores it |

use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use facegate_domain::ids::{RiderId, TemplateId};
use zeroize::Zeroizing;

use super::format::{Format, Kind, Piece, Pieces};
use super::{Change, DurableError, sync_dir};
use crate::engine::EngineError;
use crate::index::{Index, Row};

const PREFIX: &str = "changes-";

/// An open log, at its end.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    file: File,
    pieces: Pieces,
    bytes: u64,
    /// An append failed: nothing may be written behind it.
    broken: bool,
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
pub fn list(dir: &Path) -> Result<Vec<PathBuf>, DurableError> {
    let failed = |source| DurableError::File { path: dir.to_owned(), source };
    let mut logs = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if let Some(base) = base_of(&path) {
            logs.push((base, path));
        }
    }
    logs.sort();
    Ok(logs.into_iter().map(|(_, path)| path).collect())
}

/// The version that a log follows, by its name.
pub fn base_of(path: &Path) -> Option<u64> {
    u64::from_str_radix(path.file_name()?.to_str()?.strip_prefix(PREFIX)?, 16).ok()
}

/// Applies a log to the index, but for what is at or before `version`; gives the version reached. The last log may be
/// torn.
pub fn replay(path: &Path, format: &Format, index: &Index, version: u64, last: bool) -> Result<u64, DurableError> {
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
    let mut reached = version;
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
        return Ok(reached);
    };
    loop {
        match pieces.read(&mut input).map_err(failed)? {
            Piece::End => return Ok(reached),
            Piece::Torn => return torn(pieces.whole_bytes()).map(|()| reached),
            Piece::Altered => return Err(damaged("a change was altered")),
            Piece::Whole(plain) => {
                let plain = Zeroizing::new(plain);
                let mut rest = plain.as_slice();
                while !rest.is_empty() {
                    let record = Record::take(&mut rest, index).ok_or_else(|| damaged("a change cannot be read"))?;
                    if record.version > version {
                        record.apply(index)?;
                    }
                    reached = reached.max(record.version);
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
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&fresh).map_err(failed)?;
        let pieces = format.begin(Kind::Log, &mut file).map_err(failed)?;
        file.sync_data().map_err(failed)?;
        fs::rename(&fresh, &path).map_err(failed)?;
        sync_dir(dir)?;
        let bytes = pieces.head_bytes();
        Ok(Self { path, file, pieces, bytes, broken: false })
    }

    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether an append failed; then a new log must follow.
    pub fn is_broken(&self) -> bool {
        self.broken
    }

    /// Writes records and syncs. On an error none of them is in the log, and nothing more may be appended.
    pub fn append(&mut self, records: &[Record]) -> Result<(), DurableError> {
        let failed = |source| DurableError::File { path: self.path.clone(), source };
        let mut plain = Zeroizing::new(Vec::new());
        records.iter().for_each(|record| record.put_into(&mut plain));
        let mut sealed = Vec::new();
        self.pieces.write(&mut plain, &mut sealed).map_err(failed)?;
        match self.file.write_all(&sealed).and_then(|()| self.file.sync_data()) {
            Ok(()) => {
                self.bytes += sealed.len() as u64;
                Ok(())
            }
            Err(error) => {
                // Its bytes may be there in part, and its nonce must not be used again. If they cannot be cut off
                // either, the next start finds this log damaged.
                self.broken = true;
                let _ = self.file.set_len(self.bytes);
                Err(failed(error))
            }
        }
    }
}

impl Record {
    pub fn of(version: u64, change: &Change, index: &Index) -> Result<Self, EngineError> {
        let what = match change {
            Change::Put(template) => What::Put(index.row(template)?),
            Change::RemoveTemplate(template) => What::RemoveTemplate(*template),
            Change::RemoveRider(rider) => What::RemoveRider(*rider),
        };
        Ok(Self { version, what })
    }

    /// Only that the feed came so far.
    pub fn nothing(version: u64) -> Self {
        Self { version, what: What::Nothing }
    }

    pub fn apply(&self, index: &Index) -> Result<(), EngineError> {
        match &self.what {
            What::Nothing => (),
            What::Put(row) => index.put_row(row)?,
            What::RemoveTemplate(template) => drop(index.remove(*template)),
            What::RemoveRider(rider) => drop(index.remove_rider(*rider)),
        }
        Ok(())
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
    fn take(plain: &mut &[u8], index: &Index) -> Option<Self> {
        let (version, rest) = plain.split_first_chunk::<8>()?;
        let (kind, rest) = rest.split_first()?;
        let (what, rest) = match kind {
            0 => (What::Nothing, rest),
            1 => {
                let (row, rest) = rest.split_at_checked(index.row_bytes())?;
                (What::Put(index.read_row(row)?), rest)
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
