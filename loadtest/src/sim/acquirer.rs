//! An acquirer that keeps its own books, and that cannot always be reached, answers late, or does its work and says
//! nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use facegate_cloud_sync::charging::acquirer::{Acquirer, Answer, Trouble};
use facegate_domain::charge::{AuthorisationId, Call, Found, IdempotencyKey};
use facegate_domain::money::Money;
use tokio::time::sleep;

use super::dice::Dice;
use super::events::Events;

/// Tokens that begin so are declined.
pub const DECLINED: &str = "tok_declined_";

/// What it did under one key.
#[derive(Debug, Clone)]
pub struct Account {
    pub amount: Money,
    pub captures: u32,
    pub declined: bool,
}

#[derive(Debug)]
pub struct SimAcquirer {
    dice: Dice,
    events: Arc<Events>,
    books: Mutex<BTreeMap<IdempotencyKey, Account>>,
    troubled: Mutex<bool>,
    /// See [`super::sabotage::Sabotage::AcquirerForgets`].
    forgets: bool,
}

impl SimAcquirer {
    pub fn new(dice: Dice, events: Arc<Events>, forgets: bool) -> Arc<Self> {
        Arc::new(Self { dice, events, books: Mutex::default(), troubled: Mutex::new(true), forgets })
    }

    /// From now on it always answers.
    pub fn behave(&self) {
        *self.troubled.lock().unwrap_or_else(PoisonError::into_inner) = false;
    }

    pub fn books(&self) -> BTreeMap<IdempotencyKey, Account> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<IdempotencyKey, Account>> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, call: &Call) -> Answer {
        let mut books = self.lock();
        match call {
            Call::Authorise { key, token, amount } => {
                let declined = token.expose().starts_with(DECLINED);
                let account = books.entry(key.clone()).or_insert(Account { amount: *amount, captures: 0, declined });
                if account.declined {
                    Answer::Declined { reason: "do_not_honour".into() }
                } else {
                    Answer::Authorised(authorisation(key))
                }
            }
            Call::Capture { key, .. } => match books.get_mut(key) {
                // The same key again is the same capture.
                Some(account) if !account.declined => {
                    account.captures = if self.forgets { account.captures + 1 } else { 1 };
                    Answer::Captured
                }
                _ => Answer::Declined { reason: "no_such_authorisation".into() },
            },
        }
    }

    /// The two places where an answer can get lost, and a late one.
    async fn trouble(&self, done: bool) -> Result<(), Trouble> {
        if !*self.troubled.lock().unwrap_or_else(PoisonError::into_inner) {
            return Ok(());
        }
        match (self.dice.below(20), done) {
            (0, false) => {
                self.events.fault("acquirer_away", "not reached");
                Err(Trouble::NotReached("no connection".into()))
            }
            (1 | 2, true) => {
                self.events.fault("acquirer_silent", "the work is done, the answer is lost");
                sleep(self.dice.ms(500..5_000)).await;
                Err(Trouble::NoAnswer("timed out".into()))
            }
            (3, true) => {
                self.events.fault("acquirer_late", "answers late");
                sleep(self.dice.ms(500..5_000)).await;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

fn authorisation(key: &IdempotencyKey) -> AuthorisationId {
    AuthorisationId::new(format!("auth-{key}"))
}

#[async_trait]
impl Acquirer for SimAcquirer {
    async fn make(&self, call: &Call) -> Result<Answer, Trouble> {
        sleep(self.dice.ms(5..60)).await;
        self.trouble(false).await?;
        let answer = self.work(call);
        self.trouble(true).await?;
        Ok(answer)
    }

    async fn find(&self, key: &IdempotencyKey, _: Money) -> Result<Found, Trouble> {
        sleep(self.dice.ms(5..60)).await;
        self.trouble(false).await?;
        let authorisation = authorisation(key);
        let found = match self.lock().get(key) {
            None => Found::Nothing,
            Some(_) if self.forgets => Found::Nothing,
            Some(account) if account.declined => Found::Declined { reason: "do_not_honour".into() },
            Some(account) if account.captures > 0 => Found::Captured { authorisation },
            Some(_) => Found::Authorised { authorisation },
        };
        self.trouble(true).await?;
        Ok(found)
    }
}
