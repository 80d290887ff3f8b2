//! A database whose values are sealed, each bound to its key.

use facegate_runtime::keys::{Key, Sealer};
use facegate_runtime::kv::{Database, Tree};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::tx::{damaged, from_kv};
use crate::store::StoreError;

/// Sealed in every database.
const CHECK: &[u8] = b"facegate";

pub(super) struct Sealed {
    pub(super) tree: Tree,
    sealer: Sealer,
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealed({} values)", self.tree.len())
    }
}

impl Sealed {
    /// Errors: `WrongKey` if the database was sealed under another key.
    pub fn open(database: &Database, key: &Key) -> Result<Self, StoreError> {
        let sealer = Sealer::new(key);
        // Sealed once at the beginning, in a tree of its own: tells a wrong key before anything is lost by it.
        let check = database.tree("key-check").map_err(from_kv)?;
        match check.get(CHECK).map_err(from_kv)? {
            Some(sealed) => {
                sealer.open(&sealed, CHECK).map_err(|error| StoreError::WrongKey(error.to_string()))?;
            }
            None => {
                let sealed = sealer.seal(CHECK, CHECK).map_err(|error| damaged(CHECK, error))?;
                check.insert(CHECK, sealed).map_err(from_kv)?;
            }
        }
        Ok(Self { tree: database.root(), sealer })
    }

    pub fn put(&self, key: &[u8], plain: &[u8]) -> Result<(), StoreError> {
        let sealed = self.sealer.seal(plain, key).map_err(|error| damaged(key, error))?;
        self.tree.insert(key, sealed).map_err(from_kv)?;
        Ok(())
    }

    pub fn get(&self, key: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let sealed = self.tree.get(key).map_err(from_kv)?;
        sealed.map(|sealed| self.sealer.open(&sealed, key).map_err(|error| damaged(key, error))).transpose()
    }

    pub fn put_json<T: Serialize>(&self, key: &[u8], value: &T) -> Result<(), StoreError> {
        let plain = serde_json::to_vec(value).map(Zeroizing::new).map_err(|error| damaged(key, error))?;
        self.put(key, &plain)
    }

    pub fn get_json<T: DeserializeOwned>(&self, key: &[u8]) -> Result<Option<T>, StoreError> {
        let plain = self.get(key)?;
        plain.map(|plain| serde_json::from_slice(&plain).map_err(|error| damaged(key, error))).transpose()
    }

    pub fn contains(&self, key: &[u8]) -> Result<bool, StoreError> {
        self.tree.contains(key).map_err(from_kv)
    }

    pub fn remove(&self, key: &[u8]) -> Result<(), StoreError> {
        self.tree.remove(key).map_err(from_kv)?;
        Ok(())
    }

    pub fn keys(&self) -> Result<Vec<Vec<u8>>, StoreError> {
        self.tree.iter().map(|pair| Ok(pair.map_err(from_kv)?.0)).collect()
    }

    /// At most `max` keys above `after`.
    pub fn keys_after(&self, after: Option<&[u8]>, max: usize) -> Result<Vec<Vec<u8>>, StoreError> {
        use std::ops::Bound::{Excluded, Unbounded};
        let range = (after.map_or(Unbounded, |key| Excluded(key.to_vec())), Unbounded);
        self.tree.range(range).take(max).map(|pair| Ok(pair.map_err(from_kv)?.0)).collect()
    }
}
