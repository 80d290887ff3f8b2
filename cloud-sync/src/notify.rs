//! Delivers notices to the operator's webhook: at least once each, those of one rider in their order. It keeps nothing in
//! memory that matters; what was sent when the cloud dies is sent again, under the same number.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use facegate_domain::Clock;
use facegate_domain::notice::{Notice, NoticeRest};
use facegate_runtime::http;
use facegate_runtime::identity::IdentityError;
use futures::TryStreamExt;
use reqwest::header::CONTENT_TYPE;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::api::rest::Moment;
use crate::signature::{self, SharedSecret};
use crate::store::{Store, StoreError};
use crate::turns::{Passes, Reach, Turn};

/// Only one replica of the cloud delivers at a time: two would tell riders everything twice. Should two do so all the
/// same, for a moment, the receiver knows the second by its number.
const TURN: &str = "notices";

/// Notices of one rider that are delivered before the others have their turn.
const IN_A_ROW_MAX: usize = 32;

/// Where riders' notices go.
#[derive(Debug, Clone)]
pub struct NoticesConfig {
    pub url: reqwest::Url,
    pub secret: SharedSecret,
    /// Whom to trust for the receiver's certificate.
    pub ca: PathBuf,
    pub answer_within: Duration,
    pub policy: NotifyPolicy,
}

/// How the loop goes about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotifyPolicy {
    /// Pause between two looks at what is due.
    pub pass_every: Duration,
    /// Of one rider's notices, after one that was not taken.
    pub rest: NoticeRest,
    /// Riders looked at in one pass.
    pub riders_per_pass_max: usize,
    /// Notices that may wait for the receiver's answer at the same time.
    pub in_flight_max: usize,
}

/// Why a notice was not taken.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("the receiver cannot be reached: {0}")]
    NotReached(String),
    #[error("the receiver gave no answer: {0}")]
    NoAnswer(String),
    #[error("the receiver answered {0}")]
    Status(reqwest::StatusCode),
}

/// What one pass did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pass {
    pub delivered: usize,
    pub failed: usize,
    /// The receiver could not be reached, and the rest was left for later.
    pub away: bool,
}

/// Delivers what waits.
#[derive(Debug)]
pub struct Notifier {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    client: reqwest::Client,
    config: NoticesConfig,
}

impl Notifier {
    /// From now on the store keeps notices.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, config: NoticesConfig) -> Result<Self, NotifyError> {
        store.keep_notices(true);
        let client = http::client_without_identity(&config.ca)?
            .timeout(config.answer_within)
            // A notice is for the address that the operator named, and no other.
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self { store, clock, client, config })
    }

    /// Delivers until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let turn = Turn::new(Arc::clone(&self.store), Arc::clone(&self.clock), TURN);
        turn.run(self.config.policy.pass_every, &stop, &self).await;
    }

    /// Delivers what is due: many riders at a time, one after the other of each.
    pub async fn pass(&self) -> Result<Pass, StoreError> {
        let policy = &self.config.policy;
        let due = self.store.due_notices(self.clock.now(), policy.riders_per_pass_max).await?;
        let (delivered, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let away = AtomicBool::new(false);
        futures::stream::iter(due.into_iter().map(Ok))
            .try_for_each_concurrent(policy.in_flight_max, |first| self.deliver(first, &delivered, &failed, &away))
            .await?;
        Ok(Pass { delivered: delivered.into_inner(), failed: failed.into_inner(), away: away.into_inner() })
    }

    /// One rider's, until one is not taken or he has none.
    async fn deliver(
        &self,
        first: Notice,
        delivered: &AtomicUsize,
        failed: &AtomicUsize,
        away: &AtomicBool,
    ) -> Result<(), StoreError> {
        let mut next = Some(first);
        for _ in 0..IN_A_ROW_MAX {
            let Some(notice) = next.take().filter(|_| !away.load(Ordering::Relaxed)) else { return Ok(()) };
            let (rider, number) = (notice.rider, notice.number);
            match self.post(&notice).await {
                Ok(()) => {
                    delivered.fetch_add(1, Ordering::Relaxed);
                    metrics::counter!("facegate_notices_delivered_total", "kind" => notice.told.kind()).increment(1);
                    next = self.store.notice_delivered(rider, number, self.clock.now()).await?;
                }
                Err(refused) => {
                    failed.fetch_add(1, Ordering::Relaxed);
                    metrics::counter!("facegate_notices_failed_total").increment(1);
                    tracing::warn!(%rider, number, %refused, "a notice was not taken; it and the rider's later ones wait");
                    if matches!(refused, Refused::NotReached(_)) {
                        away.store(true, Ordering::Relaxed);
                    }
                    return self.store.notice_failed(rider, number, self.clock.now(), &self.config.policy.rest).await;
                }
            }
        }
        Ok(())
    }

    async fn post(&self, notice: &Notice) -> Result<(), Refused> {
        let body = body(notice);
        let request = self
            .client
            .post(self.config.url.clone())
            .header(CONTENT_TYPE, "application/json")
            .header(signature::HEADER, self.config.secret.sign(self.clock.now(), &body))
            .body(body);
        let sent = request.send().await;
        let response = sent.map_err(|error| {
            if error.is_connect() { Refused::NotReached(told(&error)) } else { Refused::NoAnswer(told(&error)) }
        })?;
        if response.status().is_success() { Ok(()) } else { Err(Refused::Status(response.status())) }
    }
}

