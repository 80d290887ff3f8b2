//! `[codes]`: which ride codes open the gate, and for how long without a station.

use facegate_domain::code::CodeTolerance;
use facegate_runtime::config::Problems;
use serde::Deserialize;

use crate::config::{CodePolicy, OfflineCodes};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawCodes {
    offline_codes: RawOffline,
    offline_max_s: u64,
    valid_for_ms: u64,
    clock_skew_ms: u64,
    code_merge_window_ms: u64,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawOffline {
    Accept,
    Refuse,
}

impl Default for RawCodes {
    fn default() -> Self {
        Self {
            offline_codes: RawOffline::Accept,
            offline_max_s: 3 * 86_400,
            valid_for_ms: 30_000,
            clock_skew_ms: 30_000,
            code_merge_window_ms: 3000,
        }
    }
}

impl RawCodes {
    pub(super) fn check(&self, path: &str, problems: &mut Problems) -> Option<CodePolicy> {
        let at = |key: &str| format!("{path}.{key}");
        let valid_for = problems.duration_ms(&at("valid_for_ms"), self.valid_for_ms, 1000..=600_000);
        let clock_skew = problems.duration_ms(&at("clock_skew_ms"), self.clock_skew_ms, 0..=600_000);
        let merge = problems.duration_ms(&at("code_merge_window_ms"), self.code_merge_window_ms, 0..=30_000);
        let offline_max = problems.duration_s(&at("offline_max_s"), self.offline_max_s, 60..=90 * 86_400);
        Some(CodePolicy {
            tolerance: CodeTolerance { valid_for: valid_for?, clock_skew: clock_skew? },
            merge_window: merge?,
            offline: match self.offline_codes {
                RawOffline::Accept => OfflineCodes::AcceptFor(offline_max?),
                RawOffline::Refuse => OfflineCodes::Refuse,
            },
        })
    }
}
