//! The rules about risk.

use std::path::{Path, PathBuf};
use std::time::Duration;

use facegate_domain::risk::{Limit, Measure, RiskRules};
use facegate_runtime::config::Problems;
use serde::Deserialize;

use super::notices::{https, secret};
use crate::risk::blacklist::BlacklistConfig;
use crate::risk::{FaceOnly, RiskConfig};

/// A rule that is not written is not looked at.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawRisk {
    velocity: Option<RawWindow>,
    two_places: Option<RawWithin>,
    face_and_code: Option<RawWithin>,
    first_rides: Option<Limit>,
    unbilled_minor: Option<Limit>,
    gate_codes: Option<RawWindow>,
    gate_attacks: Option<RawWindow>,
    station_attacks: Option<RawWindow>,
    blacklist: Option<RawBlacklist>,
    face_only: FaceOnly,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawWindow {
    within_s: u64,
    most: u64,
    then: Measure,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawWithin {
    within_s: u64,
    then: Measure,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBlacklist {
    url: String,
    secret_file: PathBuf,
    ca: Option<PathBuf>,
    #[serde(default = "second")]
    answer_within_ms: u64,
    then: Measure,
}

fn second() -> u64 {
    1000
}

impl RawRisk {
    /// `ca`: whom to trust if the list does not say.
    pub fn check(self, path: &str, ca: &Path, problems: &mut Problems) -> RiskConfig {
        let mut window = |key: &str, within_s: u64| {
            problems.duration_s(&format!("{path}.{key}.within_s"), within_s, 1..=86_400).unwrap_or(Duration::ZERO)
        };
        let limit = |raw: RawWindow| Limit { most: raw.most, then: raw.then };
        let velocity = self.velocity.map(|raw| (window("velocity", raw.within_s), limit(raw)));
        let gate_codes = self.gate_codes.map(|raw| (window("gate_codes", raw.within_s), limit(raw)));
        let gate_attacks = self.gate_attacks.map(|raw| (window("gate_attacks", raw.within_s), limit(raw)));
        let station_attacks = self.station_attacks.map(|raw| (window("station_attacks", raw.within_s), limit(raw)));
        let two_places = self.two_places.map(|raw| (window("two_places", raw.within_s), raw.then));
        let face_and_code = self.face_and_code.map(|raw| (window("face_and_code", raw.within_s), raw.then));
        let blacklisted = self.blacklist.as_ref().map(|list| list.then);
        let blacklist = self.blacklist.and_then(|list| list.check(&format!("{path}.blacklist"), ca, problems));
        let (first_rides, unbilled) = (self.first_rides, self.unbilled_minor);
        let rules = RiskRules {
            velocity,
            two_places,
            face_and_code,
            first_rides,
            unbilled,
            gate_codes,
            gate_attacks,
            station_attacks,
            blacklisted,
        };
        RiskConfig { rules, blacklist, face_only: self.face_only }
    }
}

impl RawBlacklist {
    fn check(self, path: &str, ca: &Path, problems: &mut Problems) -> Option<BlacklistConfig> {
        let url = https(&format!("{path}.url"), &self.url, problems);
        let secret = secret(&format!("{path}.secret_file"), &self.secret_file, problems);
        let within = format!("{path}.answer_within_ms");
        let answer_within = problems.duration_ms(&within, self.answer_within_ms, 10..=60_000);
        let ca = self.ca.unwrap_or_else(|| ca.to_owned());
        Some(BlacklistConfig { url: url?, secret: secret?, ca, answer_within: answer_within? })
    }
}
