//! The seam between the servers and the disk: [`RealDisk`], and [`SimDisk`], whose power a test can cut.
//!
//! What a caller may rely on is what power loss leaves: bytes written before a successful
//! [`DiskFile::sync_data`], names changed before a successful [`Disk::sync_dir`]. Everything else may be there, in
//! part, or not.

use std::any::Any;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::kv::{Database, KvError, KvOptions};

mod real;
mod simulated;

pub use real::{RealDisk, sync_dir, sync_file};
pub use simulated::{DiskImage, SimDisk};

/// Held while a directory is in use; dropping it lets the next one in.
pub type DirLock = Box<dyn Any + Send + Sync>;

/// A directory tree. All calls block.
pub trait Disk: Send + Sync + fmt::Debug {
    /// Makes `dir` and its parents, durably.
    fn create_dir(&self, dir: &Path) -> io::Result<()>;
    /// Excludes other users of `dir`, other processes included.
    ///
    /// # Errors
    /// `WouldBlock` while another holds it.
    fn lock(&self, dir: &Path) -> io::Result<DirLock>;
    /// Names of the files in `dir`, sorted.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Names of the directories in `dir`, sorted.
    fn list_dirs(&self, dir: &Path) -> io::Result<Vec<String>> {
        real::list_dirs(dir)
    }
    /// Removes `dir` and all that is in it.
    fn remove_dir(&self, dir: &Path) -> io::Result<()> {
        std::fs::remove_dir_all(dir)
    }
    /// A new empty file, in place of any old one.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// An existing file, for reading and writing.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// Replaces `to`. Both in one directory.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes creations, renames and removals in `dir` durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// Opens or creates the database in `dir`, which has that directory to itself.
    fn database(&self, dir: &Path, options: KvOptions) -> Result<Database, KvError> {
        Database::embedded(dir, options)
    }
    /// Whether a call returns at once, so that nobody needs a thread to wait for it: true in the simulation, which runs
    /// the same way each time because it has no threads.
    fn is_instant(&self) -> bool {
        false
    }
}

/// An open file, read and written at offsets.
pub trait DiskFile: Send + Sync + fmt::Debug {
    /// Bytes in the file.
    fn size(&self) -> io::Result<u64>;
    /// Fills `buffer` from `offset` on.
    ///
    /// # Errors
    /// `UnexpectedEof` if the file ends before.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
    /// Writes all of `bytes`; on an error some of them may be written.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    fn truncate(&self, size: u64) -> io::Result<()>;
    /// Makes content and size durable (`fdatasync`). After an error the state on the disk is unknown, and a later
    /// success says nothing about what was written before: <https://wiki.postgresql.org/wiki/Fsync_Errors>.
    fn sync_data(&self) -> io::Result<()>;
}
