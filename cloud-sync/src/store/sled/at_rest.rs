//! The store while nobody serves from it: locked, read for what a backup says of it, and put back from one.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use facegate_runtime::disk::{Disk, RealDisk};
use facegate_runtime::kv::Database;

use super::tx::{Tx, from_kv};
use super::{LAYOUT, OPTIONS, feed, key, sealed};
use crate::store::{SealedValues, StoreError};

/// The folders of a store. `core` comes first: it says which layout the others have.
pub const DATABASES: [&str; 3] = ["core", "faces", "identity"];

/// Lies in the data folder from the beginning of a restore to its end; a store with it is not opened.
pub(super) const RESTORING: &str = "restoring";

/// The layout that this program writes.
pub const fn known_layout() -> u32 {
    LAYOUT
}

/// All three databases, locked against every other process.
#[derive(Debug)]
pub struct StoreAtRest {
    core: Database,
    sealed: [(SealedValues, Database); 2],
}

impl StoreAtRest {
    /// Opens what is there and makes it durable, so that the files can be copied.
    ///
    /// Errors: `Unavailable` while the cloud runs.
    pub async fn open(dir: &Path) -> Result<Self, StoreError> {
        let open = |name| RealDisk.database(&dir.join(name), OPTIONS).map_err(from_kv);
        let [core, faces, identity] = DATABASES;
        let sealed = [(SealedValues::Templates, open(faces)?), (SealedValues::Identities, open(identity)?)];
        let store = Self { core: open(core)?, sealed };
        for database in std::iter::once(&store.core).chain(store.sealed.iter().map(|(_, database)| database)) {
            database.commit().await.map_err(from_kv)?;
        }
        Ok(store)
    }

    /// Errors: `Newer`.
    pub fn layout(&self) -> Result<u32, StoreError> {
        let found = Tx::new(&self.core.root()).get::<u32>(key::LAYOUT)?.unwrap_or(LAYOUT);
        if found > LAYOUT {
            return Err(StoreError::Newer { path: DATABASES[0].into(), found, known: LAYOUT });
        }
        Ok(found)
    }

    pub fn feed_head(&self) -> Result<u64, StoreError> {
        feed::head(&Tx::new(&self.core.root()))
    }

    /// The keys that values are sealed under, by purpose.
    pub fn keys(&self) -> Result<BTreeMap<String, Vec<String>>, StoreError> {
        let mut keys = BTreeMap::new();
        for (values, database) in &self.sealed {
            let under = sealed::keys_of(database)?;
            keys.insert(values.purpose().to_owned(), under.into_keys().map(|id| format!("{id:?}")).collect());
        }
        Ok(keys)
    }
}

/// A restore under way: from [`Restoring::begin`] to [`Restoring::finish`] the store cannot be served from.
#[derive(Debug)]
pub struct Restoring {
    data_dir: PathBuf,
}

impl Restoring {
    /// What an earlier restore left half done is removed.
    ///
    /// Errors: `Occupied` if there is a store.
    pub fn begin(data_dir: &Path) -> Result<Self, StoreError> {
        let unavailable = |error: std::io::Error| StoreError::Unavailable(format!("{}: {error}", data_dir.display()));
        let marker = data_dir.join(RESTORING);
        let cut_short = marker.try_exists().map_err(unavailable)?;
        for path in DATABASES.map(|name| data_dir.join(name)) {
            if !path.try_exists().map_err(unavailable)? {
                continue;
            }
            if !cut_short {
                return Err(StoreError::Occupied(path));
            }
            std::fs::remove_dir_all(&path).map_err(unavailable)?;
        }
        std::fs::create_dir_all(data_dir).map_err(unavailable)?;
        File::create(&marker).and_then(|file| file.sync_all()).map_err(unavailable)?;
        File::open(data_dir).and_then(|dir| dir.sync_all()).map_err(unavailable)?;
        Ok(Self { data_dir: data_dir.to_owned() })
    }

    /// Nothing came of it: everything that was put there goes again.
    pub fn abandon(self) -> std::io::Result<()> {
        for path in DATABASES.map(|name| self.data_dir.join(name)) {
            match std::fs::remove_dir_all(path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        self.finish()
    }

    /// The store may be served from.
    pub fn finish(self) -> std::io::Result<()> {
        std::fs::remove_file(self.data_dir.join(RESTORING))?;
        File::open(&self.data_dir)?.sync_all()
    }
}
