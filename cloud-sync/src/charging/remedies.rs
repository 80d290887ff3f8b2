//! The loop that brings refunds to their end. It keeps nothing in memory that matters: a pass that is dropped anywhere is
//! continued by the next from what the store holds.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use facegate_domain::charge::Answer;
use facegate_domain::remedy::{Moved, Remedy, RemedyError, RemedyEvent, RemedyStep};
use facegate_domain::{Clock, Timestamp};
use futures::TryStreamExt;
use tokio_util::sync::CancellationToken;

use super::ChargingPolicy;
use super::acquirer::{Acquirer, Acquirers, Trouble, Unconfigured};
use crate::store::{Store, StoreError};
use crate::turns::{Passes, Reach, Turn};

/// Only one replica makes passes at a time. That a refund is made once rests on its states in the store.
const TURN: &str = "remedies";

const CREDITS_EVERY: Duration = Duration::from_secs(3600);
const CREDITS_PAGE: usize = 256;

/// Brings refunds to their end.
#[derive(Debug)]
pub struct Remedies {
    store: Arc<dyn Store>,
    acquirers: Acquirers,
    clock: Arc<dyn Clock>,
    policy: ChargingPolicy,
    /// A credit that no bill has used for so long is paid out. None: it stays.
    credits_after: Option<Duration>,
    /// When old credits were looked for last.
    looked_at: Mutex<Option<Timestamp>>,
}

impl Remedies {
    pub fn new(store: Arc<dyn Store>, acquirers: Acquirers, clock: Arc<dyn Clock>, policy: ChargingPolicy) -> Self {
        Self { store, acquirers, clock, policy, credits_after: None, looked_at: Mutex::default() }
    }

    /// Credits that no bill has used for so long are paid out.
    #[must_use]
    pub fn paying_credits_after(self, credits_after: Option<Duration>) -> Self {
        Self { credits_after, ..self }
    }

    /// Refunds until `stop`. A call that is under way then is dropped, and queried after the next start.
    pub async fn run(self, stop: CancellationToken) {
        let turn = Turn::new(Arc::clone(&self.store), Arc::clone(&self.clock), TURN);
        turn.run(self.policy.pass_every, &stop, &self).await;
    }

    /// Moves what is due, each as far as it goes now.
    pub async fn pass(&self) -> Result<Reach, StoreError> {
        self.pay_credits_out().await?;
        let due = self.store.due_remedies(self.clock.now(), self.policy.charges_per_pass_max).await?;
        let away = AtomicBool::new(false);
        futures::stream::iter(due.into_iter().map(Ok))
            .try_for_each_concurrent(self.policy.in_flight_max, |remedy| self.advance(remedy, &away))
            .await?;
        Ok(if away.into_inner() { Reach::Away } else { Reach::There })
    }

    /// Has old credits go back to what their riders have paid with, as far as that goes; looks for them once an hour.
    async fn pay_credits_out(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        let Some(since) = self.credits_after.map(|after| now.minus(after)) else { return Ok(()) };
        {
            let mut looked_at = self.looked_at.lock().unwrap_or_else(PoisonError::into_inner);
            if looked_at.is_some_and(|last| now < last.plus(CREDITS_EVERY)) {
                return Ok(());
            }
            *looked_at = Some(now);
        }
        let mut after = None;
        loop {
            let old = self.store.old_credits(since, after, CREDITS_PAGE).await?;
            let Some((rider, credit)) = old.last() else { return Ok(()) };
            after = Some((*rider, credit.amount.currency()));
            for (rider, credit) in old {
                let paid = self.store.pay_credit_out(rider, credit.amount.currency(), since, now).await?;
                metrics::counter!("facegate_credits_paid_out_total").increment(paid.len() as u64);
            }
        }
    }

