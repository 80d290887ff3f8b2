//! Scores, each its own type, and the one decision rule of recognition.
//!
//! A candidate's posterior is its prior times the likelihood ratio of its similarity; the stranger is a candidate like
//! any other. A rider is accepted only if the posterior leaves a risk below the budget (DESIGN.md, Recognition 5).

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{ModelId, RiderId};

/// A number that is outside the range its score may take.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("{kind} {value} is not a number from {low} to {high}")]
pub struct OutOfRange {
    pub kind: &'static str,
    pub value: f64,
    pub low: f64,
    pub high: f64,
}

macro_rules! unit_score {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
        #[serde(try_from = "f32", into = "f32")]
        pub struct $name(f32);

        impl $name {
            /// Errors: `OutOfRange` unless `value` is in 0..=1.
            pub fn new(value: f32) -> Result<Self, OutOfRange> {
                if (0.0..=1.0).contains(&value) {
                    Ok(Self(value))
                } else {
                    Err(OutOfRange { kind: $kind, value: f64::from(value), low: 0.0, high: 1.0 })
                }
            }

            pub const fn get(self) -> f32 {
                self.0
            }
        }

        impl TryFrom<f32> for $name {
            type Error = OutOfRange;
            fn try_from(value: f32) -> Result<Self, OutOfRange> {
                Self::new(value)
            }
        }

        impl From<$name> for f32 {
            fn from(score: $name) -> f32 {
                score.0
            }
        }
    };
}

unit_score!(
    /// How sure the detector is that there is a face: 0 to 1.
    DetectionConfidence,
    "detection confidence"
);
unit_score!(
    /// How alive a face looks: 0 (certain attack) to 1 (certain life).
    LivenessScore,
    "liveness score"
);

/// Cosine similarity of two embeddings, −1 to 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Similarity(f32);

impl Similarity {
    /// Clamps the rounding error of a float32 dot product back into −1..=1.
    pub fn from_cosine(cosine: f32) -> Self {
        Self(if cosine.is_nan() { -1.0 } else { cosine.clamp(-1.0, 1.0) })
    }

    pub const fn cosine(self) -> f32 {
        self.0
    }
}

/// A normal distribution of similarity scores.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NormalScores {
    pub mean: f64,
    pub sigma: f64,
}

impl NormalScores {
    fn ln_density(&self, similarity: f64) -> f64 {
        let z = (similarity - self.mean) / self.sigma;
        -0.5 * z * z - self.sigma.ln()
    }
}

/// The measured score distributions of one embedding model, which turn a similarity into evidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    pub model: ModelId,
    /// Where the figures come from: data set, pairs, date.
    pub provenance: String,
    /// True until `xtask eval calibrate` has measured it on real pairs.
    pub provisional: bool,
    pub mated: NormalScores,
    pub impostor: NormalScores,
    /// Evidence from one score is never taken for more than this, since a fitted tail says little about what lies
    /// beyond the data (natural logarithm of the likelihood ratio).
    pub ln_likelihood_ratio_max: f64,
}

/// Why a calibration file cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InvalidCalibration {
    #[error("calibration is not valid TOML: {0}")]
    Syntax(String),
    #[error("calibration: {0}")]
    Value(&'static str),
}

impl Calibration {
    /// Reads and checks the text of a calibration file.
    pub fn parse(text: &str) -> Result<Self, InvalidCalibration> {
        let read: Self = toml::from_str(text).map_err(|e| InvalidCalibration::Syntax(e.to_string()))?;
        let positive = |v: f64| v.is_finite() && v > 0.0;
        if !positive(read.mated.sigma) || !positive(read.impostor.sigma) {
            return Err(InvalidCalibration::Value("sigma must be a positive number"));
        }
        if read.mated.mean.is_nan() || read.impostor.mean.is_nan() || read.mated.mean <= read.impostor.mean {
            return Err(InvalidCalibration::Value("the mated mean must lie above the impostor mean"));
        }
        if !positive(read.ln_likelihood_ratio_max) {
            return Err(InvalidCalibration::Value("ln_likelihood_ratio_max must be a positive number"));
        }
        Ok(read)
    }

    /// ln(p(s | mated) / p(s | impostor)), made monotone in s and bounded above.
    ///
    /// Two normals of different width cross twice, so their ratio turns once; beyond the turn it is held at its value
    /// there, so that a better score is never worse evidence.
    pub fn ln_likelihood_ratio(&self, similarity: Similarity) -> f64 {
        let s = f64::from(similarity.cosine());
        let (mated, impostor) = (self.mated.sigma.powi(-2), self.impostor.sigma.powi(-2));
        // d/ds = (s − μᵢ)/σᵢ² − (s − μₘ)/σₘ² is zero at the turn.
        let turn = (self.mated.mean * mated - self.impostor.mean * impostor) / (mated - impostor);
        let held = match mated.total_cmp(&impostor) {
            Ordering::Greater => s.min(turn),
            Ordering::Less => s.max(turn),
            Ordering::Equal => s,
        };
        (self.mated.ln_density(held) - self.impostor.ln_density(held)).min(self.ln_likelihood_ratio_max)
    }
}

/// A set of riders with a prior of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// Riders now inside the network (exits).
    InSystem,
    /// Riders who often enter here at this hour.
    Regulars,
    /// Riders whom an entrance camera recognised in the last minutes.
    Expected,
    /// Everyone enrolled.
    City,
}

impl Tier {
    pub const ALL: [Self; 4] = [Self::InSystem, Self::Regulars, Self::Expected, Self::City];

    pub const fn name(self) -> &'static str {
        match self {
            Self::InSystem => "in_system",
            Self::Regulars => "regulars",
            Self::Expected => "expected",
            Self::City => "city",
        }
    }
}

