//! The books: double entry, append-only. An entry that does not balance cannot be made; a posted one is never changed,
//! only reversed by another.

mod account;
mod totals;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

pub use account::{Account, Control};
pub use totals::{Totals, Turnover, hour_begins, hour_of};

use crate::clock::Timestamp;
use crate::money::{Currency, Money, MoneyError};

/// One line of an entry: a debit if positive, a credit if negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Posting {
    pub account: Account,
    pub amount: Money,
}

impl Posting {
    pub const fn new(account: Account, amount: Money) -> Self {
        Self { account, amount }
    }
}

/// The name of an entry, chosen by what it records (such as `capture/<charge>`): posting it twice is once.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EntryId(String);

impl EntryId {
    /// `kind` and what it was for.
    pub fn of(kind: &str, subject: impl fmt::Display) -> Self {
        Self(format!("{kind}/{subject}"))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why an entry is refused. The books are as they were.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    #[error("entry {id} has no posting")]
    Empty { id: EntryId },
    #[error("entry {id} posts nothing to {account:?}")]
    ZeroPosting { id: EntryId, account: Account },
    #[error("entry {id} does not balance: debits exceed credits by {excess}")]
    Unbalanced { id: EntryId, excess: Money },
    #[error("entry {id}: {problem}")]
    Money { id: EntryId, problem: MoneyError },
    #[error("entry {id} is posted already with other content: stop, and compare the two")]
    Conflict { id: EntryId },
}

/// A balanced set of postings in one currency, at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Entry {
    id: EntryId,
    at: Timestamp,
    postings: Vec<Posting>,
}

#[derive(Serialize, Deserialize)]
struct Stored {
    id: EntryId,
    at: Timestamp,
    postings: Vec<Posting>,
}

impl Entry {
    /// Errors: no postings, a posting of zero, two currencies, or debits and credits that differ.
    pub fn new(id: EntryId, at: Timestamp, postings: Vec<Posting>) -> Result<Self, LedgerError> {
        let Some(first) = postings.first() else { return Err(LedgerError::Empty { id }) };
        if let Some(zero) = postings.iter().find(|posting| posting.amount.is_zero()) {
            return Err(LedgerError::ZeroPosting { id, account: zero.account });
        }
        match Money::checked_sum(first.amount.currency(), postings.iter().map(|posting| posting.amount)) {
            Ok(sum) if sum.is_zero() => Ok(Self { id, at, postings }),
            Ok(excess) => Err(LedgerError::Unbalanced { id, excess }),
            Err(problem) => Err(LedgerError::Money { id, problem }),
        }
    }

    /// Moves `amount` from one account to another: credits `from`, debits `to`.
    pub fn transfer(
        id: EntryId,
        at: Timestamp,
        amount: Money,
        from: Account,
        to: Account,
    ) -> Result<Self, LedgerError> {
        match amount.checked_neg() {
            Ok(credit) => Self::new(id, at, vec![Posting::new(to, amount), Posting::new(from, credit)]),
            Err(problem) => Err(LedgerError::Money { id, problem }),
        }
    }

    /// The entry that undoes this one. Its id says whose reversal it is, so that nothing is undone twice.
    pub fn reversed(&self, at: Timestamp) -> Result<Self, LedgerError> {
        let id = EntryId::of("reverse", &self.id);
        let postings: Result<Vec<Posting>, MoneyError> = self
            .postings
            .iter()
            .map(|posting| Ok(Posting::new(posting.account, posting.amount.checked_neg()?)))
            .collect();
        match postings {
            Ok(postings) => Self::new(id, at, postings),
            Err(problem) => Err(LedgerError::Money { id, problem }),
        }
    }

    pub fn id(&self) -> &EntryId {
        &self.id
    }

    pub fn at(&self) -> Timestamp {
        self.at
    }

    pub fn postings(&self) -> &[Posting] {
        &self.postings
    }
}

impl TryFrom<Stored> for Entry {
    type Error = LedgerError;
    fn try_from(stored: Stored) -> Result<Self, LedgerError> {
        Self::new(stored.id, stored.at, stored.postings)
    }
}

impl From<Entry> for Stored {
    fn from(entry: Entry) -> Self {
        Self { id: entry.id, at: entry.at, postings: entry.postings }
    }
}

/// What stands on every account after a number of entries: a fold over them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TrialBalance(BTreeMap<(Account, Currency), Money>);

impl TrialBalance {
    /// Folds `entries`, which must be distinct.
    pub fn of<'e>(entries: impl IntoIterator<Item = &'e Entry>) -> Result<Self, LedgerError> {
        let mut balance = Self::default();
        entries.into_iter().try_for_each(|entry| balance.add(entry))?;
        Ok(balance)
    }

    /// Adds one entry, wholly or (if a balance would leave 64 bits) not at all.
    pub fn add(&mut self, entry: &Entry) -> Result<(), LedgerError> {
        let mut after = BTreeMap::new();
        for posting in entry.postings() {
            let key = (posting.account, posting.amount.currency());
            let before = after.get(&key).copied().unwrap_or_else(|| self.balance(key.0, key.1));
            let sum = before
                .checked_add(posting.amount)
                .map_err(|problem| LedgerError::Money { id: entry.id().clone(), problem })?;
            after.insert(key, sum);
        }
        self.0.extend(after);
        Ok(())
    }

    pub fn balance(&self, account: Account, currency: Currency) -> Money {
        self.0.get(&(account, currency)).copied().unwrap_or(Money::zero(currency))
    }

    /// Every account that was ever posted to, with its balance.
    pub fn iter(&self) -> impl Iterator<Item = (Account, Money)> + '_ {
        self.0.iter().map(|((account, _), balance)| (*account, *balance))
    }

    /// The sum over all accounts by currency. Anything but zero is a defect: stop and report.
    pub fn sums(&self) -> BTreeMap<Currency, i128> {
        let mut sums = BTreeMap::new();
        for ((_, currency), balance) in &self.0 {
            *sums.entry(*currency).or_insert(0) += i128::from(balance.minor());
        }
        sums
    }

    pub fn is_balanced(&self) -> bool {
        self.sums().values().all(|sum| *sum == 0)
    }
}

#[cfg(test)]
mod tests;
