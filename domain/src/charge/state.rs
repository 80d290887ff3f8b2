//! The states of a charge and the one table of what may follow what.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::charge::{AuthorisationId, Decline, Found};

/// Why nobody paid. The rider still owes the fare.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeclineReason {
    WalletShort,
    /// The acquirer's own word for it.
    Acquirer(String),
}

impl fmt::Display for DeclineReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WalletShort => f.write_str("not enough in the wallet"),
            Self::Acquirer(reason) => f.write_str(reason),
        }
    }
}

/// Where a charge stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum State {
    Due,
    /// Stored before the authorisation is asked for.
    Authorising,
    Authorised {
        authorisation: AuthorisationId,
    },
    /// Stored before the capture is asked for.
    Capturing {
        authorisation: AuthorisationId,
    },
    /// A call was made, or may have been, and its outcome is not known. `authorisation` is the one being captured.
    Unknown {
        authorisation: Option<AuthorisationId>,
    },
    Captured,
    Declined {
        reason: DeclineReason,
    },
}

/// What happens to a charge.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Event {
    AuthoriseBegun,
    CaptureBegun,
    Authorised {
        authorisation: AuthorisationId,
    },
    Captured,
    Declined(Decline),
    /// The call certainly never left: no connection.
    NotReached,
    /// The call left, and no answer came that settles it.
    NoAnswer,
    QueryFailed,
    Found(Found),
    WalletPaid,
    WalletShort,
}

impl Event {
    pub(super) fn is_wallets(&self) -> bool {
        matches!(self, Self::WalletPaid | Self::WalletShort)
    }
}

impl State {
    /// The state after `event`; None if it cannot happen in this one.
    pub fn after(&self, event: &Event) -> Option<Self> {
        use Event as E;
        match (self, event) {
            (Self::Due, E::AuthoriseBegun) => Some(Self::Authorising),
            (Self::Due, E::WalletPaid) => Some(Self::Captured),
            (Self::Due, E::WalletShort) => Some(Self::Declined { reason: DeclineReason::WalletShort }),

            (Self::Authorising, E::Authorised { authorisation }) => {
                Some(Self::Authorised { authorisation: authorisation.clone() })
            }
            (Self::Authorising, E::NotReached) => Some(Self::Due),
            (Self::Authorising, E::NoAnswer) => Some(Self::Unknown { authorisation: None }),

            (Self::Authorised { authorisation }, E::CaptureBegun) => {
                Some(Self::Capturing { authorisation: authorisation.clone() })
            }

            (Self::Capturing { .. }, E::Captured) => Some(Self::Captured),
            (Self::Capturing { authorisation }, E::NotReached) => {
                Some(Self::Authorised { authorisation: authorisation.clone() })
            }
            (Self::Capturing { authorisation }, E::NoAnswer) => {
                Some(Self::Unknown { authorisation: Some(authorisation.clone()) })
            }

            (Self::Authorising | Self::Capturing { .. }, E::Declined(decline)) => {
                Some(Self::Declined { reason: DeclineReason::Acquirer(decline.reason.clone()) })
            }
            (Self::Authorising | Self::Capturing { .. } | Self::Unknown { .. }, E::QueryFailed) => {
                Some(Self::Unknown { authorisation: self.authorisation().cloned() })
            }
            (Self::Authorising | Self::Capturing { .. } | Self::Unknown { .. }, E::Found(found)) => {
                after_query(self.authorisation(), found)
            }
            _ => None,
        }
    }

    pub fn is_final(&self) -> bool {
        matches!(self, Self::Captured | Self::Declined { .. })
    }

    /// The name in metrics, logs and pages.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Authorising => "authorising",
            Self::Authorised { .. } => "authorised",
            Self::Capturing { .. } => "capturing",
            Self::Unknown { .. } => "unknown",
            Self::Captured => "captured",
            Self::Declined { .. } => "declined",
        }
    }

    fn authorisation(&self) -> Option<&AuthorisationId> {
        match self {
            Self::Authorised { authorisation } | Self::Capturing { authorisation } => Some(authorisation),
            Self::Unknown { authorisation } => authorisation.as_ref(),
            _ => None,
        }
    }
}

/// What a query resolves to, with the authorisation that we know of. An acquirer that forgot an authorisation it gave,
/// or names another one under our key, is an impossible state: the charge stops there.
fn after_query(known: Option<&AuthorisationId>, found: &Found) -> Option<State> {
    match (known, found) {
        (None, Found::Nothing) => Some(State::Due),
        (Some(_), Found::Nothing) => None,
        (Some(ours), Found::Authorised { authorisation } | Found::Captured { authorisation })
            if ours != authorisation =>
        {
            None
        }
        (_, Found::Authorised { authorisation }) => Some(State::Authorised { authorisation: authorisation.clone() }),
        (_, Found::Captured { .. }) => Some(State::Captured),
        (_, Found::Voided) => Some(State::Declined { reason: DeclineReason::Acquirer("voided".to_owned()) }),
        (_, Found::Declined(decline)) => {
            Some(State::Declined { reason: DeclineReason::Acquirer(decline.reason.clone()) })
        }
        // Not at its end: in doubt until a later query tells it.
        (_, Found::Pending { .. }) => Some(State::Unknown { authorisation: known.cloned() }),
        // A charge's key is no refund's.
        (_, Found::Refunded) => None,
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AuthoriseBegun => "asking for the authorisation",
            Self::CaptureBegun => "asking for the capture",
            Self::Authorised { .. } => "an authorisation",
            Self::Captured => "a capture",
            Self::Declined(_) => "a refusal",
            Self::NotReached => "an acquirer out of reach",
            Self::NoAnswer => "a call without an answer",
            Self::QueryFailed => "a query without an answer",
            Self::Found(Found::Nothing) => "an acquirer that knows nothing of it",
            Self::Found(Found::Authorised { .. }) => "an acquirer that has authorised it",
            Self::Found(Found::Captured { .. }) => "an acquirer that has captured it",
            Self::Found(Found::Declined(_)) => "an acquirer that has declined it",
            Self::Found(Found::Voided) => "an acquirer that has voided it",
            Self::Found(Found::Refunded) => "an acquirer that knows it as a refund",
            Self::Found(Found::Pending { .. }) => "an acquirer that has yet to settle it",
            Self::WalletPaid => "a payment from the wallet",
            Self::WalletShort => "a wallet that holds too little",
        })
    }
}

#[cfg(test)]
mod tests;
