//! Those who move money from cards and bank accounts, behind one trait.

pub mod bank_debit;
mod build;
mod exchange;
pub mod sandbox;
pub mod stripe;
pub mod wallet;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use facegate_domain::charge::{AcquirerName, Answer, Call, Event, Found, IdempotencyKey};
use facegate_domain::money::{Currency, Money};
use jiff::civil::Date;

pub use build::{Built, build};
use exchange::{exchange, read};

/// No answer that settles the call. What matters is whether the call may have done its work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    #[error("the acquirer cannot be reached, nothing was sent: {0}")]
    NotReached(String),
    #[error("the acquirer's answer is missing or says nothing certain: {0}")]
    NoAnswer(String),
}

/// An acquirer. An adapter never retries by itself: every try has to be stored before it is made.
#[async_trait]
pub trait Acquirer: Send + Sync + std::fmt::Debug {
    /// Its name in the config, as instruments have it.
    fn name(&self) -> &str;

    /// Makes the call, under the key that it carries.
    async fn make(&self, call: &Call) -> Result<Answer, Trouble>;

    /// Whether what it authorises is kept for its capture, so that it is worth something before the ride is made.
    fn can_hold(&self) -> bool {
        true
    }

    /// What the acquirer knows of `key`: a charge's or a refund's. Another amount than `amount` under it is no answer.
    async fn find(&self, key: &IdempotencyKey, amount: Money) -> Result<Found, Trouble>;

    /// Writes what it has settled on `date` into a new file at `to`, with the folders above it. False if it hands no such file out.
    async fn settlement(&self, _date: Date, _currency: Currency, _to: &Path) -> Result<bool, Trouble> {
        Ok(false)
    }
}

/// The operator's acquirers, by name.
#[derive(Debug, Clone, Default)]
pub struct Acquirers {
    named: BTreeMap<String, Arc<dyn Acquirer>>,
    wallet: Option<Arc<dyn Acquirer>>,
}

impl Acquirers {
    pub fn new(acquirers: impl IntoIterator<Item = Arc<dyn Acquirer>>) -> Self {
        let named = acquirers.into_iter().map(|acquirer| (acquirer.name().to_owned(), acquirer)).collect();
        Self { named, wallet: None }
    }

    pub fn all(&self) -> impl Iterator<Item = &Arc<dyn Acquirer>> {
        self.named.values()
    }

    pub fn only(acquirer: Arc<dyn Acquirer>) -> Self {
        Self::new([acquirer])
    }

    /// With the adapter over our own books.
    #[must_use]
    pub fn with_wallet(self, wallet: Arc<dyn Acquirer>) -> Self {
        Self { wallet: Some(wallet), ..self }
    }

    /// The one of that name; of the name `default` the only one there is. Charges of another wait until there is one.
    pub fn of(&self, name: &AcquirerName) -> Arc<dyn Acquirer> {
        if *name == AcquirerName::wallet() {
            return self.wallet.clone().unwrap_or_else(|| Arc::new(Unconfigured));
        }
        let named = self.named.get(name.as_str());
        let only = || self.named.values().next().filter(|_| self.named.len() == 1 && *name == AcquirerName::default());
        named.or_else(only).cloned().unwrap_or_else(|| Arc::new(Unconfigured))
    }
}

/// Stands where the config names no such acquirer: its charges wait, and are made once it is named.
#[derive(Debug, Clone, Copy)]
pub struct Unconfigured;

#[async_trait]
impl Acquirer for Unconfigured {
    fn name(&self) -> &'static str {
        "unconfigured"
    }

    async fn make(&self, _: &Call) -> Result<Answer, Trouble> {
        Err(Trouble::NotReached("the config names none".to_owned()))
    }

    async fn find(&self, _: &IdempotencyKey, _: Money) -> Result<Found, Trouble> {
        Err(Trouble::NotReached("the config names none".to_owned()))
    }
}

/// What a call's outcome is to the charge.
pub(super) fn event_of_call(outcome: &Result<Answer, Trouble>) -> Event {
    match outcome {
        Ok(Answer::Authorised(authorisation)) => Event::Authorised { authorisation: authorisation.clone() },
        Ok(Answer::Captured) => Event::Captured,
        Ok(Answer::Voided) => Event::Voided,
        Ok(Answer::Pending) => Event::TakenOn,
        Ok(Answer::Declined(decline)) => Event::Declined(decline.clone()),
        // A refund is no charge's answer: a query tells more.
        Ok(Answer::Refunded) | Err(Trouble::NoAnswer(_)) => Event::NoAnswer,
        Err(Trouble::NotReached(_)) => Event::NotReached,
    }
}

/// What a query's outcome is to the charge.
pub(super) fn event_of_query(outcome: &Result<Found, Trouble>) -> Event {
    outcome.as_ref().map_or(Event::QueryFailed, |found| Event::Found(found.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Named(&'static str);

    #[async_trait]
    impl Acquirer for Named {
        fn name(&self) -> &str {
            self.0
        }

        async fn make(&self, _: &Call) -> Result<Answer, Trouble> {
            Ok(Answer::Pending)
        }

        async fn find(&self, _: &IdempotencyKey, _: Money) -> Result<Found, Trouble> {
            Ok(Found::Nothing)
        }
    }

    #[test]
    fn a_name_finds_its_acquirer_and_no_other() {
        let name = |text: &str| AcquirerName::new(text).unwrap();
        let one = Acquirers::only(Arc::new(Named("bank")));
        assert_eq!(one.of(&name("bank")).name(), "bank");
        assert_eq!(one.of(&AcquirerName::default()).name(), "bank", "the only one");
        assert_eq!(one.of(&name("card")).name(), "unconfigured");
        let two = Acquirers::new([Arc::new(Named("bank")) as Arc<dyn Acquirer>, Arc::new(Named("card"))]);
        assert_eq!(two.of(&name("card")).name(), "card");
        assert_eq!(two.of(&AcquirerName::default()).name(), "unconfigured", "nobody knows which");
    }
}
