//! Databases on a [`SimDisk`]: what is seen, what is durable, and the batches in between. A power cut keeps a prefix of
//! the batches by its seed.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::PathBuf;

use rand::Rng;
use rand::rngs::SmallRng;

use super::{Change, KvError, Pair};
use crate::disk::SimDisk;

type Pairs = BTreeMap<Vec<u8>, Vec<u8>>;
type Trees = BTreeMap<String, Pairs>;

/// One database as the disk has it.
#[derive(Clone, Debug, Default)]
pub(crate) struct SimContent {
    seen: Trees,
    durable: Trees,
    /// Since the last commit, oldest first: the tree and what changed in it.
    pending: Vec<(String, Vec<Change>)>,
    /// So many of them a disk that lies has said to be durable.
    promised: usize,
    /// After a failed sync, until it is opened again.
    failed: bool,
}

impl SimContent {
    /// What power loss leaves.
    pub(crate) fn lose_power(&mut self, rng: &mut SmallRng) {
        self.keep_prefix(rng, 0);
        self.promised = self.pending.len();
        self.write_promised();
        self.seen = self.durable.clone();
    }

    /// What the death of the process alone leaves: what it had not handed to the system is gone, the rest is seen.
    pub(crate) fn lose_process(&mut self, rng: &mut SmallRng) {
        // What a disk that lies has said to be durable, the process had handed to the system.
        self.keep_prefix(rng, self.promised);
        self.seen = self.durable.clone();
        for (tree, changes) in &self.pending {
            make(&mut self.seen, tree, changes);
        }
    }

    fn keep_prefix(&mut self, rng: &mut SmallRng, least: usize) {
        // What was written after a failed sync stands behind a hole, where recovery ends.
        let whole = if self.failed { 0 } else { self.pending.len() };
        let kept = rng.random_range(least.min(whole)..=whole);
        self.pending.truncate(kept);
        self.promised = self.promised.min(kept);
        self.failed = false;
    }

    /// Bytes that a commit would have to write.
    pub(crate) fn pending_bytes(&self) -> usize {
        let changes = self.pending.iter().flat_map(|(_, changes)| changes);
        changes.map(|(key, value)| key.len() + value.as_ref().map_or(0, Vec::len)).sum()
    }

    /// Bytes on the disk.
    pub(crate) fn durable_bytes(&self) -> usize {
        self.durable.values().flatten().map(|(key, value)| key.len() + value.len()).sum()
    }

    /// # Errors
    /// After a failure, until the next start.
    pub(crate) fn commit(&mut self) -> Result<(), KvError> {
        if self.failed {
            return Err(KvError::Unavailable("an earlier sync failed; restart the process".into()));
        }
        self.promised = self.pending.len();
        self.write_promised();
        Ok(())
    }

    /// A commit on a disk that lies: makes durable what it said of the one before, and says so of this one.
    pub(crate) fn commit_late(&mut self) -> Result<(), KvError> {
        if self.failed {
            return self.commit();
        }
        self.write_promised();
        self.promised = self.pending.len();
        Ok(())
    }

    fn write_promised(&mut self) {
        for (tree, changes) in self.pending.drain(..self.promised) {
            make(&mut self.durable, &tree, &changes);
        }
        self.promised = 0;
    }

    /// What the disk has, whatever is on its way there.
    pub(crate) fn image(&self) -> Self {
        Self { seen: self.durable.clone(), durable: self.durable.clone(), ..Self::default() }
    }

    /// The sync failed: what it should have made durable counts as written to nobody.
    pub(crate) fn fail(&mut self) {
        self.pending.clear();
        self.promised = 0;
        self.failed = true;
    }

    fn change(&mut self, tree: &str, changes: Vec<Change>) {
        make(&mut self.seen, tree, &changes);
        self.pending.push((tree.to_owned(), changes));
    }
}

fn make(trees: &mut Trees, tree: &str, changes: &[Change]) {
    let pairs = trees.entry(tree.to_owned()).or_default();
    for (key, value) in changes {
        match value {
            Some(value) => drop(pairs.insert(key.clone(), value.clone())),
            None => drop(pairs.remove(key)),
        }
    }
}

/// A handle that dies with the power.
#[derive(Clone, Debug)]
pub(crate) struct SimDatabase {
    pub(crate) disk: SimDisk,
    pub(crate) dir: PathBuf,
    pub(crate) boot: u64,
}

