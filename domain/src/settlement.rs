//! What an acquirer says it has settled on a day: its file, checked line by line as it is read.
//!
//! ```text
//! facegate-settlement,1,<acquirer>,<settlement date>,<currency>
//! capture|refund|chargeback|chargeback_reversed,<acquirer's reference>,<our key>,<amount>,<fee>,<booked at, RFC 3339 UTC>
//! trailer,<lines between>,<sum of the amounts, refunds and chargebacks negative>,<SHA-256 of all bytes before this line>
//! ```
//!
//! Amounts are minor units, positive in the lines. Lines end with LF. Nothing of a file may count before its trailer has
//! been read, since only then it is known to be whole: [`Reader`] is fed once to check, and once more to take over.

mod reader;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::ledger::{Account, Entry, EntryId, LedgerError, Posting};
use crate::money::{Currency, Money};

pub use reader::{Fault, Reader, SettlementError};

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    pub acquirer: String,
    pub date: Date,
    pub currency: Currency,
}

/// What happened to the money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SettledKind {
    Capture,
    Refund,
    /// The rider's bank took the money back.
    Chargeback,
    /// The dispute was won: it came again.
    ChargebackReversed,
}

impl SettledKind {
    pub const ALL: [Self; 4] = [Self::Capture, Self::Refund, Self::Chargeback, Self::ChargebackReversed];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Capture => "capture",
            Self::Refund => "refund",
            Self::Chargeback => "chargeback",
            Self::ChargebackReversed => "chargeback_reversed",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// 1 if the operator gets the money, -1 if he gives it.
    const fn sign(self) -> i64 {
        match self {
            Self::Capture | Self::ChargebackReversed => 1,
            Self::Refund | Self::Chargeback => -1,
        }
    }
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettledLine {
    pub kind: SettledKind,
    /// The acquirer's name for it: one line of each kind has it, in all files together.
    pub reference: String,
    /// Ours.
    pub key: String,
    /// Positive.
    pub amount: Money,
    /// Zero or positive: what the acquirer keeps.
    pub fee: Money,
    pub booked_at: Timestamp,
}

impl SettledLine {
    /// The amount as the operator's account sees it: negative if it goes away.
    pub fn signed_minor(&self) -> i64 {
        self.amount.minor() * self.kind.sign()
    }
}

/// A file whose every line was read and whose trailer agrees with them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settlement {
    pub header: Header,
    pub lines: u64,
    /// Of the amounts, refunds and chargebacks negative.
    pub sum: Money,
    pub fees: Money,
    /// Of the whole file, trailer included.
    pub sha256: [u8; 32],
}

impl Settlement {
    /// What is paid out, and what the acquirer keeps, are owed by it no more. None if it all comes to nothing.
    ///
    /// One entry a file, named by acquirer and date: there is one payment to the bank for it, and the lines are kept
    /// beside it, each once.
    pub fn entry(&self, now: Timestamp) -> Result<Option<Entry>, LedgerError> {
        let id = EntryId::of("payout", format_args!("{}/{}", self.header.acquirer, self.header.date));
        let money = |problem| LedgerError::Money { id: id.clone(), problem };
        let paid = self.sum.checked_sub(self.fees).map_err(money)?;
        let owed = self.sum.checked_neg().map_err(money)?;
        let postings =
            [(Account::OperatorBank, paid), (Account::AcquirerFees, self.fees), (Account::AcquirerReceivable, owed)];
        let postings = postings.into_iter().filter(|(_, amount)| !amount.is_zero());
        let postings: Vec<Posting> = postings.map(|(account, amount)| Posting::new(account, amount)).collect();
        if postings.is_empty() { Ok(None) } else { Entry::new(id, now, postings).map(Some) }
    }
}

#[cfg(test)]
mod tests;
