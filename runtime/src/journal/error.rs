//! What can go wrong with a journal, and what happens next.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::JournalOptions;

/// `Clone`, because all appends of a failed commit get the same error.
#[derive(Clone, Debug, thiserror::Error)]
pub enum JournalError {
    #[error(
        "journal segment {} is damaged at byte {offset} ({what}); nothing was changed and nothing is started: keep the file, restore \
         it from the disk's mirror or a backup, or move the directory away and report the records in it as lost",
        segment.display()
    )]
    CorruptMiddle { segment: PathBuf, offset: u64, what: &'static str },
    #[error(
        "the journal is full: {bytes} of {max} bytes; appends are refused until records are handed on and released"
    )]
    Full { bytes: u64, max: u64 },
    #[error("a record of {bytes} bytes does not fit into a segment, which takes {max}; it was not stored")]
    RecordTooLarge { bytes: u64, max: u64 },
    #[error(
        "record {index} was released, the journal begins at {first}; the reader's cursor is behind what it acknowledged"
    )]
    Released { index: u64, first: u64 },
    #[error(
        "the journal stopped after {0}; what the disk holds is unknown: restart the process, which recovers what is there"
    )]
    Stopped(String),
    #[error("the journal's writer is gone; restart the process")]
    WriterGone,
    #[error("another process has the journal in {} open; stop it first", dir.display())]
    InUse { dir: PathBuf },
    #[error("cannot {action} {}: {source}; nothing was acknowledged, it may be tried again", path.display())]
    Io { action: &'static str, path: PathBuf, source: Arc<io::Error> },
    #[error("{0:?} cannot work: a segment takes 4 KiB to 1 GiB, and the total must be at least twice a segment")]
    Options(JournalOptions),
}

impl JournalError {
    /// For `map_err`: what was being done, to which path.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source: Arc::new(source) }
    }

    pub(super) fn corrupt(segment: &Path, offset: usize, what: &'static str) -> Self {
        Self::CorruptMiddle { segment: segment.to_owned(), offset: offset as u64, what }
    }
}
