//! Where and as what an index is kept.

use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::DurableError;

/// See the module. One [`super::Durable`] has a place at a time.
#[derive(Clone)]
pub struct Place {
    /// A directory of its own.
    pub dir: PathBuf,
    /// A file outside of it, which a restored copy of the directory would not bring back. Each model has its own, by the
    /// model's name behind this one; places that replace each other share it.
    pub newest: PathBuf,
    pub key: Zeroizing<[u8; 32]>,
    /// What templates are centred by: what was stored under another centre is not comparable.
    pub centre: Option<Vec<f32>>,
}

impl Place {
    /// Makes the directory and keeps others out for as long as the file is open. Errors: `File` with `WouldBlock` while
    /// another has it.
    pub(super) fn take(&self) -> Result<File, DurableError> {
        create_dir(&self.dir)?;
        let path = self.dir.join("lock");
        let failed = |source| DurableError::File { path: path.clone(), source };
        let file = File::create(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(failed(io::ErrorKind::WouldBlock.into())),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }

    /// Removes all that lies there.
    pub(super) fn clear(&self) -> Result<(), DurableError> {
        match fs::remove_dir_all(&self.dir) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(DurableError::File { path: self.dir.clone(), source })
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Place({})", self.dir.display())
    }
}

fn create_dir(dir: &Path) -> Result<(), DurableError> {
    use std::os::unix::fs::DirBuilderExt;
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(|source| DurableError::File { path: dir.to_owned(), source })
}
