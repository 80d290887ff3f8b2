//! The states of a charge and the one table of what may follow what.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::charge::{AuthorisationId, Bound, Decline, Found};
use crate::clock::Timestamp;

/// Where a charge stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum State {
    /// Nobody was asked under the key of this attempt.
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
    /// Stored before the authorisation is given back.
    Voiding {
        authorisation: AuthorisationId,
    },
    /// The acquirer has taken a call on and tells its outcome later.
    Pending {
        authorisation: Option<AuthorisationId>,
    },
    /// A call was made, or may have been, and its outcome is not known. `authorisation` is the one being captured.
    Unknown {
        authorisation: Option<AuthorisationId>,
    },
    Captured,
    /// The authorisation was given back: nobody pays.
    Voided,
    /// This attempt has come to nothing; which instrument is asked next is to be chosen.
    Declined {
        decline: Decline,
    },
    /// Nobody is left to ask before `again_at`, or until the rider does something. He owes the amount.
    Debt {
        decline: Decline,
        again_at: Option<Timestamp>,
    },
    /// Nobody is left to ask, and nothing is owed: a verification that no instrument has passed.
    Refused {
        decline: Decline,
    },
    /// Nobody asks for it any more.
    Waived,
    /// There was nothing to collect: a credit paid for all of it, or the bill is one itself.
    Settled,
}

/// What happens to a charge.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Event {
    /// The next attempt, under a key of its own. Only a decline makes room for one.
    Chosen(Bound),
    NoneLeft {
        again_at: Option<Timestamp>,
    },
    /// A person lets the rider off his debt.
    Waived,
    AuthoriseBegun,
    CaptureBegun,
    VoidBegun,
    Authorised {
        authorisation: AuthorisationId,
    },
    Captured,
    Voided,
    /// The acquirer has taken the call on.
    TakenOn,
    Declined(Decline),
    /// The call certainly never left: no connection.
    NotReached,
    /// The call left, and no answer came that settles it.
    NoAnswer,
    QueryFailed,
    Found(Found),
}

impl State {
    /// The state after `event`; None if it cannot happen in this one.
    pub fn after(&self, event: &Event) -> Option<Self> {
        use Event as E;
        let known = self.authorisation();
        match (self, event) {
            (Self::Declined { .. } | Self::Debt { .. }, E::Chosen(_)) => Some(Self::Due),
            (Self::Declined { decline } | Self::Debt { decline, .. }, E::NoneLeft { again_at }) => {
                Some(Self::Debt { decline: decline.clone(), again_at: *again_at })
            }

            (Self::Debt { .. }, E::Waived) => Some(Self::Waived),

            (Self::Due, E::AuthoriseBegun) => Some(Self::Authorising),
            (Self::Authorised { authorisation }, E::CaptureBegun) => {
                Some(Self::Capturing { authorisation: authorisation.clone() })
            }
            (Self::Authorised { authorisation }, E::VoidBegun) => {
                Some(Self::Voiding { authorisation: authorisation.clone() })
            }

            (Self::Authorising, E::Authorised { authorisation }) => {
                Some(Self::Authorised { authorisation: authorisation.clone() })
            }
            (Self::Capturing { .. }, E::Captured) => Some(Self::Captured),
            (Self::Voiding { .. }, E::Voided) => Some(Self::Voided),
            (Self::Authorising | Self::Capturing { .. }, E::Declined(decline)) => {
                Some(Self::Declined { decline: decline.clone() })
            }

            (Self::Authorising, E::NotReached) => Some(Self::Due),
            (Self::Capturing { authorisation } | Self::Voiding { authorisation }, E::NotReached) => {
                Some(Self::Authorised { authorisation: authorisation.clone() })
            }
            (Self::Authorising | Self::Capturing { .. } | Self::Voiding { .. }, E::TakenOn) => {
                Some(Self::Pending { authorisation: known.cloned() })
            }
            (Self::Authorising | Self::Capturing { .. } | Self::Voiding { .. }, E::NoAnswer) => {
                Some(Self::Unknown { authorisation: known.cloned() })
            }
            (Self::Pending { .. }, E::QueryFailed) => Some(self.clone()),
            (_, E::QueryFailed) if self.is_in_flight() => Some(Self::Unknown { authorisation: known.cloned() }),
            (_, E::Found(found)) if self.is_in_flight() => self.after_query(found),
            _ => None,
        }
    }

