//! The keys that values are sealed under: a new generation is taken into use while the cloud runs, and everything is
//! sealed anew page by page.

use std::collections::BTreeMap;

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_runtime::keys::{KeyId, KeyRing};

use super::StoreError;

/// What is sealed under keys of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SealedValues {
    Templates,
    Identities,
}

impl SealedValues {
    pub const ALL: [Self; 2] = [Self::Templates, Self::Identities];

    /// As the key provider knows it.
    pub const fn purpose(self) -> &'static str {
        match self {
            Self::Templates => "templates",
            Self::Identities => "identities",
        }
    }
}

/// What one call of [`KeyStore::reseal`] has done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResealPage {
    pub looked_at: u64,
    pub resealed: u64,
    /// Where the next page starts; None after the last.
    pub next: Option<Vec<u8>>,
}

/// Since when a key is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyUse {
    pub since: Timestamp,
    /// Whether this call was the first to tell of it.
    pub first: bool,
}

#[async_trait]
pub trait KeyStore {
    /// Seals under the ring's newest key from now on, and opens under all of them.
    async fn use_keys(&self, values: SealedValues, ring: KeyRing) -> Result<(), StoreError>;

    /// Looks at no more than `max` values from `from` on (None: the beginning), and seals those anew that are not sealed
    /// under the newest key. A value that is changed or removed meanwhile stays as that left it.
    async fn reseal(&self, values: SealedValues, from: Option<Vec<u8>>, max: usize) -> Result<ResealPage, StoreError>;

    /// How many values are sealed under which key.
    async fn sealed_under(&self, values: SealedValues) -> Result<BTreeMap<KeyId, u64>, StoreError>;

    /// Since when the key is used for `purpose`: since `now`, unless it was told of before.
    async fn key_used(&self, purpose: &str, key: KeyId, now: Timestamp) -> Result<KeyUse, StoreError>;
}
