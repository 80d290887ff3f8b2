//! The snapshot: rows as the index stores them, then those that changed while they were written, and how many there are.
//!
//! | bytes | piece |
//! |---|---|
//! | 1 | 0: rows; 1: the end |
//! | 8 | number of the first row; the version of the feed |
//! | 8 | (the end only) rows of the index |
//! | … | rows; at the end, each with its number (4) before it |

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::format::{Format, Kind, Piece, Pieces};
use super::{DurableError, sync_dir};
use crate::index::Index;

const NAME: &str = "snapshot";
const ROWS: u8 = 0;
const END: u8 = 1;
/// Rows in one piece, and copied under one lock.
const PIECE_ROWS: usize = 4096;

/// A snapshot being written, beside the one in use. Dropped before it is finished, it leaves nothing.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    fresh: PathBuf,
    file: BufWriter<File>,
    pieces: Pieces,
    version: u64,
    finished: bool,
}

impl Writer {
    pub fn create(dir: &Path, format: &Format) -> Result<Self, DurableError> {
        let (path, fresh) = (dir.join(NAME), dir.join("snapshot.new"));
        let failed = |source| DurableError::File { path: fresh.clone(), source };
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(&fresh).map_err(failed)?;
        let mut file = BufWriter::with_capacity(1 << 20, file);
        let pieces = format.begin(Kind::Snapshot, &mut file).map_err(failed)?;
        Ok(Self { path, fresh, file, pieces, version: 0, finished: false })
    }

    /// All rows, while they change. Gives what `changed` must be told.
    pub fn rows(&mut self, index: &Index) -> Result<u64, DurableError> {
        let before = index.changes();
        let mut from = 0;
        loop {
            let mut plain = Zeroizing::new(vec![ROWS]);
            plain.extend_from_slice(&(from as u64).to_le_bytes());
            let copied = index.copy_rows(from, PIECE_ROWS, &mut plain);
            if copied == 0 {
                return Ok(before);
            }
            self.piece(&mut plain)?;
            from += copied;
        }
    }

    /// What changed since; nothing may change while this runs.
    pub fn changed(&mut self, index: &Index, before: u64, version: u64) -> Result<(), DurableError> {
        let mut plain = Zeroizing::new(vec![END]);
        plain.extend_from_slice(&version.to_le_bytes());
        plain.extend_from_slice(&(index.len() as u64).to_le_bytes());
        index.copy_changed(before, &mut plain).ok_or(DurableError::Busy)?;
        self.version = version;
        self.piece(&mut plain)
    }

    /// Puts it in place of the old one, durably. Gives its version.
    pub fn finish(mut self) -> Result<u64, DurableError> {
        let failed = |source| DurableError::File { path: self.fresh.clone(), source };
        self.file.flush().and_then(|()| self.file.get_ref().sync_all()).map_err(failed)?;
        fs::rename(&self.fresh, &self.path).map_err(failed)?;
        self.finished = true;
        sync_dir(self.path.parent().unwrap_or(Path::new(".")))?;
        Ok(self.version)
    }

    fn piece(&mut self, plain: &mut [u8]) -> Result<(), DurableError> {
        let written = self.pieces.write(plain, &mut self.file);
        written.map_err(|source| DurableError::File { path: self.fresh.clone(), source })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.finished {
            // If it stays, the next one overwrites it.
            let _ = fs::remove_file(&self.fresh);
        }
    }
}

/// Whether there is a snapshot, usable or not.
pub fn exists(dir: &Path) -> bool {
    dir.join(NAME).exists()
}

/// Reads the snapshot in `dir` into an empty index; gives its version, 0 without one.
pub fn read(dir: &Path, format: &Format, index: &mut Index) -> Result<u64, DurableError> {
    let path = dir.join(NAME);
    let failed = |source| DurableError::File { path: path.clone(), source };
    let damaged = |what| DurableError::Damaged { path: path.clone(), what };
    let file = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        opened => opened.map_err(failed)?,
    };
    let mut input = BufReader::with_capacity(1 << 20, file);
    let cut_short = || damaged("it was cut short");
    let mut pieces = format.resume(Kind::Snapshot, &path, &mut input)?.ok_or_else(cut_short)?;
    loop {
        let plain = match pieces.read(&mut input).map_err(failed)? {
            Piece::Whole(plain) => Zeroizing::new(plain),
            Piece::Altered => return Err(damaged("some of it was altered")),
            Piece::Torn | Piece::End => return Err(cut_short()),
        };
        let unreadable = || damaged("its rows cannot be read");
        let (kind, rest) = plain.split_first().ok_or_else(unreadable)?;
        let (number, rest) = rest.split_first_chunk::<8>().ok_or_else(unreadable)?;
        let number = u64::from_le_bytes(*number);
        if *kind == ROWS {
            let from = usize::try_from(number).map_err(|_| unreadable())?;
            index.restore_rows(from, rest)?.ok_or_else(unreadable)?;
            continue;
        }
        let (len, changed) = rest.split_first_chunk::<8>().ok_or_else(unreadable)?;
        let len = usize::try_from(u64::from_le_bytes(*len)).map_err(|_| unreadable())?;
        index.restore_changed(len, changed)?.ok_or_else(unreadable)?;
        return match pieces.read(&mut input).map_err(failed)? {
            Piece::End => Ok(number),
            _ => Err(damaged("something follows its end")),
        };
    }
}
