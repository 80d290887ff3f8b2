//! `[reader]`: a device beside the camera that reads ride codes and notices cards.

use std::path::PathBuf;

use facegate_runtime::config::Problems;
use serde::Deserialize;

use crate::reader::{ReaderConfig, ReaderKind};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawReader {
    kind: RawKind,
    device: PathBuf,
    #[serde(default = "baud")]
    baud: u32,
    #[serde(default = "card_line")]
    card_line: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawKind {
    Serial,
    Hid,
}

const fn baud() -> u32 {
    9600
}

fn card_line() -> String {
    "CARD".to_owned()
}

impl RawReader {
    pub(super) fn check(&self, path: &str, problems: &mut Problems) -> Option<ReaderConfig> {
        let baud = problems.within(&format!("{path}.baud"), self.baud, 300..=4_000_000);
        let card_line = self.card_line.trim();
        // A card must never be taken for a code, nor a code for a card.
        if card_line.is_empty() || card_line.starts_with(facegate_domain::code::PREFIX) {
            problems.add(format!("{path}.card_line"), "is empty or begins as a ride code does");
            return None;
        }
        let kind = match self.kind {
            RawKind::Serial => ReaderKind::Serial { baud: baud? },
            RawKind::Hid => ReaderKind::Hid,
        };
        Some(ReaderConfig { device: self.device.clone(), kind, card_line: card_line.to_owned() })
    }
}
