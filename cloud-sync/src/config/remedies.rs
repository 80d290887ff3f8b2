//! What operators may give back.

use std::time::Duration;

use facegate_domain::dispute::LossPolicy;
use facegate_domain::remedy::RemedyPolicy;
use facegate_runtime::config::Problems;
use serde::Deserialize;

/// What operators may give back, and what a dispute that is lost becomes.
#[derive(Debug, Clone, Copy)]
pub struct RemediesConfig {
    pub policy: RemedyPolicy,
    pub lost_disputes: LossPolicy,
    /// A credit that no bill has used for so long goes back to what its rider has paid with. None: it stays.
    pub credits_after: Option<Duration>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawRemedies {
    pub four_eyes_above_minor: i64,
    pub lost_disputes: LossPolicy,
    pub credit_days: u32,
}

impl Default for RawRemedies {
    fn default() -> Self {
        Self { four_eyes_above_minor: 5000, lost_disputes: LossPolicy::WriteOff, credit_days: 0 }
    }
}

impl RawRemedies {
    pub fn check(self, path: &str, problems: &mut Problems) -> Option<RemediesConfig> {
        let above = format!("{path}.four_eyes_above_minor");
        let four_eyes_above_minor = problems.within(&above, self.four_eyes_above_minor, 0..=i64::MAX)?;
        let policy = RemedyPolicy { four_eyes_above_minor };
        let days = problems.within(&format!("{path}.credit_days"), self.credit_days, 0..=3650)?;
        let credits_after = (days > 0).then(|| Duration::from_secs(86_400) * days);
        Some(RemediesConfig { policy, lost_disputes: self.lost_disputes, credits_after })
    }
}
