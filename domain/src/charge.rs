//! A charge: one payment for a bill, as a state machine whose every step is stored before the call it makes.
//!
//! That order is in the types. [`Charge::next_step`] looks at a charge as it was stored and names an event to store, a
//! choice or a query, never a call that moves money. Such a [`Call`] is only ever found in the [`Advanced`] that
//! [`Charge::apply`] returns, and the store hands that out once the new state is durable. A charge that is *found* in the
//! middle of a call was interrupted somewhere around it: it is queried, not called again.
//!
//! ```text
//!  ┌──────────── the next attempt, under a key of its own ◀─────────────┐
//!  ▼                                                                    │ an instrument may be asked (again)
//! due ──▶ authorising ──▶ authorised ──▶ capturing ──▶ captured      declined ──▶ debt (nobody left to ask)
//!  ▲ not     │  │  ▲           ▲ │ not     │  │                         ▲
//!  └─reached─┘  │  │   reached └─┼─────────┘  │ no answer, or later     │ as a call or a query says
//!               ▼  │             └▶ voiding ─▶│                         │
//!            unknown, pending ◀───────────────┘ ──▶ (whatever a query with the same key finds)
//! ```
//!
//! Every attempt has its own key and instrument. A new one is begun only when the outcome of the last is known to be a
//! decline, so that no two of them can both take the money. Verifications of an instrument and holds of a maximum fare go
//! the same way and end in `voided`; a hold whose ride is billed is captured instead, for what the ride costs.

mod acquirer;
mod choose;
mod instrument;
mod instruments;
mod open;
mod state;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use acquirer::{Again, Answer, Call, Decline, Found};
pub use choose::{Circumstances, RetrySchedule};
pub use instrument::{
    AcquirerName, AcquirerToken, AuthorisationId, IdempotencyKey, Instrument, InvalidAcquirerName, InvalidToken,
};
pub use instruments::{
    Bound, Change, Channel, INSTRUMENTS_MAX, InstrumentId, InstrumentProblem, Instruments, Limits, PassedOver, Used,
};
pub use state::{Event, State};

use crate::billing::ItemId;
use crate::clock::Timestamp;
use crate::dispute::DisputeId;
use crate::ids::{RecordId, RiderId};
use crate::ledger::{Account, Entry, EntryId, LedgerError};
use crate::money::{Money, MoneyError};

digest_id!(
    /// The identity of a charge: a digest of the items it is for, so that opening it twice is once.
    ChargeId,
    "charge"
);

impl ChargeId {
    pub fn of(items: &[ItemId]) -> Self {
        Self::digest(items)
    }

    /// Of the verification of an instrument that a ride makes.
    pub fn of_verification(entry: &RecordId, instrument: InstrumentId) -> Self {
        Self::digest(["verification", &entry.to_string(), &instrument.to_string()])
    }

    /// Of what is owed once more after a dispute that was lost.
    pub fn of_dispute(dispute: DisputeId) -> Self {
        Self::digest(["dispute", &dispute.to_string()])
    }

    /// Of the hold that an entry makes.
    pub fn of_hold(entry: &RecordId) -> Self {
        Self::digest(["hold", &entry.to_string()])
    }
}

/// Why a charge does not move. It stays as it is stored, and is reported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChargeError {
    #[error("a bill has at least one item")]
    Nothing,
    #[error("charge {charge} is {state}: {event} cannot happen to it; it is left alone for a person to look at")]
    Impossible { charge: ChargeId, state: State, event: Event },
    #[error("charge {charge} is at attempt {now}, and this is about attempt {told}: it is known already")]
    OtherAttempt { charge: ChargeId, now: u32, told: u32 },
    #[error("the items cannot be summed: {0}")]
    Money(#[from] MoneyError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

/// How long a charge rests after trouble: doubling from `first` up to `max`, spread by its key so that the charges of
/// an outage do not come back all at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    pub first: Duration,
    pub max: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { first: Duration::from_secs(1), max: Duration::from_secs(15 * 60) }
    }
}

impl RetryPolicy {
    pub fn rest(&self, troubles: u32, spread: u8) -> Duration {
        let Some(doublings) = troubles.checked_sub(1) else { return Duration::ZERO };
        let capped = self.first.saturating_mul(2_u32.saturating_pow(doublings)).min(self.max);
        capped + capped * u32::from(spread) / 1024
    }
}

/// What a charge is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Purpose {
    Bill,
    /// Shows that an instrument can pay; nothing is captured.
    Verification,
    /// Keeps the maximum fare for a ride that is under way, until then; captured once the ride is billed.
    Hold {
        until: Timestamp,
    },
}