    /// What a query resolves to. An acquirer that forgot an authorisation it gave or a call it took on, or names another
    /// authorisation under our key, is an impossible state: the charge stops there.
    fn after_query(&self, found: &Found) -> Option<Self> {
        let known = self.authorisation();
        match (known, found) {
            (None, Found::Nothing) if !matches!(self, Self::Pending { .. }) => Some(Self::Due),
            (_, Found::Nothing) => None,
            (
                Some(ours),
                Found::Authorised { authorisation }
                | Found::Captured { authorisation }
                | Found::Pending { authorisation },
            ) if ours != authorisation => None,
            (_, Found::Authorised { authorisation }) => Some(Self::Authorised { authorisation: authorisation.clone() }),
            (_, Found::Captured { .. }) => Some(Self::Captured),
            (_, Found::Voided) => Some(Self::Voided),
            (_, Found::Declined(decline)) => Some(Self::Declined { decline: decline.clone() }),
            (_, Found::Pending { authorisation }) => Some(Self::Pending { authorisation: Some(authorisation.clone()) }),
            // A charge's key is no refund's.
            (_, Found::Refunded) => None,
        }
    }

    /// Somewhere around a call: only a query tells what became of it.
    pub const fn is_in_flight(&self) -> bool {
        matches!(
            self,
            Self::Authorising
                | Self::Capturing { .. }
                | Self::Voiding { .. }
                | Self::Pending { .. }
                | Self::Unknown { .. }
        )
    }

    /// Whether nothing happens any more unless somebody does something.
    pub const fn is_final(&self) -> bool {
        matches!(
            self,
            Self::Captured
                | Self::Voided
                | Self::Refused { .. }
                | Self::Waived
                | Self::Settled
                | Self::Debt { again_at: None, .. }
        )
    }

    /// Whether the rider is behind with it: gates refuse him.
    pub const fn is_debt(&self) -> bool {
        matches!(self, Self::Debt { .. })
    }

    /// Why the last attempt came to nothing, where that is how it stands.
    pub const fn decline(&self) -> Option<&Decline> {
        match self {
            Self::Declined { decline } | Self::Debt { decline, .. } | Self::Refused { decline } => Some(decline),
            _ => None,
        }
    }

    /// The name in metrics, logs and pages.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Authorising => "authorising",
            Self::Authorised { .. } => "authorised",
            Self::Capturing { .. } => "capturing",
            Self::Voiding { .. } => "voiding",
            Self::Pending { .. } => "pending",
            Self::Unknown { .. } => "unknown",
            Self::Captured => "captured",
            Self::Voided => "voided",
            Self::Declined { .. } => "declined",
            Self::Debt { .. } => "debt",
            Self::Refused { .. } => "refused",
            Self::Waived => "waived",
            Self::Settled => "settled",
        }
    }

    pub(super) const fn authorisation(&self) -> Option<&AuthorisationId> {
        match self {
            Self::Authorised { authorisation }
            | Self::Capturing { authorisation }
            | Self::Voiding { authorisation } => Some(authorisation),
            Self::Unknown { authorisation } | Self::Pending { authorisation } => authorisation.as_ref(),
            _ => None,
        }
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
            Self::Chosen(_) => "another attempt",
            Self::NoneLeft { .. } => "nobody left to ask",
            Self::Waived => "a waiver",
            Self::AuthoriseBegun => "asking for the authorisation",
            Self::CaptureBegun => "asking for the capture",
            Self::VoidBegun => "giving the authorisation back",
            Self::Authorised { .. } => "an authorisation",
            Self::Captured => "a capture",
            Self::Voided => "an authorisation that was given back",
            Self::TakenOn => "an acquirer that answers later",
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
        })
    }
}

#[cfg(test)]
mod tests;
