//! The loop that opens charges and moves them on. It keeps nothing in memory that matters: a pass that is dropped
//! anywhere, by a crash or a stop, is continued by the next from what the store holds.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use facegate_domain::Clock;
use facegate_domain::charge::{AcquirerName, Advanced, Charge, ChargeError, Event, Step};
use facegate_runtime::backoff::Backoff;
use futures::TryStreamExt;
use tokio_util::sync::CancellationToken;

use super::ChargingPolicy;
use super::acquirer::wallet::Wallets;
use super::acquirer::{Acquirers, Trouble, event_of_call, event_of_query};
use crate::store::{Store, StoreError};
use crate::tariffs::Tariffs;

/// While the acquirer is out of reach, somebody knocks at least this often.
const KNOCK_EVERY: Duration = Duration::from_secs(30);

/// Only one replica of the cloud makes passes at a time: two would ask the same questions twice. What is charged rests
/// on the state machine in the store, not on this.
const TURN: &str = "charging";
const TURN_LASTS: Duration = Duration::from_secs(30);
const TURN_RENEWED_EVERY: Duration = Duration::from_secs(10);

/// What one pass did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pass {
    pub opened: usize,
    /// Charges that were looked at.
    pub moved: usize,
    /// The acquirer could not be reached, and the rest of its charges was left for later.
    pub acquirer_away: bool,
}

/// Brings charges to their end.
#[derive(Debug)]
pub struct Scheduler {
    pub(super) store: Arc<dyn Store>,
    pub(super) acquirers: Acquirers,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) policy: ChargingPolicy,
    /// Says how much is held of riders who pay in advance.
    pub(super) tariffs: Option<tokio::sync::Mutex<Tariffs>>,
    /// Tells this scheduler from those of other replicas.
    name: String,
}

impl Scheduler {
    pub fn new(store: Arc<dyn Store>, acquirers: Acquirers, clock: Arc<dyn Clock>, policy: ChargingPolicy) -> Self {
        let wallets = Wallets::new(Arc::clone(&store), Arc::clone(&clock), policy.wallet_low);
        let acquirers = acquirers.with_wallet(Arc::new(wallets));
        Self { store, acquirers, clock, policy, tariffs: None, name: uuid::Uuid::new_v4().to_string() }
    }

    /// With what says how much is held, where the policy has rides paid in advance.
    #[must_use]
    pub fn prepaying(self, tariffs: Tariffs) -> Self {
        Self { tariffs: Some(tokio::sync::Mutex::new(tariffs)), ..self }
    }

