//! The loop that opens charges and moves them on. It keeps nothing in memory that matters: a pass that is dropped
//! anywhere, by a crash or a stop, is continued by the next from what the store holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use facegate_domain::Clock;
use facegate_domain::billing::Item;
use facegate_domain::charge::{Advanced, Call, Charge, ChargeError, Event, Instrument, Step};
use facegate_runtime::backoff::Backoff;
use futures::TryStreamExt;
use tokio_util::sync::CancellationToken;

use super::ChargingPolicy;
use super::acquirer::{Acquirer, Acquirers, Trouble, Unconfigured, event_of_call, event_of_query};
use crate::store::{Store, StoreError};

/// Items looked up at a time.
const ITEMS_PAGE: usize = 256;
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
    store: Arc<dyn Store>,
    acquirers: Acquirers,
    clock: Arc<dyn Clock>,
    policy: ChargingPolicy,
    /// Tells this scheduler from those of other replicas.
    name: String,
}

impl Scheduler {
    pub fn new(store: Arc<dyn Store>, acquirers: Acquirers, clock: Arc<dyn Clock>, policy: ChargingPolicy) -> Self {
        Self { store, acquirers, clock, policy, name: uuid::Uuid::new_v4().to_string() }
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

    /// Opens what is uncharged and moves what is due, each as far as it goes now.
    pub async fn pass(&self) -> Result<Pass, StoreError> {
        let opened = self.open_charges().await?;
        let due = self.store.due_charges(self.clock.now(), self.policy.charges_per_pass_max).await?;
        let (moved, away) = (due.len(), AtomicBool::new(false));
        futures::stream::iter(due.into_iter().map(Ok))
            .try_for_each_concurrent(self.policy.in_flight_max, |charge| self.advance(charge, &away))
            .await?;
        Ok(Pass { opened, moved, acquirer_away: away.into_inner() })
    }

    /// One charge for each item; gives how many were opened. Riders without an account wait until they bind one.
    async fn open_charges(&self) -> Result<usize, StoreError> {
        let (mut after, mut opened) = (None::<Item>, 0);
        loop {
            let items = self.store.uncharged_items(self.clock.now(), after.as_ref(), ITEMS_PAGE).await?;
            let Some(last) = items.last() else { return Ok(opened) };
            after = Some(last.clone());
            for item in &items {
                opened += usize::from(self.open_charge(item).await?);
            }
        }
    }

    async fn open_charge(&self, item: &Item) -> Result<bool, StoreError> {
        let rider = item.rider();
        let Some(instrument) = self.store.account(rider).await? else { return Ok(false) };
        if !item.amount().is_positive() {
            return Ok(false);
        }
        let paid_by = instrument.name();
        let opened = Charge::open(rider, std::slice::from_ref(item), instrument, self.clock.now())?;
        let charge = self.store.open_charge(opened).await?;
        metrics::counter!("facegate_charges_opened_total", "paid_by" => paid_by).increment(1);
        // A wallet needs nobody else, and must not queue behind an acquirer that is away.
        if matches!(charge.instrument(), Instrument::Wallet) && charge.next_step() == Step::PayFromWallet {
            let paid = self.store.pay_from_wallet(charge.id(), self.clock.now(), &self.policy.retry).await?;
            told(&paid.charge);
        }
        Ok(true)
    }

    /// Takes one charge step by step until it is finished or has to rest.
    async fn advance(&self, mut charge: Charge, away: &AtomicBool) -> Result<(), StoreError> {
        loop {
            let advanced = match charge.next_step() {
                Step::Nothing => return Ok(()),
                Step::PayFromWallet => {
                    self.store.pay_from_wallet(charge.id(), self.clock.now(), &self.policy.retry).await?
                }
                _ if away.load(Ordering::Relaxed) => return Ok(()),
                Step::Query(key) => {
                    let found = self.acquirer_of(&charge).find(&key, charge.amount()).await;
                    notice(&charge, found.as_ref().err(), away);
                    self.learn(&charge, event_of_query(&found)).await?
                }
                Step::Store(begin) => {
                    let begun = self.store_event(&charge, begin).await?;
                    let Some(call) = begun.call else { return Ok(()) };
                    let event = self.make(&charge, &call, away).await;
                    self.learn(&charge, event).await?
                }
            };
            charge = advanced.charge;
            if charge.is_finished() {
                told(&charge);
            }
            if charge.next_at() > self.clock.now() {
                return Ok(());
            }
        }
    }

    fn acquirer_of(&self, charge: &Charge) -> Arc<dyn Acquirer> {
        match charge.instrument() {
            Instrument::Acquirer { acquirer, .. } => self.acquirers.of(acquirer),
            Instrument::Wallet => Arc::new(Unconfigured),
        }
    }

    async fn make(&self, charge: &Charge, call: &Call, away: &AtomicBool) -> Event {
        let outcome = self.acquirer_of(charge).make(call).await;
        notice(charge, outcome.as_ref().err(), away);
        event_of_call(&outcome)
    }

    /// Stores what the acquirer said. Something impossible is not believed: the charge stays as it is and rests, longer
    /// each time, while the log and the metric call for a person.
    async fn learn(&self, charge: &Charge, event: Event) -> Result<Advanced, StoreError> {
        match self.store_event(charge, event).await {
            Err(StoreError::Charge(error @ ChargeError::Impossible { .. })) => {
                tracing::error!(%error, "an acquirer contradicts itself; look at this charge");
                metrics::counter!("facegate_charges_impossible_total").increment(1);
                self.store_event(charge, Event::QueryFailed).await
            }
            other => other,
        }
    }

    async fn store_event(&self, charge: &Charge, event: Event) -> Result<Advanced, StoreError> {
        self.store.advance_charge(charge.id(), event, self.clock.now(), &self.policy.retry).await
    }
}

fn notice(charge: &Charge, trouble: Option<&Trouble>, away: &AtomicBool) {
    let Some(trouble) = trouble else { return };
    tracing::warn!(charge = %charge.id(), %trouble, "the charge waits and is looked at again");
    metrics::counter!("facegate_acquirer_troubles_total").increment(1);
    if matches!(trouble, Trouble::NotReached(_)) {
        away.store(true, Ordering::Relaxed);
    }
}

fn told(charge: &Charge) {
    metrics::counter!("facegate_charges_finished_total", "state" => charge.state().name()).increment(1);
    tracing::info!(charge = %charge.id(), amount = %charge.amount(), state = charge.state().name(), "charge finished");
}
