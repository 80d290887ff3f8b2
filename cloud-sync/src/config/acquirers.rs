//! The acquirers of the config, by name: tokens say whose they are.

use std::time::Duration;

use facegate_domain::charge::AcquirerName;
use facegate_runtime::config::Problems;
use serde::Deserialize;

/// As written: one `[[charging.acquirer]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum RawAcquirer {
    Sandbox {
        name: String,
        address: String,
        #[serde(default = "ten_seconds")]
        answer_within_ms: u64,
    },
}

fn ten_seconds() -> u64 {
    10_000
}

/// One acquirer, and how it is spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcquirerConfig {
    pub name: AcquirerName,
    pub kind: AcquirerKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AcquirerKind {
    /// Where it is, and how long a call to it may take.
    Sandbox { address: String, answer_within: Duration },
}

/// All of them. The wallet is no acquirer of the config's, and a token bound without a name finds the only one.
pub(super) fn check(raw: Vec<RawAcquirer>, path: &str, problems: &mut Problems) -> Option<Vec<AcquirerConfig>> {
    let mut checked = Vec::new();
    for (number, acquirer) in raw.into_iter().enumerate() {
        checked.push(acquirer.check(&format!("{path}[{number}]"), problems));
    }
    let acquirers: Vec<AcquirerConfig> = checked.into_iter().collect::<Option<_>>()?;
    let mut fine = true;
    for (number, acquirer) in acquirers.iter().enumerate() {
        let mut problem = |message: String| {
            problems.add(format!("{path}[{number}].name"), message);
            fine = false;
        };
        if ["wallet", "default"].contains(&acquirer.name.as_str()) {
            problem(format!("`{}` is taken; give the acquirer another name", acquirer.name));
        }
        if acquirers[..number].iter().any(|other| other.name == acquirer.name) {
            problem(format!("another acquirer is named `{}` already", acquirer.name));
        }
    }
    fine.then_some(acquirers)
}

impl RawAcquirer {
    fn check(self, path: &str, problems: &mut Problems) -> Option<AcquirerConfig> {
        let at = |key: &str| format!("{path}.{key}");
        let Self::Sandbox { name, address, answer_within_ms } = self;
        let name = problems.check(&at("name"), AcquirerName::new(name));
        let address = https(address, &at("address"), problems);
        let answer_within = problems.duration_ms(&at("answer_within_ms"), answer_within_ms, 100..=300_000);
        let kind = AcquirerKind::Sandbox { address: address?, answer_within: answer_within? };
        Some(AcquirerConfig { name: name?, kind })
    }
}

fn https(address: String, path: &str, problems: &mut Problems) -> Option<String> {
    if address.starts_with("https://") {
        return Some(address);
    }
    problems.add(path, format!("`{address}` is not an address like https://host:port"));
    None
}
