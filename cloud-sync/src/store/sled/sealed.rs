//! A database whose values are sealed, each bound to its key.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use facegate_runtime::keys::{KeyId, KeyRing, Sealer};
use facegate_runtime::kv::{Database, Tree};
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::tx::{damaged, from_kv};
use crate::store::{ResealPage, StoreError};

/// Holds what is sealed in every database to tell a wrong key.
const CHECK_TREE: &str = "key-check";
const CHECK: &[u8] = b"facegate";

pub(super) struct Sealed {
    pub(super) tree: Tree,
    check: Tree,
    sealer: RwLock<Sealer>,
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealed({} values)", self.tree.len())
    }
}

impl Sealed {
    /// Errors: `WrongKey` if the database was sealed under another key.
    pub fn open(database: &Database, ring: &KeyRing) -> Result<Self, StoreError> {
        let sealer = Sealer::of(ring);
        // Sealed once at the beginning, in a tree of its own: tells a wrong key before anything is lost by it.
        let check = database.tree(CHECK_TREE).map_err(from_kv)?;
        match check.get(CHECK).map_err(from_kv)? {
            Some(sealed) => {
                sealer.open(&sealed, CHECK).map_err(|error| StoreError::WrongKey(error.to_string()))?;
            }
            None => {
                let sealed = sealer.seal(CHECK, CHECK).map_err(|error| damaged(CHECK, error))?;
                check.insert(CHECK, sealed).map_err(from_kv)?;
            }
        }
        Ok(Self { tree: database.root(), check, sealer: RwLock::new(sealer) })
    }

    fn sealer(&self) -> RwLockReadGuard<'_, Sealer> {
        self.sealer.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Seals under the newest key from now on.
    pub fn use_keys(&self, ring: &KeyRing) -> Result<(), StoreError> {
        *self.sealer.write().unwrap_or_else(PoisonError::into_inner) = Sealer::of(ring);
        Ok(())
    }

    /// See `KeyStore::reseal`. The check goes last: once it opens under the newest key alone, everything does.
    pub fn reseal(&self, from: Option<Vec<u8>>, max: usize) -> Result<ResealPage, StoreError> {
        let newest = self.sealer().id();
        let mut page = ResealPage::default();
        for pair in self.tree.range(from.unwrap_or_default()..).take(max) {
            let (key, sealed) = pair.map_err(from_kv)?;
            page.looked_at += 1;
            if Sealer::sealed_under(&sealed) != Some(newest) {
                let anew = self.sealed_anew(&key, &sealed)?;
                let swapped = self.tree.compare_and_swap(&key, Some(&sealed), Some(&anew)).map_err(from_kv)?;
                page.resealed += u64::from(swapped);
            }
            page.next = Some([key.as_slice(), &[0]].concat());
        }
        if page.looked_at < max as u64 {
            page.next = None;
            let anew = self.sealer().seal(CHECK, CHECK).map_err(|error| damaged(CHECK, error))?;
            self.check.insert(CHECK, anew).map_err(from_kv)?;
        }
        Ok(page)
    }

    fn sealed_anew(&self, key: &[u8], sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
        let sealer = self.sealer();
        let plain = sealer.open(sealed, key).map_err(|error| damaged(key, error))?;
        sealer.seal(&plain, key).map_err(|error| damaged(key, error))
    }

    pub fn sealed_under(&self) -> Result<BTreeMap<KeyId, u64>, StoreError> {
        let mut under = BTreeMap::new();
        count_keys(&self.tree, &mut under)?;
        count_keys(&self.check, &mut under)?;
        Ok(under)
    }

    pub fn put(&self, key: &[u8], plain: &[u8]) -> Result<(), StoreError> {
        let sealed = self.sealer().seal(plain, key).map_err(|error| damaged(key, error))?;
        self.tree.insert(key, sealed).map_err(from_kv)?;
        Ok(())
    }

    pub fn get(&self, key: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let sealed = self.tree.get(key).map_err(from_kv)?;
        sealed.map(|sealed| self.sealer().open(&sealed, key).map_err(|error| damaged(key, error))).transpose()
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

/// The keys that anything in the database is sealed under, and how much.
pub(super) fn keys_of(database: &Database) -> Result<BTreeMap<KeyId, u64>, StoreError> {
    let mut under = BTreeMap::new();
    count_keys(&database.root(), &mut under)?;
    count_keys(&database.tree(CHECK_TREE).map_err(from_kv)?, &mut under)?;
    Ok(under)
}

fn count_keys(tree: &Tree, under: &mut BTreeMap<KeyId, u64>) -> Result<(), StoreError> {
    for pair in tree.iter() {
        let (_, sealed) = pair.map_err(from_kv)?;
        if let Some(id) = Sealer::sealed_under(&sealed) {
            *under.entry(id).or_insert(0) += 1;
        }
    }
    Ok(())
}
