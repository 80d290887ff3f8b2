//! One command's view of a tree: what it reads includes what it has written, and nothing it writes is seen by others
//! before [`Tx::apply`] puts all of it in as one atomic batch. Queries use one too, and just drop it.

use std::collections::BTreeMap;
use std::ops::Bound;

use facegate_runtime::kv::{Batch, KvError, Pair, Tree, end_of};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::store::StoreError;

type Bytes = Vec<u8>;
/// Key, value before, value now.
type Written = (Bytes, Option<Bytes>, Option<Bytes>);

#[derive(Debug)]
pub(super) struct Tx<'s> {
    tree: &'s Tree,
    changes: BTreeMap<Bytes, Option<Bytes>>,
    /// Whether somebody is there to deliver notices to riders.
    pub keeps_notices: bool,
    /// Whether an entry asks for a hold.
    pub wants_holds: bool,
    /// Whether a tap asks to be looked at for risk.
    pub wants_looks: bool,
}

impl<'s> Tx<'s> {
    pub fn new(tree: &'s Tree) -> Self {
        Self { tree, changes: BTreeMap::new(), keeps_notices: false, wants_holds: false, wants_looks: false }
    }

    pub fn get_bytes(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        match self.changes.get(key) {
            Some(change) => Ok(change.clone()),
            None => Ok(self.tree.get(key).map_err(from_kv)?),
        }
    }

    pub fn get<T: DeserializeOwned>(&self, key: &[u8]) -> Result<Option<T>, StoreError> {
        self.get_bytes(key)?.map(|value| decode(key, &value)).transpose()
    }

    pub fn contains(&self, key: &[u8]) -> Result<bool, StoreError> {
        Ok(self.get_bytes(key)?.is_some())
    }

    pub fn put_bytes(&mut self, key: Bytes, value: Bytes) {
        self.changes.insert(key, Some(value));
    }

    pub fn put<T: Serialize>(&mut self, key: Bytes, value: &T) {
        let value = serde_json::to_vec(value).expect("what the store keeps always serialises: a test writes each kind");
        self.put_bytes(key, value);
    }

    pub fn remove(&mut self, key: Bytes) {
        self.changes.insert(key, None);
    }

    /// Adds to a counter; gives what it counted before.
    pub fn count(&mut self, name: &str, by: i64) -> Result<u64, StoreError> {
        let before = self.counted(name)?;
        self.put(super::key::count(name), &before.saturating_add_signed(by));
        Ok(before)
    }

    pub fn counted(&self, name: &str) -> Result<u64, StoreError> {
        Ok(self.get(&super::key::count(name))?.unwrap_or(0))
    }

    /// At most `max` pairs with keys that start with `prefix` and are not below `from`, in order.
    pub fn scan_from(&self, prefix: &[u8], from: &[u8], max: usize) -> Result<Vec<Pair>, StoreError> {
        let range = (Bound::Included(from.max(prefix).to_vec()), end_of(prefix));
        let mut written = self.changes.range::<Bytes, _>(range.clone()).peekable();
        let mut stored = self.tree.range(range).peekable();
        let mut found = Vec::new();
        while found.len() < max {
            let stored_key = match stored.peek() {
                Some(Ok((key, _))) => Some(key.clone()),
                Some(Err(error)) => return Err(from_kv(error.clone())),
                None => None,
            };
            match (written.peek(), stored_key) {
                (None, None) => break,
                (Some((key, change)), stored_key) if stored_key.as_ref().is_none_or(|stored| *key <= stored) => {
                    found.extend(change.as_ref().map(|value| ((*key).clone(), value.clone())));
                    if stored_key.as_ref() == Some(*key) {
                        stored.next();
                    }
                    written.next();
                }
                _ => found.extend(stored.next().and_then(Result::ok)),
            }
        }
        Ok(found)
    }

    /// What the command wrote with this prefix: key, value before, value now.
    pub fn written(&self, prefix: &[u8]) -> Result<Vec<Written>, StoreError> {
        let range = (Bound::Included(prefix.to_vec()), end_of(prefix));
        let written = self.changes.range::<Bytes, _>(range);
        let with_old = |(key, new): (&Bytes, &Option<Bytes>)| {
            let old = self.tree.get(key).map_err(from_kv)?;
            Ok((key.clone(), old, new.clone()))
        };
        written.map(with_old).collect()
    }