/// An attempt that came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    pub attempt: u32,
    pub instrument: InstrumentId,
    pub at: Timestamp,
    pub decline: Decline,
}

/// One payment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    id: ChargeId,
    rider: RiderId,
    purpose: Purpose,
    items: Vec<ItemId>,
    /// What the items come to; negative if the rider gets something back.
    billed: Money,
    /// What earlier credits paid of it.
    credit_used: Money,
    /// What is collected, or held, or shown to be there.
    amount: Money,
    /// What this attempt asked to be authorised: the amount, or more if it was held.
    asked: Money,
    instrument: Instrument,
    /// From 1.
    attempt: u32,
    key: IdempotencyKey,
    state: State,
    tried: Vec<Tried>,
    opened_at: Timestamp,
    /// When this attempt was begun.
    begun_at: Timestamp,
    /// When the rider last asked for a debt to be tried.
    asked_at: Option<Timestamp>,
    /// Calls and queries without an answer since the last one with.
    troubles: u32,
    next_at: Timestamp,
}

/// What to do with a charge as it is found in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Store this event; the transition then holds the call to make.
    Store(Event),
    /// Ask the acquirer what it knows of this key, and store what it says.
    Query(IdempotencyKey),
    /// Choose the instrument of the next attempt, and store that.
    Choose,
    /// It is at its end.
    Nothing,
}

/// A transition: store `charge` and `entry` in one transaction; make the call only when both are durable.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a transition that is not stored has not happened"]
pub struct Advanced {
    pub charge: Charge,
    pub entry: Option<Entry>,
    pub call: Option<Call>,
}

impl Charge {
    /// What to do with this charge, as it is stored, when its time has come.
    pub fn next_step(&self) -> Step {
        match (&self.state, &self.purpose) {
            (State::Captured | State::Voided | State::Refused { .. } | State::Waived | State::Settled, _) => {
                Step::Nothing
            }
            (State::Due, _) => Step::Store(Event::AuthoriseBegun),
            (State::Authorised { .. }, Purpose::Bill) => Step::Store(Event::CaptureBegun),
            (State::Authorised { .. }, Purpose::Verification | Purpose::Hold { .. }) => Step::Store(Event::VoidBegun),
            (State::Declined { .. } | State::Debt { .. }, _) => Step::Choose,
            (
                State::Authorising
                | State::Capturing { .. }
                | State::Voiding { .. }
                | State::Pending { .. }
                | State::Unknown { .. },
                _,
            ) => Step::Query(self.key.clone()),
        }
    }

    /// The transition that `event` makes. Nothing has happened until it is stored.
    pub fn apply(&self, event: &Event, now: Timestamp, retry: &RetryPolicy) -> Result<Advanced, ChargeError> {
        let impossible =
            || ChargeError::Impossible { charge: self.id, state: self.state.clone(), event: event.clone() };
        let state = self.as_meant(self.state.after(event).ok_or_else(impossible)?).ok_or_else(impossible)?;
        let mut charge = Self { state, ..self.clone() };
        charge.note(event, now);
        charge.troubles = match event {
            Event::NotReached | Event::NoAnswer | Event::QueryFailed | Event::TakenOn => {
                self.troubles.saturating_add(1)
            }
            Event::Found(Found::Pending { .. }) => self.troubles.saturating_add(1),
            // Trying again is not yet progress, nor is hearing that the last try came to nothing.
            Event::AuthoriseBegun | Event::CaptureBegun | Event::VoidBegun | Event::Found(Found::Nothing) => {
                self.troubles
            }
            _ => 0,
        };
        charge.next_at = match (&charge.state, &charge.purpose) {
            (State::Debt { again_at: Some(again_at), .. }, _) => *again_at,
            (State::Authorised { .. }, Purpose::Hold { until }) if charge.troubles == 0 => (*until).max(now),
            _ => now.plus(retry.rest(charge.troubles, self.id.as_bytes()[0])),
        };
        let entry = if charge.state == State::Captured { Some(charge.captured_entry(now)?) } else { None };
        let call = charge.call_after(event);
        Ok(Advanced { charge, entry, call })
    }

    /// What a state of the table is to a charge of this purpose. None: it cannot be.
    fn as_meant(&self, state: State) -> Option<State> {
        match (state, &self.purpose) {
            // Nobody voids what is to be captured.
            (State::Voided, Purpose::Bill) => Some(State::Declined { decline: Decline::lapsed() }),
            (State::Captured | State::Capturing { .. }, Purpose::Verification | Purpose::Hold { .. }) => None,
            (State::Voiding { .. }, Purpose::Bill) => None,
            (State::Debt { decline, .. }, Purpose::Verification | Purpose::Hold { .. }) => {
                Some(State::Refused { decline })
            }
            (state, _) => Some(state),
        }
    }

