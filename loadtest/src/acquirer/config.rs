//! The sandbox acquirer's config file.

use std::net::SocketAddr;
use std::path::PathBuf;

use facegate_cloud_sync::signature::SharedSecret;
use facegate_runtime::config::{Problems, RawTelemetry, RawTls};
use facegate_runtime::identity::TlsPaths;
use facegate_runtime::telemetry::Telemetry;
use serde::Deserialize;

use super::faults::{Faults, RawFaults};
use super::settlement::Terms;
use super::webhooks::WebhookConfig;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawConfig {
    listen: String,
    data_dir: PathBuf,
    tls: RawTls,
    #[serde(default)]
    faults: RawFaults,
    #[serde(default)]
    settlement: RawSettlement,
    webhooks: Option<RawWebhooks>,
    #[serde(default)]
    telemetry: RawTelemetry,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawSettlement {
    name: String,
    fee_basis_points: i64,
    chargeback_fee_minor: i64,
}

impl Default for RawSettlement {
    fn default() -> Self {
        let Terms { name, fee_basis_points, chargeback_fee_minor } = Terms::default();
        Self { name, fee_basis_points, chargeback_fee_minor }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawWebhooks {
    url: String,
    secret_file: PathBuf,
    #[serde(default)]
    late_ms_max: u64,
    #[serde(default)]
    twice: f64,
}

#[derive(Debug, Clone)]
pub struct Config {
    pub listen: SocketAddr,
    pub data_dir: PathBuf,
    pub tls: TlsPaths,
    pub faults: Faults,
    pub terms: Terms,
    /// None: it tells nothing by itself.
    pub webhooks: Option<WebhookConfig>,
    pub telemetry: Telemetry,
}

impl TryFrom<RawConfig> for Config {
    type Error = Problems;

    fn try_from(raw: RawConfig) -> Result<Self, Problems> {
        let mut problems = Problems::new();
        let listen = problems.address("listen", &raw.listen);
        let tls = raw.tls.check("tls", &mut problems);
        let telemetry = raw.telemetry.check("telemetry", &mut problems);
        let faults = raw.faults.check("faults", &mut problems);
        let terms = raw.settlement.check("settlement", &mut problems);
        let ca = tls.as_ref().map(|tls| tls.ca.clone());
        let webhooks = raw.webhooks.map(|webhooks| webhooks.check("webhooks", ca, &mut problems));
        let config = (|| {
            Some(Self {
                listen: listen?,
                data_dir: raw.data_dir,
                tls: tls?,
                faults: faults?,
                terms: terms?,
                webhooks: webhooks.map_or(Some(None), |checked| checked.map(Some))?,
                telemetry: telemetry?,
            })
        })();
        problems.into_result(config)
    }
}

impl RawFaults {
    fn check(self, path: &str, problems: &mut Problems) -> Option<Faults> {
        let mut fine = true;
        let times = [
            ("answer_after_ms", self.answer_after_ms),
            ("late_answer_ms", self.late_answer_ms),
            ("settle_after_ms", self.settle_after_ms),
            ("late_ms_max", self.late_ms_max),
            ("down_every_ms", self.down_every_ms),
            ("down_for_ms", self.down_for_ms),
        ];
        for (key, ms) in times {
            fine &= problems.duration_ms(&format!("{path}.{key}"), ms, 0..=600_000).is_some();
        }
        let shares = [
            ("decline", self.decline),
            ("decline_hard", self.decline_hard),
            ("refuse_before", self.refuse_before),
            ("fail_after", self.fail_after),
            ("silent_after", self.silent_after),
            ("cut_after", self.cut_after),
            ("late_after", self.late_after),
        ];
        for (key, share) in shares {
            fine &= problems.within(&format!("{path}.{key}"), share, 0.0..=1.0).is_some();
        }
        fine.then(|| Faults::from(self))
    }
}

impl RawSettlement {
    fn check(self, path: &str, problems: &mut Problems) -> Option<Terms> {
        let fee = problems.within(&format!("{path}.fee_basis_points"), self.fee_basis_points, 0..=10_000);
        let chargeback = format!("{path}.chargeback_fee_minor");
        let chargeback = problems.within(&chargeback, self.chargeback_fee_minor, 0..=1_000_000);
        Some(Terms { name: self.name, fee_basis_points: fee?, chargeback_fee_minor: chargeback? })
    }
}

impl RawWebhooks {
    fn check(self, path: &str, ca: Option<PathBuf>, problems: &mut Problems) -> Option<WebhookConfig> {
        let at = |key: &str| format!("{path}.{key}");
        if !self.url.starts_with("https://") {
            problems.add(at("url"), format!("`{}` is not an address like https://host:port/path", self.url));
        }
        let secret = problems.check(&at("secret_file"), SharedSecret::read(&self.secret_file));
        let late_max = problems.duration_ms(&at("late_ms_max"), self.late_ms_max, 0..=600_000);
        let twice = problems.within(&at("twice"), self.twice, 0.0..=1.0);
        Some(WebhookConfig { url: self.url, secret: secret?, ca: ca?, late_max: late_max?, twice: twice? })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use facegate_runtime::config::parse;

    use super::*;

    #[test]
    fn everything_wrong_with_the_file_is_said_at_once() {
        let text = r#"
            listen = "here"
            data_dir = "data"
            tls = { cert = "no.pem", key = "no.pem", ca = "no.pem" }
            faults = { answer_after_ms = 9999999, late_answers_ms = 1, silent_after = 1.5 }
            settlement = { fee_basis_points = -1 }
            webhooks = { url = "http://cloud", secret_file = "/no/secret" }
        "#;
        let error = parse::<RawConfig, Config>(Path::new("acquirer.toml"), text).unwrap_err().to_string();
        for expected in [
            "listen",
            "tls.cert",
            "tls.key",
            "tls.ca",
            "answer_after_ms",
            "late_answers_ms",
            "silent_after",
            "fee_basis_points",
            "webhooks.url",
            "webhooks.secret_file",
        ] {
            assert!(error.contains(expected), "{expected} in {error}");
        }
    }
}
