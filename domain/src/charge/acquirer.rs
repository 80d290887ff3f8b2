//! What is said between a charge and an acquirer: the calls that move money, their answers, and what a query finds.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::charge::{AcquirerToken, AuthorisationId, IdempotencyKey};
use crate::money::Money;

/// What the acquirer is asked to do. Only a stored transition holds one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    Authorise {
        key: IdempotencyKey,
        token: AcquirerToken,
        amount: Money,
    },
    /// `amount` is at most what was authorised; the rest is released.
    Capture {
        key: IdempotencyKey,
        authorisation: AuthorisationId,
        amount: Money,
    },
    /// Releases an authorisation that will not be captured.
    Void {
        key: IdempotencyKey,
        authorisation: AuthorisationId,
    },
    /// Gives back all or part of what was captured. `key` is the refund's own, `of` that of the charge.
    Refund {
        key: IdempotencyKey,
        of: IdempotencyKey,
        authorisation: AuthorisationId,
        amount: Money,
    },
}

impl Call {
    /// The key under which the acquirer makes it once.
    pub fn key(&self) -> &IdempotencyKey {
        match self {
            Self::Authorise { key, .. }
            | Self::Capture { key, .. }
            | Self::Void { key, .. }
            | Self::Refund { key, .. } => key,
        }
    }
}

/// An answer that settles a call, or says that it is settled later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Authorised(AuthorisationId),
    Captured,
    Voided,
    Refunded,
    /// The acquirer has taken the call on and will bring it to an end; a query tells which.
    Pending,
    Declined(Decline),
}

/// Why the acquirer will not do it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Decline {
    /// The acquirer's own word for it.
    pub reason: String,
    pub again: Again,
}

/// Whether the card schemes let the same instrument be tried again for the same debt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Again {
    /// Nothing was refused: an authorisation had lapsed before it was captured.
    AtOnce,
    /// A soft decline, such as too little money now.
    AnotherDay,
    /// Not by us: the rider has taken back what the instrument paid, and may offer it again himself.
    IfAsked,
    /// A hard one, such as a stolen or closed card.
    Never,
}

impl Decline {
    pub fn soft(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), again: Again::AnotherDay }
    }

    pub fn lapsed() -> Self {
        Self { reason: "the authorisation has lapsed".to_owned(), again: Again::AtOnce }
    }

    pub fn taken_back() -> Self {
        Self { reason: "taken back through the bank".to_owned(), again: Again::IfAsked }
    }

    pub fn hard(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), again: Again::Never }
    }
}

impl fmt::Display for Decline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

/// What the acquirer says about a key when asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Found {
    /// It never heard of it.
    Nothing,
    Authorised {
        authorisation: AuthorisationId,
    },
    /// Whole or in part, as the capture under this key asked for.
    Captured {
        authorisation: AuthorisationId,
    },
    Voided,
    /// The key is a refund's.
    Refunded,
    Declined(Decline),
    /// Taken on, and not at its end.
    Pending {
        authorisation: AuthorisationId,
    },
}
