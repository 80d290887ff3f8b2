//! Debits by a bank that takes orders in one file a day and answers in files of its own, which may come days later.
//!
//! Our file of a day, written once and never changed:
//! ```text
//! facegate-debit,1,<acquirer>,<day>,<currency>
//! debit|credit,<key>,<token>,<amount_minor>,<key of the debit that a credit gives back>
//! trailer,<lines between>,<debits less credits>,<seal>
//! ```
//! The bank's answers, numbered from 1 without a gap:
//! ```text
//! facegate-debit-answer,1,<acquirer>,<number>,<currency>
//! accepted|returned,<key>,<amount_minor>,<reason code of a return>
//! trailer,<lines between>,<sum of the amounts>,<seal>
//! ```
//! The seal is over every byte before the trailer's line; who makes and checks it is told by the caller.

mod answer;
mod order;

pub use answer::{AnswerFile, AnswerLine, Answered, Outcome};
pub use order::{Change, DebitOrder, OrderKind, OrderState, file_body, trailer};

use crate::charge::{Again, IdempotencyKey};

/// Why a file of the bank's, or a change of an order, is not taken. Nothing of it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DebitProblem {
    #[error("line {line}: {what}; ask the bank for the file as it was sent")]
    Malformed { line: usize, what: String },
    #[error("the file ends before its trailer: it is not all here yet, or was cut off; have it sent again")]
    Truncated,
    #[error("the seal is not that of this file under the shared secret: it was altered, or another secret is used")]
    Seal,
    #[error("the file is of the acquirer {found} or of another currency, not of {expected}")]
    OfAnother { found: String, expected: String },
    #[error("the trailer counts {counted}, and the file holds {held}: ask the bank for the file as it was sent")]
    Count { counted: String, held: String },
    #[error("this is answer {found}, and answer {expected} has not come: it waits until that one is here")]
    Early { found: u64, expected: u64 },
    #[error("answer {number} was taken before, and with another content: ask the bank which one counts")]
    Contradicts { number: u64 },
    #[error("no order was sent under the key {key}: ask the bank whose it is")]
    UnknownKey { key: IdempotencyKey },
    #[error("the order {key} is of another amount than the file says: ask the bank")]
    AmountDiffers { key: IdempotencyKey },
    #[error("the order {key} is {state}, and cannot be {event}: ask the bank what has become of it")]
    Impossible { key: IdempotencyKey, state: &'static str, event: &'static str },
}

/// Whether a debit that came back with this code (ISO 20022, external status reason) may be tried again: for want of
/// money, or without a reason, on another day; without an account or a mandate never.
pub fn again_after(code: &str) -> Again {
    if ["AM04", "MS02", "MS03", "AM14", "AM21"].contains(&code) { Again::AnotherDay } else { Again::Never }
}

#[cfg(test)]
mod tests;
