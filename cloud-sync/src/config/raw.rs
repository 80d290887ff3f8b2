//! The config file as it is written.

use std::path::PathBuf;

use facegate_models::{EngineOptions, QualityPolicy};
use facegate_runtime::config::{RawTelemetry, RawTls};
use serde::Deserialize;

use crate::web::RawWeb;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawConfig {
    pub listen: String,
    pub data_dir: PathBuf,
    pub keys_dir: Option<PathBuf>,
    pub models_dir: PathBuf,
    pub fares: PathBuf,
    pub tls: RawTls,
    #[serde(default)]
    pub telemetry: RawTelemetry,
    #[serde(default)]
    pub journeys: RawJourneys,
    #[serde(default)]
    pub codes: RawCodes,
    #[serde(default)]
    pub enrolment: RawEnrolment,
    pub web: Option<RawWeb>,
    #[serde(default)]
    pub engine: EngineOptions,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawJourneys {
    pub settle_after_ms: u64,
    pub give_up_after_s: u64,
    pub merge_window_ms: u64,
    pub journey_max_s: u64,
}

impl Default for RawJourneys {
    fn default() -> Self {
        Self { settle_after_ms: 60_000, give_up_after_s: 7 * 86_400, merge_window_ms: 10_000, journey_max_s: 18 * 3600 }
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawCodes {
    pub certificate_valid_s: u64,
    pub memory_s: u64,
}

impl Default for RawCodes {
    fn default() -> Self {
        Self { certificate_valid_s: 7 * 86_400, memory_s: 600 }
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawEnrolment {
    pub same_person_from: f32,
    pub quality: QualityPolicy,
}

impl Default for RawEnrolment {
    /// LFW's impostors: mean 0.088, σ 0.089 (FACTS.md). 0.55 lies five σ above: about one false alarm in five million
    /// comparisons.
    fn default() -> Self {
        Self { same_person_from: 0.55, quality: QualityPolicy::default() }
    }
}
