//! Lists of others that name riders or instruments which are not to be trusted. What is asked about is a keyed hash: a
//! list that was given the same hashes finds it, and one that was not learns nothing.

use std::time::Duration;

use async_trait::async_trait;
use facegate_domain::charge::AcquirerToken;
use facegate_domain::ids::RiderId;
use facegate_runtime::http;
use serde::Deserialize;
use serde_json::json;

use crate::notify::NotifyError;
use crate::signature::SharedSecret;

/// Whom or what is asked about, hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    pub rider: String,
    /// Of the token of his card or bank account, if he has one.
    pub token: Option<String>,
}

impl Reference {
    pub fn of(secret: &SharedSecret, rider: RiderId, token: Option<&AcquirerToken>) -> Self {
        let hash = |kind: &str, text: &str| secret.seal(format!("{kind}/{text}").as_bytes());
        Self { rider: hash("rider", &rider.to_string()), token: token.map(|token| hash("token", token.expose())) }
    }
}

/// Why nothing is known.
#[derive(Debug, thiserror::Error)]
#[error("the list outside says nothing: {0}")]
pub struct Silent(String);

#[async_trait]
pub trait Blacklist: Send + Sync + std::fmt::Debug {
    /// Why the list names this reference; None if it does not.
    async fn listed(&self, reference: &Reference) -> Result<Option<String>, Silent>;
}

/// Where such a list answers over HTTPS.
#[derive(Debug, Clone)]
pub struct BlacklistConfig {
    pub url: reqwest::Url,
    /// Hashes and signs what is asked.
    pub secret: SharedSecret,
    pub ca: std::path::PathBuf,
    pub answer_within: Duration,
}

/// `POST {"rider":"<hash>","token":"<hash>"}`, answered by `{"listed":true,"reason":"stolen"}`.
#[derive(Debug)]
pub struct HttpBlacklist {
    client: reqwest::Client,
    url: reqwest::Url,
}

#[derive(Debug, Deserialize)]
struct Answer {
    listed: bool,
    #[serde(default)]
    reason: String,
}

/// Longest reason that is kept.
const REASON_MAX: usize = 200;

impl HttpBlacklist {
    pub fn new(config: &BlacklistConfig) -> Result<Self, NotifyError> {
        let client = http::client_without_identity(&config.ca)?
            .timeout(config.answer_within)
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self { client, url: config.url.clone() })
    }
}

#[async_trait]
impl Blacklist for HttpBlacklist {
    async fn listed(&self, reference: &Reference) -> Result<Option<String>, Silent> {
        let silent = |error: reqwest::Error| Silent(error.to_string());
        let body = json!({ "rider": reference.rider, "token": reference.token });
        let response = self.client.post(self.url.clone()).json(&body).send().await.map_err(silent)?;
        let answer: Answer = response.error_for_status().map_err(silent)?.json().await.map_err(silent)?;
        let reason = if answer.reason.is_empty() { "listed" } else { &answer.reason };
        Ok(answer.listed.then(|| reason.chars().take(REASON_MAX).collect()))
    }
}
