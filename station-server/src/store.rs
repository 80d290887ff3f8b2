//! What a station keeps in its database: the facts of the feed, the index of its journal, the ride codes it has seen.
//!
//! All of it is either an index that can be rebuilt (from the journal, from the cloud) or made durable by
//! [`Store::commit`] before anybody is told of it.

mod booth;
mod codes;
mod facts;
mod journals;
mod progress;
mod tombstones;

use std::path::Path;

use facegate_domain::Timestamp;
use facegate_domain::ids::StationId;
use facegate_runtime::disk::Disk;
use facegate_runtime::kv::{Database, KvError, KvOptions, Tree};

pub use booth::{ActKind, BoothStore, KeptAct, LastAct};
pub use codes::{CodeStore, Spent};
pub use facts::FactStore;
pub use journals::{IndexUpdate, JournalKey, JournalMarks, JournalStore};
pub use progress::Progress;
pub use tombstones::Tombstones;

/// When the cloud was last heard of, and when the feed was last in step with it: 8 bytes of milliseconds each.
const CONTACT: &[u8] = b"contact";
/// Which of the two trees of facts is current.
const CURRENT: &[u8] = b"facts";
const INSTALLATION: &[u8] = b"installation";
/// The facts are read once, at start; hence a small cache. Cursors that nobody commits are written soon all the same.
const OPTIONS: KvOptions = KvOptions { cache_bytes: 32 << 20, flush_every_ms: Some(500), syncs: true };

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the station's state: {0}; restart the process, then look at the disk")]
    Database(#[from] KvError),
    #[error("stored {what} cannot be read; remove the data directory's state to fetch everything anew")]
    Damaged { what: &'static str },
}

/// The open state. One process has it at a time.
#[derive(Debug)]
pub struct Store {
    database: Database,
    meta: Tree,
    station: StationId,
    pub journals: JournalStore,
    pub booth: BoothStore,
    pub codes: CodeStore,
    pub tombstones: Tombstones,
}

impl Store {
    /// Opens or creates the state of `station` in `dir`. Blocks.
    pub fn open(disk: &dyn Disk, dir: &Path, station: StationId) -> Result<Self, StoreError> {
        let database = disk.database(dir, OPTIONS)?;
        Ok(Self {
            meta: database.tree("meta")?,
            journals: JournalStore::new(database.tree("journals")?),
            booth: BoothStore::new(database.tree("booth")?),
            codes: CodeStore::new(database.tree("codes")?),
            tombstones: Tombstones::new(database.tree("tombstones")?),
            station,
            database,
        })
    }

    /// Makes everything written so far durable.
    pub async fn commit(&self) -> Result<(), StoreError> {
        Ok(self.database.commit().await?)
    }

    /// What tells this data directory apart from every other; made with it.
    pub fn installation(&self) -> Result<[u8; 16], StoreError> {
        let damaged = StoreError::Damaged { what: "installation" };
        if self.meta.get(INSTALLATION)?.is_none() {
            let fresh: [u8; 16] = rand::random();
            self.meta.compare_and_swap(INSTALLATION, None, Some(&fresh))?;
        }
        let kept = self.meta.get(INSTALLATION)?;
        kept.and_then(|kept| kept.try_into().ok()).ok_or(damaged)
    }

    /// The stored moments of contact, if there are any.
    pub fn contact(&self) -> Result<Option<(Timestamp, Timestamp)>, StoreError> {
        let Some(value) = self.meta.get(CONTACT)? else { return Ok(None) };
        let moment = |bytes: &[u8]| bytes.try_into().map(i64::from_be_bytes).map(Timestamp::from_unix_ms);
        match value.split_at_checked(8).map(|(cloud, feed)| (moment(cloud), moment(feed))) {
            Some((Ok(cloud), Ok(feed))) => Ok(Some((cloud, feed))),
            _ => Err(StoreError::Damaged { what: "moment of contact" }),
        }
    }

    /// Keeps them; durable with the next [`Store::commit`].
    pub fn set_contact(&self, cloud: Timestamp, feed: Timestamp) -> Result<(), StoreError> {
        self.meta.insert(CONTACT, [cloud.unix_ms().to_be_bytes(), feed.unix_ms().to_be_bytes()].concat())?;
        Ok(())
    }

    /// The current facts of the feed.
    pub fn facts(&self) -> Result<FactStore, StoreError> {
        self.facts_in(self.current()?)
    }

    /// An empty place for a snapshot; it becomes current with [`Store::adopt`]. That it is empty is durable, so what
    /// belongs to it elsewhere on the disk may go.
    pub async fn staging(&self) -> Result<FactStore, StoreError> {
        let staging = self.facts_in(other(self.current()?))?;
        staging.clear()?;
        self.commit().await?;
        Ok(staging)
    }

    /// The place of a snapshot that was begun, and how far it is sure to have come.
    pub fn staged(&self) -> Result<Option<(FactStore, Progress)>, StoreError> {
        let staged = self.facts_in(other(self.current()?))?;
        Ok(staged.progress()?.map(|progress| (staged, progress)))
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

    fn current(&self) -> Result<&'static str, StoreError> {
        match self.meta.get(CURRENT)?.as_deref() {
            None | Some(b"facts-a") => Ok("facts-a"),
            Some(b"facts-b") => Ok("facts-b"),
            Some(_) => Err(StoreError::Damaged { what: "pointer to the facts" }),
        }
    }

    fn facts_in(&self, tree: &str) -> Result<FactStore, StoreError> {
        Ok(FactStore::new(self.database.tree(tree)?, self.station.clone()))
    }
}

fn other(tree: &str) -> &'static str {
    if tree == "facts-a" { "facts-b" } else { "facts-a" }
}

/// A big-endian number, which keys and values sort by.
fn number(value: &[u8], what: &'static str) -> Result<u64, StoreError> {
    Ok(u64::from_be_bytes(value.try_into().map_err(|_| StoreError::Damaged { what })?))
}
