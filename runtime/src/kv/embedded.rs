//! sled, with its errors and pairs as ours.

use std::path::Path;

use super::{Change, Database, Engine, KvError, KvOptions, Pair};
use crate::sled_sync::SledSync;

impl Database {
    /// Opens or creates a sled database in `dir`. Blocks.
    pub(crate) fn embedded(dir: &Path, options: KvOptions) -> Result<Self, KvError> {
        let open = |reason: String| KvError::Open { path: dir.to_owned(), reason };
        std::fs::create_dir_all(dir).map_err(|error| open(error.to_string()))?;
        let config = sled::Config::new().path(dir).cache_capacity(options.cache_bytes);
        let db = match config.flush_every_ms(options.flush_every_ms).open() {
            Err(damaged @ sled::Error::Corruption { .. }) => return Err(error(damaged)),
            opened => opened.map_err(|error| open(error.to_string()))?,
        };
        let start = || SledSync::start(db.clone(), dir).map_err(|error| open(error.to_string()));
        let sync = options.syncs.then(start).transpose()?;
        Ok(Self(Engine::Sled { db, sync }))
    }
}

pub(super) fn error(error: sled::Error) -> KvError {
    match error {
        sled::Error::Corruption { .. } => KvError::Damaged(error.to_string()),
        other => KvError::Unavailable(other.to_string()),
    }
}

pub(super) fn pair(pair: sled::Result<(sled::IVec, sled::IVec)>) -> Result<Pair, KvError> {
    pair.map(|(key, value)| (key.to_vec(), value.to_vec())).map_err(error)
}

pub(super) fn apply(tree: &sled::Tree, changes: Vec<Change>) -> Result<(), KvError> {
    let mut batch = sled::Batch::default();
    for (key, value) in changes {
        match value {
            Some(value) => batch.insert(key, value),
            None => batch.remove(key),
        }
    }
    tree.apply_batch(batch).map_err(error)
}