    fn note(&mut self, event: &Event, now: Timestamp) {
        match event {
            Event::Chosen(bound) => {
                self.attempt += 1;
                self.key = IdempotencyKey::of_attempt(self.id, self.attempt);
                self.instrument = bound.instrument.clone();
                self.asked = self.amount;
            }
            // The same key never asks for another amount: a hold that was billed meanwhile is asked for as it was.
            Event::AuthoriseBegun => self.begun_at = now,
            _ => {}
        }
        if let State::Declined { decline } = &self.state {
            let (attempt, instrument, decline) = (self.attempt, self.instrument.id(), decline.clone());
            self.tried.push(Tried { attempt, instrument, at: now, decline });
        }
    }

    fn call_after(&self, event: &Event) -> Option<Call> {
        let key = self.key.clone();
        match (event, &self.state) {
            (Event::AuthoriseBegun, State::Authorising) => {
                let (_, token) = self.instrument.account(self.rider);
                Some(Call::Authorise { key, token, amount: self.asked })
            }
            (Event::CaptureBegun, State::Capturing { authorisation }) => {
                Some(Call::Capture { key, authorisation: authorisation.clone(), amount: self.amount })
            }
            (Event::VoidBegun, State::Voiding { authorisation }) => {
                Some(Call::Void { key, authorisation: authorisation.clone() })
            }
            _ => None,
        }
    }

    /// The rider owes nothing any more; the acquirer does instead, or what was held of his wallet is the operator's.
    fn captured_entry(&self, now: Timestamp) -> Result<Entry, LedgerError> {
        let to = match self.instrument {
            Instrument::Wallet => Account::WalletHeld(self.rider),
            Instrument::Acquirer { .. } => Account::AcquirerReceivable,
        };
        Entry::transfer(EntryId::of("capture", self.id), now, self.amount, Account::RiderReceivable(self.rider), to)
    }

    /// Errors: `OtherAttempt` unless what is told is about the present attempt.
    pub fn is_at(&self, attempt: u32) -> Result<(), ChargeError> {
        let (charge, now, told) = (self.id, self.attempt, attempt);
        if now == told { Ok(()) } else { Err(ChargeError::OtherAttempt { charge, now, told }) }
    }

    /// With the rider's wish that a debt be tried at once. None if it is no debt.
    #[must_use]
    pub fn asked_for(&self, now: Timestamp) -> Option<Self> {
        let State::Debt { decline, .. } = &self.state else { return None };
        let state = State::Debt { decline: decline.clone(), again_at: Some(now) };
        Some(Self { state, asked_at: Some(now), next_at: now, ..self.clone() })
    }

    /// To be looked at now, because somebody said that there is something to see. Nothing he says is believed: it is
    /// queried. None unless an outcome is waited for.
    #[must_use]
    pub fn hurried(&self, now: Timestamp) -> Option<Self> {
        (self.state.is_in_flight() && self.next_at > now).then(|| Self { next_at: now, ..self.clone() })
    }

    pub fn id(&self) -> ChargeId {
        self.id
    }

    pub fn rider(&self) -> RiderId {
        self.rider
    }

    pub fn purpose(&self) -> &Purpose {
        &self.purpose
    }

    pub fn items(&self) -> &[ItemId] {
        &self.items
    }

    /// What the items come to, before credits.
    pub fn billed(&self) -> Money {
        self.billed
    }

    pub fn credit_used(&self) -> Money {
        self.credit_used
    }

    /// What is collected.
    pub fn amount(&self) -> Money {
        self.amount
    }

    /// What the acquirer was asked to authorise under the present key: at least the amount.
    pub fn asked(&self) -> Money {
        self.asked
    }

    pub fn instrument(&self) -> &Instrument {
        &self.instrument
    }

    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Of the present attempt.
    pub fn key(&self) -> &IdempotencyKey {
        &self.key
    }

    pub fn state(&self) -> &State {
        &self.state
    }

    /// The attempts that came to nothing.
    pub fn tried(&self) -> &[Tried] {
        &self.tried
    }

    pub fn opened_at(&self) -> Timestamp {
        self.opened_at
    }

    /// When the present attempt was begun.
    pub fn begun_at(&self) -> Timestamp {
        self.begun_at
    }

    /// When the scheduler looks at it next; meaningless once it is finished.
    pub fn next_at(&self) -> Timestamp {
        self.next_at
    }

    /// Whether the rider owes it, and nobody is being asked for it.
    pub fn is_owed(&self) -> bool {
        self.state.is_debt()
    }

    pub fn is_finished(&self) -> bool {
        self.state.is_final()
    }
}

#[cfg(test)]
mod tests;
