//! The sandbox acquirer's config file.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use facegate_runtime::config::{Problems, RawTelemetry, RawTls};
use facegate_runtime::identity::TlsPaths;
use facegate_runtime::telemetry::Telemetry;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawConfig {
    listen: String,
    data_dir: PathBuf,
    tls: RawTls,
    #[serde(default)]
    faults: RawFaults,
    #[serde(default)]
    telemetry: RawTelemetry,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawFaults {
    answer_after_ms: u64,
    late_answer_ms: u64,
}

impl Default for RawFaults {
    fn default() -> Self {
        Self { answer_after_ms: 0, late_answer_ms: 60_000 }
    }
}

/// How the acquirer misbehaves: the work is always done at once, only the answer waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Faults {
    /// Every authorisation, capture and void is answered this long after the work.
    pub answer_after: Duration,
    /// The first answer to each step with a `tok_ok_late_` token is.
    pub late_answer: Duration,
}

impl Default for Faults {
    fn default() -> Self {
        let raw = RawFaults::default();
        Self {
            answer_after: Duration::from_millis(raw.answer_after_ms),
            late_answer: Duration::from_millis(raw.late_answer_ms),
        }
    }
}

#[derive(Debug, Clone)]
pub struct Config {
    pub listen: SocketAddr,
    pub data_dir: PathBuf,
    pub tls: TlsPaths,
    pub faults: Faults,
    pub telemetry: Telemetry,
}

impl TryFrom<RawConfig> for Config {
    type Error = Problems;

    fn try_from(raw: RawConfig) -> Result<Self, Problems> {
        let mut problems = Problems::new();
        let listen = problems.address("listen", &raw.listen);
        let tls = raw.tls.check("tls", &mut problems);
        let telemetry = raw.telemetry.check("telemetry", &mut problems);
        let answer_after = problems.duration_ms("faults.answer_after_ms", raw.faults.answer_after_ms, 0..=600_000);
        let late_answer = problems.duration_ms("faults.late_answer_ms", raw.faults.late_answer_ms, 0..=600_000);
        let config = (|| {
            let faults = Faults { answer_after: answer_after?, late_answer: late_answer? };
            Some(Self { listen: listen?, data_dir: raw.data_dir, tls: tls?, faults, telemetry: telemetry? })
        })();
        problems.into_result(config)
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
            faults = { answer_after_ms = 9999999, late_answers_ms = 1 }
        "#;
        let error = parse::<RawConfig, Config>(Path::new("acquirer.toml"), text).unwrap_err().to_string();
        for expected in ["listen", "tls.cert", "tls.key", "tls.ca", "answer_after_ms", "late_answers_ms"] {
            assert!(error.contains(expected), "{expected} in {error}");
        }
    }
}
