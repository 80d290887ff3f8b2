//! An order to the bank, and our file of a day.

use std::fmt::Write as _;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{AnswerLine, DebitProblem, Outcome, again_after};
use crate::charge::{AcquirerToken, Again, AuthorisationId, Decline, Found, IdempotencyKey};
use crate::money::{Currency, Money};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderKind {
    /// From the rider's account.
    Debit,
    /// Back to it.
    Credit,
}

/// Where an order stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case")]
pub enum OrderState {
    /// Agreed on; the bank is not told before the capture.
    Reserved,
    /// To be in the next file.
    Ordered,
    Sent {
        day: Date,
    },
    Accepted,
    Returned {
        code: String,
    },
    /// Accepted, and returned after that: the rider's bank has taken the money back.
    TakenBack {
        code: String,
    },
    Voided,
}

/// One order, under the key that makes it once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DebitOrder {
    pub key: IdempotencyKey,
    pub kind: OrderKind,
    pub token: AcquirerToken,
    pub amount: Money,
    /// The debit that a credit gives back.
    pub of: Option<IdempotencyKey>,
    /// What credits give back of a debit, minor units.
    pub given_back_minor: i64,
    pub state: OrderState,
}

/// What is asked of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    Reserve {
        token: AcquirerToken,
        amount: Money,
    },
    /// Of at most what was reserved.
    Order {
        amount: Money,
    },
    Void,
}

impl OrderState {
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Reserved => "reserved",
            Self::Ordered => "ordered",
            Self::Sent { .. } => "sent",
            Self::Accepted => "accepted",
            Self::Returned { .. } => "returned",
            Self::TakenBack { .. } => "taken back",
            Self::Voided => "voided",
        }
    }
}

impl DebitOrder {
    /// The order after `change`; the same change again changes nothing.
    pub fn after(key: &IdempotencyKey, before: Option<&Self>, change: &Change) -> Result<Self, DebitProblem> {
        let impossible = |state, event| DebitProblem::Impossible { key: key.clone(), state, event };
        match (before, change) {
            (None, Change::Reserve { token, amount }) => Ok(Self {
                key: key.clone(),
                kind: OrderKind::Debit,
                token: token.clone(),
                amount: *amount,
                of: None,
                given_back_minor: 0,
                state: OrderState::Reserved,
            }),
            (None, _) => Err(DebitProblem::UnknownKey { key: key.clone() }),
            // What it has become since is told by its state.
            (Some(before), Change::Reserve { token, .. }) if before.token == *token => Ok(before.clone()),
            (Some(before), Change::Reserve { .. }) => Err(impossible(before.state.name(), "reserved for another")),
            (Some(before), Change::Order { amount }) => match before.state {
                OrderState::Reserved
                    if amount.minor() >= 1 && amount.compare(before.amount).is_ok_and(std::cmp::Ordering::is_le) =>
                {
                    Ok(Self { amount: *amount, state: OrderState::Ordered, ..before.clone() })
                }
                OrderState::Reserved => Err(DebitProblem::AmountDiffers { key: key.clone() }),
                OrderState::Voided => Err(impossible(before.state.name(), "ordered")),
                _ => Ok(before.clone()),
            },
            (Some(before), Change::Void) => match before.state {
                OrderState::Reserved | OrderState::Voided => Ok(Self { state: OrderState::Voided, ..before.clone() }),
                _ => Err(impossible(before.state.name(), "voided")),
            },
        }
    }

    /// An order that gives back all or part of this one, which was accepted, and this one after it.
    pub fn credit(&self, key: &IdempotencyKey, amount: Money) -> Result<(Self, Self), DebitProblem> {
        if self.state != OrderState::Accepted || self.kind != OrderKind::Debit {
            let (key, state) = (self.key.clone(), self.state.name());
            return Err(DebitProblem::Impossible { key, state, event: "given back" });
        }
        let given_back_minor = self.given_back_minor.saturating_add(amount.minor());
        let fits = amount.currency() == self.amount.currency() && given_back_minor <= self.amount.minor();
        if amount.minor() < 1 || !fits {
            return Err(DebitProblem::AmountDiffers { key: self.key.clone() });
        }
        let credit = Self {
            key: key.clone(),
            kind: OrderKind::Credit,
            token: self.token.clone(),
            amount,
            of: Some(self.key.clone()),
            given_back_minor: 0,
            state: OrderState::Ordered,
        };
        Ok((credit, Self { given_back_minor, ..self.clone() }))
    }

