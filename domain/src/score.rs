//! Scores, each its own type, and the one decision rule of recognition.
//!
//! A candidate's posterior is its prior times the likelihood ratio of its similarity; the stranger is a candidate like
//! any other. A rider is accepted only if the posterior leaves a risk that keeps all passages together within the budget
//! (DESIGN.md, Recognition 5).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::RiderId;

mod calibration;

pub use calibration::{Calibration, Evidence, FusionLevel, InvalidCalibration, ScoreModel, SightingModel};

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
    /// `stranger`: measured share of searched faces that are not enrolled. The shares say where the enrolled are found:
    /// a rider who is in no narrow tier now is still somewhere in the city, so an empty tier's mass goes there; with
    /// nobody enrolled at all, everyone is a stranger to the gallery.
    pub fn new(stranger: f64, mut tiers: Vec<TierPrior>) -> Result<Self, OutOfRange> {
        let check = |kind, value: f64| {
            if value.is_finite() && (0.0..=1.0).contains(&value) {
                Ok(value)
            } else {
                Err(OutOfRange { kind, value, low: 0.0, high: 1.0 })
            }
        };
        let mut stranger = check("stranger prior", stranger)?;
        tiers.iter().try_for_each(|tier| check("tier mass", tier.mass).map(drop))?;
        let empty: f64 = tiers.extract_if(.., |tier| tier.riders == 0).map(|tier| tier.mass).sum();
        match tiers.iter_mut().find(|tier| tier.tier == Tier::City) {
            Some(city) => city.mass += empty,
            None => stranger += empty,
        }
        let total = stranger + tiers.iter().map(|t| t.mass).sum::<f64>();
        if total <= 0.0 {
            return Err(OutOfRange { kind: "sum of priors", value: total, low: 0.0, high: 1.0 });
        }
        tiers.iter_mut().for_each(|t| t.mass /= total);
        Ok(Self { stranger: stranger / total, tiers })
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

    /// False charges per passage.
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

/// The largest risk with which a single passage may be accepted, however much of the budget is left.
const RISK_EACH_MAX: f64 = 0.01;

/// The risk up to which a passage is accepted so that all passages together keep to the budget.
///
/// The budget counts false charges per passage; a passage at this limit is the worst that is accepted and most are far
/// safer, so the limit lies above the budget. At a limit λ a rider with prior p is accepted from the score s_p on, where
/// p · LR(s_p) is (1 − λ)/λ times the stranger's prior; somebody else reaches s_p with probability P(S ≥ s_p), so at
/// most Σ P(S ≥ s_p) over all riders is charged falsely per passage. The limit is the largest λ that keeps this within
/// the budget, never more than [`RISK_EACH_MAX`], and found by halving.
#[expect(clippy::cast_precision_loss, reason = "galleries are far below 2^52")]
pub fn risk_limit(priors: &Priors, evidence: &Evidence<'_>, budget: RiskBudget) -> f64 {
    let false_charges = |limit: f64| -> f64 {
        let tier = |tier: &TierPrior| {
            let riders = tier.riders as f64;
            let from = threshold(priors.stranger, tier.mass / riders, evidence, limit);
            from.map_or(0.0, |similarity| riders * evidence.impostor_share(similarity))
        };
        priors.tiers.iter().map(tier).sum()
    };
    let (mut low, mut high) = (budget.risk_max().ln(), RISK_EACH_MAX.max(budget.risk_max()).ln());
    for _ in 0..30 {
        let middle = low.midpoint(high);
        if false_charges(middle.exp()) <= budget.risk_max() {
            low = middle;
        } else {
            high = middle;
        }
    }
    low.exp()
}

/// The lowest score with which a rider of this prior is accepted at a risk, if nobody else is likely; `None`: with none.
pub fn threshold(stranger: f64, rider: f64, evidence: &Evidence<'_>, risk: f64) -> Option<Similarity> {
    evidence.similarity_of((stranger * (1.0 - risk) / (risk * rider)).ln())
}

/// The one decision rule: posterior of each candidate and of the stranger, accept within the budget.
///
/// P(r) ∝ prior(r) · LR(sᵣ), P(stranger) ∝ prior(stranger); riders the search did not return have likelihood
/// ratios too small to matter, and leaving them out is covered by the stranger's share. `evidence`: the calibration at
/// this probe's fusion level.
pub fn decide(candidates: &[Candidate], priors: &Priors, evidence: &Evidence<'_>, budget: RiskBudget) -> Verdict {
    let mut weighed: Vec<(f64, &Candidate)> = candidates
        .iter()
        .map(|c| (priors.of(&c.tiers) * evidence.ln_likelihood_ratio(c.similarity).exp(), c))
        .collect();
    weighed.sort_by(|a, b| b.0.total_cmp(&a.0));
    let total = priors.stranger + weighed.iter().map(|w| w.0).sum::<f64>();
    let Some(&(best, candidate)) = weighed.first() else {
        return Verdict::Unknown { risk: 1.0 };
    };
    let others: f64 = priors.stranger + weighed[1..].iter().map(|w| w.0).sum::<f64>();
    let risk = others / total;
    let risk_max = risk_limit(priors, evidence, budget);
    if risk <= risk_max {
        let tier = candidate.tiers.iter().copied().min().unwrap_or(Tier::City);
        return Verdict::Recognised(Recognition {
            rider: candidate.rider,
            similarity: candidate.similarity,
            tier,
            risk,
        });
    }
    // Had there been no second rider, would this one have passed? Then it is a likeness, not a stranger.
    if priors.stranger / (priors.stranger + best) <= risk_max {
        return Verdict::Ambiguous { risk };
    }
    Verdict::Unknown { risk }
}

#[cfg(test)]
mod tests;
