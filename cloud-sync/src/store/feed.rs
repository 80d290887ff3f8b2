//! The change feed: an ordered log of facts that stations must honour.

use std::collections::BTreeSet;

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::code::IssuerKey;
use facegate_domain::deny::DenyReason;
use facegate_domain::habits::Regular;
use facegate_domain::ids::{RiderId, StationId};
use facegate_proto::convert::sync::{FeedChange, VersionedChange};
use tokio::sync::watch;

use super::StoreError;

/// Why the log cannot be followed from a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OutOfReach {
    #[error(
        "cursor {cursor} lies beyond the log, which ends at {head}: was the cloud restored from a backup? take a snapshot"
    )]
    BeyondHead { cursor: u64, head: u64 },
    #[error("the log begins after {first}, the cursor is {cursor}: take a snapshot")]
    Compacted { cursor: u64, first: u64 },
}

/// Some of the facts that hold.
#[derive(Debug, Clone, PartialEq)]
pub struct SnapshotPage {
    pub facts: Vec<FeedChange>,
    /// Where the next page starts; None after the last.
    pub next: Option<Vec<u8>>,
}

impl SnapshotPage {
    /// The one fact about a station's regulars.
    pub(super) fn of_regulars(station: &StationId, riders: Vec<Regular>) -> Self {
        let known = FeedChange::Regulars { station: station.clone(), riders };
        Self { facts: vec![known], next: None }
    }
}

#[async_trait]
pub trait FeedStore: Sync {
    /// The last durable version; 0 before the first change. Changes wake the receiver.
    fn head(&self) -> watch::Receiver<u64>;

    /// Names this log: made at random with it, so that what belongs to another one is told apart.
    fn log_id(&self) -> [u8; 16];

    /// At most `max` durable changes after version `cursor`, and the version up to which that is all there is. Versions
    /// rise but may leave holes, since what an erased rider's changes said is gone from the log. Regulars are named by
    /// their station alone; who they are is for `HabitStore::regulars` to say when they are sent there.
    async fn changes_after(
        &self,
        cursor: u64,
        max: usize,
    ) -> Result<Result<(Vec<VersionedChange>, u64), OutOfReach>, StoreError>;

    /// At most `max` of the facts that hold, from `from` on (None: the beginning). Pages may see later changes; with
    /// the changes after the version that the feed had before the first page, they always add up to the present. Of
    /// spent codes only those since `codes_since` are told; older ones are refused for their age.
    async fn snapshot_page(
        &self,
        from: Option<Vec<u8>>,
        max: usize,
        codes_since: Timestamp,
    ) -> Result<SnapshotPage, StoreError>;

    /// Publishes the keys that verify rider certificates, if they differ from those published last.
    async fn publish_issuer_keys(&self, keys: Vec<IssuerKey>) -> Result<(), StoreError>;

    /// Begins the log anew above every version that a station can have seen, of this store or of the one that it was
    /// restored from, so that each takes a snapshot; gives the version. No log grows by a version every millisecond, so
    /// the time is such a number, also after several restores of one backup.
    async fn restart_feed(&self, now: Timestamp) -> Result<u64, StoreError>;

    /// Puts the rider on the deny list at every gate for this reason, or takes the reason away; he is taken off with the
    /// last one. True if the reason was not there, or was.
    async fn deny(&self, rider: RiderId, reason: DenyReason, denied: bool) -> Result<bool, StoreError>;

    /// [`FeedStore::deny`] by a person.
    async fn set_denied(&self, rider: RiderId, denied: bool) -> Result<bool, StoreError> {
        self.deny(rider, DenyReason::Operator, denied).await
    }

    /// Why the rider is on the deny list; nothing if he is not.
    async fn denied_for(&self, rider: RiderId) -> Result<BTreeSet<DenyReason>, StoreError>;

    async fn is_denied(&self, rider: RiderId) -> Result<bool, StoreError>;
}