    /// Takes one refund step by step until it is done or has to rest.
    async fn advance(&self, mut remedy: Remedy, away: &AtomicBool) -> Result<(), StoreError> {
        let acquirer = remedy.acquirer().map_or_else(|| Arc::new(Unconfigured) as _, |name| self.acquirers.of(name));
        while remedy.next_step() != RemedyStep::Nothing && !away.load(Ordering::Relaxed) {
            let moved = self.step(&remedy, &*acquirer, away).await?;
            remedy = moved.remedy;
            if !remedy.state().is_under_way() {
                let state = remedy.state().name();
                metrics::counter!("facegate_refunds_finished_total", "state" => state).increment(1);
                tracing::info!(remedy = %remedy.id(), amount = %remedy.amount(), state, "refund finished");
            }
            if remedy.next_at() > self.clock.now() {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn step(&self, remedy: &Remedy, acquirer: &dyn Acquirer, away: &AtomicBool) -> Result<Moved, StoreError> {
        let event = match remedy.next_step() {
            RemedyStep::Locate { key, captured } => {
                let found = acquirer.find(&key, captured).await;
                notice(remedy, found.as_ref().err(), away);
                found.map_or(RemedyEvent::QueryFailed, RemedyEvent::Charge)
            }
            RemedyStep::Store(begin) => {
                let begun = self.store_event(remedy, begin).await?;
                let Some(call) = &begun.call else { return Ok(begun) };
                let outcome = acquirer.make(call).await;
                notice(remedy, outcome.as_ref().err(), away);
                return self.learn(&begun.remedy, event_of_call(outcome)).await;
            }
            RemedyStep::Query(key) => {
                let found = acquirer.find(&key, remedy.amount()).await;
                notice(remedy, found.as_ref().err(), away);
                found.map_or(RemedyEvent::QueryFailed, RemedyEvent::Found)
            }
            RemedyStep::Nothing => RemedyEvent::QueryFailed,
        };
        self.learn(remedy, event).await
    }

    /// Stores what the acquirer said. Something impossible is not believed: the refund stays as it is and rests, longer
    /// each time, while the log and the metric call for a person.
    async fn learn(&self, remedy: &Remedy, event: RemedyEvent) -> Result<Moved, StoreError> {
        match self.store_event(remedy, event).await {
            Err(StoreError::Remedy(error @ RemedyError::Impossible { .. })) => {
                tracing::error!(%error, "an acquirer contradicts itself; look at this refund");
                metrics::counter!("facegate_refunds_impossible_total").increment(1);
                self.store_event(remedy, RemedyEvent::QueryFailed).await
            }
            other => other,
        }
    }

    async fn store_event(&self, remedy: &Remedy, event: RemedyEvent) -> Result<Moved, StoreError> {
        self.store.advance_remedy(remedy.id(), event, self.clock.now(), &self.policy.retry).await
    }
}

#[async_trait]
impl Passes for Remedies {
    async fn pass_once(&self) -> Result<Reach, StoreError> {
        self.pass().await
    }
}

fn event_of_call(outcome: Result<Answer, Trouble>) -> RemedyEvent {
    match outcome {
        Ok(Answer::Refunded) => RemedyEvent::Refunded,
        Ok(Answer::Declined(decline)) => RemedyEvent::Declined { reason: decline.reason },
        Err(Trouble::NotReached(_)) => RemedyEvent::NotReached,
        // Nothing certain: a query tells more.
        Ok(_) | Err(Trouble::NoAnswer(_)) => RemedyEvent::NoAnswer,
    }
}

fn notice(remedy: &Remedy, trouble: Option<&Trouble>, away: &AtomicBool) {
    let Some(trouble) = trouble else { return };
    tracing::warn!(remedy = %remedy.id(), %trouble, "the refund waits and is looked at again");
    metrics::counter!("facegate_acquirer_troubles_total").increment(1);
    if matches!(trouble, Trouble::NotReached(_)) {
        away.store(true, Ordering::Relaxed);
    }
}