    /// Whether this line of an answer may have been what took its money back.
    pub fn was_taken_back_by(&self, line: &AnswerLine) -> bool {
        let returned = matches!(line.outcome, Outcome::Returned { .. });
        returned && self.kind == OrderKind::Debit && matches!(self.state, OrderState::TakenBack { .. })
    }

    /// After what the bank says of it. Hearing the same again changes nothing.
    pub fn answered(&self, outcome: &Outcome) -> Result<Self, DebitProblem> {
        let state = match (&self.state, outcome) {
            (OrderState::Sent { .. } | OrderState::Accepted, Outcome::Accepted) => OrderState::Accepted,
            (OrderState::Sent { .. }, Outcome::Returned { code }) => OrderState::Returned { code: code.clone() },
            (OrderState::Accepted, Outcome::Returned { code }) => OrderState::TakenBack { code: code.clone() },
            (OrderState::Returned { .. } | OrderState::TakenBack { .. }, Outcome::Returned { .. }) => {
                self.state.clone()
            }
            (state, outcome) => {
                let (key, state, event) = (self.key.clone(), state.name(), outcome.name());
                return Err(DebitProblem::Impossible { key, state, event });
            }
        };
        Ok(Self { state, ..self.clone() })
    }

    /// What it is to a charge or a refund.
    pub fn found(&self) -> Found {
        let authorisation = AuthorisationId::new(self.key.as_str());
        match (&self.state, self.kind) {
            (OrderState::Reserved, _) => Found::Authorised { authorisation },
            (OrderState::Ordered | OrderState::Sent { .. }, _) => Found::Pending { authorisation },
            // What was taken back later is a dispute of a charge that was captured.
            (OrderState::Accepted | OrderState::TakenBack { .. }, OrderKind::Debit) => {
                Found::Captured { authorisation }
            }
            (OrderState::Accepted | OrderState::TakenBack { .. }, OrderKind::Credit) => Found::Refunded,
            (OrderState::Returned { code }, _) => Found::Declined(match again_after(code) {
                Again::AtOnce | Again::AnotherDay => Decline::soft(code.as_str()),
                Again::IfAsked | Again::Never => Decline::hard(code.as_str()),
            }),
            (OrderState::Voided, _) => Found::Voided,
        }
    }
}

/// Our file of a day without its trailer; the same orders make the same bytes.
pub fn file_body(acquirer: &str, day: Date, currency: Currency, orders: &[DebitOrder]) -> String {
    let mut text = format!("facegate-debit,1,{acquirer},{day},{currency}\n");
    for order in orders {
        let kind = if order.kind == OrderKind::Debit { "debit" } else { "credit" };
        let of = order.of.as_ref().map_or("", IdempotencyKey::as_str);
        // Writing to a string does not fail.
        let _ = writeln!(text, "{kind},{},{},{},{of}", order.key, order.token.expose(), order.amount.minor());
    }
    text
}

/// The last line of [`file_body`] `body`, whose seal the caller has made.
pub fn trailer(body: &str, seal: &str) -> String {
    let fields = body.lines().skip(1).map(|line| line.split(',').collect::<Vec<_>>());
    let (mut lines, mut sum) = (0, 0_i128);
    for fields in fields {
        let amount: i128 = fields.get(3).and_then(|amount| amount.parse().ok()).unwrap_or(0);
        sum += if fields.first() == Some(&"credit") { -amount } else { amount };
        lines += 1;
    }
    format!("trailer,{lines},{sum},{seal}\n")
}
