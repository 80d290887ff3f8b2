//! What the sandbox acquirer has answered: a pure fold over the lines of its journal.

mod decide;
mod statistics;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use decide::{Chances, Refusal, Verdict};
pub use statistics::{ByKey, ByToken, Statistics};

/// What was asked for under a key. The same key with another one is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthorisationRequest {
    pub token: String,
    pub amount_minor: i64,
    pub currency: String,
}

/// Of a capture or a refund.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AmountRequest {
    pub amount_minor: i64,
    pub currency: String,
}

/// Where a charge stands, in the words of the answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Authorised,
    /// Its capture was taken on, and is done or declined later.
    Pending,
    Captured,
    Voided,
    Declined,
}

/// Everything under one authorisation key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    pub key: String,
    pub authorisation: String,
    pub request: AuthorisationRequest,
    pub status: Status,
    pub reason: Option<String>,
    /// Whether a declined one may be tried again on another day.
    pub again: bool,
    /// The capture that was asked for: its key and amount.
    pub capture: Option<(String, i64)>,
    /// When the capture was taken on; of a pending one, the time from which it waits.
    pub capture_at_ms: i64,
    /// How often money was taken: more than once is what must never be.
    pub captures: u64,
    pub captured_minor: i64,
    pub captured_at_ms: Option<i64>,
    pub refunds: Vec<Refund>,
    pub disputed_at_ms: Option<i64>,
    pub dispute_reversed_at_ms: Option<i64>,
}

/// Money given back, or a refusal to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refund {
    pub key: String,
    pub id: String,
    pub amount_minor: i64,
    pub declined: Option<String>,
    pub at_ms: i64,
}

/// One line of the journal: something that was done, before it was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "did", rename_all = "snake_case")]
pub enum Line {
    Authorised {
        key: String,
        authorisation: String,
        request: AuthorisationRequest,
        at_ms: i64,
    },
    Declined {
        key: String,
        authorisation: String,
        request: AuthorisationRequest,
        reason: String,
        again: bool,
        at_ms: i64,
    },
    CaptureTaken {
        key: String,
        authorisation: String,
        amount_minor: i64,
        at_ms: i64,
    },
    Captured {
        key: String,
        authorisation: String,
        amount_minor: i64,
        at_ms: i64,
    },
    CaptureDeclined {
        key: String,
        authorisation: String,
        amount_minor: i64,
        reason: String,
        again: bool,
        at_ms: i64,
    },
    Voided {
        key: String,
        authorisation: String,
        at_ms: i64,
    },
    Refunded {
        key: String,
        authorisation: String,
        refund: String,
        amount_minor: i64,
        at_ms: i64,
    },
    RefundDeclined {
        key: String,
        authorisation: String,
        refund: String,
        amount_minor: i64,
        reason: String,
        at_ms: i64,
    },
    Disputed {
        authorisation: String,
        at_ms: i64,
    },
    DisputeReversed {
        authorisation: String,
        at_ms: i64,
    },
}

impl Line {
    pub fn authorisation(&self) -> &str {
        match self {
            Self::Authorised { authorisation, .. }
            | Self::Declined { authorisation, .. }
            | Self::CaptureTaken { authorisation, .. }
            | Self::Captured { authorisation, .. }
            | Self::CaptureDeclined { authorisation, .. }
            | Self::Voided { authorisation, .. }
            | Self::Refunded { authorisation, .. }
            | Self::RefundDeclined { authorisation, .. }
            | Self::Disputed { authorisation, .. }
            | Self::DisputeReversed { authorisation, .. } => authorisation,
        }
    }
}

#[derive(Debug, Default)]
pub struct Book {
    charges: BTreeMap<String, Charge>,
    /// Keys of authorisations.
    by_key: BTreeMap<String, String>,
    /// Keys of refunds, with the authorisation.
    refunds: BTreeMap<String, String>,
    /// Authorisations declined of each token, which some tokens' behaviour depends on.
    declined: BTreeMap<String, u32>,
    /// Captures that wait for their end.
    pending: BTreeMap<String, ()>,
}

