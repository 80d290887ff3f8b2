//! Taking a snapshot: chunk by chunk, each verified before it is staged. What is staged outlives the connection, and every
//! few chunks it is made to outlive the process, so a snapshot goes on where it broke.

use std::sync::Arc;

use facegate_proto::convert::sync::{FEED_LEVEL, VersionedChange};
use facegate_proto::snapshot::{BadChunk, Chain, SNAPSHOT_FORMAT};
use facegate_proto::v1;
use facegate_proto::v1::sync_service_client::SyncServiceClient;
use facegate_runtime::grpc::Wire;
use prost::Message;

use super::SyncError;
use super::staging::{Staging, give_up};
use crate::metrics;
use crate::station::{Station, StationError};

/// Chunks after which what is staged is made durable: what a restart asks for again takes a fraction of a second.
const KEEP_EVERY: u64 = 32;

/// A snapshot of which some is here.
pub(super) struct Incoming {
    staging: Staging,
    version: u64,
    chain: Chain,
    /// What the cloud wants to hear to go on.
    resume: Vec<u8>,
}

/// Everything anew, beside what is in use until it is whole. What came before an error stays in `incoming`.
pub(super) async fn take(
    station: &Arc<Station>,
    cloud: &mut SyncServiceClient<Wire>,
    incoming: &mut Option<Incoming>,
) -> Result<(), SyncError> {
    if incoming.is_none() {
        *incoming = Incoming::resumed(station).await;
    }
    let resume = incoming.as_ref().map(|incoming| incoming.resume.clone()).unwrap_or_default();
    let installation = station.installation.to_vec();
    let request = v1::SnapshotRequest { feed_level: FEED_LEVEL, installation, format: SNAPSHOT_FORMAT, resume };
    let mut chunks = cloud.snapshot(request).await?.into_inner();
    let mut first = true;
    while let Some(chunk) = chunks.message().await? {
        let begins = if chunk.format == 0 { std::mem::take(&mut first) } else { chunk.number == 0 };
        if begins {
            // Given up before another is begun: there is one place for it.
            *incoming = None;
            *incoming = Some(Incoming::begin(station, chunk.version).await?);
        }
        let complete = chunk.complete;
        let into = incoming.as_mut().ok_or(BadChunk::OutOfOrder { number: chunk.number, expected: 0 })?;
        if let Err(error) = into.add(chunk).await {
            metrics::snapshot_broken();
            match &error {
                // A damaged chunk is asked for again.
                SyncError::Chunk(bad) if !bad.voids_all() => (),
                SyncError::Chunk(_) => forget(station, incoming).await?,
                // What was staged in part is not built upon, but what was kept before.
                _ => *incoming = None,
            }
            return Err(error);
        }
        if complete && let Some(whole) = incoming.take() {
            return Ok(whole.staging.adopt().await?);
        }
    }
    Err(SyncError::Ended)
}

/// There is nothing to go on with.
pub(super) async fn forget(station: &Arc<Station>, incoming: &mut Option<Incoming>) -> Result<(), StationError> {
    *incoming = None;
    give_up(station).await
}

impl Incoming {
    async fn begin(station: &Arc<Station>, version: u64) -> Result<Self, SyncError> {
        let staging = Staging::begin(station).await?;
        Ok(Self { staging, version, chain: Chain::default(), resume: Vec::new() })
    }

    async fn resumed(station: &Arc<Station>) -> Option<Self> {
        let (staging, progress) = Staging::resumed(station).await?;
        Some(Self { staging, version: progress.version, chain: progress.chain, resume: progress.resume })
    }

    async fn add(&mut self, chunk: v1::SnapshotChunk) -> Result<(), SyncError> {
        let mut chain = self.chain;
        let facts = if chunk.format == 0 {
            // From a cloud of before: there is nothing to verify it by.
            chunk.facts
        } else {
            chain.take(&chunk)?;
            let damaged = |_| BadChunk::Damaged { number: chunk.number };
            v1::SnapshotFacts::decode(chunk.content.as_slice()).map_err(damaged)?.facts
        };
        if chunk.version != self.version {
            return Err(BadChunk::Digest.into());
        }
        self.staging.add(self.understand(facts)?, self.version).await?;
        (self.chain, self.resume) = (chain, chunk.resume);
        if chain.next.is_multiple_of(KEEP_EVERY) && !self.resume.is_empty() {
            self.staging.keep(self.chain, self.resume.clone()).await?;
        }
        Ok(())
    }

    /// Facts of kinds that this software does not know are left out; once it is upgraded, it fetches them.
    fn understand(&self, facts: Vec<v1::Change>) -> Result<Vec<VersionedChange>, SyncError> {
        let version = self.version;
        let known = facts.into_iter().filter(|fact| fact.change.is_some());
        let known = known.map(|fact| VersionedChange::try_from(v1::Change { version, ..fact }));
        known.collect::<Result<_, _>>().map_err(|source| SyncError::NotUnderstood { after: version, source })
    }
}
