//! The config file as it is written.

use std::path::PathBuf;

use facegate_domain::habits::HabitPolicy;
use facegate_models::{EngineOptions, QualityPolicy};
use facegate_runtime::config::{RawKeys, RawTelemetry, RawTls};
use serde::Deserialize;

use super::books::RawBooks;
use super::charging::RawCharging;
use super::fares::RawFares;
use super::notices::RawNotices;
use super::remedies::RawRemedies;
use super::risk::RawRisk;
use super::store::RawStore;
use super::ticketing::RawTicketing;
use crate::web::RawWeb;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawConfig {
    pub listen: String,
    pub data_dir: Option<PathBuf>,
    pub keys_dir: Option<PathBuf>,
    pub erasures_dir: Option<PathBuf>,
    pub models_dir: PathBuf,
    pub fares: RawFares,
    pub tls: RawTls,
    #[serde(default)]
    pub keys: RawKeys,
    pub ca: Option<RawCa>,
    #[serde(default)]
    pub store: RawStore,
    #[serde(default)]
    pub telemetry: RawTelemetry,
    #[serde(default)]
    pub feed: RawFeed,
    #[serde(default)]
    pub journeys: RawJourneys,
    #[serde(default)]
    pub codes: RawCodes,
    #[serde(default)]
    pub lease: RawLease,
    #[serde(default)]
    pub retention: RawRetention,
    #[serde(default)]
    pub regulars: RawRegulars,
    #[serde(default)]
    pub enrolment: RawEnrolment,
    #[serde(default)]
    pub charging: RawCharging,
    pub notices: Option<RawNotices>,
    pub ticketing: Option<RawTicketing>,
    #[serde(default)]
    pub remedies: RawRemedies,
    #[serde(default)]
    pub risk: RawRisk,
    #[serde(default)]
    pub intake: RawIntake,
    #[serde(default)]
    pub audit: RawAudit,
    #[serde(default)]
    pub books: RawBooks,
    pub web: Option<RawWeb>,
    #[serde(default)]
    pub engine: EngineOptions,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawCa {
    pub dir: PathBuf,
    #[serde(default = "thirty")]
    pub days: u64,
}

fn thirty() -> u64 {
    30
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawFeed {
    pub kept: u64,
}

impl Default for RawFeed {
    fn default() -> Self {
        Self { kept: 1_000_000 }
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawJourneys {
    pub settle_after_ms: u64,
    pub give_up_after_s: u64,
    pub merge_window_ms: u64,
    pub journey_max_s: u64,
    pub ride_expected_max_s: u64,
    pub wait_for_stations_s: u64,
}

impl Default for RawJourneys {
    fn default() -> Self {
        Self {
            settle_after_ms: 60_000,
            give_up_after_s: 7 * 86_400,
            merge_window_ms: 10_000,
            journey_max_s: 18 * 3600,
            ride_expected_max_s: 5400,
            wait_for_stations_s: 3 * 86_400,
        }
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
pub struct RawLease {
    pub duration_s: u64,
}

impl Default for RawLease {
    fn default() -> Self {
        Self { duration_s: 72 * 3600 }
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawRetention {
    pub unused_days: u64,
    pub account_days: u64,
    pub inside_max_s: u64,
}

impl Default for RawRetention {
    fn default() -> Self {
        Self { unused_days: 365, account_days: 14, inside_max_s: 86_400 }
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawRegulars {
    pub enabled: bool,
    pub window_days: u64,
    pub days_min: u32,
    pub riders_max: usize,
}

impl Default for RawRegulars {
    fn default() -> Self {
        let HabitPolicy { window, days_min, riders_max } = HabitPolicy::default();
        Self { enabled: true, window_days: window.as_secs() / 86_400, days_min, riders_max }
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawEnrolment {
    pub same_person_from: f32,
    pub quality: QualityPolicy,
}

impl Default for RawEnrolment {
    /// LFW's impostors: mean 0.088, σ 0.089. 0.55 lies five σ above: about one false alarm in five million
    /// comparisons.
    fn default() -> Self {
        Self { same_person_from: 0.55, quality: QualityPolicy::default() }
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawIntake {
    pub backlog_batches_max: usize,
    pub clock_ahead_max_s: u64,
}

impl Default for RawIntake {
    fn default() -> Self {
        Self { backlog_batches_max: 4, clock_ahead_max_s: 300 }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawAudit {
    pub zone: String,
    pub day_starts_at: String,
    pub every_s: u64,
    pub close_after_s: u64,
    pub recheck_days: i64,
}

impl Default for RawAudit {
    fn default() -> Self {
        let (zone, day_starts_at) = ("UTC".into(), "04:30".into());
        Self { zone, day_starts_at, every_s: 3600, close_after_s: 3600, recheck_days: 2 }
    }
}