/// How much of the prior belongs to a tier, and over how many riders it is spread.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TierPrior {
    pub tier: Tier,
    /// Share of searched faces that belong to a rider of this tier, 0..1.
    pub mass: f64,
    pub riders: usize,
}

/// Before the face is compared: who may be standing here. Masses and the stranger add up to one after `new`.
#[derive(Debug, Clone, PartialEq)]
pub struct Priors {
    stranger: f64,
    tiers: Vec<TierPrior>,
}

impl Priors {
    /// `stranger`: measured share of searched faces that are not enrolled. The mass of an empty tier is given to the
    /// stranger: a rider who is not in the gallery is a stranger to it.
    pub fn new(stranger: f64, tiers: Vec<TierPrior>) -> Result<Self, OutOfRange> {
        let check = |kind, value: f64| {
            if value.is_finite() && (0.0..=1.0).contains(&value) {
                Ok(value)
            } else {
                Err(OutOfRange { kind, value, low: 0.0, high: 1.0 })
            }
        };
        let mut stranger = check("stranger prior", stranger)?;
        let mut kept = Vec::with_capacity(tiers.len());
        for tier in tiers {
            check("tier mass", tier.mass)?;
            if tier.riders == 0 {
                stranger += tier.mass;
            } else {
                kept.push(tier);
            }
        }
        let total = stranger + kept.iter().map(|t| t.mass).sum::<f64>();
        if total <= 0.0 {
            return Err(OutOfRange { kind: "sum of priors", value: total, low: 0.0, high: 1.0 });
        }
        kept.iter_mut().for_each(|t| t.mass /= total);
        Ok(Self { stranger: stranger / total, tiers: kept })
    }

    #[expect(clippy::cast_precision_loss, reason = "galleries are far below 2^52")]
    fn of(&self, tiers: &[Tier]) -> f64 {
        self.tiers.iter().filter(|t| tiers.contains(&t.tier)).map(|t| t.mass / t.riders as f64).sum()
    }
}

/// One rider found by the search: the best similarity over his templates, and the tiers he belongs to.
#[derive(Clone, PartialEq)]
pub struct Candidate {
    pub rider: RiderId,
    pub similarity: Similarity,
    pub tiers: Vec<Tier>,
}

impl fmt::Debug for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Candidate(rider={:?}, similarity={:.3})", self.rider, self.similarity.cosine())
    }
}

/// How many wrong charges the operator accepts per million passages.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct RiskBudget(f64);

impl RiskBudget {
    /// Errors: `OutOfRange` unless 0 < value ≤ 1000 (a thousandth of all passages is no budget any more).
    pub fn false_charges_per_million(value: f64) -> Result<Self, OutOfRange> {
        if value > 0.0 && value <= 1000.0 {
            Ok(Self(value))
        } else {
            Err(OutOfRange { kind: "risk budget (false charges per million)", value, low: 0.0, high: 1000.0 })
        }
    }

    /// Largest probability of being wrong at which one passage may still be accepted.
    pub fn risk_max(self) -> f64 {
        self.0 * 1e-6
    }
}

impl TryFrom<f64> for RiskBudget {
    type Error = OutOfRange;
    fn try_from(value: f64) -> Result<Self, OutOfRange> {
        Self::false_charges_per_million(value)
    }
}

impl From<RiskBudget> for f64 {
    fn from(budget: RiskBudget) -> f64 {
        budget.0
    }
}

/// What the search says about a probe.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    Recognised(Recognition),
    /// Nobody is likely enough; most often a rider who is not enrolled.
    Unknown {
        risk: f64,
    },
    /// Two riders are both likely (twins, or one person enrolled twice): only a code can tell.
    Ambiguous {
        risk: f64,
    },
}

/// An accepted rider with the evidence that carried him.
#[derive(Debug, Clone, PartialEq)]
pub struct Recognition {
    pub rider: RiderId,
    pub similarity: Similarity,
    /// The narrowest tier that held him.
    pub tier: Tier,
    /// 1 − posterior.
    pub risk: f64,
}

/// The one decision rule: posterior of each candidate and of the stranger, accept within the budget.
///
/// P(r) ∝ prior(r) · LR(sᵣ), P(stranger) ∝ prior(stranger); riders the search did not return have likelihood
/// ratios too small to matter, and leaving them out is covered by the stranger's share.
pub fn decide(candidates: &[Candidate], priors: &Priors, calibration: &Calibration, budget: RiskBudget) -> Verdict {
    let mut weighed: Vec<(f64, &Candidate)> = candidates
        .iter()
        .map(|c| (priors.of(&c.tiers) * calibration.ln_likelihood_ratio(c.similarity).exp(), c))
        .collect();
    weighed.sort_by(|a, b| b.0.total_cmp(&a.0));
    let total = priors.stranger + weighed.iter().map(|w| w.0).sum::<f64>();
    let Some(&(best, candidate)) = weighed.first() else {
        return Verdict::Unknown { risk: 1.0 };
    };
    let others: f64 = priors.stranger + weighed[1..].iter().map(|w| w.0).sum::<f64>();
    let risk = others / total;
    if risk <= budget.risk_max() {
        let tier = candidate.tiers.iter().copied().min().unwrap_or(Tier::City);
        return Verdict::Recognised(Recognition {
            rider: candidate.rider,
            similarity: candidate.similarity,
            tier,
            risk,
        });
    }
    // Had there been no second rider, would this one have passed? Then it is a likeness, not a stranger.
    if priors.stranger / (priors.stranger + best) <= budget.risk_max() {
        return Verdict::Ambiguous { risk };
    }
    Verdict::Unknown { risk }
}

#[cfg(test)]
mod tests;
