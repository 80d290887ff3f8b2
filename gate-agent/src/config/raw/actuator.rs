//! `[actuator]` and `[aisle]`: what moves the door, and how long things take in front of it.

use std::path::PathBuf;

use facegate_domain::aisle::AislePolicy;
use facegate_domain::tap::Direction;
use facegate_runtime::config::Problems;
use serde::Deserialize;

use crate::actuator::serial::SerialLine;
use crate::config::ActuatorConfig;

#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum RawActuator {
    Simulated {
        address: String,
        without_gate: Option<WithoutGate>,
    },
    Serial {
        device: PathBuf,
        #[serde(default = "baud")]
        baud: u32,
        without_gate: Option<WithoutGate>,
    },
}

/// What the hardware's watchdog does with the door when the gate's process is silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum WithoutGate {
    Open,
    Close,
}

const fn baud() -> u32 {
    115_200
}

impl RawActuator {
    pub(super) fn check(&self, path: &str, problems: &mut Problems) -> Option<ActuatorConfig> {
        match self {
            Self::Simulated { address, .. } => {
                problems.address(&format!("{path}.address"), address).map(ActuatorConfig::Simulated)
            }
            Self::Serial { device, baud, .. } => {
                let baud = problems.within(&format!("{path}.baud"), *baud, 1_200..=4_000_000)?;
                Some(ActuatorConfig::Serial(SerialLine { device: device.clone(), baud }))
            }
        }
    }
}

impl RawActuator {
    /// Whether the door stands open then. Unless it is said, nobody is kept in and nobody is let in.
    pub(super) fn opens_without_gate(&self, direction: Direction) -> bool {
        let (Self::Simulated { without_gate, .. } | Self::Serial { without_gate, .. }) = self;
        without_gate.map_or(direction == Direction::Exit, |told| told == WithoutGate::Open)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawAisle {
    bounce_ms: u64,
    open_ms: u64,
    turn_ms: u64,
    linger_ms: u64,
    luggage_gap_ms: u64,
    child_gap_ms: u64,
    child_break_ms: u64,
    stuck_ms: u64,
    passage_max_ms: u64,
}

impl Default for RawAisle {
    fn default() -> Self {
        let AislePolicy {
            bounce_ms,
            open_ms,
            turn_ms,
            linger_ms,
            luggage_gap_ms,
            child_gap_ms,
            child_break_ms,
            stuck_ms,
            passage_max_ms,
        } = AislePolicy::default();
        Self {
            bounce_ms,
            open_ms,
            turn_ms,
            linger_ms,
            luggage_gap_ms,
            child_gap_ms,
            child_break_ms,
            stuck_ms,
            passage_max_ms,
        }
    }
}

impl RawAisle {
    pub(super) fn check(&self, path: &str, problems: &mut Problems) -> Option<AislePolicy> {
        let mut within = |key: &str, value, range| problems.within(&format!("{path}.{key}"), value, range);
        let bounce_ms = within("bounce_ms", self.bounce_ms, 0..=200);
        let open_ms = within("open_ms", self.open_ms, 1_000..=60_000);
        let turn_ms = within("turn_ms", self.turn_ms, 300..=10_000);
        let linger_ms = within("linger_ms", self.linger_ms, 500..=30_000);
        let luggage_gap_ms = within("luggage_gap_ms", self.luggage_gap_ms, 0..=2_000);
        let child_gap_ms = within("child_gap_ms", self.child_gap_ms, 0..=5_000);
        let child_break_ms = within("child_break_ms", self.child_break_ms, 0..=2_000);
        let stuck_ms = within("stuck_ms", self.stuck_ms, 5_000..=600_000);
        let passage_max_ms = within("passage_max_ms", self.passage_max_ms, 10_000..=1_800_000);
        Some(AislePolicy {
            bounce_ms: bounce_ms?,
            open_ms: open_ms?,
            turn_ms: turn_ms?,
            linger_ms: linger_ms?,
            luggage_gap_ms: luggage_gap_ms?,
            child_gap_ms: child_gap_ms?,
            child_break_ms: child_break_ms?,
            stuck_ms: stuck_ms?,
            passage_max_ms: passage_max_ms?,
        })
    }
}
