//! `[admission]`: the operator's rules about who may come in, beside being recognised.

use std::path::PathBuf;

use facegate_runtime::config::Problems;
use serde::Deserialize;

use crate::admission::{AdmissionConfig, Otherwise, RemotePolicy};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawAdmission {
    per_minute_max: Option<u32>,
    url: Option<String>,
    ca: Option<PathBuf>,
    answer_within_ms: Option<u64>,
    otherwise: Otherwise,
}

impl RawAdmission {
    pub(super) fn check(&self, path: &str, problems: &mut Problems) -> Option<AdmissionConfig> {
        let at = |key: &str| format!("{path}.{key}");
        let per_minute_max = match self.per_minute_max {
            Some(most) => Some(problems.within(&at("per_minute_max"), most, 1..=1_000)?),
            None => None,
        };
        let Some(text) = &self.url else { return Some(AdmissionConfig { per_minute_max, policy: None }) };
        let url: reqwest::Url = problems.check(&at("url"), text.parse())?;
        let here = url.host_str().is_some_and(|host| matches!(host, "127.0.0.1" | "localhost" | "[::1]"));
        if !(url.scheme() == "https" || url.scheme() == "http" && here) {
            problems.add(at("url"), "use https, or http on loopback: it carries who passes");
            return None;
        }
        let within = self.answer_within_ms.unwrap_or(300);
        let answer_within = problems.duration_ms(&at("answer_within_ms"), within, 10..=3_000)?;
        let policy = RemotePolicy { url, ca: self.ca.clone(), answer_within, otherwise: self.otherwise };
        Some(AdmissionConfig { per_minute_max, policy: Some(policy) })
    }
}
