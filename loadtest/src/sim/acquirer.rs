//! An acquirer that keeps its own books, and that cannot always be reached, answers late, or does its work and says
//! nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use facegate_cloud_sync::charging::acquirer::{Acquirer, Trouble};
use facegate_domain::charge::{Answer, AuthorisationId, Call, Decline, Found, IdempotencyKey};
use facegate_domain::money::Money;
use tokio::time::sleep;

use super::dice::Dice;
use super::events::Events;

/// Tokens that begin so are declined.
pub const DECLINED: &str = "tok_declined_";
/// Of these the first asking is declined, and may be tried again on another day.
pub const SHORT: &str = "tok_short_";

/// What it did under one key.
#[derive(Debug, Clone)]
pub struct Account {
    pub captures: u32,
    /// What was taken, which may be less than was authorised.
    pub taken: Money,
    pub declined: bool,
    /// It may be asked again on another day.
    pub soft: bool,
    pub voided: bool,
    /// By the refunds' own keys.
    pub refunds: BTreeMap<IdempotencyKey, Money>,
}

impl Account {
    pub fn new(amount: Money, declined: bool) -> Self {
        let taken = Money::zero(amount.currency());
        Self { captures: 0, taken, declined, soft: false, voided: false, refunds: BTreeMap::new() }
    }

    /// What was taken and not given back.
    pub fn kept_minor(&self) -> i64 {
        let back: i64 = self.refunds.values().map(|amount| amount.minor()).sum();
        i64::from(self.captures) * self.taken.minor() - back
    }

    fn decline(&self) -> Decline {
        if self.soft { Decline::soft("insufficient_funds") } else { Decline::hard("do_not_honour") }
    }
}

#[derive(Debug)]
pub struct SimAcquirer {
    dice: Dice,
    events: Arc<Events>,
    books: Mutex<BTreeMap<IdempotencyKey, Account>>,
    /// Tokens that were declined for want of money, each once.
    short: Mutex<BTreeSet<String>>,
    troubled: Mutex<bool>,
    /// See [`super::sabotage::Sabotage::AcquirerForgets`].
    forgets: bool,
}

impl SimAcquirer {
    pub fn new(dice: Dice, events: Arc<Events>, forgets: bool) -> Arc<Self> {
        Arc::new(Self {
            dice,
            events,
            books: Mutex::default(),
            short: Mutex::default(),
            troubled: Mutex::new(true),
            forgets,
        })
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

    /// What the first asking under a key comes to.
    fn opened(&self, token: &str, amount: Money) -> Account {
        let mut short = self.short.lock().unwrap_or_else(PoisonError::into_inner);
        let soft = token.starts_with(SHORT) && short.insert(token.to_owned());
        Account { soft, ..Account::new(amount, soft || token.starts_with(DECLINED)) }
    }

    fn work(&self, call: &Call) -> Answer {
        let mut books = self.lock();
        match call {
            Call::Authorise { key, token, amount } => {
                let account = books.entry(key.clone()).or_insert_with(|| self.opened(token.expose(), *amount));
                if account.declined {
                    Answer::Declined(account.decline())
                } else {
                    Answer::Authorised(authorisation(key))
                }
            }
            Call::Capture { key, amount, .. } => match books.get_mut(key) {
                // The same key again is the same capture.
                Some(account) if !account.declined && !account.voided => {
                    account.captures = if self.forgets { account.captures + 1 } else { 1 };
                    account.taken = *amount;
                    Answer::Captured
                }
                _ => Answer::Declined(Decline::hard("no_such_authorisation")),
            },
            Call::Void { key, .. } => match books.get_mut(key) {
                Some(account) if !account.declined && account.captures == 0 => {
                    account.voided = true;
                    Answer::Voided
                }
                _ => Answer::Declined(Decline::hard("no_such_authorisation")),
            },
            Call::Refund { key, of, amount, .. } => match books.get_mut(of) {
                Some(account) if account.captures > 0 => {
                    account.refunds.insert(key.clone(), *amount);
                    Answer::Refunded
                }
                _ => Answer::Declined(Decline::hard("nothing_captured")),
            },
        }
    }

    fn found(&self, key: &IdempotencyKey) -> Found {
        let (books, authorisation) = (self.lock(), authorisation(key));
        match books.get(key) {
            _ if self.forgets => Found::Nothing,
            None if books.values().any(|account| account.refunds.contains_key(key)) => Found::Refunded,
            None => Found::Nothing,
            Some(account) if account.declined => Found::Declined(account.decline()),
            Some(account) if account.captures > 0 => Found::Captured { authorisation },
            Some(account) if account.voided => Found::Voided,
            Some(_) => Found::Authorised { authorisation },
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
    fn name(&self) -> &'static str {
        "sim"
    }

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
        let found = self.found(key);
        self.trouble(true).await?;
        Ok(found)
    }
}
