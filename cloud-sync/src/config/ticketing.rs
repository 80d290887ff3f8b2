//! Where rides are priced by an external system.

use facegate_runtime::config::Problems;
use serde::Deserialize;

use crate::ticketing::TicketingConfig;

/// As written: `[ticketing]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawTicketing {
    address: String,
    #[serde(default = "ten_seconds")]
    answer_within_ms: u64,
    #[serde(default = "five_seconds")]
    ask_every_ms: u64,
}

fn ten_seconds() -> u64 {
    10_000
}

fn five_seconds() -> u64 {
    5_000
}

/// None if it is wrong; without the section there is none, which is right.
pub(super) fn check(raw: Option<RawTicketing>, path: &str, problems: &mut Problems) -> Option<Option<TicketingConfig>> {
    raw.map_or(Some(None), |raw| raw.check(path, problems).map(Some))
}

impl RawTicketing {
    fn check(self, path: &str, problems: &mut Problems) -> Option<TicketingConfig> {
        if !self.address.starts_with("https://") {
            problems.add(format!("{path}.address"), "it must begin with https://");
            return None;
        }
        let within = problems.duration_ms(&format!("{path}.answer_within_ms"), self.answer_within_ms, 100..=600_000);
        let every = problems.duration_ms(&format!("{path}.ask_every_ms"), self.ask_every_ms, 10..=3_600_000);
        Some(TicketingConfig { address: self.address, answer_within: within?, ask_every: every? })
    }
}
