//! The states of a remedy and the one table of what may follow what.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::charge::{AuthorisationId, Found};

/// Where a remedy stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum RemedyState {
    /// A second person has to decide.
    AwaitingApproval,
    Rejected,
    /// To go back through an acquirer, which is to say what it captured.
    Due,
    Located {
        authorisation: AuthorisationId,
    },
    /// Stored before the refund is asked for.
    Calling {
        authorisation: AuthorisationId,
    },
    /// The call was made, or may have been, and its outcome is not known.
    Unknown {
        authorisation: AuthorisationId,
    },
    Done,
    /// The acquirer will not do it: the money is still the operator's, and somebody must find another way.
    Failed {
        reason: String,
    },
}

/// What happens to a remedy.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RemedyEvent {
    Approved,
    Rejected,
    /// What a query for the charge found.
    Charge(Found),
    Begun,
    Refunded,
    Declined {
        reason: String,
    },
    /// The call or query certainly never left.
    NotReached,
    /// The call left, and no answer came that settles it.
    NoAnswer,
    QueryFailed,
    /// What a query for the refund found.
    Found(Found),
}

impl RemedyEvent {
    pub(super) fn is_trouble(&self) -> bool {
        let waits = matches!(self, Self::Found(Found::Pending { .. } | Found::Nothing));
        waits || matches!(self, Self::NotReached | Self::NoAnswer | Self::QueryFailed)
    }
}

impl RemedyState {
    /// The state after `event`; None if it cannot happen in this one. Decisions are `Remedy::decide`'s.
    pub fn after(&self, event: &RemedyEvent) -> Option<Self> {
        use RemedyEvent as E;
        match (self, event) {
            (Self::Due, E::Charge(Found::Captured { authorisation })) => {
                Some(Self::Located { authorisation: authorisation.clone() })
            }
            (Self::Due, E::QueryFailed | E::NotReached) => Some(Self::Due),

            (Self::Located { authorisation }, E::Begun) => Some(Self::Calling { authorisation: authorisation.clone() }),

            (Self::Calling { .. }, E::Refunded) => Some(Self::Done),
            (Self::Calling { authorisation }, E::NotReached) => {
                Some(Self::Located { authorisation: authorisation.clone() })
            }
            (Self::Calling { authorisation }, E::NoAnswer) => {
                Some(Self::Unknown { authorisation: authorisation.clone() })
            }
            (Self::Calling { .. }, E::Declined { reason }) => Some(Self::Failed { reason: reason.clone() }),

            (Self::Calling { authorisation } | Self::Unknown { authorisation }, E::QueryFailed) => {
                Some(Self::Unknown { authorisation: authorisation.clone() })
            }
            (Self::Calling { authorisation } | Self::Unknown { authorisation }, E::Found(found)) => match found {
                Found::Refunded => Some(Self::Done),
                Found::Nothing => Some(Self::Located { authorisation: authorisation.clone() }),
                Found::Pending { .. } => Some(Self::Unknown { authorisation: authorisation.clone() }),
                Found::Declined(decline) => Some(Self::Failed { reason: decline.reason.clone() }),
                // A refund's key is no charge's.
                Found::Authorised { .. } | Found::Captured { .. } | Found::Voided => None,
            },
            _ => None,
        }
    }

    /// Whether the scheduler has something to do with it.
    pub const fn is_under_way(&self) -> bool {
        matches!(self, Self::Due | Self::Located { .. } | Self::Calling { .. } | Self::Unknown { .. })
    }

    /// The name in metrics, logs and pages.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::AwaitingApproval => "awaiting_approval",
            Self::Rejected => "rejected",
            Self::Due => "due",
            Self::Located { .. } => "located",
            Self::Calling { .. } => "calling",
            Self::Unknown { .. } => "unknown",
            Self::Done => "done",
            Self::Failed { .. } => "failed",
        }
    }
}

impl fmt::Display for RemedyState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for RemedyEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Approved => "an approval",
            Self::Rejected => "a rejection",
            Self::Charge(_) => "an acquirer that has not captured the charge",
            Self::Begun => "asking for the refund",
            Self::Refunded => "a refund",
            Self::Declined { .. } => "a refusal",
            Self::NotReached => "an acquirer out of reach",
            Self::NoAnswer => "a call without an answer",
            Self::QueryFailed => "a query without an answer",
            Self::Found(_) => "what the acquirer knows of it",
        })
    }
}
