//! What the sandbox acquirer tells the cloud by itself: signed events, at least once each, late, twice and in any order.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use facegate_cloud_sync::signature::{HEADER, SharedSecret};
use facegate_runtime::clock::Clock;
use facegate_runtime::http;
use serde_json::{Value, json};

use super::book::{Book, Line};
use super::faults::Dice;

/// An event is sent so often before its receiver is given up; a query finds what it would have said.
const TRIES_MAX: u32 = 8;
const PAUSE: Duration = Duration::from_millis(500);

/// Where events go, and how they go wrong on the way.
#[derive(Debug, Clone)]
pub struct WebhookConfig {
    /// Such as `https://cloud.example:7443/webhooks/sandbox`.
    pub url: String,
    pub secret: SharedSecret,
    /// Whom to believe that he is the receiver.
    pub ca: PathBuf,
    /// Each event leaves anything up to this after what it tells, so that events overtake each other.
    pub late_max: Duration,
    /// The share of events that are sent a second time although the first was taken.
    pub twice: f64,
}

#[derive(Debug)]
pub struct Webhooks {
    config: WebhookConfig,
    client: reqwest::Client,
    clock: Arc<dyn Clock>,
    dice: Arc<Dice>,
}

impl Webhooks {
    pub fn new(config: WebhookConfig, clock: Arc<dyn Clock>, dice: Arc<Dice>) -> Result<Self> {
        let client = http::client_without_identity(&config.ca)?.build()?;
        Ok(Self { config, client, clock, dice })
    }

    /// Sends the events of these lines, each in its own time.
    pub fn tell(self: &Arc<Self>, lines: &[Line], book: &Book) {
        for event in lines.iter().filter_map(|line| event_of(line, book)) {
            let webhooks = Arc::clone(self);
            tokio::spawn(async move { webhooks.deliver(event).await });
        }
    }

    async fn deliver(&self, event: Value) {
        let times = if self.dice.chance(self.config.twice) { 2 } else { 1 };
        for _ in 0..times {
            tokio::time::sleep(self.dice.up_to(self.config.late_max)).await;
            let mut tries = 0;
            while tries < TRIES_MAX && !self.send(&event).await {
                tries += 1;
                tokio::time::sleep(PAUSE * 2_u32.pow(tries.min(5))).await;
            }
        }
    }

    /// Whether it was taken.
    async fn send(&self, event: &Value) -> bool {
        let body = event.to_string();
        let signature = self.config.secret.sign(self.clock.now(), body.as_bytes());
        let request = self.client.post(&self.config.url).header(HEADER, signature);
        let sent = request.header("content-type", "application/json").body(body).send().await;
        match sent {
            Ok(response) if response.status().is_success() => true,
            Ok(response) => {
                tracing::info!(status = %response.status(), "a webhook was not taken");
                false
            }
            Err(error) => {
                tracing::info!(%error, "a webhook did not arrive");
                false
            }
        }
    }
}

/// `{"id", "type", "created", "key", "authorisation", "amount_minor", "currency", "reference"}`; none for what nobody waits for.
fn event_of(line: &Line, book: &Book) -> Option<Value> {
    let charge = book.charge(line.authorisation())?;
    let authorisation = &charge.authorisation;
    let (kind, id, key, amount_minor, at_ms) = match line {
        Line::Authorised { at_ms, .. } => ("charge.authorised", "a", &charge.key, charge.request.amount_minor, at_ms),
        Line::Captured { amount_minor, at_ms, .. } => ("charge.captured", "c", &charge.key, *amount_minor, at_ms),
        Line::CaptureDeclined { amount_minor, at_ms, .. } => {
            ("charge.declined", "d", &charge.key, *amount_minor, at_ms)
        }
        Line::Refunded { key, amount_minor, at_ms, .. } => {
            ("refund.succeeded", key.as_str(), key, *amount_minor, at_ms)
        }
        Line::Disputed { at_ms, .. } => ("charge.disputed", "cb", &charge.key, charge.captured_minor, at_ms),
        Line::DisputeReversed { at_ms, .. } => {
            ("charge.dispute_reversed", "cbr", &charge.key, charge.captured_minor, at_ms)
        }
        _ => return None,
    };
    Some(json!({
        "id": format!("evt_{id}_{authorisation}"),
        "type": kind,
        "created": at_ms.div_euclid(1000),
        "key": key,
        "authorisation": authorisation,
        "amount_minor": amount_minor,
        "currency": charge.request.currency,
        // As the settlement file has it.
        "reference": format!("cb_{authorisation}"),
    }))
}
