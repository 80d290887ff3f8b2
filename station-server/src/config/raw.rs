//! The config file as it is written, with its defaults.

use std::path::PathBuf;

use facegate_gallery::DecisionSettings;
use facegate_runtime::config::{RawTelemetry, RawTls};
use serde::Deserialize;

use crate::booth::RawBooth;

/// A station's config file. `Config` documents the meaning of each key.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawConfig {
    pub station: String,
    pub listen: String,
    pub cloud: OneOrMany,
    pub data_dir: PathBuf,
    pub gates: Vec<String>,
    #[serde(default)]
    pub cameras: Vec<String>,
    pub tls: RawTls,
    #[serde(default)]
    pub telemetry: RawTelemetry,
    #[serde(default)]
    pub recognition: RawRecognition,
    #[serde(default)]
    pub decision: DecisionSettings,
    #[serde(default)]
    pub sightings: RawSightings,
    #[serde(default)]
    pub tiers: RawTiers,
    #[serde(default)]
    pub lease: RawLease,
    #[serde(default)]
    pub codes: RawCodes,
    #[serde(default)]
    pub journal: RawJournal,
    #[serde(default)]
    pub offline: RawOffline,
    pub booth: Option<RawBooth>,
}

/// One address, or those of all replicas.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    pub fn into_all(self) -> Vec<String> {
        match self {
            Self::One(address) => vec![address],
            Self::Many(addresses) => addresses,
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawRecognition {
    pub model: String,
    pub dims: usize,
    pub calibration: Option<PathBuf>,
    pub next: Option<RawModel>,
    pub identify_deadline_ms: u64,
    pub searches_max: usize,
}

/// The model that riders are moved to.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawModel {
    pub model: String,
    pub dims: usize,
    pub calibration: Option<PathBuf>,
}

impl Default for RawRecognition {
    fn default() -> Self {
        let model = "sface-2021dec".into();
        Self { model, dims: 128, calibration: None, next: None, identify_deadline_ms: 800, searches_max: 2 }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawSightings {
    pub enabled: bool,
    pub keep_s: u64,
}

impl Default for RawSightings {
    fn default() -> Self {
        Self { enabled: true, keep_s: 600 }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawTiers {
    pub inside_max_s: u64,
}

impl Default for RawTiers {
    fn default() -> Self {
        Self { inside_max_s: 97_200 }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawLease {
    pub max_s: u64,
}

impl Default for RawLease {
    fn default() -> Self {
        Self { max_s: 72 * 3600 }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawCodes {
    pub memory_s: u64,
}

impl Default for RawCodes {
    fn default() -> Self {
        Self { memory_s: 600 }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawJournal {
    pub segment_bytes_max: u64,
    pub total_bytes_max: u64,
    pub kept_days: u32,
    pub waiting_warned_percent: u32,
}

impl Default for RawJournal {
    fn default() -> Self {
        Self { segment_bytes_max: 16 << 20, total_bytes_max: 4 << 30, kept_days: 7, waiting_warned_percent: 70 }
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawOffline {
    pub deny_list_age_max_s: u64,
    pub deny_list_stale: RawStale,
    pub days_max: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RawStale {
    Allow,
    Refuse,
}

impl Default for RawOffline {
    fn default() -> Self {
        Self { deny_list_age_max_s: 86_400, deny_list_stale: RawStale::Allow, days_max: 7 }
    }
}
