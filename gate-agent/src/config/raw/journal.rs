//! `[journal]`: how much a gate writes down before it stops, and how long it keeps what the station has.

use std::time::Duration;

use facegate_runtime::config::Problems;
use facegate_runtime::journal::JournalOptions;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawJournal {
    segment_bytes_max: u64,
    total_bytes_max: u64,
    kept_days: u64,
}

impl Default for RawJournal {
    fn default() -> Self {
        Self { segment_bytes_max: 4 << 20, total_bytes_max: 256 << 20, kept_days: 7 }
    }
}

impl RawJournal {
    pub(super) fn check(&self, path: &str, problems: &mut Problems) -> Option<(JournalOptions, Duration)> {
        let at = |key: &str| format!("{path}.{key}");
        let segment = problems.within(&at("segment_bytes_max"), self.segment_bytes_max, 4096..=1 << 30);
        if self.total_bytes_max / 2 < self.segment_bytes_max {
            problems.add(at("total_bytes_max"), "must be at least twice segment_bytes_max");
        }
        let kept_days = problems.within(&at("kept_days"), self.kept_days, 0..=90);
        let options = JournalOptions { segment_bytes_max: segment?, total_bytes_max: self.total_bytes_max };
        Some((options, Duration::from_secs(kept_days? * 86_400)))
    }
}
