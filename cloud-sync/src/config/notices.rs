//! Where riders' notices go.

use std::path::{Path, PathBuf};

use facegate_domain::notice::NoticeRest;
use facegate_runtime::config::Problems;
use serde::Deserialize;

use crate::notify::{NoticesConfig, NotifyPolicy};
use crate::signature::SharedSecret;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawNotices {
    pub url: String,
    pub secret_file: PathBuf,
    pub ca: Option<PathBuf>,
    #[serde(default = "ten_seconds")]
    pub answer_within_ms: u64,
    #[serde(default = "second")]
    pub pass_every_ms: u64,
    #[serde(default = "second")]
    pub retry_first_ms: u64,
    #[serde(default = "quarter_of_an_hour")]
    pub retry_max_s: u64,
    #[serde(default = "thousand")]
    pub riders_per_pass_max: usize,
    #[serde(default = "sixteen")]
    pub in_flight_max: usize,
}

fn ten_seconds() -> u64 {
    10_000
}

fn second() -> u64 {
    1000
}

fn quarter_of_an_hour() -> u64 {
    900
}

fn thousand() -> usize {
    1000
}

fn sixteen() -> usize {
    16
}

impl RawNotices {
    /// `ca`: whom to trust if the section does not say.
    pub fn check(self, path: &str, ca: &Path, problems: &mut Problems) -> Option<NoticesConfig> {
        let at = |key: &str| format!("{path}.{key}");
        let url = https(&at("url"), &self.url, problems);
        let secret = secret(&at("secret_file"), &self.secret_file, problems);
        if let Some(ca) = self.ca.as_ref().filter(|ca| !ca.is_file()) {
            problems.add(at("ca"), format!("there is no file {}", ca.display()));
        }
        let ca = self.ca.unwrap_or_else(|| ca.to_owned());
        let answer_within = problems.duration_ms(&at("answer_within_ms"), self.answer_within_ms, 100..=300_000);
        let pass_every = problems.duration_ms(&at("pass_every_ms"), self.pass_every_ms, 10..=3_600_000);
        let first = problems.duration_ms(&at("retry_first_ms"), self.retry_first_ms, 10..=3_600_000);
        let max = problems.duration_s(&at("retry_max_s"), self.retry_max_s, 1..=86_400);
        let riders = problems.within(&at("riders_per_pass_max"), self.riders_per_pass_max, 1..=100_000);
        let in_flight = problems.within(&at("in_flight_max"), self.in_flight_max, 1..=1000);
        let policy = NotifyPolicy {
            pass_every: pass_every?,
            rest: NoticeRest { first: first?, max: max? },
            riders_per_pass_max: riders?,
            in_flight_max: in_flight?,
        };
        Some(NoticesConfig { url: url?, secret: secret?, ca, answer_within: answer_within?, policy })
    }
}

/// The address of somebody else's HTTPS server.
pub(super) fn https(path: &str, text: &str, problems: &mut Problems) -> Option<reqwest::Url> {
    let url = text.parse::<reqwest::Url>().ok().filter(|url| url.scheme() == "https");
    if url.is_none() {
        problems.add(path, format!("`{text}` is not an address like https://app.example/path"));
    }
    url
}

/// A file with a secret that we share with somebody.
pub(super) fn secret(path: &str, file: &Path, problems: &mut Problems) -> Option<SharedSecret> {
    problems.check(path, SharedSecret::read(file))
}
