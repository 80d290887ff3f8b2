//! The change feed as a stream: from a station's cursor to the head, then live.
//!
//! The log is in the store, so a station reads at its own pace: a slow one holds nothing in memory but its place, and
//! hurts nobody.

mod reread;
mod snapshot;

use std::sync::Arc;

use facegate_domain::ids::StationId;
use facegate_proto::convert::sync::{FeedChange, VersionedChange};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::store::{OutOfReach, Store, StoreError};

pub use reread::reread;
pub use snapshot::{Ask, snapshot};

/// Changes read from the log at once.
const PAGE: usize = 512;

/// Changes waiting for one station's connection; beyond that its reader waits.
const QUEUED_MAX: usize = 1024;

/// Why a stream ends.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    #[error(transparent)]
    OutOfReach(#[from] OutOfReach),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the server is stopping: subscribe again when it is back")]
    Stopping,
}

/// Follows the log from `cursor` on, without what is newer than `level`. The cursor is checked before this returns.
pub async fn subscribe(
    store: Arc<dyn Store>,
    cursor: u64,
    level: u32,
    stop: CancellationToken,
) -> Result<mpsc::Receiver<Result<VersionedChange, FeedError>>, FeedError> {
    store.changes_after(cursor, 1).await??;
    let (to_station, changes) = mpsc::channel(QUEUED_MAX);
    tokio::spawn(async move {
        let ended = tokio::select! {
            biased;
            ended = follow(&*store, cursor, level, &to_station) => ended,
            () = stop.cancelled() => Some(FeedError::Stopping),
            () = to_station.closed() => None,
        };
        if let Some(error) = ended {
            // A station that has hung up meanwhile is told nothing.
            let _ = to_station.send(Err(error)).await;
        }
    });
    Ok(changes)
}

/// Habits are told to the station that they are about; others get the change's place in the log, since they wait for its
/// version, and nobody's habits.
pub async fn addressed(store: &dyn Store, change: FeedChange, to: &StationId) -> Result<FeedChange, StoreError> {
    match change {
        FeedChange::Regulars { station, .. } if station == *to => {
            Ok(FeedChange::Regulars { riders: store.regulars(&station).await?, station })
        }
        other => Ok(other),
    }
}

/// None when the station has hung up.
async fn follow(
    store: &dyn Store,
    mut cursor: u64,
    level: u32,
    to_station: &mpsc::Sender<Result<VersionedChange, FeedError>>,
) -> Option<FeedError> {
    let mut head = store.head();
    loop {
        // Marked as seen before reading, so that a change that comes in between wakes the next wait.
        head.mark_unchanged();
        let (changes, reached) = match store.changes_after(cursor, PAGE).await {
            Ok(Ok(page)) => page,
            Ok(Err(out_of_reach)) => return Some(out_of_reach.into()),
            Err(error) => return Some(error.into()),
        };
        let idle = reached == cursor;
        cursor = reached;
        for change in changes.into_iter().filter(|change| change.change.level() <= level) {
            to_station.send(Ok(change)).await.ok()?;
        }
        if idle && head.changed().await.is_err() {
            return Some(FeedError::Stopping);
        }
    }
}
