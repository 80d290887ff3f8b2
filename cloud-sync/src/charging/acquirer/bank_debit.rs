//! The adapter for a bank that takes debit orders in one file a day and answers in files of its own; the formats are
//! those of [`facegate_domain::debit`].
//!
//! A call only moves an order in our own store, where it is made once by its key; what the bank says of it comes with an
//! answer file, and until then a charge is pending. Files go over two folders, which something else may carry to the
//! bank and back: `out/<acquirer>-<day>.csv`, written once and never changed, and `in/`, from which what was taken is
//! moved to `in/taken/`. A file that is not taken stays where it is, changes nothing, and is told in the log and the
//! metric `facegate_debit_files_total`.

mod files;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use facegate_domain::Clock;
use facegate_domain::charge::{AcquirerName, Answer, AuthorisationId, Call, Decline, Found, IdempotencyKey};
use facegate_domain::debit::{Change, DebitOrder, DebitProblem};
use facegate_domain::money::{Currency, Money};
use facegate_domain::travel_day::TravelDays;
use tokio_util::sync::CancellationToken;

use super::{Acquirer, Trouble};
use crate::signature::SharedSecret;
use crate::store::{Store, StoreError};

pub use files::BankFilesError;

/// How a bank is written to.
#[derive(Debug, Clone)]
pub struct BankDebitConfig {
    /// Holds `out/` and `in/`.
    pub folder: PathBuf,
    /// Seals the files both ways.
    pub secret: SharedSecret,
    /// Their boundary is the moment from which a day's file is written.
    pub days: TravelDays,
    pub currency: Currency,
    /// Between two looks at the folders.
    pub look_every: Duration,
}

#[derive(Debug)]
pub struct BankDebit {
    name: AcquirerName,
    config: BankDebitConfig,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
}

impl BankDebit {
    pub fn new(name: AcquirerName, config: BankDebitConfig, store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self { name, config, store, clock }
    }

    /// Exchanges files until `stop`.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        loop {
            if let Err(error) = self.exchange_files().await {
                tracing::error!(acquirer = %self.name, %error, "the bank's files wait");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(self.config.look_every) => {}
            }
        }
    }

    async fn order(&self, key: &IdempotencyKey, change: Change) -> Result<Result<DebitOrder, DebitProblem>, Trouble> {
        decided(self.store.change_debit_order(self.name.as_str(), key, &change).await)
    }
}

/// What the store says of an order, apart from a store that says nothing.
fn decided(order: Result<DebitOrder, StoreError>) -> Result<Result<DebitOrder, DebitProblem>, Trouble> {
    match order {
        Ok(order) => Ok(Ok(order)),
        Err(StoreError::Debit(problem)) => Ok(Err(problem)),
        Err(error) => Err(Trouble::NoAnswer(format!("our own store: {error}"))),
    }
}

#[async_trait]
impl Acquirer for BankDebit {
    fn name(&self) -> &str {
        self.name.as_str()
    }

    async fn make(&self, call: &Call) -> Result<Answer, Trouble> {
        let order = match call {
            Call::Authorise { amount, .. } | Call::Refund { amount, .. }
                if amount.currency() != self.config.currency =>
            {
                return Ok(Answer::Declined(Decline::hard("other_currency")));
            }
            Call::Authorise { key, token, amount } => {
                self.order(key, Change::Reserve { token: token.clone(), amount: *amount }).await?
            }
            Call::Capture { key, amount, .. } => self.order(key, Change::Order { amount: *amount }).await?,
            Call::Void { key, .. } => self.order(key, Change::Void).await?,
            Call::Refund { key, of, amount, .. } => {
                decided(self.store.order_credit(self.name.as_str(), key, of, *amount).await)?
            }
        };
        let order = match (order, call) {
            (Ok(order), _) => order,
            // Nothing was ordered, and nothing will be under this key.
            (Err(problem), Call::Refund { .. }) => return Ok(Answer::Declined(Decline::hard(problem.to_string()))),
            (Err(problem), _) => return Err(Trouble::NoAnswer(problem.to_string())),
        };
        Ok(match order.found() {
            Found::Authorised { .. } => Answer::Authorised(AuthorisationId::new(order.key.as_str())),
            Found::Captured { .. } => Answer::Captured,
            Found::Voided => Answer::Voided,
            Found::Refunded => Answer::Refunded,
            Found::Declined(decline) => Answer::Declined(decline),
            Found::Pending { .. } | Found::Nothing => Answer::Pending,
        })
    }

    /// The bank hears of it with the order.
    fn can_hold(&self) -> bool {
        false
    }

    async fn find(&self, key: &IdempotencyKey, amount: Money) -> Result<Found, Trouble> {
        let order = self.store.debit_order(self.name.as_str(), key).await;
        let order = order.map_err(|error| Trouble::NoAnswer(format!("our own store: {error}")))?;
        let Some(order) = order else { return Ok(Found::Nothing) };
        // Less may have been ordered than was reserved.
        if order.amount.currency() != amount.currency() || order.amount.minor() > amount.minor() {
            return Err(Trouble::NoAnswer("the amount differs".to_owned()));
        }
        Ok(order.found())
    }
}
