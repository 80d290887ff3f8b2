//! The seam between what the servers keep by key and the database that keeps it: sled on a real disk, and one in memory
//! beside [`SimDisk`](crate::disk::SimDisk)'s files, whose power is cut together with theirs.
//!
//! What a caller may rely on after a power cut: everything written before a successful [`Database::commit`] is there, and
//! of what was written later a prefix of the changes, each [`Batch`] wholly or not at all. Databases are opened with
//! [`Disk::database`](crate::disk::Disk::database).

use std::fmt;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::path::PathBuf;

use crate::sled_sync::{SledSync, SledSyncError};

mod embedded;
pub(crate) mod simulated;

use simulated::{SimDatabase, SimPairs, SimTree};

/// A key with its value.
pub type Pair = (Vec<u8>, Vec<u8>);

/// `Clone`, because all that waited for a commit get the same error.
#[derive(Clone, Debug, thiserror::Error)]
pub enum KvError {
    #[error("a page of the database is damaged: {0}; stop, keep the files, and restore them or fetch everything anew")]
    Damaged(String),
    #[error("the database in {} cannot be opened: {reason}; is another process using it?", path.display())]
    Open { path: PathBuf, reason: String },
    #[error("the database's disk does not work: {0}; nothing was acknowledged, try again when it does")]
    Unavailable(String),
    #[error(transparent)]
    Sync(#[from] SledSyncError),
}

/// How a database is kept.
#[derive(Clone, Copy, Debug)]
pub struct KvOptions {
    /// Memory for its pages.
    pub cache_bytes: u64,
    /// How often what nobody commits is written all the same; never if `None`.
    pub flush_every_ms: Option<u64>,
    /// Whether a commit waits for the disk. Without it a power cut takes what was committed: for a measurement that fills a
    /// database and then opens it anew.
    pub syncs: bool,
}

/// An open database of named trees. Clones are the same database.
#[derive(Clone, Debug)]
pub struct Database(Engine);

#[derive(Clone, Debug)]
enum Engine {
    Sled { db: sled::Db, sync: Option<SledSync> },
    Simulated(SimDatabase),
}

impl Database {
    pub(crate) fn simulated(database: SimDatabase) -> Self {
        Self(Engine::Simulated(database))
    }

    /// The tree with that name, made if it is not there.
    pub fn tree(&self, name: &str) -> Result<Tree, KvError> {
        let kept = match &self.0 {
            Engine::Sled { db, .. } => Kept::Sled(db.open_tree(name).map_err(embedded::error)?),
            Engine::Simulated(database) => Kept::Simulated(database.tree(name)),
        };
        Ok(Tree { name: name.to_owned(), kept })
    }

    /// The tree without a name.
    pub fn root(&self) -> Tree {
        let kept = match &self.0 {
            Engine::Sled { db, .. } => Kept::Sled(sled::Tree::clone(db)),
            Engine::Simulated(database) => Kept::Simulated(database.tree("")),
        };
        Tree { name: String::new(), kept }
    }

    /// What was written to any tree before this call is durable when it returns.
    ///
    /// # Errors
    /// After a failed sync every further commit fails as well: a later success would prove nothing.
    pub async fn commit(&self) -> Result<(), KvError> {
        match &self.0 {
            Engine::Sled { sync: Some(sync), .. } => Ok(sync.commit().await?),
            Engine::Sled { sync: None, .. } => Ok(()),
            Engine::Simulated(database) => database.commit(),
        }
    }
}

/// Changes that are made together or not at all.
#[derive(Clone, Default)]
pub struct Batch(Vec<Change>);

/// A key with its new value, or none to remove it.
type Change = (Vec<u8>, Option<Vec<u8>>);

impl Batch {
    pub fn insert(&mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        self.0.push((key.as_ref().to_vec(), Some(value.as_ref().to_vec())));
    }

    pub fn remove(&mut self, key: impl AsRef<[u8]>) {
        self.0.push((key.as_ref().to_vec(), None));
    }
}

impl FromIterator<Change> for Batch {
    fn from_iter<I: IntoIterator<Item = Change>>(changes: I) -> Self {
        Self(changes.into_iter().collect())
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Batch({} changes)", self.0.len())
    }
}

/// Ordered pairs of one name. Clones are the same tree; a single call is atomic, and seen by all at once.
#[derive(Clone, Debug)]
pub struct Tree {
    name: String,
    kept: Kept,
}

#[derive(Clone, Debug)]
enum Kept {
    Sled(sled::Tree),
    Simulated(SimTree),
}

impl Tree {
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Vec<u8>>, KvError> {
        match &self.kept {
            Kept::Sled(tree) => Ok(tree.get(key).map_err(embedded::error)?.map(|value| value.to_vec())),
            Kept::Simulated(tree) => tree.get(key.as_ref()),
        }
    }