#[async_trait]
impl Passes for Notifier {
    async fn pass_once(&self) -> Result<Reach, StoreError> {
        Ok(if self.pass().await?.away { Reach::Away } else { Reach::There })
    }
}

/// Why there is nobody to deliver notices.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    #[error(transparent)]
    Trust(#[from] IdentityError),
    #[error("the HTTPS client could not be made: {0}")]
    Client(#[from] reqwest::Error),
}

/// What is posted.
fn body(notice: &Notice) -> Vec<u8> {
    let told = serde_json::to_value(&notice.told).expect("a notice is plain data");
    let text = json!({ "en": notice.told.text_en(), "zh": notice.told.text_zh() });
    let body = json!({
        "rider": notice.rider,
        "number": notice.number,
        "at": Moment(notice.at),
        "kind": told["kind"],
        "data": told["data"],
        "text": text,
    });
    body.to_string().into_bytes()
}

/// reqwest keeps the cause behind its own message.
fn told(error: &reqwest::Error) -> String {
    let mut told = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        told.push_str(&format!(": {next}"));
        cause = next.source();
    }
    told
}

#[cfg(test)]
mod tests {
    use facegate_domain::Timestamp;
    use facegate_domain::charge::ChargeId;
    use facegate_domain::ids::RiderId;
    use facegate_domain::money::Money;
    use facegate_domain::notice::Told;

    use super::*;

    #[test]
    fn a_body_says_everything_in_names_that_stay() {
        let amount = Money::from_minor(400, "CNY".parse().unwrap());
        let told = Told::Charged { charge: ChargeId::from_bytes([2; 16]), amount };
        let at = Timestamp::from_unix_ms(1_795_352_400_250);
        let notice = Notice { rider: RiderId::from_bytes([1; 16]), number: 3, at, told };
        let body: serde_json::Value = serde_json::from_slice(&body(&notice)).unwrap();
        let expected = json!({
            "rider": "01010101-0101-0101-0101-010101010101",
            "number": 3,
            "at": "2026-11-22T13:00:00.250Z",
            "kind": "charged",
            "data": { "charge": "02020202-0202-0202-0202-020202020202", "amount": { "minor": 400, "currency": "CNY" } },
            "text": { "en": "You have paid 4.00 CNY.", "zh": "已支付 4.00 CNY。" },
        });
        assert_eq!(body, expected);
    }
}