    pub fn scan(&self, prefix: &[u8]) -> Result<Vec<Pair>, StoreError> {
        self.scan_from(prefix, prefix, usize::MAX)
    }

    pub fn scan_as<T: DeserializeOwned>(&self, prefix: &[u8]) -> Result<Vec<T>, StoreError> {
        self.scan(prefix)?.iter().map(|(key, value)| decode(key, value)).collect()
    }

    /// The pair with the highest key that starts with `prefix`.
    pub fn last(&self, prefix: &[u8]) -> Result<Option<Pair>, StoreError> {
        let range = (Bound::Included(prefix.to_vec()), end_of(prefix));
        let written =
            self.changes.range::<Bytes, _>(range.clone()).rev().find_map(|(k, v)| Some((k.clone(), v.clone()?)));
        for pair in self.tree.range(range).rev() {
            let stored = pair.map_err(from_kv)?;
            if !self.changes.contains_key(&stored.0) {
                return Ok(Some(written.filter(|written| written.0 > stored.0).unwrap_or(stored)));
            }
        }
        Ok(written)
    }

    /// At most `max` stored pairs whose keys start with `prefix`, the highest first. For queries, which write nothing.
    pub fn latest(&self, prefix: &[u8], max: usize) -> Result<Vec<Pair>, StoreError> {
        let range = (Bound::Included(prefix.to_vec()), end_of(prefix));
        self.tree.range(range).rev().take(max).map(|pair| pair.map_err(from_kv)).collect()
    }

    pub fn apply(self) -> Result<(), StoreError> {
        self.tree.apply(Batch::from_iter(self.changes)).map_err(from_kv)
    }
}

pub(super) fn decode<T: DeserializeOwned>(key: &[u8], value: &[u8]) -> Result<T, StoreError> {
    serde_json::from_slice(value).map_err(|error| damaged(key, error))
}

pub(super) fn damaged(key: &[u8], reason: impl std::fmt::Display) -> StoreError {
    StoreError::Damaged { key: key.escape_ascii().to_string(), reason: reason.to_string() }
}

pub(super) fn from_kv(error: KvError) -> StoreError {
    match error {
        KvError::Damaged(reason) => StoreError::Damaged { key: "a page".into(), reason },
        other => StoreError::Unavailable(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use facegate_runtime::disk::{Disk, SimDisk};

    use super::*;

    fn tree(pairs: &[(&[u8], u64)]) -> Tree {
        let tree = SimDisk::new().database(Path::new("core"), super::super::OPTIONS).unwrap().root();
        for (key, value) in pairs {
            tree.insert(key, serde_json::to_vec(value).unwrap()).unwrap();
        }
        tree
    }

    #[test]
    fn a_command_reads_what_it_wrote_and_others_do_not_until_it_is_applied() {
        let tree = tree(&[(b"a/1", 1), (b"a/3", 3), (b"a/5", 5), (b"b/1", 9)]);
        let mut tx = Tx::new(&tree);
        tx.put(b"a/2".to_vec(), &2_u64);
        tx.put(b"a/3".to_vec(), &33_u64);
        tx.put(b"a/9".to_vec(), &9_u64);
        tx.remove(b"a/5".to_vec());
        assert_eq!(tx.scan_as::<u64>(b"a/").unwrap(), [1, 2, 33, 9]);
        assert_eq!(tx.scan_from(b"a/", b"a/2", 2).unwrap().len(), 2);
        assert_eq!(tx.last(b"a/").unwrap().unwrap().0, b"a/9");
        assert_eq!(Tx::new(&tree).scan_as::<u64>(b"a/").unwrap(), [1, 3, 5]);
        tx.apply().unwrap();
        assert_eq!(Tx::new(&tree).scan_as::<u64>(b"a/").unwrap(), [1, 2, 33, 9]);
    }

    #[test]
    fn the_last_pair_is_found_behind_removed_ones_and_prefixes_end_where_they_should() {
        let tree = tree(&[(&[1, 255, 1], 1), (&[1, 255, 2], 2), (&[2], 3)]);
        let mut tx = Tx::new(&tree);
        assert_eq!(tx.scan(&[1, 255]).unwrap().len(), 2);
        tx.remove(vec![1, 255, 2]);
        assert_eq!(tx.last(&[1, 255]).unwrap().unwrap().0, [1, 255, 1]);
        tx.remove(vec![1, 255, 1]);
        assert_eq!(tx.last(&[1, 255]).unwrap(), None);
    }
}
