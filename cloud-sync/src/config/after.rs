//! What comes after a ride: notices, money given back, risk.

use std::path::Path;

use facegate_runtime::config::Problems;

use super::notices::RawNotices;
use super::remedies::{RawRemedies, RemediesConfig};
use super::risk::RawRisk;
use crate::notify::NoticesConfig;
use crate::risk::RiskConfig;

#[derive(Debug, Clone)]
pub struct AfterConfig {
    /// None: riders are told nothing.
    pub notices: Option<NoticesConfig>,
    pub remedies: RemediesConfig,
    pub risk: RiskConfig,
}

/// `ca`: whom to trust outside, where a section does not say.
pub fn check(
    notices: Option<RawNotices>,
    remedies: RawRemedies,
    risk: RawRisk,
    ca: &Path,
    problems: &mut Problems,
) -> Option<AfterConfig> {
    let notices = notices.map(|notices| notices.check("notices", ca, problems));
    let remedies = remedies.check("remedies", problems);
    let risk = risk.check("risk", ca, problems);
    let notices = notices.map_or(Some(None), |checked| checked.map(Some))?;
    Some(AfterConfig { notices, remedies: remedies?, risk })
}
