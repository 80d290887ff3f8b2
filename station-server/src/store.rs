//! What a station keeps in sled: the facts of the feed, the index of its journal, the ride codes it has seen.
//!
//! All of it is either an index that can be rebuilt (from the journal, from the cloud) or made durable by
//! [`Store::commit`] before anybody is told of it.

mod codes;
mod facts;
mod journals;

use std::path::Path;

use facegate_runtime::keys::{KEY_BYTES, Key, KeyError};
use facegate_runtime::sled_sync::{SledSync, SledSyncError};
use zeroize::Zeroizing;

pub use codes::{CodeStore, Spent};
pub use facts::FactStore;
pub use journals::{IndexUpdate, JournalKey, JournalStore};

/// Which of the two trees of facts is current.
const CURRENT: &[u8] = b"facts";
/// sled's page cache; the facts are read once, at start.
const CACHE_BYTES: u64 = 32 << 20;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the station's state: {0}; restart the process, then look at the disk")]
    Sled(#[from] sled::Error),
    #[error(transparent)]
    Sync(#[from] SledSyncError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("stored {what} cannot be read; remove the data directory's state to fetch everything anew")]
    Damaged { what: &'static str },
    #[error("starting the thread that syncs: {0}")]
    Thread(#[from] std::io::Error),
}

/// The open state. One process has it at a time.
#[derive(Debug)]
pub struct Store {
    db: sled::Db,
    meta: sled::Tree,
    sync: SledSync,
    gallery_key: Zeroizing<[u8; KEY_BYTES]>,
    pub journals: JournalStore,
    pub codes: CodeStore,
}

impl Store {
    /// Opens or creates the state in `dir`; templates, which lie elsewhere, are sealed under the key. Blocks.
    pub fn open(dir: &Path, gallery_key: &Key) -> Result<Self, StoreError> {
        let db = sled::Config::new().path(dir).cache_capacity(CACHE_BYTES).open()?;
        let sync = SledSync::start(db.clone(), dir)?;
        Ok(Self {
            meta: db.open_tree("meta")?,
            journals: JournalStore::new(db.open_tree("journals")?),
            codes: CodeStore::new(db.open_tree("codes")?),
            sync,
            gallery_key: Zeroizing::new(*gallery_key.expose()),
            db,
        })
    }

    /// Makes everything written so far durable.
    pub async fn commit(&self) -> Result<(), StoreError> {
        Ok(self.sync.commit().await?)
    }

    /// What seals the templates.
    pub fn gallery_key(&self) -> &[u8; KEY_BYTES] {
        &self.gallery_key
    }

    /// The current facts of the feed.
    pub fn facts(&self) -> Result<FactStore, StoreError> {
        self.facts_in(self.current()?)
    }

    /// An empty place for a snapshot; it becomes current with [`Store::adopt`].
    pub fn staging(&self) -> Result<FactStore, StoreError> {
        let staging = self.facts_in(other(self.current()?))?;
        staging.clear()?;
        Ok(staging)
    }

    /// Makes the staged facts the current ones, in one step, and drops the old.
    pub async fn adopt(&self) -> Result<(), StoreError> {
        // The staged facts must be whole on the disk before the pointer says that they count.
        self.commit().await?;
        let old = self.current()?;
        self.meta.insert(CURRENT, other(old))?;
        self.commit().await?;
        self.facts_in(old)?.clear()
    }

    fn current(&self) -> Result<&'static [u8], StoreError> {
        match self.meta.get(CURRENT)?.as_deref() {
            None | Some(b"facts-a") => Ok(b"facts-a"),
            Some(b"facts-b") => Ok(b"facts-b"),
            Some(_) => Err(StoreError::Damaged { what: "pointer to the facts" }),
        }
    }

    fn facts_in(&self, tree: &[u8]) -> Result<FactStore, StoreError> {
        Ok(FactStore::new(self.db.open_tree(tree)?))
    }
}

fn other(tree: &[u8]) -> &'static [u8] {
    if tree == b"facts-a" { b"facts-b" } else { b"facts-a" }
}

/// A big-endian number as sled orders it.
fn number(value: &[u8], what: &'static str) -> Result<u64, StoreError> {
    Ok(u64::from_be_bytes(value.try_into().map_err(|_| StoreError::Damaged { what })?))
}