    /// Charges until `stop`. A call that is under way then is dropped, and queried after the next start.
    pub async fn run(self, stop: CancellationToken) {
        let mut backoff = Backoff::new(self.policy.pass_every, KNOCK_EVERY.max(self.policy.pass_every));
        loop {
            let passed = tokio::select! {
                biased;
                () = stop.cancelled() => return self.give_turn_back().await,
                passed = self.pass_in_turn() => passed,
            };
            let pause = match passed {
                Ok(pass) if !pass.is_some_and(|pass| pass.acquirer_away) => {
                    backoff.reset();
                    self.policy.pass_every
                }
                Ok(_) => backoff.next_delay().max(self.policy.pass_every),
                Err(error) => {
                    tracing::error!(%error, "charging did not get through; the next pass goes on");
                    backoff.next_delay().max(self.policy.pass_every)
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => return self.give_turn_back().await,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// None while it is another replica's turn. One that stops without a word loses it after [`TURN_LASTS`].
    async fn pass_in_turn(&self) -> Result<Option<Pass>, StoreError> {
        let mut passing = std::pin::pin!(self.pass());
        while self.store.hold_lease(TURN, &self.name, self.clock.now(), TURN_LASTS).await? {
            tokio::select! {
                biased;
                passed = &mut passing => return passed.map(Some),
                () = tokio::time::sleep(TURN_RENEWED_EVERY) => {}
            }
        }
        Ok(None)
    }

    async fn give_turn_back(&self) {
        if let Err(error) = self.store.end_lease(TURN, &self.name).await {
            tracing::warn!(%error, "another replica goes on charging in half a minute");
        }
    }

    /// Opens what is to be billed and moves what is due, each as far as it goes now.
    pub async fn pass(&self) -> Result<Pass, StoreError> {
        let held = self.open_holds().await?;
        self.open_verifications().await?;
        let (opened, by_wallet) = self.open_bills().await?;
        let away = Away::default();
        // A wallet needs nobody else, and must not queue behind an acquirer that is away.
        for charge in held.into_iter().chain(by_wallet) {
            self.advance(charge, &away).await?;
        }
        let due = self.store.due_charges(self.clock.now(), self.policy.charges_per_pass_max).await?;
        let moved = due.len();
        futures::stream::iter(due.into_iter().map(Ok))
            .try_for_each_concurrent(self.policy.in_flight_max, |charge| self.advance(charge, &away))
            .await?;
        Ok(Pass { opened, moved, acquirer_away: away.any() })
    }

    /// Takes one charge step by step until it is finished, has to rest, or is another replica's.
    async fn advance(&self, mut charge: Charge, away: &Away) -> Result<(), StoreError> {
        loop {
            let acquirer = charge.instrument().account(charge.rider()).0;
            let advanced = match charge.next_step() {
                Step::Nothing => return Ok(()),
                Step::Choose => {
                    let event = self.choose(&charge).await?;
                    self.store_event(&charge, event).await?
                }
                _ if away.is(&acquirer) => return Ok(()),
                Step::Query(key) => {
                    let found = self.acquirers.of(&acquirer).find(&key, charge.asked()).await;
                    away.notice(&charge, &acquirer, found.as_ref().err());
                    self.learn(&charge, event_of_query(&found)).await?
                }
                Step::Store(begin) => {
                    let Some(begun) = self.store_event(&charge, begin).await? else { return Ok(()) };
                    let Some(call) = begun.call else { return Ok(()) };
                    let outcome = self.acquirers.of(&acquirer).make(&call).await;
                    away.notice(&charge, &acquirer, outcome.as_ref().err());
                    self.learn(&begun.charge, event_of_call(&outcome)).await?
                }
            };
            let Some(advanced) = advanced else { return Ok(()) };
            charge = advanced.charge;
            if charge.is_finished() || charge.state().is_debt() {
                told(&charge);
            }
            if charge.is_finished() || charge.next_at() > self.clock.now() {
                return Ok(());
            }
        }
    }

    async fn choose(&self, charge: &Charge) -> Result<Event, StoreError> {
        let now = self.clock.now();
        let instruments = self.store.instruments(charge.rider()).await?;
        let used = self.used_today(charge.rider(), &instruments, now).await?;
        Ok(charge.choose(&self.circumstances(&instruments, &used, now)))
    }

    /// Stores what the acquirer said. Something impossible is not believed: the charge stays as it is and rests, longer
    /// each time, while the log and the metric call for a person.
    async fn learn(&self, charge: &Charge, event: Event) -> Result<Option<Advanced>, StoreError> {
        if let Some(advanced) = self.store_event(charge, event).await? {
            return Ok(Some(advanced));
        }
        let stored = self.store.charge(charge.id()).await?;
        if stored.is_some_and(|stored| (stored.attempt(), stored.state()) != (charge.attempt(), charge.state())) {
            return Ok(None);
        }
        tracing::error!(charge = %charge.id(), "an acquirer contradicts itself; look at this charge");
        metrics::counter!("facegate_charges_impossible_total").increment(1);
        self.store_event(charge, Event::QueryFailed).await
    }

    /// None if it cannot happen to the charge as it is stored: another replica has moved it, or the event is nonsense.
    async fn store_event(&self, charge: &Charge, event: Event) -> Result<Option<Advanced>, StoreError> {
        let (id, attempt, now) = (charge.id(), charge.attempt(), self.clock.now());
        match self.store.advance_charge(id, attempt, event, now, &self.policy.retry).await {
            Ok(advanced) => Ok(Some(advanced)),
            Err(StoreError::Charge(error @ (ChargeError::Impossible { .. } | ChargeError::OtherAttempt { .. }))) => {
                tracing::debug!(%error, "not stored");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// The acquirers that were out of reach in this pass: the rest of their charges is left for later.
#[derive(Debug, Default)]
struct Away(Mutex<BTreeSet<AcquirerName>>);

impl Away {
    fn names(&self) -> MutexGuard<'_, BTreeSet<AcquirerName>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is(&self, acquirer: &AcquirerName) -> bool {
        self.names().contains(acquirer)
    }

    fn any(&self) -> bool {
        !self.names().is_empty()
    }

    fn notice(&self, charge: &Charge, acquirer: &AcquirerName, trouble: Option<&Trouble>) {
        let Some(trouble) = trouble else { return };
        tracing::warn!(charge = %charge.id(), %acquirer, %trouble, "the charge waits and is looked at again");
        metrics::counter!("facegate_acquirer_troubles_total").increment(1);
        if matches!(trouble, Trouble::NotReached(_)) {
            self.names().insert(acquirer.clone());
        }
    }
}

fn told(charge: &Charge) {
    metrics::counter!("facegate_charges_finished_total", "state" => charge.state().name()).increment(1);
    tracing::info!(charge = %charge.id(), amount = %charge.amount(), state = charge.state().name(), "charge finished");
}
