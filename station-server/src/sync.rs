//! Following the cloud's change feed: from the cursor, live, through a snapshot where the log does not reach.

mod apply;

use std::sync::Arc;
use std::time::Duration;

use facegate_proto::convert::InvalidMessage;
use facegate_proto::convert::sync::VersionedChange;
use facegate_proto::v1;
use facegate_proto::v1::sync_service_client::SyncServiceClient;
use facegate_runtime::backoff::Backoff;
use facegate_runtime::grpc::Wire;
use futures::StreamExt;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use crate::station::{Station, StationError};

const RETRY_FIRST: Duration = Duration::from_millis(200);
const RETRY_MAX: Duration = Duration::from_secs(15);
/// Changes that are stored and applied together when they come fast.
const BATCH_CHANGES: usize = 256;

/// Why following stopped; it starts again from the cursor.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SyncError {
    #[error("the cloud: {0}")]
    Cloud(Box<Status>),
    #[error("the cloud ended the stream")]
    Ended,
    /// Replaying the log would bring back, for a while, riders who have left.
    #[error("the templates were lost; no face is recognised before they are whole again")]
    Behind,
    #[error(
        "the change after version {after} cannot be understood ({source}); nothing after it is applied: is the cloud newer than this station?"
    )]
    NotUnderstood { after: u64, source: InvalidMessage },
    #[error(transparent)]
    Station(#[from] StationError),
}

impl From<Status> for SyncError {
    fn from(status: Status) -> Self {
        Self::Cloud(Box::new(status))
    }
}

impl SyncError {
    /// The log does not reach back to the cursor, or ends before it, or is of no use.
    fn wants_snapshot(&self) -> bool {
        match self {
            Self::Cloud(status) => matches!(status.code(), Code::FailedPrecondition | Code::OutOfRange),
            Self::Behind => true,
            _ => false,
        }
    }
}

/// Follows until stopped.
pub async fn follow(station: Arc<Station>, mut cloud: SyncServiceClient<Wire>, stop: CancellationToken) {
    let mut backoff = Backoff::new(RETRY_FIRST, RETRY_MAX);
    let follow = async {
        loop {
            let before = station.applied_version();
            let behind = station.facts().gallery.is_behind();
            let mut outcome = if behind { Err(SyncError::Behind) } else { subscribe(&station, &mut cloud).await };
            if let Err(why) = &outcome
                && why.wants_snapshot()
            {
                tracing::warn!(%why, cursor = station.applied_version(), "taking a snapshot");
                outcome = snapshot(&station, &mut cloud).await;
            }
            if station.applied_version() != before {
                backoff.reset();
            }
            let delay = backoff.next_delay();
            match outcome {
                Ok(()) => tracing::info!(?delay, "following again"),
                Err(error) => tracing::warn!(%error, ?delay, "the feed waits"),
            }
            tokio::time::sleep(delay).await;
        }
    };
    tokio::select! {
        () = follow => (),
        () = stop.cancelled() => (),
    }
}

async fn subscribe(station: &Arc<Station>, cloud: &mut SyncServiceClient<Wire>) -> Result<(), SyncError> {
    let after_version = station.applied_version();
    let stream = cloud.subscribe(v1::SubscribeRequest { after_version }).await?.into_inner();
    tracing::info!(after_version, "following the feed");
    let mut batches = stream.ready_chunks(BATCH_CHANGES);
    while let Some(batch) = batches.next().await {
        let mut changes = Vec::with_capacity(batch.len());
        let mut failed = None;
        for change in batch {
            match understand(change, &changes, station.applied_version()) {
                Ok(Some(change)) => changes.push(change),
                Ok(None) => (),
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        // What came whole before the failure counts.
        apply::changes(station, changes).await?;
        if let Some(error) = failed {
            return Err(error);
        }
    }
    Err(SyncError::Ended)
}

/// `None` for a change that was applied already.
fn understand(
    change: Result<v1::Change, Status>,
    before: &[VersionedChange],
    applied: u64,
) -> Result<Option<VersionedChange>, SyncError> {
    let after = before.last().map_or(applied, |change| change.version);
    let change = VersionedChange::try_from(change?).map_err(|source| SyncError::NotUnderstood { after, source })?;
    Ok((change.version > after).then_some(change))
}

/// Everything anew, beside what is in use until it is whole.
async fn snapshot(station: &Arc<Station>, cloud: &mut SyncServiceClient<Wire>) -> Result<(), SyncError> {
    let mut chunks = cloud.snapshot(v1::SnapshotRequest {}).await?.into_inner();
    let mut staging = apply::Staging::begin(station)?;
    while let Some(chunk) = chunks.message().await? {
        let understood = chunk
            .facts
            .into_iter()
            .map(|fact| VersionedChange::try_from(v1::Change { version: chunk.version, ..fact }));
        let facts = understood.collect::<Result<Vec<_>, _>>();
        let facts = facts.map_err(|source| SyncError::NotUnderstood { after: chunk.version, source })?;
        staging.add(facts, chunk.version).await?;
        if chunk.complete {
            return Ok(staging.adopt().await?);
        }
    }
    Err(SyncError::Ended)
}
