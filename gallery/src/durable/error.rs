//! What can be wrong with files of templates.

use std::io;
use std::path::PathBuf;

use crate::engine::EngineError;

/// Why files could not be used or written. The index in memory is as it was.
#[derive(Debug, thiserror::Error)]
pub enum DurableError {
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    /// Cut short, altered, or sealed under another key: to be rebuilt from the cloud.
    #[error("{} is damaged: {what}; it is not used", path.display())]
    Damaged { path: PathBuf, what: &'static str },
    #[error("{} was written by a newer Facegate (format {format}); run that, or remove it to fetch everything anew", path.display())]
    Newer { path: PathBuf, format: u16 },
    /// Of another model, size or centre: to be rebuilt from the cloud.
    #[error("{} belongs to another gallery: {what}", path.display())]
    Foreign { path: PathBuf, what: &'static str },
    /// An old copy: to be rebuilt from the cloud.
    #[error("{} ends at version {found} of the feed, but this device has seen {newest}: an old copy is not used", path.display())]
    Stale { path: PathBuf, found: u64, newest: u64 },
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("too much changed while the snapshot was written; the log goes on, try again later")]
    Busy,
    /// A programming error: such a change would be gone after a restart.
    #[error("{} is in use: it changes with the feed alone, and only an empty one is filled by hand", path.display())]
    InUse { path: PathBuf },
}

impl DurableError {
    /// Whether the files are useless, so that only fetching everything anew helps.
    pub const fn wants_rebuild(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::Foreign { .. } | Self::Stale { .. })
    }
}
