//! The adapter for the sandbox acquirer (`facegate-loadtest acquirer`), over HTTPS under mutual TLS.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use facegate_domain::charge::{AcquirerName, Again, Answer, AuthorisationId, Call, Decline, Found, IdempotencyKey};
use facegate_domain::money::{Currency, Money};
use facegate_runtime::http;
use facegate_runtime::identity::{DeviceIdentity, Role};
use jiff::civil::Date;
use reqwest::{RequestBuilder, StatusCode};
use serde::Deserialize;
use serde_json::json;
use tokio::io::AsyncWriteExt;

use super::{Acquirer, Trouble, exchange, read};

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    #[error("the HTTPS client could not be made: {0}")]
    Client(#[from] reqwest::Error),
}

/// A client of one sandbox acquirer.
#[derive(Debug, Clone)]
pub struct SandboxAcquirer {
    name: AcquirerName,
    client: reqwest::Client,
    base: String,
}

/// A charge as the acquirer describes it, in every answer that is about one.
#[derive(Debug, Deserialize)]
struct Described {
    status: Status,
    authorisation: String,
    amount_minor: i64,
    currency: String,
    reason: Option<String>,
    /// Whether a declined charge may be tried again on another day.
    #[serde(default)]
    again: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Authorised,
    /// Taken on; captured or declined later.
    Pending,
    Captured,
    Voided,
    /// The key is a refund's.
    Refunded,
    Declined,
}

#[derive(Debug, Deserialize)]
struct Refused {
    error: String,
}

impl SandboxAcquirer {
    /// `base` is such as `https://acquirer.example:8443`; `answer_within` is how long a call may take.
    pub fn new(
        name: AcquirerName,
        identity: &DeviceIdentity,
        base: &str,
        answer_within: Duration,
    ) -> Result<Self, SandboxError> {
        let client = http::client(identity, Role::Acquirer).timeout(answer_within).build()?;
        Ok(Self { name, client, base: base.trim_end_matches('/').to_owned() })
    }

    fn post(&self, path: &str, key: &IdempotencyKey, body: &serde_json::Value) -> RequestBuilder {
        self.client.post(format!("{}{path}", self.base)).header("Idempotency-Key", key.as_str()).json(body)
    }
}

/// A file of a day is larger than any other answer.
const FILE_WITHIN: Duration = Duration::from_secs(600);

#[async_trait]
impl Acquirer for SandboxAcquirer {
    fn name(&self) -> &str {
        self.name.as_str()
    }

    async fn make(&self, call: &Call) -> Result<Answer, Trouble> {
        let request = match call {
            Call::Authorise { key, token, amount } => {
                let (minor, currency) = (amount.minor(), amount.currency().to_string());
                let body = json!({ "token": token.expose(), "amount_minor": minor, "currency": currency });
                self.post("/v1/authorisations", key, &body)
            }
            Call::Capture { key, authorisation, amount } => {
                let body = json!({ "amount_minor": amount.minor(), "currency": amount.currency().to_string() });
                self.post(&format!("/v1/authorisations/{authorisation}/capture"), key, &body)
            }
            Call::Void { key, authorisation } => {
                self.post(&format!("/v1/authorisations/{authorisation}/void"), key, &json!({}))
            }
            Call::Refund { key, of: _, authorisation, amount } => {
                let body = json!({ "amount_minor": amount.minor(), "currency": amount.currency().to_string() });
                self.post(&format!("/v1/authorisations/{authorisation}/refunds"), key, &body)
            }
        };
        let (status, text) = exchange(request).await?;
        if !matches!(status, StatusCode::OK | StatusCode::ACCEPTED | StatusCode::PAYMENT_REQUIRED) {
            return Err(Trouble::NoAnswer(format!("{status}: {text}")));
        }
        let charge: Described = read(&text)?;
        match (call, charge.status) {
            (_, Status::Declined) => Ok(Answer::Declined(charge.declined())),
            (_, Status::Pending) => Ok(Answer::Pending),
            (Call::Authorise { .. }, Status::Authorised) => {
                Ok(Answer::Authorised(AuthorisationId::new(charge.authorisation)))
            }
            (Call::Capture { .. }, Status::Captured) => Ok(Answer::Captured),
            (Call::Void { .. }, Status::Voided) => Ok(Answer::Voided),
            (Call::Refund { .. }, Status::Refunded) => Ok(Answer::Refunded),
            // The charge is elsewhere than the call would have brought it: only a query can tell what that means.
            (_, status) => Err(Trouble::NoAnswer(format!("the charge is {status:?}"))),
        }
    }

    async fn settlement(&self, date: Date, currency: Currency, to: &Path) -> Result<bool, Trouble> {
        let asked = [("date", date.to_string()), ("currency", currency.to_string())];
        let request = self.client.get(format!("{}/v1/settlement", self.base)).query(&asked).timeout(FILE_WITHIN);
        let away = |error: reqwest::Error| Trouble::NoAnswer(error.to_string());
        let mut answer = request.send().await.map_err(away)?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(false);
        }
        if answer.status() != StatusCode::OK {
            return Err(Trouble::NoAnswer(answer.status().to_string()));
        }
        let disk = |error: std::io::Error| Trouble::NoAnswer(format!("{}: {error}", to.display()));
        tokio::fs::create_dir_all(to.parent().unwrap_or(Path::new("."))).await.map_err(disk)?;
        let mut file = tokio::fs::File::create(to).await.map_err(disk)?;
        while let Some(part) = answer.chunk().await.map_err(away)? {
            file.write_all(&part).await.map_err(disk)?;
        }
        file.sync_all().await.map_err(disk)?;
        Ok(true)
    }

    async fn find(&self, key: &IdempotencyKey, amount: Money) -> Result<Found, Trouble> {
        let request = self.client.get(format!("{}/v1/charges", self.base)).query(&[("key", key.as_str())]);
        let (status, text) = exchange(request).await?;
        // A 404 of anything between us and the acquirer must not pass for the acquirer's word.
        if status == StatusCode::NOT_FOUND && read::<Refused>(&text)?.error == "unknown_key" {
            return Ok(Found::Nothing);
        }
        if status != StatusCode::OK {
            return Err(Trouble::NoAnswer(format!("{status}: {text}")));
        }
        let charge: Described = read(&text)?;
        if (charge.amount_minor, charge.currency.as_str()) != (amount.minor(), amount.currency().as_str()) {
            tracing::error!(%key, ours = %amount, "the acquirer has a charge of another amount under our key");
            return Err(Trouble::NoAnswer("the amount differs".to_owned()));
        }
        let authorisation = AuthorisationId::new(charge.authorisation.as_str());
        Ok(match charge.status {
            Status::Authorised => Found::Authorised { authorisation },
            Status::Captured => Found::Captured { authorisation },
            Status::Pending => Found::Pending { authorisation },
            Status::Voided => Found::Voided,
            Status::Refunded => Found::Refunded,
            Status::Declined => Found::Declined(charge.declined()),
        })
    }
}

impl Described {
    fn declined(&self) -> Decline {
        let reason = self.reason.clone().unwrap_or_else(|| "declined".to_owned());
        Decline { reason, again: if self.again { Again::AnotherDay } else { Again::Never } }
    }
}
