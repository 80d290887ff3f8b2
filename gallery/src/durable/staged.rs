//! What a place holds that is being filled by hand, so that filling it goes on after the process that did it has ended:
//! sealed pieces of rows, in files `staged-<number>`, a new one for each process that filled.
//!
//! What is torn at the end of a file was not yet [kept](Staged::keep), and is left out. Nothing is ever written behind it.

use std::fs::{self, File};
use std::io::{BufReader, Write};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::disk::{self, Output};
use super::format::{Format, Kind, Piece, Pieces};
use super::{DurableError, log, snapshot};
use crate::index::{Index, Row};

const PREFIX: &str = "staged-";
/// Rows are sealed together up to about so many bytes.
const PIECE_BYTES: usize = 1 << 20;

/// See the module.
pub struct Staged {
    dir: PathBuf,
    format: Format,
    /// Of the next file.
    number: u32,
    writing: Option<Writing>,
    /// Rows that are not sealed yet.
    plain: Zeroizing<Vec<u8>>,
    /// A write failed, and rows with it.
    broken: bool,
}

struct Writing {
    path: PathBuf,
    file: Output,
    pieces: Pieces,
}

impl Staged {
    /// Nothing is staged: what a process of before left is removed.
    pub fn begin(dir: &Path, format: &Format) -> Result<Self, DurableError> {
        let mut none = Self::at(dir, format, 0);
        none.discard()?;
        Ok(none)
    }

    /// What a process of before staged is put into the index.
    pub fn resume(dir: &Path, format: &Format, index: &Index) -> Result<Self, DurableError> {
        let files = list(dir)?;
        files.iter().try_for_each(|(_, path)| read(path, format, index))?;
        Ok(Self::at(dir, format, files.last().map_or(0, |(number, _)| number + 1)))
    }

    fn at(dir: &Path, format: &Format, number: u32) -> Self {
        let plain = Zeroizing::default();
        Self { dir: dir.to_owned(), format: format.clone(), number, writing: None, plain, broken: false }
    }

    pub fn add(&mut self, row: &Row) -> Result<(), DurableError> {
        if self.plain.capacity() == 0 {
            // With room for all that may come into it, since a buffer that grows leaves copies behind.
            self.plain = Zeroizing::new(Vec::with_capacity(PIECE_BYTES + row.bytes()));
        }
        row.put_into(&mut self.plain);
        if self.plain.len() >= PIECE_BYTES { self.seal() } else { Ok(()) }
    }

    /// Makes what was added durable.
    pub fn keep(&mut self) -> Result<(), DurableError> {
        self.seal()?;
        let Some(writing) = &self.writing else { return Ok(()) };
        let synced = writing.file.sync().and_then(|()| disk::sync_dir(&self.dir));
        self.broken = synced.is_err();
        synced.map_err(|source| writing.failed(source))
    }

    /// Removes all of it.
    pub fn discard(&mut self) -> Result<(), DurableError> {
        (self.writing, self.plain) = (None, Zeroizing::default());
        for (_, path) in list(&self.dir)? {
            disk::remove(&path).map_err(|source| DurableError::File { path, source })?;
        }
        Ok(())
    }

    fn seal(&mut self) -> Result<(), DurableError> {
        if self.broken {
            return Err(DurableError::Damaged { path: self.dir.clone(), what: "rows could not be staged before" });
        }
        if self.plain.is_empty() {
            return Ok(());
        }
        self.broken = true;
        if self.writing.is_none() {
            self.writing = Some(Writing::begin(&self.dir, &self.format, self.number)?);
            self.number += 1;
        }
        if let Some(writing) = &mut self.writing {
            let mut sealed = Vec::with_capacity(self.plain.len() + 64);
            let written = writing.pieces.write(&mut self.plain, &mut sealed);
            written.and_then(|()| writing.file.write_all(&sealed)).map_err(|source| writing.failed(source))?;
        }
        self.plain.clear();
        self.broken = false;
        Ok(())
    }
}

impl Writing {
    fn begin(dir: &Path, format: &Format, number: u32) -> Result<Self, DurableError> {
        let path = dir.join(format!("{PREFIX}{number:08x}"));
        let begun = Output::create(&path).and_then(|mut file| {
            let pieces = format.begin(Kind::Staged, 0, &mut file)?;
            Ok((file, pieces))
        });
        let (file, pieces) = begun.map_err(|source| DurableError::File { path: path.clone(), source })?;
        Ok(Self { path, file, pieces })
    }

    fn failed(&self, source: std::io::Error) -> DurableError {
        DurableError::File { path: self.path.clone(), source }
    }
}

/// Removes everything from a place but what is staged there.
pub fn leave_only(dir: &Path) -> Result<(), DurableError> {
    snapshot::discard_fresh(dir)?;
    snapshot::discard(dir)?;
    let logs = log::list(dir)?;
    logs.iter().try_for_each(|log| disk::remove(&log.path).map_err(|source| log.failed(source)))
}

fn list(dir: &Path) -> Result<Vec<(u32, PathBuf)>, DurableError> {
    let failed = |source| DurableError::File { path: dir.to_owned(), source };
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let number = path.file_name().and_then(|name| name.to_str()?.strip_prefix(PREFIX));
        if let Some(number) = number.and_then(|number| u32::from_str_radix(number, 16).ok()) {
            files.push((number, path));
        }
    }
    files.sort_unstable();
    Ok(files)
}

fn read(path: &Path, format: &Format, index: &Index) -> Result<(), DurableError> {
    let failed = |source| DurableError::File { path: path.to_owned(), source };
    let damaged = |what| DurableError::Damaged { path: path.to_owned(), what };
    let mut input = BufReader::with_capacity(1 << 20, File::open(path).map_err(failed)?);
    let Some(mut pieces) = format.resume(Kind::Staged, path, &mut input)? else { return Ok(()) };
    let layout = pieces.layout();
    loop {
        match pieces.read(&mut input).map_err(failed)? {
            Piece::End | Piece::Torn => return Ok(()),
            Piece::Altered => return Err(damaged("what was staged was altered")),
            Piece::Whole(plain) => {
                let mut index_now = index.changing();
                for row in plain.chunks(index.row_bytes(layout)) {
                    let row =
                        index.read_row(row, layout).ok_or_else(|| damaged("a row that was staged is not whole"))?;
                    index_now.put(&row)?;
                }
            }
        }
    }
}

impl std::fmt::Debug for Staged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Staged(next={}, writing={})", self.number, self.writing.is_some())
    }
}
