//! The snapshot: rows as the index stores them, then those that changed while they were written, and how many there are.
//!
//! | bytes | piece |
//! |---|---|
//! | 1 | 0: rows; 1: rows that changed; 2: the end |
//! | 8 | number of the first row; 0; the version of the feed |
//! | … | rows; rows, each with its number (4) before it; rows of the index (8) |

mod read;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::DurableError;
use super::disk::{self, Output};
use super::format::{Format, Kind, Pieces};
use crate::index::{Index, Layout};

pub use read::read;

const NAME: &str = "snapshot";
const FRESH: &str = "snapshot.new";
const ROWS: u8 = 0;
const CHANGED: u8 = 1;
const END: u8 = 2;
const HEAD_BYTES: usize = 9;
/// Rows in one piece, and copied under one lock: at most so many, and so many bytes.
const PIECE_ROWS: usize = 4096;
const PIECE_BYTES: usize = 4 << 20;
/// So few changed rows are written while changes wait: a millisecond's work.
const ROWS_AT_THE_END: usize = 2048;
/// Times that changed rows are written while more change, before changes wait for the rest.
const ROUNDS_MAX: usize = 16;

/// A snapshot being written, beside the one in use. Dropped before it is finished, it leaves nothing.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    fresh: PathBuf,
    file: BufWriter<Output>,
    pieces: Pieces,
    piece_rows: usize,
    /// Rows that the file has.
    rows: usize,
    /// Rows that changed after they were written.
    changed: BTreeSet<u32>,
    /// Changes of the index that are in the file or in `changed`.
    seen: u64,
    finished: bool,
}

impl Writer {
    pub fn create(dir: &Path, format: &Format, index: &Index) -> Result<Self, DurableError> {
        let (path, fresh) = (dir.join(NAME), dir.join(FRESH));
        let failed = |source| DurableError::File { path: fresh.clone(), source };
        let mut file = BufWriter::with_capacity(1 << 20, Output::create(&fresh).map_err(failed)?);
        let pieces = format.begin(Kind::Snapshot, 0, &mut file).map_err(failed)?;
        let piece_rows = (PIECE_BYTES / (index.row_bytes(Layout::Sealed) + 4)).clamp(1, PIECE_ROWS);
        let (changed, seen) = (BTreeSet::new(), index.changes());
        Ok(Self { path, fresh, file, pieces, piece_rows, rows: 0, changed, seen, finished: false })
    }

    /// All rows, while they change, then those that changed meanwhile, until few are left. What takes long is on the
    /// disk when this returns.
    pub fn rows(&mut self, index: &Index) -> Result<(), DurableError> {
        while self.next_rows(index)? {}
        for _ in 0..ROUNDS_MAX {
            self.look(index, |_| true)?;
            if self.changed.len() <= ROWS_AT_THE_END {
                break;
            }
            self.changed_rows(index)?;
        }
        self.sync()
    }

    /// One piece of rows. False if there were none left.
    fn next_rows(&mut self, index: &Index) -> Result<bool, DurableError> {
        let mut plain = self.begin_piece(ROWS, self.rows as u64, index);
        let copied = index.copy_rows(self.rows, self.piece_rows, &mut plain);
        if copied > 0 {
            self.seal(&mut plain)?;
            self.rows += copied;
            // Rows further on are still to be written.
            let written = self.rows;
            self.look(index, |row| (row as usize) < written)?;
        }
        Ok(copied > 0)
    }

    /// What changed since; nothing may change while this runs.
    pub fn end(&mut self, index: &Index, version: u64) -> Result<(), DurableError> {
        self.look(index, |_| true)?;
        self.changed_rows(index)?;
        let mut plain = self.begin_piece(END, version, index);
        plain.extend_from_slice(&(index.len() as u64).to_le_bytes());
        self.seal(&mut plain)
    }

    /// Puts it in place of the old one, durably.
    pub fn finish(mut self) -> Result<(), DurableError> {
        self.sync()?;
        disk::rename(&self.fresh, &self.path).map_err(|source| self.failed(source))?;
        self.finished = true;
        disk::sync_dir(self.path.parent().unwrap_or(Path::new("."))).map_err(|source| self.failed(source))
    }

    /// Notes which rows changed since the last look, of those asked for. Looking after each piece, no more change than
    /// the index remembers.
    fn look(&mut self, index: &Index, asked: impl Fn(u32) -> bool) -> Result<(), DurableError> {
        let (changes, rows) = index.changed_since(self.seen).ok_or(DurableError::Busy)?;
        self.changed.extend(rows.into_iter().filter(|row| asked(*row)));
        self.seen = changes;
        Ok(())
    }

    /// Writes the rows noted, lowest first.
    fn changed_rows(&mut self, index: &Index) -> Result<(), DurableError> {
        let rows: Vec<u32> = std::mem::take(&mut self.changed).into_iter().collect();
        for rows in rows.chunks(self.piece_rows) {
            let mut plain = self.begin_piece(CHANGED, 0, index);
            let early = index.copy_changed(rows, &mut self.rows, &mut plain);
            self.changed.extend(early);
            if plain.len() > HEAD_BYTES {
                self.seal(&mut plain)?;
            }
        }
        Ok(())
    }

    /// With room for all that may come into it, since a buffer that grows leaves copies behind.
    fn begin_piece(&self, kind: u8, number: u64, index: &Index) -> Zeroizing<Vec<u8>> {
        let bytes = HEAD_BYTES + self.piece_rows * (4 + index.row_bytes(Layout::Sealed));
        let mut plain = Zeroizing::new(Vec::with_capacity(bytes));
        plain.push(kind);
        plain.extend_from_slice(&number.to_le_bytes());
        plain
    }

    fn seal(&mut self, plain: &mut [u8]) -> Result<(), DurableError> {
        self.pieces.write(plain, &mut self.file).map_err(|source| self.failed(source))
    }

    fn sync(&mut self) -> Result<(), DurableError> {
        self.file.flush().and_then(|()| self.file.get_ref().sync()).map_err(|source| self.failed(source))
    }

    fn failed(&self, source: io::Error) -> DurableError {
        DurableError::File { path: self.fresh.clone(), source }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.finished {
            // If it stays, the next start removes it.
            let _ = disk::remove(&self.fresh);
        }
    }
}

/// Whether there is a snapshot, usable or not.
pub fn exists(dir: &Path) -> bool {
    dir.join(NAME).exists()
}

/// Removes the snapshot, if there is one.
pub fn discard(dir: &Path) -> Result<(), DurableError> {
    let path = dir.join(NAME);
    disk::remove(&path).map_err(|source| DurableError::File { path, source })
}

/// Removes what a crash left of a snapshot being written: it may hold templates that were removed since.
pub fn discard_fresh(dir: &Path) -> Result<(), DurableError> {
    let path = dir.join(FRESH);
    match fs::remove_file(&path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(DurableError::File { path, source }),
        _ => Ok(()),
    }
}
