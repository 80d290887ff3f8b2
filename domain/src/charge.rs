//! A charge: one payment for items, as a state machine whose every step is stored before the call it makes.
//!
//! That order is in the types. [`Charge::next_step`] looks at a charge as it was stored and names either an event to
//! store or a query, never a call that moves money. Such a [`Call`] is only ever found in the [`Advanced`] that
//! [`Charge::apply`] returns, and the store hands that out once the new state is durable. A charge that is *found* in
//! `Authorising` or `Capturing` was interrupted somewhere around its call: it is queried, not called again.
//!
//! ```text
//! due ──▶ authorising ──▶ authorised ──▶ capturing ──▶ captured
//!  │ ▲         │  │           ▲             │  │
//!  │ └not──────┘  │           └──not────────┘  │ no answer
//!  │  reached     ▼ no answer    reached       ▼
//!  │           unknown ─────────────▶ (whatever a query with the same key finds)
//!  └─▶ captured (wallet)        declined ◀── from authorising, capturing, unknown; from due if the wallet is short
//! ```

mod acquirer;
mod instrument;
mod state;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use acquirer::{Again, Answer, Call, Decline, Found};
pub use instrument::{
    AcquirerName, AcquirerToken, AuthorisationId, IdempotencyKey, Instrument, InvalidAcquirerName, InvalidToken,
};
pub use state::{DeclineReason, Event, State};

use crate::billing::{Item, ItemId};
use crate::clock::Timestamp;
use crate::ids::RiderId;
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
}

