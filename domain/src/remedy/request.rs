//! What is asked for, on what ground, and why it is refused.

use serde::{Deserialize, Serialize};

use crate::charge::ChargeId;
use crate::ids::RiderId;
use crate::ledger::{Account, LedgerError};
use crate::money::{Money, MoneyError};
use crate::remedy::{RemedyEvent, RemedyId, RemedyState};

/// Longest reason, in characters.
pub const REASON_MAX: usize = 500;

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Measure {
    /// All or part of a captured charge goes back to what it was paid with.
    Refund { charge: ChargeId },
    /// Money in the rider's wallet.
    WalletCredit,
    /// Taken off what the rider owes now or next.
    Credit,
    /// What he has to his credit, and no bill has used, goes back to what a captured charge of his was paid with.
    Payout { charge: ChargeId },
    /// What nobody could collect is not asked for any more, wholly.
    Waiver { charge: ChargeId },
}

impl Measure {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refund { .. } => "refund",
            Self::WalletCredit => "wallet_credit",
            Self::Credit => "credit",
            Self::Payout { .. } => "payout",
            Self::Waiver { .. } => "waiver",
        }
    }

    pub const fn charge(self) -> Option<ChargeId> {
        match self {
            Self::Refund { charge } | Self::Payout { charge } | Self::Waiver { charge } => Some(charge),
            Self::WalletCredit | Self::Credit => None,
        }
    }
}

/// On what ground, which says who bears it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ground {
    /// The ride was worth less: the operator has earned less.
    Price,
    /// The rider did not make this ride, and that is proven: the reserve for such pays.
    WrongCharge,
    /// It was owed, and is given all the same.
    Goodwill,
}

impl Ground {
    pub const ALL: [Self; 3] = [Self::Price, Self::WrongCharge, Self::Goodwill];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Price => "price",
            Self::WrongCharge => "wrong_charge",
            Self::Goodwill => "goodwill",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|ground| ground.name() == name)
    }

    pub(super) const fn pays(self) -> Account {
        match self {
            Self::Price => Account::OperatorRevenue,
            Self::WrongCharge => Account::RiskReserve,
            Self::Goodwill => Account::Goodwill,
        }
    }
}

/// What somebody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemedyRequest {
    /// The name that whoever asks gave it: the same name again is the same remedy.
    pub order: String,
    pub rider: RiderId,
    pub measure: Measure,
    pub amount: Money,
    pub ground: Ground,
    pub reason: String,
    /// Who asks, as the audit log names him.
    pub by: String,
}

/// What the operator allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemedyPolicy {
    /// From above this amount on a second person must approve. Refunds of one charge count together, so that nobody
    /// gives it back in small parts alone.
    pub four_eyes_above_minor: i64,
}

/// What has come of a charge since it was captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Returned {
    /// By refunds that were made, are under way, or wait for an approval.
    pub refunded: Money,
    /// By disputes that are open or lost.
    pub disputed: Money,
}

/// Why a remedy is refused. Nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RemedyError {
    #[error("{amount} cannot be given: ask for an amount above nothing")]
    NotPositive { amount: Money },
    #[error("say why, in 1 to {REASON_MAX} characters")]
    Reason,
    #[error("charge {charge} is another rider's: look it up again")]
    OtherRider { charge: ChargeId },
    #[error("charge {charge} is {state}, and only a captured one can be refunded")]
    NotCaptured { charge: ChargeId, state: &'static str },
    #[error("charge {charge} is {state}: only what is owed, and all of it ({amount}), can be waived")]
    NotOwed { charge: ChargeId, state: &'static str, amount: Money },
    #[error("{asked} cannot be refunded: {left} is left of charge {charge}")]
    TooMuch { charge: ChargeId, asked: Money, left: Money },
    #[error("remedy {0} was asked for with other words: give this one a name of its own")]
    OtherWords(RemedyId),
    #[error("{by} asked for it: another person has to decide about it")]
    SamePerson { remedy: RemedyId, by: String },
    #[error("it was decided by {by} already, and is {state}")]
    Decided { remedy: RemedyId, by: String, state: RemedyState },
    #[error("remedy {remedy} is {state}: {event} cannot happen to it; it is left alone for a person to look at")]
    Impossible { remedy: RemedyId, state: RemedyState, event: RemedyEvent },
    #[error("the amounts cannot be computed: {0}")]
    Money(#[from] MoneyError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}
