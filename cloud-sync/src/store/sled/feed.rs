//! The change feed.

use std::collections::BTreeSet;

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::code::IssuerKey;
use facegate_domain::deny::DenyReason;
use facegate_domain::ids::{RiderId, StationId, TemplateId};
use facegate_proto::convert::sync::{FeedChange, VersionedChange};
use facegate_runtime::kv::Tree;
use tokio::sync::watch;

use super::intake::SpentNonce;
use super::riders::FaceOwner;
use super::tx::{Tx, damaged, decode};
use super::{SledStore, key};
use crate::store::logged::{Logged, issuer_keys};
use crate::store::{FeedStore, OutOfReach, SnapshotPage, StoreError};

/// Old versions dropped by one command at most.
const TRIMMED_MAX: u64 = 10_000;

/// Appends a change; gives its version, counted from 1.
pub(super) fn publish(tx: &mut Tx<'_>, change: &Logged) -> Result<u64, StoreError> {
    let version = head(tx)? + 1;
    tx.put(key::FEED_HEAD.to_vec(), &version);
    tx.put(key::feed(version), change);
    Ok(version)
}

/// The log's name, made when there is none.
pub(super) fn log_id(core: &Tree) -> Result<[u8; 16], StoreError> {
    let mut tx = Tx::new(core);
    if let Some(id) = tx.get(key::FEED_ID)? {
        return Ok(id);
    }
    let id: [u8; 16] = rand::random();
    tx.put(key::FEED_ID.to_vec(), &id);
    tx.apply()?;
    Ok(id)
}

/// The version of a face that was put on the log after version `seen`.
pub(super) fn face_after(tx: &Tx<'_>, seen: u64) -> Result<Option<u64>, StoreError> {
    let Some(next) = seen.checked_add(1) else { return Ok(None) };
    for (k, v) in tx.scan_from(key::FEED, &key::feed(next), usize::MAX)? {
        if matches!(decode(&k, &v)?, Logged::TemplatePut { .. }) {
            return Ok(Some(u64::from_be_bytes(key::tail(&k))));
        }
    }
    Ok(None)
}

/// Drops what is older than the last `kept` versions; gives the head. A command adds a few changes, so that dropping
/// some more than that keeps up.
pub(super) fn trim(tx: &mut Tx<'_>, kept: u64) -> Result<u64, StoreError> {
    let (head, first) = (head(tx)?, first(tx)?);
    let target = head.saturating_sub(kept).min(first + TRIMMED_MAX);
    for version in first + 1..=target {
        tx.remove(key::feed(version));
        tx.remove(key::digest_at(version));
    }
    if target > first {
        tx.put(key::FEED_FIRST.to_vec(), &target);
    }
    Ok(head)
}

/// Why the rider is on the deny list; nothing if he is not.
pub(super) fn reasons(tx: &Tx<'_>, rider: RiderId) -> Result<BTreeSet<DenyReason>, StoreError> {
    Ok(tx.get(&key::denied(rider))?.unwrap_or_default())
}

/// Adds or takes away one reason; stations are told with the first one and after the last. True if that changed it.
pub(super) fn deny(tx: &mut Tx<'_>, rider: RiderId, reason: DenyReason, denied: bool) -> Result<bool, StoreError> {
    let mut reasons = reasons(tx, rider)?;
    let was = !reasons.is_empty();
    let changed = if denied { reasons.insert(reason) } else { reasons.remove(&reason) };
    if !changed {
        return Ok(false);
    }
    if reasons.is_empty() {
        tx.remove(key::denied(rider));
        publish(tx, &Logged::Allowed { rider })?;
    } else {
        tx.put(key::denied(rider), &reasons);
        if !was {
            publish(tx, &Logged::Denied { rider })?;
        }
    }
    Ok(true)
}

/// The version up to which the log is gone.
fn first(tx: &Tx<'_>) -> Result<u64, StoreError> {
    Ok(tx.get(key::FEED_FIRST)?.unwrap_or(0))
}

pub(super) fn head(tx: &Tx<'_>) -> Result<u64, StoreError> {
    Ok(tx.get(key::FEED_HEAD)?.unwrap_or(0))
}

#[async_trait]
impl FeedStore for SledStore {
    fn head(&self) -> watch::Receiver<u64> {
        self.durable.head.subscribe()
    }

    fn log_id(&self) -> [u8; 16] {
        self.log_id
    }

    async fn changes_after(
        &self,
        cursor: u64,
        max: usize,
    ) -> Result<Result<(Vec<VersionedChange>, u64), OutOfReach>, StoreError> {
        let head = *self.durable.head.borrow();
        if cursor > head {
            return Ok(Err(OutOfReach::BeyondHead { cursor, head }));
        }
        let first = first(&self.read())?;
        if cursor < first {
            return Ok(Err(OutOfReach::Compacted { cursor, first }));
        }
        let found = self.read().scan_from(key::FEED, &key::feed(cursor + 1), max)?;
        let complete = found.len() < max;
        let mut changes = Vec::with_capacity(found.len());
        let mut reached = cursor;
        for (k, v) in found {
            let version = u64::from_be_bytes(key::tail(&k));
            if version > head {
                break;
            }
            reached = version;
            let change = decode::<Logged>(&k, &v)?.resolve(|template| self.template(template))?;
            changes.extend(change.map(|change| VersionedChange { version, change }));
        }
        Ok(Ok((changes, if complete { head } else { reached })))
    }

