//! What operators may give back.

use facegate_domain::dispute::LossPolicy;
use facegate_domain::remedy::RemedyPolicy;
use facegate_runtime::config::Problems;
use serde::Deserialize;

/// What operators may give back, and what a dispute that is lost becomes.
#[derive(Debug, Clone, Copy)]
pub struct RemediesConfig {
    pub policy: RemedyPolicy,
    pub lost_disputes: LossPolicy,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawRemedies {
    pub four_eyes_above_minor: i64,
    pub lost_disputes: LossPolicy,
}

impl Default for RawRemedies {
    fn default() -> Self {
        Self { four_eyes_above_minor: 5000, lost_disputes: LossPolicy::WriteOff }
    }
}

impl RawRemedies {
    pub fn check(self, path: &str, problems: &mut Problems) -> Option<RemediesConfig> {
        let above = format!("{path}.four_eyes_above_minor");
        let four_eyes_above_minor = problems.within(&above, self.four_eyes_above_minor, 0..=i64::MAX)?;
        let policy = RemedyPolicy { four_eyes_above_minor };
        Some(RemediesConfig { policy, lost_disputes: self.lost_disputes })
    }
}