    pub fn contains(&self, key: impl AsRef<[u8]>) -> Result<bool, KvError> {
        match &self.kept {
            Kept::Sled(tree) => tree.contains_key(key).map_err(embedded::error),
            Kept::Simulated(tree) => Ok(tree.get(key.as_ref())?.is_some()),
        }
    }

    pub fn insert(&self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<(), KvError> {
        let mut batch = Batch::default();
        batch.insert(key, value);
        self.apply(batch)
    }

    pub fn remove(&self, key: impl AsRef<[u8]>) -> Result<(), KvError> {
        let mut batch = Batch::default();
        batch.remove(key);
        self.apply(batch)
    }

    /// Makes all of the changes in one step.
    pub fn apply(&self, batch: Batch) -> Result<(), KvError> {
        match &self.kept {
            Kept::Sled(tree) => embedded::apply(tree, batch.0),
            Kept::Simulated(tree) => tree.apply(batch.0),
        }
    }

    /// Puts `new` in place of `old` (`None`: no value); false, and nothing done, if another value is there.
    pub fn compare_and_swap(
        &self,
        key: impl AsRef<[u8]>,
        old: Option<&[u8]>,
        new: Option<&[u8]>,
    ) -> Result<bool, KvError> {
        match &self.kept {
            Kept::Sled(tree) => Ok(tree.compare_and_swap(key, old, new).map_err(embedded::error)?.is_ok()),
            Kept::Simulated(tree) => tree.compare_and_swap(key.as_ref(), old, new),
        }
    }

    /// Puts what `change` makes of the value in its place, in one step; `change` may be asked more than once.
    pub fn update(
        &self,
        key: impl AsRef<[u8]>,
        mut change: impl FnMut(Option<&[u8]>) -> Option<Vec<u8>>,
    ) -> Result<(), KvError> {
        match &self.kept {
            Kept::Sled(tree) => tree.fetch_and_update(key, change).map(drop).map_err(embedded::error),
            Kept::Simulated(tree) => tree.update(key.as_ref(), &mut change),
        }
    }

    /// The pairs with keys in `range`, in order, from both ends. Changes made meanwhile may be seen.
    pub fn range(&self, range: impl RangeBounds<Vec<u8>>) -> Pairs {
        let range = (range.start_bound().cloned(), range.end_bound().cloned());
        Pairs(match &self.kept {
            Kept::Sled(tree) => Cursor::Sled(tree.range::<Vec<u8>, _>(range)),
            Kept::Simulated(tree) => Cursor::Simulated(tree.range(range)),
        })
    }

    /// The pairs whose keys start with `prefix`.
    pub fn scan(&self, prefix: impl AsRef<[u8]>) -> Pairs {
        self.range((Bound::Included(prefix.as_ref().to_vec()), end_of(prefix.as_ref())))
    }

    pub fn iter(&self) -> Pairs {
        self.range(..)
    }

    /// Counts the pairs: as slow as reading them.
    pub fn len(&self) -> usize {
        match &self.kept {
            Kept::Sled(tree) => tree.len(),
            Kept::Simulated(tree) => tree.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// Removes every pair, one after the other: a power cut may leave some.
    pub fn clear(&self) -> Result<(), KvError> {
        match &self.kept {
            Kept::Sled(tree) => tree.clear().map_err(embedded::error),
            Kept::Simulated(tree) => tree.clear(),
        }
    }
}

/// The first key after all that start with `prefix`.
pub fn end_of(prefix: &[u8]) -> Bound<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return Bound::Excluded(end);
        }
    }
    Bound::Unbounded
}

/// See [`Tree::range`].
#[derive(Debug)]
pub struct Pairs(Cursor);

enum Cursor {
    Sled(sled::Iter),
    Simulated(SimPairs),
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cursor")
    }
}

impl Iterator for Pairs {
    type Item = Result<Pair, KvError>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Cursor::Sled(iter) => iter.next().map(embedded::pair),
            Cursor::Simulated(pairs) => pairs.step(false),
        }
    }
}

impl DoubleEndedIterator for Pairs {
    fn next_back(&mut self) -> Option<Self::Item> {
        match &mut self.0 {
            Cursor::Sled(iter) => iter.next_back().map(embedded::pair),
            Cursor::Simulated(pairs) => pairs.step(true),
        }
    }
}

impl From<io::Error> for KvError {
    fn from(error: io::Error) -> Self {
        Self::Unavailable(error.to_string())
    }
}
