//! Money given back: refunds of captured charges, credits, and fares that are not asked for any more.
//!
//! Somebody of the operator asks for one, with a reason. Above an amount another one has to approve it, never the same.
//! A refund through an acquirer is a state machine like a charge's: each step is stored before the call that it leads
//! to, under a key of the refund's own, and an outcome that is not known is asked for by that key.
//!
//! ```text
//! awaiting approval ──▶ due ──▶ located ──▶ calling ──▶ done
//!        │               │         ▲ not        │ │
//!        ▼               │         └ reached ───┘ │ no answer
//!    rejected            ▼                        ▼
//!                     failed ◀─────────────── unknown ──▶ (whatever a query with the same key finds)
//! ```
//!
//! What goes into the rider's wallet, or is taken off what he owes, is done as soon as it is approved: it is an entry in
//! our own books. What a charge was captured for limits what may be given back of it, all together.

mod request;
mod state;

use serde::{Deserialize, Serialize};

pub use request::{Ground, Measure, REASON_MAX, RemedyError, RemedyPolicy, RemedyRequest, Returned};
pub use state::{RemedyEvent, RemedyState};

use crate::charge::{AcquirerName, Call, Charge, IdempotencyKey, Instrument, RetryPolicy, State as ChargeState};
use crate::clock::Timestamp;
use crate::ids::RiderId;
use crate::ledger::{Account, Entry, EntryId, LedgerError};
use crate::money::Money;
use crate::notice::Told;

digest_id!(
    /// The identity of a remedy: a digest of the rider and of the name that whoever asks for it gave it, so that asking
    /// twice is once.
    RemedyId,
    "remedy"
);

impl RemedyId {
    pub fn of(rider: RiderId, order: &str) -> Self {
        // Any text makes one line of this.
        Self::digest([rider.to_string(), format!("{order:?}")])
    }
}

/// A remedy as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remedy {
    id: RemedyId,
    rider: RiderId,
    measure: Measure,
    amount: Money,
    ground: Ground,
    reason: String,
    asked_by: String,
    asked_at: Timestamp,
    decided_by: Option<String>,
    /// Through whom the money goes back, and under which key it came.
    via: Option<Via>,
    state: RemedyState,
    /// Calls and queries without an answer since the last one with.
    troubles: u32,
    next_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Via {
    acquirer: AcquirerName,
    charge_key: IdempotencyKey,
    captured: Money,
}

/// What to do with a remedy as it is found in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RemedyStep {
    /// Ask the acquirer what it captured under this key, and store what it says.
    Locate { key: IdempotencyKey, captured: Money },
    /// Store this event; the transition then holds the call to make.
    Store(RemedyEvent),
    /// Ask the acquirer what it knows of the remedy's own key.
    Query(IdempotencyKey),
    /// Done, failed, rejected, or for a person.
    Nothing,
}

/// A transition: store `remedy` and `entry` in one transaction; make the call only when both are durable.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a transition that is not stored has not happened"]
pub struct Moved {
    pub remedy: Remedy,
    pub entry: Option<Entry>,
    pub call: Option<Call>,
}

impl Remedy {
    /// `charge` is the one that the measure names, as it is stored, with what has come of it since.
    pub fn ask(
        request: &RemedyRequest,
        charge: Option<(&Charge, Returned)>,
        policy: &RemedyPolicy,
        now: Timestamp,
    ) -> Result<Moved, RemedyError> {
        let amount = request.amount;
        if !amount.is_positive() {
            return Err(RemedyError::NotPositive { amount });
        }
        if request.reason.trim().is_empty() || request.reason.chars().count() > REASON_MAX {
            return Err(RemedyError::Reason);
        }
        let before = match charge {
            Some((charge, returned)) => check_charge(request, charge, returned)?,
            None => Money::zero(amount.currency()),
        };
        // A payout gives what is the rider's already: nobody decides about it.
        let owed = matches!(request.measure, Measure::Payout { .. });
        let alone = owed || before.checked_add(amount)?.minor() <= policy.four_eyes_above_minor;
        let remedy = Self {
            id: RemedyId::of(request.rider, &request.order),
            rider: request.rider,
            measure: request.measure,
            amount,
            ground: request.ground,
            reason: request.reason.clone(),
            asked_by: request.by.clone(),
            asked_at: now,
            decided_by: None,
            via: charge.and_then(|(charge, _)| via(charge)),
            state: RemedyState::AwaitingApproval,
            troubles: 0,
            next_at: now,
        };
        if alone { remedy.approved(now) } else { Ok(Moved { remedy, entry: None, call: None }) }
    }