impl SimDatabase {
    pub(super) fn tree(&self, name: &str) -> SimTree {
        SimTree { database: self.clone(), name: name.to_owned() }
    }

    pub(super) fn commit(&self) -> Result<(), KvError> {
        self.disk.commit_database(self)
    }
}

#[derive(Clone, Debug)]
pub(super) struct SimTree {
    database: SimDatabase,
    name: String,
}

impl SimTree {
    fn read<T: Default>(&self, read: impl FnOnce(&Pairs) -> T) -> Result<T, KvError> {
        self.database
            .disk
            .with_database(&self.database, false, |content| content.seen.get(&self.name).map_or_else(T::default, read))
    }

    /// Makes the changes that `decide` finds right for what is there.
    fn change<T>(&self, decide: impl FnOnce(&Pairs) -> (T, Vec<Change>)) -> Result<T, KvError> {
        let none = Pairs::new();
        self.database.disk.with_database(&self.database, true, |content| {
            let (result, changes) = decide(content.seen.get(&self.name).unwrap_or(&none));
            if !changes.is_empty() {
                content.change(&self.name, changes);
            }
            result
        })
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, KvError> {
        self.read(|pairs| pairs.get(key).cloned())
    }

    pub(super) fn apply(&self, changes: Vec<Change>) -> Result<(), KvError> {
        self.change(|_| ((), changes))
    }

    pub(super) fn compare_and_swap(&self, key: &[u8], old: Option<&[u8]>, new: Option<&[u8]>) -> Result<bool, KvError> {
        self.change(|pairs| {
            let same = pairs.get(key).map(Vec::as_slice) == old;
            let changes = if same { vec![(key.to_vec(), new.map(<[u8]>::to_vec))] } else { Vec::new() };
            (same, changes)
        })
    }

    pub(super) fn update(&self, key: &[u8], change: &mut Update<'_>) -> Result<(), KvError> {
        self.change(|pairs| ((), vec![(key.to_vec(), change(pairs.get(key).map(Vec::as_slice)))]))
    }

    pub(super) fn range(&self, range: Bounds) -> SimPairs {
        SimPairs { tree: self.clone(), range: Some(range) }
    }

    pub(super) fn len(&self) -> usize {
        self.read(BTreeMap::len).unwrap_or(0)
    }

    /// As sled does it: a removal for each key.
    pub(super) fn clear(&self) -> Result<(), KvError> {
        let keys: Vec<Vec<u8>> = self.read(|pairs| pairs.keys().cloned().collect())?;
        keys.into_iter().try_for_each(|key| self.apply(vec![(key, None)]))
    }
}

type Update<'c> = dyn FnMut(Option<&[u8]>) -> Option<Vec<u8>> + 'c;

type Bounds = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// Reads one pair at a time, so that a caller who wants one does not pay for all.
#[derive(Debug)]
pub(super) struct SimPairs {
    tree: SimTree,
    /// What is left; `None` after an error or the end.
    range: Option<Bounds>,
}

impl SimPairs {
    pub(super) fn step(&mut self, from_the_back: bool) -> Option<Result<Pair, KvError>> {
        let (low, high) = self.range.take()?;
        if is_empty(&low, &high) {
            return None;
        }
        let found = self.tree.read(|pairs| {
            let mut range = pairs.range::<Vec<u8>, _>((low.as_ref(), high.as_ref()));
            let next = if from_the_back { range.next_back() } else { range.next() };
            next.map(|(key, value)| (key.clone(), value.clone()))
        });
        match found.transpose()? {
            Ok((key, value)) => {
                let edge = Bound::Excluded(key.clone());
                self.range = Some(if from_the_back { (low, edge) } else { (edge, high) });
                Some(Ok((key, value)))
            }
            failed => Some(failed),
        }
    }
}

/// Whether nothing can lie between: `BTreeMap::range` would panic for some of these.
fn is_empty(low: &Bound<Vec<u8>>, high: &Bound<Vec<u8>>) -> bool {
    match (low, high) {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        (Bound::Included(low), Bound::Included(high)) => low > high,
        (Bound::Included(low) | Bound::Excluded(low), Bound::Included(high) | Bound::Excluded(high)) => low >= high,
    }
}
