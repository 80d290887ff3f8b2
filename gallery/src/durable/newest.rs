//! The newest version of the feed that this device ever reached: 8 bytes, and their complement as a checksum.
//!
//! Written in place, and synced at a start, when a gallery is adopted and after snapshots: a power cut may lose the last
//! moments before, which makes the check less strict, never wrong. Each model has a file of its own, named after it.
//!
//! It tells an old copy of the gallery's directory. It cannot tell an old copy of a disk that has this file with it:
//! against that only a key helps that the cloud leases out for a time.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use facegate_domain::ids::ModelId;

use super::{DurableError, disk};

#[derive(Debug)]
pub struct Newest {
    path: PathBuf,
    file: File,
    version: u64,
}

impl Newest {
    /// Opens the model's file beside `path`, or makes one that has seen nothing. A damaged one has seen nothing either:
    /// it was torn while it was written for the first time, or somebody meddled with it, who could as well have removed
    /// it.
    pub fn open(path: &Path, model: &ModelId) -> Result<Self, DurableError> {
        let path = of_model(path, model);
        let failed = |source| DurableError::File { path: path.clone(), source };
        let mut options = OpenOptions::new();
        let file =
            options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(failed)?;
        let mut bytes = [0; 16];
        let version = match file.read_exact_at(&mut bytes, 0) {
            Ok(()) => version_in(&bytes),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                disk::sync_dir(path.parent().unwrap_or(Path::new("."))).map_err(failed)?;
                0
            }
            Err(error) => return Err(failed(error)),
        };
        Ok(Self { path, file, version })
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
            let written = disk::step().and_then(|()| self.file.write_all_at(&bytes, 0));
            written.map_err(|source| self.failed(source))?;
            self.version = version;
        }
        Ok(())
    }

    pub fn sync(&self) -> Result<(), DurableError> {
        disk::step().and_then(|()| self.file.sync_data()).map_err(|source| self.failed(source))
    }

    fn failed(&self, source: io::Error) -> DurableError {
        DurableError::File { path: self.path.clone(), source }
    }
}

fn of_model(path: &Path, model: &ModelId) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push("-");
    name.push(model.as_str());
    path.with_file_name(name)
}

fn version_in(bytes: &[u8; 16]) -> u64 {
    let x = u128::from_le_bytes(*bytes);
    #[expect(clippy::cast_possible_truncation, reason = "the two halves")]
    let (version, complement) = (x as u64, (x >> 64) as u64);
    if complement == !version { version } else { 0 }
}