impl Book {
    pub fn apply(&mut self, line: &Line) {
        match line.clone() {
            Line::Authorised { key, authorisation, request, .. } => {
                self.open(key, authorisation, request, Status::Authorised, None);
            }
            Line::Declined { key, authorisation, request, reason, again, .. } => {
                *self.declined.entry(request.token.clone()).or_default() += 1;
                self.open(key, authorisation, request, Status::Declined, Some((reason, again)));
            }
            Line::CaptureTaken { key, authorisation, amount_minor, at_ms } => {
                self.pending.insert(authorisation.clone(), ());
                self.change(&authorisation, |charge| {
                    charge.status = Status::Pending;
                    charge.capture = Some((key, amount_minor));
                    charge.capture_at_ms = at_ms;
                });
            }
            Line::Captured { key, authorisation, amount_minor, at_ms } => {
                self.pending.remove(&authorisation);
                self.change(&authorisation, |charge| {
                    charge.status = Status::Captured;
                    charge.capture = Some((key, amount_minor));
                    charge.captures += 1;
                    charge.captured_minor += amount_minor;
                    charge.captured_at_ms = Some(at_ms);
                });
            }
            Line::CaptureDeclined { key, authorisation, amount_minor, reason, again, .. } => {
                self.pending.remove(&authorisation);
                self.change(&authorisation, |charge| {
                    charge.status = Status::Declined;
                    charge.capture = Some((key, amount_minor));
                    charge.reason = Some(reason);
                    charge.again = again;
                });
            }
            Line::Voided { authorisation, .. } => {
                self.change(&authorisation, |charge| charge.status = Status::Voided);
            }
            Line::Refunded { key, authorisation, refund, amount_minor, at_ms } => {
                self.add_refund(&authorisation, Refund { key, id: refund, amount_minor, declined: None, at_ms });
            }
            Line::RefundDeclined { key, authorisation, refund, amount_minor, reason, at_ms } => {
                self.add_refund(
                    &authorisation,
                    Refund { key, id: refund, amount_minor, declined: Some(reason), at_ms },
                );
            }
            Line::Disputed { authorisation, at_ms } => {
                self.change(&authorisation, |charge| charge.disputed_at_ms = Some(at_ms));
            }
            Line::DisputeReversed { authorisation, at_ms } => {
                self.change(&authorisation, |charge| charge.dispute_reversed_at_ms = Some(at_ms));
            }
        }
    }

    /// The charge of an authorisation's key.
    pub fn find(&self, key: &str) -> Option<&Charge> {
        self.charge(self.by_key.get(key)?)
    }

    /// The refund of that key, with its charge.
    pub fn find_refund(&self, key: &str) -> Option<(&Charge, &Refund)> {
        let charge = self.charge(self.refunds.get(key)?)?;
        Some((charge, charge.refunds.iter().find(|refund| refund.key == key)?))
    }

    pub fn charge(&self, authorisation: &str) -> Option<&Charge> {
        self.charges.get(authorisation)
    }

    pub fn charges(&self) -> impl Iterator<Item = &Charge> {
        self.by_key.values().filter_map(|id| self.charges.get(id))
    }

    fn open(
        &mut self,
        key: String,
        authorisation: String,
        request: AuthorisationRequest,
        status: Status,
        declined: Option<(String, bool)>,
    ) {
        self.by_key.insert(key.clone(), authorisation.clone());
        let (reason, again) = declined.unzip();
        let charge = Charge {
            key,
            authorisation: authorisation.clone(),
            request,
            status,
            reason,
            again: again.unwrap_or(false),
            capture: None,
            capture_at_ms: 0,
            captures: 0,
            captured_minor: 0,
            captured_at_ms: None,
            refunds: Vec::new(),
            disputed_at_ms: None,
            dispute_reversed_at_ms: None,
        };
        self.charges.insert(authorisation, charge);
    }

    fn add_refund(&mut self, authorisation: &str, refund: Refund) {
        self.refunds.insert(refund.key.clone(), authorisation.to_owned());
        self.change(authorisation, |charge| charge.refunds.push(refund));
    }

    fn change(&mut self, authorisation: &str, change: impl FnOnce(&mut Charge)) {
        if let Some(charge) = self.charges.get_mut(authorisation) {
            change(charge);
        }
    }
}

impl Charge {
    pub fn refunded_minor(&self) -> i64 {
        self.refunds.iter().filter(|refund| refund.declined.is_none()).map(|refund| refund.amount_minor).sum()
    }
}

#[cfg(test)]
mod tests;
