//! `[screen]`: the gate's own pages.

use facegate_runtime::config::Problems;
use facegate_runtime::sign_in::attendants::RawAttendant;
use serde::Deserialize;

use crate::screen::{Language, ScreenConfig};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawScreen {
    listen: String,
    #[serde(default = "languages")]
    languages: Vec<Language>,
    #[serde(default = "volume")]
    volume: f32,
    #[serde(default)]
    attendants: Vec<RawAttendant>,
}

fn languages() -> Vec<Language> {
    vec![Language::Zh, Language::En]
}

const fn volume() -> f32 {
    0.5
}

impl RawScreen {
    pub(super) fn check(&self, path: &str, problems: &mut Problems) -> Option<ScreenConfig> {
        let at = |key: &str| format!("{path}.{key}");
        let listen = problems.address(&at("listen"), &self.listen).filter(|address| {
            let loopback = address.ip().is_loopback();
            if !loopback {
                problems.add(
                    at("listen"),
                    format!("{address} can be reached from other machines; the screen has no TLS, use 127.0.0.1"),
                );
            }
            loopback
        });
        let languages = self.languages.clone();
        let twice = languages.len() > 1 && languages[1..].contains(&languages[0]);
        if languages.is_empty() || twice {
            problems.add(at("languages"), "name \"zh\", \"en\" or both, each once, in the order of the lines");
        }
        let volume = problems.within(&at("volume"), self.volume, 0.0..=1.0);
        let attendants = RawAttendant::check(&self.attendants, &at("attendants"), problems);
        Some(ScreenConfig { listen: listen?, languages, volume: volume?, attendants: attendants? })
    }
}
