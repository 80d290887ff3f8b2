//! Disputes: a rider takes a captured charge back through his bank (a *chargeback*), and it is open until the bank decides
//! who is right. The acquirer takes the money back at once; the books keep it apart until then.

use serde::{Deserialize, Serialize};

use crate::charge::{Charge, ChargeId, State};
use crate::clock::Timestamp;
use crate::ids::RiderId;
use crate::ledger::{Account, Entry, EntryId, LedgerError};
use crate::money::{Money, MoneyError};

digest_id!(
    /// The identity of a dispute: a digest of the charge and the acquirer's reference, so that hearing of it by a webhook
    /// and again by the settlement file is once.
    DisputeId,
    "dispute"
);

impl DisputeId {
    pub fn of(charge: ChargeId, reference: &str) -> Self {
        Self::digest([charge.to_string(), format!("{reference:?}")])
    }
}

/// What a lost dispute becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossPolicy {
    #[default]
    WriteOff,
    /// The rider owes it once more.
    Debt,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum DisputeState {
    Open,
    /// The bank has given the money back.
    Won,
    /// The rider keeps it.
    Lost {
        became: LossPolicy,
    },
}

impl DisputeState {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Won => "won",
            Self::Lost { .. } => "lost",
        }
    }
}

/// Why a dispute is refused. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DisputeError {
    #[error("charge {charge} is {state}: only a captured one can be taken back; ask the acquirer")]
    NotCaptured { charge: ChargeId, state: &'static str },
    #[error("{amount} cannot be taken back of charge {charge}, which was {captured}; ask the acquirer")]
    Amount { charge: ChargeId, amount: Money, captured: Money },
    #[error("dispute {reference} of charge {charge} was of another amount before; ask the acquirer")]
    OtherAmount { charge: ChargeId, reference: String },
    #[error("dispute {dispute} is {state} already and stays so", state = .state.name())]
    Closed { dispute: DisputeId, state: DisputeState },
    #[error("the amounts cannot be compared: {0}")]
    Money(#[from] MoneyError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dispute {
    pub id: DisputeId,
    pub charge: ChargeId,
    pub rider: RiderId,
    /// The acquirer's.
    pub reference: String,
    pub amount: Money,
    pub state: DisputeState,
    pub opened_at: Timestamp,
    pub closed_at: Option<Timestamp>,
}

impl Dispute {
    /// What the acquirer tells of a captured charge. Store both in one transaction.
    pub fn open(
        charge: &Charge,
        reference: &str,
        amount: Money,
        now: Timestamp,
    ) -> Result<(Self, Entry), DisputeError> {
        let (id, captured) = (charge.id(), charge.amount());
        if *charge.state() != State::Captured {
            return Err(DisputeError::NotCaptured { charge: id, state: charge.state().name() });
        }
        if !amount.is_positive() || amount.compare(captured)?.is_gt() {
            return Err(DisputeError::Amount { charge: id, amount, captured });
        }
        let entry = EntryId::of("chargeback", format_args!("{id}/{reference}"));
        let entry = Entry::transfer(entry, now, amount, Account::AcquirerReceivable, Account::Disputed)?;
        let dispute = Self {
            id: DisputeId::of(id, reference),
            charge: id,
            rider: charge.rider(),
            reference: reference.to_owned(),
            amount,
            state: DisputeState::Open,
            opened_at: now,
            closed_at: None,
        };
        Ok((dispute, entry))
    }

    /// Whether it is what was heard of before.
    pub fn is_of(&self, amount: Money) -> Result<(), DisputeError> {
        let (charge, reference) = (self.charge, self.reference.clone());
        if self.amount == amount { Ok(()) } else { Err(DisputeError::OtherAmount { charge, reference }) }
    }

    /// The bank has decided. None if that is known already.
    pub fn close(&self, state: DisputeState, now: Timestamp) -> Result<Option<(Self, Entry)>, DisputeError> {
        match (self.state, state) {
            (before, now) if before.name() == now.name() => return Ok(None),
            (DisputeState::Open, _) => {}
            (state, _) => return Err(DisputeError::Closed { dispute: self.id, state }),
        }
        let (kind, to) = match state {
            DisputeState::Open => return Ok(None),
            DisputeState::Won => ("chargeback_reversed", Account::AcquirerReceivable),
            DisputeState::Lost { became: LossPolicy::WriteOff } => ("chargeback_lost", Account::WriteOff),
            DisputeState::Lost { became: LossPolicy::Debt } => {
                ("chargeback_lost", Account::RiderReceivable(self.rider))
            }
        };
        let id = EntryId::of(kind, format_args!("{}/{}", self.charge, self.reference));
        let entry = Entry::transfer(id, now, self.amount, Account::Disputed, to)?;
        Ok(Some((Self { state, closed_at: Some(now), ..self.clone() }, entry)))
    }

    /// The debt that it has become, if it has: `charge` is the one that was taken back. Store it with the dispute's end.
    pub fn debt(&self, charge: &Charge) -> Option<Charge> {
        let became_debt = self.state == DisputeState::Lost { became: LossPolicy::Debt };
        let at = self.closed_at.filter(|_| became_debt)?;
        Some(charge.owed_again(ChargeId::of_dispute(self.id), self.amount, at))
    }

    /// Whether it counts against what may still be given back of the charge.
    pub fn counts(&self) -> bool {
        self.state != DisputeState::Won
    }
}
