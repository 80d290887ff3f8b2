//! Loops of which one replica of the cloud makes passes at a time. That spares work and repetition; whatever a pass does
//! must be right without it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use facegate_domain::Clock;
use facegate_runtime::backoff::Backoff;
use tokio_util::sync::CancellationToken;

use crate::store::{Store, StoreError};

/// A replica that stops without a word loses its turn after this.
const TURN_LASTS: Duration = Duration::from_secs(30);
const TURN_RENEWED_EVERY: Duration = Duration::from_secs(10);

/// While the other side is out of reach, somebody knocks at least this often.
const KNOCK_EVERY: Duration = Duration::from_secs(30);

/// Whether the other side could be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    There,
    Away,
}

/// What is done in turn.
#[async_trait]
pub trait Passes: Sync {
    async fn pass_once(&self) -> Result<Reach, StoreError>;
}

/// One loop's turn among the replicas.
#[derive(Debug)]
pub struct Turn {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    /// Of the lease.
    name: &'static str,
    /// Tells this replica from others.
    holder: String,
}

impl Turn {
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, name: &'static str) -> Self {
        Self { store, clock, name, holder: uuid::Uuid::new_v4().to_string() }
    }

    /// Makes passes until `stop`. One that is under way then is dropped.
    pub async fn run(&self, every: Duration, stop: &CancellationToken, passes: &dyn Passes) {
        let mut backoff = Backoff::new(every, KNOCK_EVERY.max(every));
        loop {
            let passed = tokio::select! {
                biased;
                () = stop.cancelled() => return self.give_back().await,
                passed = self.pass(passes) => passed,
            };
            let pause = match passed {
                Ok(None | Some(Reach::There)) => {
                    backoff.reset();
                    every
                }
                Ok(Some(Reach::Away)) => backoff.next_delay().max(every),
                Err(error) => {
                    tracing::error!(%error, turn = self.name, "a pass did not get through; the next one goes on");
                    backoff.next_delay().max(every)
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => return self.give_back().await,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// None while it is another replica's turn.
    async fn pass(&self, passes: &dyn Passes) -> Result<Option<Reach>, StoreError> {
        let mut passing = passes.pass_once();
        while self.store.hold_lease(self.name, &self.holder, self.clock.now(), TURN_LASTS).await? {
            tokio::select! {
                biased;
                passed = &mut passing => return passed.map(Some),
                () = tokio::time::sleep(TURN_RENEWED_EVERY) => {}
            }
        }
        Ok(None)
    }

    async fn give_back(&self) {
        if let Err(error) = self.store.end_lease(self.name, &self.holder).await {
            tracing::warn!(%error, turn = self.name, "another replica goes on in half a minute");
        }
    }
}
