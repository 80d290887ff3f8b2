//! Snapshots: everything that holds, in chunks that can be verified and gone on behind.
//!
//! What a station sends to go on, it had from us: the log it belongs to, the version, the chain and the key where the
//! next chunk begins. Whatever of it does not fit any more (another cloud, a log that no longer reaches back to the
//! version) makes the snapshot begin anew, which the station sees by the chunk's number.

use std::sync::Arc;

use facegate_domain::Timestamp;
use facegate_domain::ids::StationId;
use facegate_proto::convert::sync::VersionedChange;
use facegate_proto::snapshot::Chain;
use facegate_proto::v1;
use tokio::sync::mpsc;

use super::FeedError;
use crate::store::{SnapshotPage, Store, StoreError};

/// Facts in a chunk.
const CHUNK_FACTS: usize = 500;
/// Chunks ready for a station that has not taken the ones before.
const CHUNKS_READY_MAX: usize = 2;
/// Of what a station sends to go on: what every key fits into.
const RESUME_BYTES_MAX: usize = 1024;

/// What a station asks for.
#[derive(Debug, Clone)]
pub struct Ask {
    /// Regulars are told to their own station.
    pub station: StationId,
    /// Nothing newer is told.
    pub level: u32,
    /// Newest format that the station reads.
    pub format: u32,
    /// From the last chunk that it has; empty: it has none.
    pub resume: Vec<u8>,
    /// Older codes are refused for their age.
    pub codes_since: Timestamp,
}

/// Where a snapshot stands.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    log: [u8; 16],
    version: u64,
    chain: Chain,
    /// Where the next chunk begins; None: at the beginning.
    from: Option<Vec<u8>>,
}

impl Place {
    /// The log (16), version, chunks so far (8 each), link (32), then the key.
    fn to_bytes(&self) -> Vec<u8> {
        let key = self.from.as_deref().unwrap_or_default();
        let numbers = [self.version.to_be_bytes(), self.chain.next.to_be_bytes()].concat();
        [self.log.as_slice(), &numbers, &self.chain.link, key].concat()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (log, rest) = bytes.split_first_chunk::<16>()?;
        let (version, rest) = rest.split_first_chunk::<8>()?;
        let (next, rest) = rest.split_first_chunk::<8>()?;
        let (link, key) = rest.split_first_chunk::<32>()?;
        if key.is_empty() || bytes.len() > RESUME_BYTES_MAX {
            return None;
        }
        let chain = Chain { link: *link, next: u64::from_be_bytes(*next) };
        Some(Self { log: *log, version: u64::from_be_bytes(*version), chain, from: Some(key.to_vec()) })
    }
}

/// Everything that holds, as of one version: where the station left off, or as of the present head. Reads chunk by chunk,
/// no faster than the station takes them.
pub async fn snapshot(
    store: Arc<dyn Store>,
    ask: Ask,
) -> Result<mpsc::Receiver<Result<v1::SnapshotChunk, FeedError>>, FeedError> {
    let mut place = begin(&*store, &ask.resume).await?;
    let (to_station, chunks) = mpsc::channel(CHUNKS_READY_MAX);
    tokio::spawn(async move {
        loop {
            let chunk = next(&*store, &ask, &mut place).await;
            let last = chunk.as_ref().map_or(true, |chunk| chunk.complete);
            if to_station.send(chunk.map_err(FeedError::from)).await.is_err() || last {
                return;
            }
        }
    });
    Ok(chunks)
}

async fn begin(store: &dyn Store, resume: &[u8]) -> Result<Place, FeedError> {
    let log = store.log_id();
    if let Some(place) = Place::from_bytes(resume).filter(|place| place.log == log) {
        // The station follows from this version once the snapshot is whole: the log must reach back so far.
        if store.changes_after(place.version, 1).await?.is_ok() {
            tracing::info!(version = place.version, chunk = place.chain.next, "a snapshot goes on where it broke");
            return Ok(place);
        }
    }
    Ok(Place { log, version: *store.head().borrow(), chain: Chain::default(), from: None })
}

async fn next(store: &dyn Store, ask: &Ask, place: &mut Place) -> Result<v1::SnapshotChunk, StoreError> {
    let page = store.snapshot_page(place.from.take(), CHUNK_FACTS, ask.codes_since).await?;
    let SnapshotPage { facts: found, next } = page;
    let mut facts = Vec::with_capacity(found.len());
    for fact in found.into_iter().filter(|fact| fact.level() <= ask.level) {
        facts.push(super::addressed(store, fact, &ask.station).await?);
    }
    let complete = next.is_none();
    place.from = next;
    if ask.format == 0 {
        let version = place.version;
        let facts = facts.into_iter().map(|change| VersionedChange { version, change }.into()).collect();
        return Ok(v1::SnapshotChunk { version, facts, complete, ..v1::SnapshotChunk::default() });
    }
    // The chunk says the version once for all.
    let facts = facts.into_iter().map(|change| VersionedChange { version: 0, change }.into()).collect();
    let mut chunk = place.chain.chunk(place.version, facts, complete);
    if !complete {
        chunk.resume = place.to_bytes();
    }
    Ok(chunk)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_reads_back_and_nonsense_is_none() {
        let chain = Chain { link: [3; 32], next: 9 };
        let place = Place { log: [1; 16], version: 7, chain, from: Some(b"face/x".to_vec()) };
        assert_eq!(Place::from_bytes(&place.to_bytes()), Some(place.clone()));
        assert_eq!(Place::from_bytes(&[]), None);
        assert_eq!(Place::from_bytes(&place.to_bytes()[..64]), None, "no key: nothing was sent yet");
        assert_eq!(Place::from_bytes(&[1; 5000]), None);
    }
}