    async fn snapshot_page(
        &self,
        from: Option<Vec<u8>>,
        max: usize,
        codes_since: Timestamp,
    ) -> Result<SnapshotPage, StoreError> {
        // One keyspace after the other; a page starts in the one that its key belongs to.
        let spaces =
            [key::ISSUER_KEYS, key::TOLD, key::DENIED, key::FACE, key::INSIDE, key::REGULARS, key::CAPPED, key::NONCE];
        let first = from.as_ref().map_or(0, |from| spaces.iter().position(|s| from.starts_with(s)).unwrap_or(0));
        let tx = self.read();
        let mut facts = Vec::new();
        let mut room = max;
        for space in &spaces[first..] {
            let start = from.as_deref().filter(|from| from.starts_with(space)).unwrap_or(space);
            let mut found = tx.scan_from(space, start, room + 1)?;
            let next = if found.len() > room { found.pop().map(|(k, _)| k) } else { None };
            room -= found.len();
            for (k, v) in found {
                facts.extend(self.fact(space, &k, &v)?.filter(|fact| !is_older(fact, codes_since)));
            }
            if next.is_some() {
                return Ok(SnapshotPage { facts, next });
            }
        }
        Ok(SnapshotPage { facts, next: None })
    }

    async fn restart_feed(&self, now: Timestamp) -> Result<u64, StoreError> {
        self.write(|tx| {
            let version = (head(tx)? + 1).max(u64::try_from(now.unix_ms()).unwrap_or(0));
            for (k, _) in tx.scan(key::FEED)?.into_iter().chain(tx.scan(key::DIGEST_AT)?) {
                tx.remove(k);
            }
            tx.put(key::FEED_HEAD.to_vec(), &version);
            tx.put(key::FEED_FIRST.to_vec(), &version);
            Ok(version)
        })
        .await
    }

    async fn publish_issuer_keys(&self, keys: Vec<IssuerKey>) -> Result<(), StoreError> {
        let keys: Vec<[u8; 32]> = keys.iter().map(IssuerKey::to_bytes).collect();
        self.write(|tx| {
            if tx.get::<Vec<[u8; 32]>>(key::ISSUER_KEYS)?.as_ref() != Some(&keys) {
                tx.put(key::ISSUER_KEYS.to_vec(), &keys);
                publish(tx, &Logged::IssuerKeys { keys: keys.clone() })?;
            }
            Ok(())
        })
        .await
    }

    async fn deny(&self, rider: RiderId, reason: DenyReason, denied: bool) -> Result<bool, StoreError> {
        self.write(|tx| deny(tx, rider, reason, denied)).await
    }

    async fn denied_for(&self, rider: RiderId) -> Result<BTreeSet<DenyReason>, StoreError> {
        reasons(&self.read(), rider)
    }

    async fn is_denied(&self, rider: RiderId) -> Result<bool, StoreError> {
        self.read().contains(&key::denied(rider))
    }
}

impl SledStore {
    /// What one pair of a keyspace says.
    pub(super) fn fact(&self, space: &[u8], k: &[u8], v: &[u8]) -> Result<Option<FeedChange>, StoreError> {
        let id = key::id_after(space, k);
        Ok(match space {
            key::ISSUER_KEYS => Some(issuer_keys(&decode::<Vec<[u8; 32]>>(k, v)?)?),
            key::TOLD => Some(FeedChange::Told(decode(k, v)?)),
            key::DENIED => Some(FeedChange::Denied(RiderId::from_bytes(id))),
            key::FACE => {
                let owner: FaceOwner = decode(k, v)?;
                self.face_of(TemplateId::from_bytes(id), owner.rider())?.map(FeedChange::TemplatePut)
            }
            key::REGULARS => {
                let name = String::from_utf8_lossy(&k[space.len()..]).into_owned();
                let station = StationId::new(name).map_err(|error| damaged(k, error))?;
                Some(FeedChange::Regulars { station, riders: Vec::new() })
            }
            key::CAPPED => Some(FeedChange::FaceCapped { rider: RiderId::from_bytes(id), until: decode(k, v)? }),
            key::INSIDE => Some(FeedChange::EnteredSystem { rider: RiderId::from_bytes(id), entry: decode(k, v)? }),
            _ => {
                let spent: SpentNonce = decode(k, v)?;
                Some(FeedChange::CodeNonceSpent { nonce: key::tail(k), issued_at: spent.at })
            }
        })
    }
}

fn is_older(fact: &FeedChange, than: Timestamp) -> bool {
    match fact {
        FeedChange::CodeNonceSpent { issued_at: at, .. } | FeedChange::FaceCapped { until: at, .. } => *at < than,
        _ => false,
    }
}
