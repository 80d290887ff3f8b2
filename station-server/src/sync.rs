//! Following the cloud's change feed: from the cursor, live, through a snapshot where the log does not reach.

mod apply;
mod heal;
mod snapshot;
mod staging;

use std::sync::Arc;
use std::time::Duration;

use facegate_gallery::Gallery;
use facegate_proto::convert::InvalidMessage;
use facegate_proto::convert::sync::{FEED_LEVEL, VersionedChange};
use facegate_proto::snapshot::BadChunk;
use facegate_proto::v1;
use facegate_proto::v1::sync_service_client::SyncServiceClient;
use facegate_runtime::backoff::Backoff;
use facegate_runtime::grpc::Wire;
use facegate_runtime::simulation;
use futures::StreamExt;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};

use crate::metrics;
use crate::station::{Station, StationError};
use snapshot::Incoming;

const RETRY_FIRST: Duration = Duration::from_millis(200);
const RETRY_MAX: Duration = Duration::from_secs(15);
/// Changes that are stored and applied together when they come fast.
const BATCH_CHANGES: usize = 256;

/// How often a bucket of templates is read again whose content is not known: after an upgrade, a station of three million
/// has all within half a day, and four hundred of them ask for ten megabytes a second together.
const REFRESH_EVERY: Duration = Duration::from_secs(40);

/// How often it is looked whether the key is still the same.
const LOOK_EVERY: Duration = Duration::from_secs(1);

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
    /// It understands more than it did on the way to its cursor.
    #[error(
        "changes up to level {level} were understood so far, now up to {FEED_LEVEL}: the cloud cannot tell what is new, everything is fetched"
    )]
    Withheld { level: u32 },
    #[error("the templates are wiped, since the operator has ended the lease")]
    Wiped,
    /// What was sealed under the key of before is written anew under the present one.
    #[error("the cloud has leased another key")]
    Rekeyed,
    #[error(
        "the change after version {after} cannot be understood ({source}); nothing after it is applied: is the cloud newer than this station?"
    )]
    NotUnderstood { after: u64, source: InvalidMessage },
    #[error(transparent)]
    Chunk(#[from] BadChunk),
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
            Self::Behind | Self::Withheld { .. } | Self::Rekeyed => true,
            _ => false,
        }
    }
}

/// Follows until stopped.
pub async fn follow(station: Arc<Station>, mut cloud: SyncServiceClient<Wire>, stop: CancellationToken) {
    let mut backoff = Backoff::new(RETRY_FIRST, RETRY_MAX);
    let mut incoming = None;
    let follow = async {
        loop {
            station.wait_opened().await;
            let before = station.applied_version();
            let outcome = tokio::select! {
                biased;
                () = station.wait_wiped() => Err(SyncError::Wiped),
                outcome = keep_up(&station, &mut cloud, &mut incoming) => outcome,
            };
            if let Err(SyncError::Wiped) = outcome
                && let Err(error) = snapshot::forget(&station, &mut incoming).await
            {
                tracing::error!(%error, "what was staged of a snapshot is still on the disk, sealed");
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
        biased;
        () = follow => (),
        () = stop.cancelled() => (),
    }
}

/// By the log, or by a snapshot where that does not reach.
async fn keep_up(
    station: &Arc<Station>,
    cloud: &mut SyncServiceClient<Wire>,
    incoming: &mut Option<Incoming>,
) -> Result<(), SyncError> {
    match subscribe(station, cloud, incoming).await {
        Err(why) if why.wants_snapshot() => {
            tracing::warn!(%why, cursor = station.applied_version(), "taking a snapshot");
            snapshot::take(station, cloud, incoming).await
        }
        outcome => outcome,
    }
}

/// Why the templates cannot be gone on with.
fn unfit(station: &Station) -> Option<SyncError> {
    let facts = station.facts();
    if facts.gallery().is_none_or(Gallery::is_behind) {
        return Some(SyncError::Behind);
    }
    let leased = station.leases.key_id();
    (leased.is_some() && leased != facts.key_id()).then_some(SyncError::Rekeyed)
}

async fn subscribe(
    station: &Arc<Station>,
    cloud: &mut SyncServiceClient<Wire>,
    incoming: &mut Option<Incoming>,
) -> Result<(), SyncError> {
    if let Some(why) = unfit(station) {
        return Err(why);
    }
    let level = station.store.facts().and_then(|facts| facts.level()).map_err(StationError::from)?;
    if level < FEED_LEVEL && !heal::catch_up(station, cloud, level).await? {
        return Err(SyncError::Withheld { level });
    }
    let after_version = station.applied_version();
    let installation = station.installation.to_vec();
    let request = v1::SubscribeRequest { after_version, feed_level: FEED_LEVEL, installation };
    let stream = cloud.subscribe(request).await?.into_inner();
    // The log reaches back to the cursor after all.
    snapshot::forget(station, incoming).await?;
    tracing::info!(after_version, "following the feed");
    let mut batches = stream.ready_chunks(BATCH_CHANGES);
    let mut differing = station.differing().subscribe();
    let mut look = tokio::time::interval(LOOK_EVERY);
    // Many stations are upgraded together.
    let spread = REFRESH_EVERY.mul_f64(SmallRng::seed_from_u64(simulation::seed()).random_range(0.0..1.0));
    let mut refresh = tokio::time::interval_at(tokio::time::Instant::now() + spread, REFRESH_EVERY);
    loop {
        let batch = tokio::select! {
            biased;
            batch = batches.next() => batch,
            Ok(()) = differing.changed() => {
                let sets = differing.borrow_and_update().clone();
                heal::heal(station, cloud, sets).await?;
                continue;
            }
            _ = refresh.tick() => {
                heal::refresh(station, cloud).await?;
                continue;
            }
            _ = look.tick() => match unfit(station) {
                Some(why) => return Err(why),
                None => continue,
            },
        };
        let Some(batch) = batch else { return Err(SyncError::Ended) };
        let mut changes = Vec::with_capacity(batch.len());
        let (mut failed, mut last) = (None, station.applied_version());
        for change in batch {
            match understand(change, last) {
                Ok(understood) => {
                    last = understood.version.max(last);
                    changes.extend(understood.change);
                }
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        // What came whole before the failure counts.
        apply::changes(station, changes, last).await?;
        if let Some(error) = failed {
            return Err(error);
        }
    }
}

/// How far a message of the stream leads, and what is to be done on the way: nothing if that was applied already, or is
/// of a kind that this software does not know.
struct Understood {
    version: u64,
    change: Option<VersionedChange>,
}

/// `after`: the last version before the message.
fn understand(change: Result<v1::Change, Status>, after: u64) -> Result<Understood, SyncError> {
    let change = change?;
    let version = change.version;
    if change.change.is_none() {
        // The cloud should have withheld it. Waiting here for ever would help nobody: once this station is upgraded, it
        // fetches what it passed over.
        metrics::feed_refused();
        tracing::error!(
            version,
            "a change of a kind that this station does not know is passed over; upgrade the station"
        );
        return Ok(Understood { version, change: None });
    }
    let change = VersionedChange::try_from(change).map_err(|source| SyncError::NotUnderstood { after, source })?;
    Ok(Understood { version, change: (version > after).then_some(change) })
}
