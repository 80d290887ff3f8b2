//! An acquirer that does what each rider's history says, and remembers what it did.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use facegate_cloud_sync::charging::acquirer::{Acquirer, Trouble};
use facegate_domain::charge::{Answer, AuthorisationId, Call, Decline, Found, IdempotencyKey};
use facegate_domain::money::Money;
use tokio::sync::Notify;

use super::drawn::{Fault, Will};

/// What is known under one key.
#[derive(Debug, Clone, Default)]
struct Known {
    /// Of the rider whose card it is.
    number: usize,
    authorised: Option<i64>,
    captured: Option<i64>,
    voided: bool,
    declined: Option<Decline>,
    /// To be asked about so often until what was taken on is done.
    pending: bool,
}

#[derive(Debug, Default)]
pub struct Scripted {
    scripts: Mutex<BTreeMap<usize, VecDeque<(Fault, Will)>>>,
    known: Mutex<BTreeMap<IdempotencyKey, Known>>,
    is_good: AtomicBool,
    crash: Notify,
}

impl Scripted {
    pub fn script(&self, number: usize, contacts: Vec<(Fault, Will)>) {
        self.scripts.lock().unwrap().insert(number, contacts.into());
    }

    /// Everything goes well from here on.
    pub fn be_good(&self) {
        self.is_good.store(true, Ordering::SeqCst);
    }

    /// When somebody waits for an answer that the cloud does not live to see.
    pub async fn crashed(&self) {
        self.crash.notified().await;
    }

    pub fn captured_of(&self, number: usize) -> i64 {
        self.known().values().filter(|known| known.number == number).filter_map(|known| known.captured).sum()
    }

    /// Nothing is left authorised for nobody.
    pub fn judge(&self) {
        let known = self.known();
        let open = |known: &&Known| {
            known.authorised.is_some() && known.captured.is_none() && !known.voided && known.declined.is_none()
        };
        let open: Vec<&Known> = known.values().filter(open).collect();
        assert!(open.is_empty(), "held for nobody: {open:?}");
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<IdempotencyKey, Known>> {
        self.known.lock().unwrap()
    }

    fn next(&self, number: usize) -> (Fault, Will) {
        let drawn = self.scripts.lock().unwrap().get_mut(&number).and_then(VecDeque::pop_front);
        drawn.filter(|_| !self.is_good.load(Ordering::SeqCst)).unwrap_or((Fault::None, Will::Does))
    }

    /// The test drops whoever waits here.
    async fn dies(&self) {
        self.crash.notify_one();
        std::future::pending::<()>().await;
    }
}

fn authorisation(key: &IdempotencyKey) -> AuthorisationId {
    AuthorisationId::new(format!("of-{key}"))
}

impl Known {
    fn make(&mut self, call: &Call, will: Will) -> Answer {
        if let Some(decline) = &self.declined {
            return Answer::Declined(decline.clone());
        }
        // What is done is done.
        let will = match call {
            Call::Authorise { .. } if self.authorised.is_some() => Will::Does,
            Call::Capture { .. } if self.captured.is_some() => Will::Does,
            _ => will,
        };
        match (call, will) {
            // What is given back is given back.
            (Call::Void { .. }, _) | (_, Will::Does | Will::Later) => {}
            (_, Will::Soft) => self.declined = Some(Decline::soft("no money today")),
            (_, Will::Hard) => self.declined = Some(Decline::hard("stolen")),
            (Call::Capture { .. }, Will::Lapsed) => self.declined = Some(Decline::lapsed()),
            (_, Will::Lapsed) => {}
        }
        if let Some(decline) = &self.declined {
            return Answer::Declined(decline.clone());
        }
        let done = match call {
            Call::Authorise { key, amount, .. } => {
                assert!(amount.minor() > 0, "nothing is asked for");
                let before = *self.authorised.get_or_insert(amount.minor());
                assert_eq!(before, amount.minor(), "one key asks for one amount");
                Answer::Authorised(authorisation(key))
            }
            Call::Capture { amount, .. } => {
                assert!(!self.voided, "captured after it was given back");
                assert!(amount.minor() > 0 && amount.minor() <= self.authorised.unwrap(), "more than was held");
                let before = *self.captured.get_or_insert(amount.minor());
                assert_eq!(before, amount.minor(), "one key captures one amount");
                Answer::Captured
            }
            Call::Void { .. } => {
                assert!(self.captured.is_none(), "given back after it was captured");
                self.voided = true;
                Answer::Voided
            }
            Call::Refund { .. } => panic!("nobody asked for a refund"),
        };
        self.pending = will == Will::Later;
        if self.pending { Answer::Pending } else { done }
    }

    fn find(&mut self, key: &IdempotencyKey) -> Found {
        let authorisation = authorisation(key);
        if std::mem::take(&mut self.pending) {
            return Found::Pending { authorisation };
        }
        match self {
            Self { declined: Some(decline), .. } => Found::Declined(decline.clone()),
            Self { captured: Some(_), .. } => Found::Captured { authorisation },
            Self { voided: true, .. } => Found::Voided,
            Self { authorised: Some(_), .. } => Found::Authorised { authorisation },
            _ => Found::Nothing,
        }
    }
}

#[async_trait]
impl Acquirer for Scripted {
    fn name(&self) -> &'static str {
        "scripted"
    }

    async fn make(&self, call: &Call) -> Result<Answer, Trouble> {
        let number = match call {
            Call::Authorise { token, .. } => token.expose().split('-').next().unwrap().parse().unwrap(),
            other => self.known()[other.key()].number,
        };
        let (fault, will) = self.next(number);
        match fault {
            Fault::NotReached => return Err(Trouble::NotReached("the line is down".into())),
            Fault::CrashBefore => self.dies().await,
            Fault::None | Fault::AnswerLost | Fault::CrashAfter => {}
        }
        let answer = {
            let mut known = self.known();
            let known = known.entry(call.key().clone()).or_default();
            known.number = number;
            known.make(call, will)
        };
        match fault {
            Fault::AnswerLost => return Err(Trouble::NoAnswer("the line went down".into())),
            Fault::CrashAfter => self.dies().await,
            Fault::None | Fault::NotReached | Fault::CrashBefore => {}
        }
        Ok(answer)
    }

    async fn find(&self, key: &IdempotencyKey, _: Money) -> Result<Found, Trouble> {
        let number = self.known().get(key).map(|known| known.number);
        let fault = number.map_or(Fault::None, |number| self.next(number).0);
        match fault {
            Fault::NotReached => return Err(Trouble::NotReached("the line is down".into())),
            Fault::AnswerLost => return Err(Trouble::NoAnswer("the line went down".into())),
            Fault::CrashBefore | Fault::CrashAfter => self.dies().await,
            Fault::None => {}
        }
        Ok(self.known().get_mut(key).map_or(Found::Nothing, |known| known.find(key)))
    }
}
