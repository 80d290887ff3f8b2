//! Orders to banks that take one file a day, and what the banks answer.

use async_trait::async_trait;
use facegate_domain::charge::IdempotencyKey;
use facegate_domain::debit::{AnswerFile, Answered, Change, DebitOrder};
use facegate_domain::money::{Currency, Money};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::StoreError;

/// Our file of a day, without its trailer. It never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DebitFile {
    pub day: Date,
    pub body: String,
}

#[async_trait]
pub trait DebitStore {
    async fn debit_order(&self, acquirer: &str, key: &IdempotencyKey) -> Result<Option<DebitOrder>, StoreError>;

    /// Makes or moves an order. The same change again gives what the order has become.
    ///
    /// Errors: `Debit` for what cannot happen to it.
    async fn change_debit_order(
        &self,
        acquirer: &str,
        key: &IdempotencyKey,
        change: &Change,
    ) -> Result<DebitOrder, StoreError>;

    /// Orders that all or part of the accepted debit `of` is given back, once under this key.
    async fn order_credit(
        &self,
        acquirer: &str,
        key: &IdempotencyKey,
        of: &IdempotencyKey,
        amount: Money,
    ) -> Result<DebitOrder, StoreError>;

    /// Puts everything that is ordered into the file of that day and marks it as sent, in one transaction; gives the file
    /// as it was cut first if it was before.
    async fn cut_debit_file(&self, acquirer: &str, day: Date, currency: Currency) -> Result<DebitFile, StoreError>;

    /// The files from that day on.
    async fn debit_files(&self, acquirer: &str, from: Date) -> Result<Vec<DebitFile>, StoreError>;

    /// Takes a bank's answer, wholly or not at all; gives, also when it was taken before, what the bank took back by it.
    /// `digest` names its content.
    ///
    /// Errors: `Debit` for one that comes before an earlier one, contradicts what was taken, or does not fit the orders.
    async fn take_debit_answer(&self, acquirer: &str, file: &AnswerFile, digest: &str) -> Result<Answered, StoreError>;
}
