//! The rules about risk.

use std::path::{Path, PathBuf};
use std::time::Duration;

use facegate_domain::money::Currency;
use facegate_domain::risk::{Limit, Measure, RiskRules};
use facegate_domain::travel_day::TravelDays;
use facegate_runtime::config::Problems;
use serde::Deserialize;

use super::notices::{https, secret};
use crate::risk::RiskPolicy;
use crate::risk::blacklist::BlacklistConfig;

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
    blacklist: Option<RawBlacklist>,
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
    /// `ca`: whom to trust if the list does not say. The currency and the days are known once the rest is checked.
    pub fn check(self, path: &str, ca: &Path, problems: &mut Problems) -> (RiskRules, Option<BlacklistConfig>) {
        let at = |key: &str| format!("{path}.{key}");
        let mut window = |key: &str, within_s| problems.duration_s(&at(key), within_s, 1..=86_400);
        let mut limited = |key: &str, raw: Option<RawWindow>| {
            raw.and_then(|raw| Some((window(key, raw.within_s)?, Limit { most: raw.most, then: raw.then })))
        };
        let velocity = limited("velocity.within_s", self.velocity);
        let gate_codes = limited("gate_codes.within_s", self.gate_codes);
        let mut within = |key: &str, raw: Option<RawWithin>| {
            raw.and_then(|raw| Some((window(key, raw.within_s)?, raw.then)))
        };
        let two_places: Option<(Duration, Measure)> = within("two_places.within_s", self.two_places);
        let face_and_code = within("face_and_code.within_s", self.face_and_code);
        let blacklisted = self.blacklist.as_ref().map(|list| list.then);
        let blacklist = self.blacklist.and_then(|list| list.check(&at("blacklist"), ca, problems));
        let (first_rides, unbilled) = (self.first_rides, self.unbilled_minor);
        let rules =
            RiskRules { velocity, two_places, face_and_code, first_rides, unbilled, gate_codes, blacklisted };
        (rules, blacklist)
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

/// None if there is no rule.
pub fn policy(
    (rules, blacklist): (RiskRules, Option<BlacklistConfig>),
    currency: Currency,
    days: TravelDays,
) -> Option<RiskPolicy> {
    (!rules.is_empty()).then_some(RiskPolicy { rules, currency, days, blacklist })
}
