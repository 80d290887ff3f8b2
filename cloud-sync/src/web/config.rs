//! `[web]`: the HTTPS listener for people and apps, who may sign in, and which apps may call the API.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use facegate_domain::ids::RiderId;
use facegate_runtime::config::Problems;
use facegate_runtime::sign_in::{AttemptPolicy, Hashed, SessionPolicy};
use serde::Deserialize;

use crate::api::rest::ApiKeys;

/// The section as it is written.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawWeb {
    /// Address of the HTTPS listener.
    pub listen: String,
    #[serde(default = "eight_hours")]
    pub session_lifetime_s: u64,
    #[serde(default = "half_an_hour")]
    pub session_idle_s: u64,
    /// Wrong passwords of one address at one name before it must wait.
    #[serde(default = "five")]
    pub sign_in_failures_max: u32,
    /// How long a wrong password counts.
    #[serde(default = "five_minutes")]
    pub sign_in_window_s: u64,
    /// Largest photograph taken.
    #[serde(default = "eight_mib")]
    pub image_bytes_max: usize,
    #[serde(default)]
    pub operators: Vec<RawOperator>,
    #[serde(default)]
    pub api_keys: Vec<RawApiKey>,
}

/// `[[web.operators]]`: staff with access to the ops page.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawOperator {
    pub name: String,
    /// From `facegate-cloud-sync hash-password`.
    pub password_hash: String,
}

/// `[[web.api_keys]]`: an app that may call `/v1`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawApiKey {
    /// Names the integrator in the audit log.
    pub name: String,
    /// SHA-256 of the key, hexadecimal.
    pub sha256: String,
}

impl std::fmt::Debug for RawOperator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "RawOperator({})", self.name)
    }
}

fn eight_hours() -> u64 {
    8 * 3600
}

fn half_an_hour() -> u64 {
    1800
}

fn five() -> u32 {
    5
}

fn five_minutes() -> u64 {
    300
}

fn eight_mib() -> usize {
    8 << 20
}

/// Sessions at once; beyond that the one unused for longest ends.
const SESSIONS_MAX: usize = 20_000;

/// The section once it was checked.
#[derive(Clone)]
pub struct WebConfig {
    pub listen: SocketAddr,
    pub sessions: SessionPolicy,
    pub attempts: AttemptPolicy,
    pub image_bytes_max: usize,
    /// Password hashes by name.
    pub operators: BTreeMap<String, Hashed>,
    pub api_keys: ApiKeys,
}

impl std::fmt::Debug for WebConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "WebConfig({}, {} operators, {:?})", self.listen, self.operators.len(), self.api_keys)
    }
}

impl RawWeb {
    /// The config, if nothing is wrong. `path` is the section's own, usually `web`.
    pub fn check(self, path: &str, problems: &mut Problems) -> Option<WebConfig> {
        let at = |key: &str| format!("{path}.{key}");
        let listen = problems.address(&at("listen"), &self.listen);
        let lifetime = problems.duration_s(&at("session_lifetime_s"), self.session_lifetime_s, 60..=7 * 86_400);
        let idle = problems.duration_s(&at("session_idle_s"), self.session_idle_s, 30..=86_400);
        let failures_max = problems.within(&at("sign_in_failures_max"), self.sign_in_failures_max, 1..=100);
        let window = problems.duration_s(&at("sign_in_window_s"), self.sign_in_window_s, 1..=86_400);
        let image_bytes_max = problems.within(&at("image_bytes_max"), self.image_bytes_max, 10_000..=32 << 20);
        let operators = check_operators(self.operators, &at("operators"), problems);
        let api_keys = check_api_keys(self.api_keys, &at("api_keys"), problems);
        Some(WebConfig {
            listen: listen?,
            sessions: SessionPolicy { lifetime: lifetime?, idle: idle?, sessions_max: SESSIONS_MAX },
            attempts: AttemptPolicy { failures_max: failures_max?, window: window? },
            image_bytes_max: image_bytes_max?,
            operators,
            api_keys,
        })
    }
}

fn check_operators(raw: Vec<RawOperator>, path: &str, problems: &mut Problems) -> BTreeMap<String, Hashed> {
    let (mut operators, mut names) = (BTreeMap::new(), BTreeSet::new());
    for (i, operator) in raw.into_iter().enumerate() {
        let named = format!("{path}[{i}].name");
        if operator.name.trim() != operator.name || !(1..=64).contains(&operator.name.chars().count()) {
            problems.add(named.as_str(), "a staff name has 1 to 64 characters and no space at either end");
        } else if operator.name.parse::<RiderId>().is_ok() {
            problems.add(named.as_str(), "a UUID is a rider's name, not an operator's");
        }
        let hash = problems.check(&format!("{path}[{i}].password_hash"), Hashed::new(&operator.password_hash));
        if names.insert(operator.name.clone()) {
            operators.extend(hash.map(|hash| (operator.name, hash)));
        } else {
            problems.add(named, "this name is there twice");
        }
    }
    operators
}

fn check_api_keys(raw: Vec<RawApiKey>, path: &str, problems: &mut Problems) -> ApiKeys {
    let mut keys = ApiKeys::default();
    for (i, key) in raw.into_iter().enumerate() {
        problems.check(&format!("{path}[{i}]"), keys.add(&key.name, &key.sha256));
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> (Option<WebConfig>, Vec<String>) {
        let mut problems = Problems::new();
        let config = toml::from_str::<RawWeb>(text).unwrap().check("web", &mut problems);
        (config, problems.iter().map(|problem| problem.path.clone()).collect())
    }

    #[test]
    fn a_small_section_has_sensible_limits() {
        let hash = facegate_runtime::sign_in::Password::typed("a long enough one").hash().unwrap();
        let text = format!(
            "listen = \"127.0.0.1:0\"\noperators = [{{ name = \"ops\", password_hash = \"{hash}\" }}]\n\
             api_keys = [{{ name = \"metro-app\", sha256 = \"{}\" }}]",
            "0f".repeat(32)
        );
        let (config, problems) = check(&text);
        assert!(problems.is_empty(), "{problems:?}");
        let config = config.unwrap();
        assert_eq!((config.attempts.failures_max, config.image_bytes_max), (5, 8 << 20));
        assert_eq!(format!("{config:?}"), "WebConfig(127.0.0.1:0, 1 operators, ApiKeys(1))");
    }

    #[test]
    fn every_problem_is_named() {
        let (_, problems) = check(
            r#"
            listen = "localhost"
            session_idle_s = 1
            sign_in_failures_max = 0
            image_bytes_max = 1
            operators = [
                { name = " ops", password_hash = "hunter2" },
                { name = "67e55044-10b1-426f-9247-bb680e5fe0c8", password_hash = "$argon2id$" },
            ]
            api_keys = [{ name = "Metro App", sha256 = "00" }, { name = "bank", sha256 = "secret" }]
            "#,
        );
        let expected = [
            "web.listen",
            "web.session_idle_s",
            "web.sign_in_failures_max",
            "web.image_bytes_max",
            "web.operators[0].name",
            "web.operators[0].password_hash",
            "web.operators[1].name",
            "web.operators[1].password_hash",
            "web.api_keys[0]",
            "web.api_keys[1]",
        ];
        assert_eq!(problems, expected);
    }
}
