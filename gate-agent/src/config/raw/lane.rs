//! `[lane]`: what this aisle's riders pass by, where they are seen, and what is no rider.

use facegate_runtime::config::Problems;
use serde::Deserialize;

use crate::intent::{IntentPolicy, LaneZone};
use crate::lane::Lane;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawLane {
    pub(super) takes: Lane,
    zone: Vec<(f32, f32)>,
    still_after_ms: u64,
}

impl Default for RawLane {
    fn default() -> Self {
        Self { takes: Lane::default(), zone: Vec::new(), still_after_ms: 4000 }
    }
}

impl RawLane {
    pub(super) fn check(&self, path: &str, problems: &mut Problems) -> Option<IntentPolicy> {
        let still_after_ms = problems.within(&format!("{path}.still_after_ms"), self.still_after_ms, 1000..=60_000);
        let zone = problems.check(&format!("{path}.zone"), LaneZone::new(self.zone.clone()));
        Some(IntentPolicy { zone: zone?, still_after_ms: still_after_ms? })
    }
}