    /// Of what the rider has to his credit since then and no bill has used, `left` of it: as much as goes back to this
    /// charge. None if nothing does. One credit goes back to one charge once.
    pub fn payout(
        (since, left): (Timestamp, Money),
        (charge, returned): (&Charge, Returned),
        now: Timestamp,
    ) -> Result<Option<Moved>, RemedyError> {
        if *charge.state() != ChargeState::Captured || charge.amount().currency() != left.currency() {
            return Ok(None);
        }
        let refundable = charge.amount().checked_sub(returned.refunded)?.checked_sub(returned.disputed)?;
        let amount = if left.compare(refundable)?.is_le() { left } else { refundable };
        if !amount.is_positive() {
            return Ok(None);
        }
        let request = RemedyRequest {
            order: format!("credit of {} to {}", since.unix_ms(), charge.id()),
            rider: charge.rider(),
            measure: Measure::Payout { charge: charge.id() },
            amount,
            ground: Ground::Price,
            reason: "no bill has used this credit".to_owned(),
            by: Self::PAID_OUT_BY.to_owned(),
        };
        let policy = RemedyPolicy { four_eyes_above_minor: 0 };
        Self::ask(&request, Some((charge, returned)), &policy, now).map(Some)
    }

    /// Who asks for payouts, as the audit log names it.
    pub const PAID_OUT_BY: &str = "cloud";

    /// Whether it is what was asked for under its name before.
    pub fn is_what(&self, request: &RemedyRequest) -> Result<(), RemedyError> {
        let same = self.measure == request.measure && self.amount == request.amount && self.ground == request.ground;
        if same { Ok(()) } else { Err(RemedyError::OtherWords(self.id)) }
    }

    /// The second person's word.
    pub fn decide(&self, approves: bool, by: &str, now: Timestamp) -> Result<Moved, RemedyError> {
        let event = if approves { RemedyEvent::Approved } else { RemedyEvent::Rejected };
        if let Some(by) = self.decided_by.clone() {
            return Err(RemedyError::Decided { remedy: self.id, by, state: self.state.clone() });
        }
        if self.state != RemedyState::AwaitingApproval {
            return Err(RemedyError::Impossible { remedy: self.id, state: self.state.clone(), event });
        }
        if self.asked_by == by {
            return Err(RemedyError::SamePerson { remedy: self.id, by: by.to_owned() });
        }
        let decided = Self { decided_by: Some(by.to_owned()), next_at: now, ..self.clone() };
        if approves {
            return decided.approved(now);
        }
        Ok(Moved { remedy: Self { state: RemedyState::Rejected, ..decided }, entry: None, call: None })
    }

    /// What needs no acquirer is done at once.
    fn approved(self, now: Timestamp) -> Result<Moved, RemedyError> {
        if self.via.is_some() {
            return Ok(Moved { remedy: Self { state: RemedyState::Due, ..self }, entry: None, call: None });
        }
        let entry = Some(self.entry(now)?);
        Ok(Moved { remedy: Self { state: RemedyState::Done, ..self }, entry, call: None })
    }

    /// What to do with this remedy, as it is stored.
    pub fn next_step(&self) -> RemedyStep {
        match (&self.state, &self.via) {
            (RemedyState::Due, Some(via)) => RemedyStep::Locate { key: via.charge_key.clone(), captured: via.captured },
            (RemedyState::Located { .. }, _) => RemedyStep::Store(RemedyEvent::Begun),
            (RemedyState::Calling { .. } | RemedyState::Unknown { .. }, _) => RemedyStep::Query(self.key()),
            _ => RemedyStep::Nothing,
        }
    }

    /// The transition that `event` makes. Nothing has happened until it is stored.
    pub fn apply(&self, event: &RemedyEvent, now: Timestamp, retry: &RetryPolicy) -> Result<Moved, RemedyError> {
        let impossible =
            || RemedyError::Impossible { remedy: self.id, state: self.state.clone(), event: event.clone() };
        let state = self.state.after(event).ok_or_else(impossible)?;
        let entry = if state == RemedyState::Done { Some(self.entry(now)?) } else { None };
        let troubles = if event.is_trouble() { self.troubles.saturating_add(1) } else { 0 };
        // Beginning once more is no progress yet.
        let troubles = if *event == RemedyEvent::Begun { self.troubles } else { troubles };
        let next_at = now.plus(retry.rest(troubles, self.id.as_bytes()[0]));
        let remedy = Self { state, troubles, next_at, ..self.clone() };
        let call = remedy.call_after(event);
        Ok(Moved { remedy, entry, call })
    }

    fn call_after(&self, event: &RemedyEvent) -> Option<Call> {
        match (event, &self.state, &self.via) {
            (RemedyEvent::Begun, RemedyState::Calling { authorisation }, Some(via)) => Some(Call::Refund {
                key: self.key(),
                of: via.charge_key.clone(),
                authorisation: authorisation.clone(),
                amount: self.amount,
            }),
            _ => None,
        }
    }

    fn entry(&self, now: Timestamp) -> Result<Entry, LedgerError> {
        let (id, from) = match self.measure {
            Measure::Refund { .. } | Measure::Payout { .. } if self.via.is_some() => {
                ("refund", Account::AcquirerReceivable)
            }
            Measure::Refund { .. } | Measure::Payout { .. } => ("refund", Account::Wallet(self.rider)),
            Measure::WalletCredit => ("credit", Account::Wallet(self.rider)),
            Measure::Credit => ("credit", Account::RiderReceivable(self.rider)),
            Measure::Waiver { .. } => ("waiver", Account::RiderReceivable(self.rider)),
        };
        let pays = match self.measure {
            Measure::Payout { .. } => Account::RiderReceivable(self.rider),
            _ => self.ground.pays(),
        };
        Entry::transfer(EntryId::of(id, self.id), now, self.amount, from, pays)
    }

