//! Those who move money from cards and bank accounts, behind one trait.

pub mod sandbox;

use async_trait::async_trait;
use facegate_domain::charge::{AuthorisationId, Call, Event, Found, IdempotencyKey};
use facegate_domain::money::Money;

/// An answer that settles the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Authorised(AuthorisationId),
    Captured,
    Declined { reason: String },
}

/// No such answer. What matters is whether the call may have done its work.
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
    /// Makes the call, under the key that it carries.
    async fn make(&self, call: &Call) -> Result<Answer, Trouble>;

    /// What the acquirer knows of `key`. A charge of another amount than `amount` under our key is no answer.
    async fn find(&self, key: &IdempotencyKey, amount: Money) -> Result<Found, Trouble>;
}

/// Stands where the config names no acquirer: charges by token wait, and are made once it names one.
#[derive(Debug, Clone, Copy)]
pub struct Unconfigured;

#[async_trait]
impl Acquirer for Unconfigured {
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
        Ok(Answer::Declined { reason }) => Event::Declined { reason: reason.clone() },
        Err(Trouble::NotReached(_)) => Event::NotReached,
        Err(Trouble::NoAnswer(_)) => Event::NoAnswer,
    }
}

/// What a query's outcome is to the charge.
pub(super) fn event_of_query(outcome: &Result<Found, Trouble>) -> Event {
    outcome.as_ref().map_or(Event::QueryFailed, |found| Event::Found(found.clone()))
}
