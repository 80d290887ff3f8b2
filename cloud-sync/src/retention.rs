//! What ends by itself: faces that nobody uses any more, entries without an exit, receipts that wait for a station that is
//! gone for good, the accounts of erased riders once no gate can hold a ride of theirs, old events of acquirers. A pass at
//! the start and every hour.

use std::sync::Arc;
use std::time::Duration;

use crate::charging::webhooks::REMEMBERED;
use crate::cloud::Cloud;
use crate::enrolment::{Actor, EnrolmentError};

const EVERY: Duration = Duration::from_secs(3600);
/// Riders looked at in one call of the store; between two calls the others have their turn.
const PAGE: usize = 500;
/// Faces that one pass withdraws at most. The rest has its turn an hour later.
const WITHDRAWN_MAX: usize = 10_000;
/// Entries that one pass ends at most.
const ENTRIES_MAX: usize = 50_000;
/// Events of acquirers that one pass forgets at most.
const EVENTS_MAX: usize = 50_000;

/// What one pass did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Passed {
    pub withdrawn: usize,
    pub entries_ended: usize,
    pub receipts_closed: usize,
    pub accounts_forgotten: usize,
    pub events_forgotten: usize,
}

/// Until the cloud stops.
pub async fn run(cloud: Arc<Cloud>) {
    loop {
        match pass(&cloud).await {
            Ok(passed) if passed == Passed::default() => (),
            Ok(passed) => tracing::info!(?passed, "what was over has ended"),
            Err(error) => tracing::error!(%error, "retention limits could not be kept; the next pass tries again"),
        }
        tokio::select! {
            biased;
            () = cloud.stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// One pass.
pub async fn pass(cloud: &Cloud) -> Result<Passed, EnrolmentError> {
    let (store, now) = (&cloud.store, cloud.clock.now());
    Ok(Passed {
        receipts_closed: store.release_decommissioned(now).await?,
        entries_ended: store.end_long_entries(cloud.config.inside_max, ENTRIES_MAX, now).await?,
        accounts_forgotten: store.forget_settled_accounts(now.minus(cloud.config.enrolment.account_kept)).await?,
        withdrawn: withdraw_unused(cloud).await?,
        events_forgotten: store.forget_events(now.minus(REMEMBERED), EVENTS_MAX).await?,
    })
}

async fn withdraw_unused(cloud: &Cloud) -> Result<usize, EnrolmentError> {
    let cutoff = cloud.clock.now().minus(cloud.config.unused_max);
    let actor = Actor::new("system", "retention");
    let (mut after, mut withdrawn) = (None, 0);
    loop {
        let (unused, last) = cloud.store.faces_unused_since(cutoff, after, PAGE).await?;
        for rider in unused {
            let receipt = cloud.enrolment.withdraw_face(&actor, "rider.face-unused", rider).await?;
            withdrawn += usize::from(receipt.is_some());
        }
        after = last;
        if after.is_none() || withdrawn >= WITHDRAWN_MAX || cloud.stop.is_cancelled() {
            return Ok(withdrawn);
        }
    }
}