/// Why a charge does not move. It stays as it is stored, and is reported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChargeError {
    #[error("no charge is opened for {amount}: what costs nothing needs none")]
    NotPositive { amount: Money },
    #[error("charge {charge} is {state}: {event} cannot happen to it; it is left alone for a person to look at")]
    Impossible { charge: ChargeId, state: State, event: Event },
    #[error("charge {charge} is paid by {instrument}, so {event} cannot happen to it")]
    WrongInstrument { charge: ChargeId, instrument: &'static str, event: Event },
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

/// One payment for items.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    id: ChargeId,
    rider: RiderId,
    items: Vec<ItemId>,
    amount: Money,
    instrument: Instrument,
    key: IdempotencyKey,
    state: State,
    opened_at: Timestamp,
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
    /// Pay out of the wallet, in one store transaction with the reading of its balance.
    PayFromWallet,
    /// Captured or declined.
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
    /// Opens a charge over `billed` and books what the rider now owes.
    ///
    /// Errors: a total that is not positive, or items in two currencies.
    pub fn open(
        rider: RiderId,
        billed: &[Item],
        instrument: Instrument,
        now: Timestamp,
    ) -> Result<Advanced, ChargeError> {
        let items: Vec<ItemId> = billed.iter().map(Item::id).collect();
        let id = ChargeId::of(&items);
        let amount = match billed {
            [] => return Err(LedgerError::Empty { id: EntryId::of("fare", id) }.into()),
            [first, ..] => Money::checked_sum(first.amount().currency(), billed.iter().map(Item::amount))?,
        };
        if !amount.is_positive() {
            return Err(ChargeError::NotPositive { amount });
        }
        let owes = Account::RiderReceivable(rider);
        let entry = Entry::transfer(EntryId::of("fare", id), now, amount, Account::OperatorRevenue, owes)?;
        let key = IdempotencyKey::of(id);
        let charge = Self {
            id,
            rider,
            items,
            amount,
            instrument,
            key,
            state: State::Due,
            opened_at: now,
            troubles: 0,
            next_at: now,
        };
        Ok(Advanced { charge, entry: Some(entry), call: None })
    }

    /// What to do with this charge, as it is stored.
    pub fn next_step(&self) -> Step {
        match (&self.state, &self.instrument) {
            (State::Captured | State::Declined { .. }, _) => Step::Nothing,
            (State::Due, Instrument::Wallet) => Step::PayFromWallet,
            (State::Due, Instrument::Acquirer { .. }) => Step::Store(Event::AuthoriseBegun),
            (State::Authorised { .. }, _) => Step::Store(Event::CaptureBegun),
            (State::Authorising | State::Capturing { .. } | State::Unknown { .. }, _) => Step::Query(self.key.clone()),
        }
    }

    /// The transition that `event` makes. Nothing has happened until it is stored.
    pub fn apply(&self, event: &Event, now: Timestamp, retry: &RetryPolicy) -> Result<Advanced, ChargeError> {
        if event.is_wallets() != matches!(self.instrument, Instrument::Wallet) {
            let (charge, instrument) = (self.id, self.instrument.name());
            return Err(ChargeError::WrongInstrument { charge, instrument, event: event.clone() });
        }
        let impossible =
            || ChargeError::Impossible { charge: self.id, state: self.state.clone(), event: event.clone() };
        let state = self.state.after(event).ok_or_else(impossible)?;
        let entry = if state == State::Captured { Some(self.captured_entry(now)?) } else { None };
        let troubles = match event {
            Event::NotReached | Event::NoAnswer | Event::QueryFailed | Event::Found(Found::Pending { .. }) => {
                self.troubles.saturating_add(1)
            }
            // Trying again is not yet progress, nor is hearing that the last try came to nothing.
            Event::AuthoriseBegun | Event::CaptureBegun | Event::Found(Found::Nothing) => self.troubles,
            _ => 0,
        };
        let next_at = now.plus(retry.rest(troubles, self.id.as_bytes()[0]));
        let charge = Self { state, troubles, next_at, ..self.clone() };
        let call = charge.call_after(event);
        Ok(Advanced { charge, entry, call })
    }

    /// Pays out of a wallet that holds `funds`: wholly, or not at all.
    pub fn pay_from_wallet(&self, funds: Money, now: Timestamp, retry: &RetryPolicy) -> Result<Advanced, ChargeError> {
        let event = if funds.compare(self.amount)?.is_ge() { Event::WalletPaid } else { Event::WalletShort };
        self.apply(&event, now, retry)
    }

    fn call_after(&self, event: &Event) -> Option<Call> {
        let (key, amount) = (self.key.clone(), self.amount);
        match (event, &self.state, &self.instrument) {
            (Event::AuthoriseBegun, State::Authorising, Instrument::Acquirer { token, .. }) => {
                Some(Call::Authorise { key, token: token.clone(), amount })
            }
            (Event::CaptureBegun, State::Capturing { authorisation }, _) => {
                Some(Call::Capture { key, authorisation: authorisation.clone(), amount })
            }
            _ => None,
        }
    }

    /// The rider owes nothing any more; the acquirer, or the wallet, does instead.
    fn captured_entry(&self, now: Timestamp) -> Result<Entry, LedgerError> {
        let to = match self.instrument {
            Instrument::Wallet => Account::Wallet(self.rider),
            Instrument::Acquirer { .. } => Account::AcquirerReceivable,
        };
        Entry::transfer(EntryId::of("capture", self.id), now, self.amount, Account::RiderReceivable(self.rider), to)
    }

    pub fn id(&self) -> ChargeId {
        self.id
    }

    pub fn rider(&self) -> RiderId {
        self.rider
    }

    pub fn items(&self) -> &[ItemId] {
        &self.items
    }

    pub fn amount(&self) -> Money {
        self.amount
    }

    pub fn instrument(&self) -> &Instrument {
        &self.instrument
    }

    pub fn key(&self) -> &IdempotencyKey {
        &self.key
    }

    pub fn state(&self) -> &State {
        &self.state
    }

    pub fn opened_at(&self) -> Timestamp {
        self.opened_at
    }

    /// When the scheduler looks at it next; meaningless once it is finished.
    pub fn next_at(&self) -> Timestamp {
        self.next_at
    }

    /// Whether the rider owes it, and nobody is being asked for it.
    pub fn is_owed(&self) -> bool {
        matches!(self.state, State::Declined { .. })
    }

    pub fn is_finished(&self) -> bool {
        self.state.is_final()
    }
}

#[cfg(test)]
mod tests;