    /// What the rider hears when it is done.
    pub fn told(&self) -> Option<Told> {
        let amount = self.amount;
        (self.state == RemedyState::Done).then_some(match self.measure {
            Measure::Refund { charge } | Measure::Payout { charge } => Told::Refunded { charge, amount },
            Measure::WalletCredit | Measure::Credit => Told::Credited { amount },
            Measure::Waiver { charge } => Told::Waived { charge, amount },
        })
    }

    /// What it changes of the rider's credit as it becomes what it is: a payout takes it when it is asked for, so that no
    /// bill uses it meanwhile, and gives it back if it fails.
    pub fn credit_change(&self, before: Option<&Self>) -> Result<Money, RemedyError> {
        let failed = matches!(self.state, RemedyState::Failed { .. });
        Ok(match (self.measure, before) {
            (Measure::Credit, _) if self.state == RemedyState::Done => self.amount,
            (Measure::Payout { .. }, None) => self.amount.checked_neg()?,
            (Measure::Payout { .. }, Some(_)) if failed => self.amount,
            _ => Money::zero(self.amount.currency()),
        })
    }

    /// To be looked at now, because somebody said that there is something to see. None unless an outcome is waited for.
    #[must_use]
    pub fn hurried(&self, now: Timestamp) -> Option<Self> {
        (self.state.is_under_way() && self.next_at > now).then(|| Self { next_at: now, ..self.clone() })
    }

    /// When the money went back through an acquirer, and has to be in a settlement file; None if it did not.
    pub fn refunded_through(&self, entry: Option<&Entry>) -> Option<Timestamp> {
        let entry = entry.filter(|_| self.via.is_some() && self.state == RemedyState::Done)?;
        Some(entry.at())
    }

    /// The one name under which the acquirer knows it.
    pub fn key(&self) -> IdempotencyKey {
        IdempotencyKey::of_refund(self.id)
    }

    /// Through whom the money goes back; None if it stays in our own books.
    pub fn acquirer(&self) -> Option<&AcquirerName> {
        self.via.as_ref().map(|via| &via.acquirer)
    }

    pub fn id(&self) -> RemedyId {
        self.id
    }

    pub fn rider(&self) -> RiderId {
        self.rider
    }

    pub fn measure(&self) -> Measure {
        self.measure
    }

    pub fn amount(&self) -> Money {
        self.amount
    }

    pub fn ground(&self) -> Ground {
        self.ground
    }

    pub fn reason(&self) -> &str {
        &self.reason
    }

    pub fn asked_by(&self) -> &str {
        &self.asked_by
    }

    pub fn asked_at(&self) -> Timestamp {
        self.asked_at
    }

    pub fn decided_by(&self) -> Option<&str> {
        self.decided_by.as_deref()
    }

    pub fn state(&self) -> &RemedyState {
        &self.state
    }

    /// When the scheduler looks at it next, if it does.
    pub fn next_at(&self) -> Timestamp {
        self.next_at
    }

    pub fn awaits_approval(&self) -> bool {
        self.state == RemedyState::AwaitingApproval
    }

    /// Whether it counts against what may still be given back.
    pub fn counts(&self) -> bool {
        !matches!(self.state, RemedyState::Rejected | RemedyState::Failed { .. })
    }
}

/// What was given back of the charge before.
fn check_charge(request: &RemedyRequest, charge: &Charge, returned: Returned) -> Result<Money, RemedyError> {
    let (id, state) = (charge.id(), charge.state().name());
    if charge.rider() != request.rider {
        return Err(RemedyError::OtherRider { charge: id });
    }
    if matches!(request.measure, Measure::Waiver { .. }) {
        let owed = charge.is_owed() && returned.refunded.is_zero() && request.amount == charge.amount();
        let refused = RemedyError::NotOwed { charge: id, state, amount: charge.amount() };
        return if owed { Ok(returned.refunded) } else { Err(refused) };
    }
    if *charge.state() != ChargeState::Captured {
        return Err(RemedyError::NotCaptured { charge: id, state });
    }
    let left = charge.amount().checked_sub(returned.refunded)?.checked_sub(returned.disputed)?;
    if request.amount.compare(left)?.is_gt() {
        return Err(RemedyError::TooMuch { charge: id, asked: request.amount, left });
    }
    Ok(returned.refunded)
}

fn via(charge: &Charge) -> Option<Via> {
    match charge.instrument() {
        Instrument::Acquirer { acquirer, .. } if *charge.state() == ChargeState::Captured => {
            Some(Via { acquirer: acquirer.clone(), charge_key: charge.key().clone(), captured: charge.amount() })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
