//! Digests over the facts that stations hold, so that both sides find what differs without telling each other all of it.

use std::collections::BTreeMap;

use async_trait::async_trait;
use facegate_domain::fingerprint::FactSet;

use super::{SnapshotPage, StoreError};

/// The root of each set's digest, by the set's name. A set without facts may be missing: its root is 0.
pub type Roots = BTreeMap<String, u64>;

#[async_trait]
pub trait DigestStore {
    /// The roots as they were at this version of the feed; None if that is not known any more, or lies within a command
    /// that had several versions.
    async fn roots_at(&self, version: u64) -> Result<Option<Roots>, StoreError>;

    /// The buckets of one set at the present version, which comes with them.
    async fn buckets(&self, set: &FactSet) -> Result<(u64, Vec<u64>), StoreError>;

    /// At most `max` of the facts that hold in one bucket, from `from` on (None: the beginning).
    async fn bucket_facts(
        &self,
        set: &FactSet,
        bucket: usize,
        from: Option<Vec<u8>>,
        max: usize,
    ) -> Result<SnapshotPage, StoreError>;
}
