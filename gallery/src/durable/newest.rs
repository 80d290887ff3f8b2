//! The newest version of the feed that this device ever reached: 8 bytes, and their complement as a checksum.
//!
//! Written in place and not synced: a power cut may lose the last moments, which makes the check less strict, never wrong.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::DurableError;

#[derive(Debug)]
pub struct Newest {
    path: PathBuf,
    file: File,
    version: u64,
}

impl Newest {
    /// Opens the file, or makes one that has seen nothing. A damaged one has seen nothing either: it was torn while it
    /// was written for the first time, or somebody meddled with it, who could as well have removed it.
    pub fn open(path: &Path) -> Result<Self, DurableError> {
        let failed = |source| DurableError::File { path: path.to_owned(), source };
        let mut options = OpenOptions::new();
        let file =
            options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path).map_err(failed)?;
        let mut bytes = [0; 16];
        let version = match file.read_exact_at(&mut bytes, 0) {
            Ok(()) => version_in(&bytes),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => 0,
            Err(error) => return Err(failed(error)),
        };
        Ok(Self { path: path.to_owned(), file, version })
    }

    pub fn version(&self) -> u64 {
        self.version
    }

    pub fn reach(&mut self, version: u64) -> Result<(), DurableError> {
        if version > self.version { self.begin_at(version) } else { Ok(()) }
    }

    /// Counts from this version, though it may be lower.
    pub fn begin_at(&mut self, version: u64) -> Result<(), DurableError> {
        if version != self.version {
            let mut bytes = [0; 16];
            bytes[..8].copy_from_slice(&version.to_le_bytes());
            bytes[8..].copy_from_slice(&(!version).to_le_bytes());
            let written = self.file.write_all_at(&bytes, 0);
            written.map_err(|source| DurableError::File { path: self.path.clone(), source })?;
            self.version = version;
        }
        Ok(())
    }
}

fn version_in(bytes: &[u8; 16]) -> u64 {
    let x = u128::from_le_bytes(*bytes);
    #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
    let (version, complement) = (x as u64, (x >> 64) as u64);
    if complement == !version { version } else { 0 }
}
