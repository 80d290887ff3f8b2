//! The acquirers of the config, by name: tokens say whose they are.

use std::path::PathBuf;
use std::time::Duration;

use facegate_domain::charge::AcquirerName;
use facegate_domain::travel_day::{TravelDayError, TravelDays};
use facegate_runtime::config::Problems;
use serde::Deserialize;

use super::notices::secret;
use crate::charging::acquirer::stripe::StripeConfig;
use crate::charging::webhooks::{Dialect, WebhookPolicy};
use crate::signature::SharedSecret;

/// As written: one `[[charging.acquirer]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum RawAcquirer {
    Sandbox {
        name: String,
        address: String,
        #[serde(default = "ten_seconds")]
        answer_within_ms: u64,
        webhook_secret_file: Option<PathBuf>,
    },
    Stripe {
        name: String,
        #[serde(default = "stripe")]
        address: String,
        secret_key_file: PathBuf,
        #[serde(default = "ten_seconds")]
        answer_within_ms: u64,
        #[serde(default = "yes")]
        off_session: bool,
        webhook_secret_file: Option<PathBuf>,
    },
    BankDebit {
        name: String,
        folder: PathBuf,
        secret_file: PathBuf,
        #[serde(default = "utc")]
        zone: String,
        #[serde(default = "evening")]
        file_at: String,
        #[serde(default = "half_a_minute")]
        look_every_s: u64,
    },
}

fn ten_seconds() -> u64 {
    10_000
}

fn half_a_minute() -> u64 {
    30
}

fn yes() -> bool {
    true
}

fn stripe() -> String {
    "https://api.stripe.com".to_owned()
}

fn utc() -> String {
    "UTC".to_owned()
}

fn evening() -> String {
    "18:00".to_owned()
}

/// One acquirer, and how it is spoken to.
#[derive(Debug, Clone)]
pub struct AcquirerConfig {
    pub name: AcquirerName,
    pub kind: AcquirerKind,
    /// None: it tells nothing by itself.
    pub webhook: Option<WebhookPolicy>,
}

#[derive(Debug, Clone)]
pub enum AcquirerKind {
    /// Where it is, and how long a call to it may take.
    Sandbox {
        address: String,
        answer_within: Duration,
    },
    Stripe(StripeConfig),
    /// The folder that the files go over, what they are sealed with, and the days from whose beginning one is written.
    BankDebit {
        folder: PathBuf,
        secret: SharedSecret,
        days: TravelDays,
        look_every: Duration,
    },
}

/// All of them. The wallet is no acquirer of the config's, and a token bound without a name finds the only one.
pub(super) fn check(raw: Vec<RawAcquirer>, path: &str, problems: &mut Problems) -> Option<Vec<AcquirerConfig>> {
    let mut checked = Vec::new();
    for (number, acquirer) in raw.into_iter().enumerate() {
        checked.push(acquirer.check(&format!("{path}[{number}]"), problems));
    }
    let acquirers: Vec<AcquirerConfig> = checked.into_iter().collect::<Option<_>>()?;
    let mut fine = true;
    for (number, acquirer) in acquirers.iter().enumerate() {
        let mut problem = |message: String| {
            problems.add(format!("{path}[{number}].name"), message);
            fine = false;
        };
        if ["wallet", "default"].contains(&acquirer.name.as_str()) {
            problem(format!("`{}` is taken; give the acquirer another name", acquirer.name));
        }
        if acquirers[..number].iter().any(|other| other.name == acquirer.name) {
            problem(format!("another acquirer is named `{}` already", acquirer.name));
        }
    }
    fine.then_some(acquirers)
}

impl RawAcquirer {
    fn check(self, path: &str, problems: &mut Problems) -> Option<AcquirerConfig> {
        let at = |key: &str| format!("{path}.{key}");
        let (Self::Sandbox { name, .. } | Self::Stripe { name, .. } | Self::BankDebit { name, .. }) = &self;
        let name = problems.check(&at("name"), AcquirerName::new(name.as_str()));
        let (kind, webhook) = match self {
            Self::Sandbox { address, answer_within_ms, webhook_secret_file, .. } => {
                let webhook = webhook(Dialect::Sandbox, webhook_secret_file, &at("webhook_secret_file"), problems);
                let address = https(address, &at("address"), problems);
                let answer_within = problems.duration_ms(&at("answer_within_ms"), answer_within_ms, 100..=300_000);
                (AcquirerKind::Sandbox { address: address?, answer_within: answer_within? }, webhook?)
            }
            Self::Stripe { address, secret_key_file, answer_within_ms, off_session, webhook_secret_file, .. } => {
                let webhook = webhook(Dialect::Stripe, webhook_secret_file, &at("webhook_secret_file"), problems);
                let stands_in = address.starts_with("http://127.0.0.1:") || address.starts_with("http://[::1]:");
                let address = if stands_in { Some(address) } else { https(address, &at("address"), problems) };
                let key = secret(&at("secret_key_file"), &secret_key_file, problems);
                let answer_within = problems.duration_ms(&at("answer_within_ms"), answer_within_ms, 100..=300_000);
                let config =
                    StripeConfig { address: address?, secret: key?, answer_within: answer_within?, off_session };
                (AcquirerKind::Stripe(config), webhook?)
            }
            Self::BankDebit { folder, secret_file, zone, file_at, look_every_s, .. } => {
                let shared = secret(&at("secret_file"), &secret_file, problems);
                let days = match TravelDays::new(&zone, &file_at) {
                    Ok(days) => Some(days),
                    Err(error @ TravelDayError::Zone(_)) => problems.check(&at("zone"), Err(error)),
                    Err(error @ TravelDayError::Time(_)) => problems.check(&at("file_at"), Err(error)),
                };
                let look_every = problems.duration_s(&at("look_every_s"), look_every_s, 1..=86_400);
                let (secret, days, look_every) = (shared?, days?, look_every?);
                (AcquirerKind::BankDebit { folder, secret, days, look_every }, None)
            }
        };
        Some(AcquirerConfig { name: name?, kind, webhook })
    }
}

/// None if the secret cannot be had; none within if there is to be none.
fn webhook(
    dialect: Dialect,
    file: Option<PathBuf>,
    path: &str,
    problems: &mut Problems,
) -> Option<Option<WebhookPolicy>> {
    let Some(file) = file else { return Some(None) };
    Some(Some(WebhookPolicy { dialect, secret: secret(path, &file, problems)? }))
}

fn https(address: String, path: &str, problems: &mut Problems) -> Option<String> {
    if address.starts_with("https://") {
        return Some(address);
    }
    problems.add(path, format!("`{address}` is not an address like https://host:port"));
    None
}
