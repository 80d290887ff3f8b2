//! The fusion's weights and thresholds: a file with its provenance, shipped with the program or fitted by the operator.
//!
//! Each cue's measurement m becomes weight × (m − centre), kept between `most_attack` and `most_live`; a silent cue
//! adds nothing. The sum and the bias are log-odds of life.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use serde::{Deserialize, Serialize};

use super::Cue;

const SHIPPED: &str = include_str!("../../calibration/liveness.toml");

/// Weights, thresholds and where they come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LivenessCalibration {
    /// On what, when and how it was fitted, and what it does not show.
    pub provenance: String,
    /// Probabilities below are attacks.
    pub attack_below: f32,
    /// Probabilities from here on are live.
    pub live_from: f32,
    pub bias: f32,
    /// The cues in use; one that is left out is not even measured.
    pub cues: BTreeMap<Cue, CueWeight>,
}

/// How a cue's measurement becomes log-odds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CueWeight {
    pub weight: f32,
    pub centre: f32,
    /// At most this much against life, at most 0.
    pub most_attack: f32,
    /// At most this much for life: that no border is seen proves little.
    pub most_live: f32,
}

impl CueWeight {
    /// Log-odds of life that a measurement adds.
    pub fn lean(&self, measured: f32) -> f32 {
        (self.weight * (measured - self.centre)).clamp(self.most_attack, self.most_live)
    }
}

/// Why a calibration is not used.
#[derive(Debug, thiserror::Error)]
pub enum BadLivenessCalibration {
    #[error("it cannot be read ({0}): leave `recognition.liveness.calibration` out for the shipped one")]
    Unreadable(#[from] io::Error),
    #[error("it is no liveness calibration: {0}")]
    Malformed(#[from] toml::de::Error),
    #[error("{0}: fit it anew with `facegate-models calibrate-liveness`")]
    Senseless(&'static str),
}

impl LivenessCalibration {
    /// The calibration that this program was built with. Its text is fixed at build time and read by a test.
    pub fn shipped() -> Self {
        Self::parse(SHIPPED).expect("the shipped calibration is valid: a test reads it")
    }

    /// Reads an operator's own.
    pub fn load(path: &Path) -> Result<Self, BadLivenessCalibration> {
        Self::parse(&fs::read_to_string(path)?)
    }

    /// Reads and checks the text of a calibration.
    pub fn parse(text: &str) -> Result<Self, BadLivenessCalibration> {
        let read: Self = toml::from_str(text)?;
        let ordered = 0.0 < read.attack_below && read.attack_below <= read.live_from && read.live_from < 1.0;
        let cues_fit = read.cues.values().all(|cue| {
            let finite = cue.weight.is_finite() && cue.centre.is_finite();
            finite && cue.weight >= 0.0 && cue.most_attack <= 0.0 && cue.most_live >= 0.0
        });
        match () {
            () if !ordered => Err(BadLivenessCalibration::Senseless("its thresholds are not 0 < attack ≤ live < 1")),
            () if !cues_fit || !read.bias.is_finite() => {
                Err(BadLivenessCalibration::Senseless("a weight is negative, or a bound on the wrong side of 0"))
            }
            () if !read.cues.values().any(|cue| cue.weight > 0.0) => {
                Err(BadLivenessCalibration::Senseless("no cue has weight, so nobody would ever be judged"))
            }
            () => Ok(read),
        }
    }

    /// Whether a cue counts, and so is worth its cost.
    pub fn uses(&self, cue: Cue) -> bool {
        self.cues.get(&cue).is_some_and(|weight| weight.weight > 0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_calibration_says_where_it_comes_from_and_uses_at_most_five_weights() {
        let shipped = LivenessCalibration::shipped();
        assert!(shipped.provenance.contains("four") && shipped.cues.len() <= 5);
        assert!(shipped.uses(Cue::Texture) && shipped.uses(Cue::Border));
    }

    #[test]
    fn what_would_judge_wrongly_is_refused() {
        let turned = SHIPPED.replacen("weight = ", "weight = -", 1);
        assert!(matches!(LivenessCalibration::parse(&turned), Err(BadLivenessCalibration::Senseless(_))));
        let misspelt = SHIPPED.replacen("centre", "center", 1);
        assert!(matches!(LivenessCalibration::parse(&misspelt), Err(BadLivenessCalibration::Malformed(_))));
    }

    #[test]
    fn a_lean_is_bounded_on_both_sides() {
        let cue = CueWeight { weight: 2.0, centre: 1.0, most_attack: -3.0, most_live: 0.5 };
        assert_eq!([0.0, 1.1, 9.0, -9.0].map(|m| (cue.lean(m) * 10.0).round()), [-20.0, 2.0, 5.0, -30.0]);
    }
}
