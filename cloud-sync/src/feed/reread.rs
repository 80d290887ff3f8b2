//! What a station re-reads to heal: the facts of some buckets of one set.

use std::sync::Arc;

use facegate_domain::fingerprint::FactSet;
use facegate_proto::convert::sync::VersionedChange;
use facegate_proto::v1;
use tokio::sync::mpsc;

use super::FeedError;
use crate::store::Store;

/// Facts in a part.
const PART_FACTS: usize = 500;
/// Parts ready for a station that has not taken the ones before.
const PARTS_READY_MAX: usize = 2;

/// Bucket by bucket, each with its last part marked, no faster than the station takes them.
pub fn reread(
    store: Arc<dyn Store>,
    set: FactSet,
    buckets: Vec<u32>,
) -> mpsc::Receiver<Result<v1::RereadPart, FeedError>> {
    let (to_station, parts) = mpsc::channel(PARTS_READY_MAX);
    tokio::spawn(async move {
        for bucket in buckets {
            let mut from = None;
            loop {
                let page = store.bucket_facts(&set, bucket as usize, from.take(), PART_FACTS).await;
                let part = page.map(|page| {
                    let facts = page.facts.into_iter();
                    let facts = facts.map(|change| VersionedChange { version: 0, change }.into()).collect();
                    from = page.next;
                    v1::RereadPart { bucket, facts, last: from.is_none() }
                });
                let failed = part.is_err();
                if to_station.send(part.map_err(FeedError::from)).await.is_err() || failed {
                    return;
                }
                if from.is_none() {
                    break;
                }
            }
        }
    });
    parts
}
