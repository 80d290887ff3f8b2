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
    templates_each: f64,
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
        Ok(Self { stranger: stranger / total, tiers, templates_each: 1.0 })
    }

    /// That the riders hold so many templates together, which is one each unless told. [`risk_limit`] allows for it: a
    /// stranger has a chance of a likeness with every template.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "galleries are far below 2^52")]
    pub fn with_templates(self, templates: usize, riders: usize) -> Self {
        Self { templates_each: (templates as f64 / riders.max(1) as f64).max(1.0), ..self }
    }

    #[expect(clippy::cast_precision_loss, reason = "galleries are far below 2^52")]
    fn of(&self, tiers: &[Tier]) -> f64 {
        self.tiers.iter().filter(|t| tiers.contains(&t.tier)).map(|t| t.mass / t.riders as f64).sum()
    }
}

/// One rider found by the search: what his templates say, and the tiers he belongs to. At most one for each rider.
#[derive(Clone, PartialEq)]
pub struct Candidate {
    pub rider: RiderId,
    /// The best over his templates, for the record; the decision goes by what follows.
    pub similarity: Similarity,
    /// Natural logarithm, of all his templates together: see [`ln_mean_ratio`].
    pub ln_likelihood_ratio: f64,
    pub tiers: Vec<Tier>,
}

impl fmt::Debug for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (similarity, ratio) = (self.similarity.cosine(), self.ln_likelihood_ratio);
        write!(f, "Candidate(rider={:?}, similarity={similarity:.3}, ln_likelihood_ratio={ratio:.2})", self.rider)
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
///
/// `levels`: the evidence at every fusion level that a rider's template may have (see [`Calibration::met_by`]). Each tier
/// counts as if all its templates were of the level with most false charges, so the limit holds for any mixture of
/// levels, and does not move with what the search happened to find. Of a rider's n templates one that matches is worth an
/// n-th (see [`ln_mean_ratio`]), so each counts as if it were a rider with an n-th of the prior; the mean n may stand for
/// all, since false charges grow ever more slowly with n.
#[expect(clippy::cast_precision_loss, reason = "galleries are far below 2^52")]
pub fn risk_limit(priors: &Priors, levels: &[Evidence<'_>], budget: RiskBudget) -> f64 {
    let false_charges = |limit: f64| -> f64 {
        let tier = |tier: &TierPrior| {
            let templates = tier.riders as f64 * priors.templates_each;
            let at = |evidence: &Evidence<'_>| {
                let from = threshold(priors.stranger, tier.mass / templates, evidence, limit);
                from.map_or(0.0, |similarity| templates * evidence.impostor_share(similarity))
            };
            levels.iter().map(at).fold(0.0, f64::max)
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

/// The logarithm of a rider's likelihood ratio: the mean over all `templates` that he holds of each one's ratio, those not
/// told counting 0. `−∞` with nothing told.
///
/// A mate's probe resembles one of his templates, and nobody knows which; so each has its share of the belief. A stranger
/// has as many chances of a likeness as there are templates: by the best alone he would be charged for each. The mean asks
/// for more of a lone match, and what is left of those chances [`risk_limit`] allows for.
#[expect(clippy::cast_precision_loss, reason = "templates of one rider")]
pub fn ln_mean_ratio(ln_ratios: &[f64], templates: usize) -> f64 {
    let most = ln_ratios.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if most == f64::NEG_INFINITY {
        return most;
    }
    let sum: f64 = ln_ratios.iter().map(|ratio| (ratio - most).exp()).sum();
    most + sum.ln() - (templates.max(ln_ratios.len()) as f64).ln()
}

/// The posterior of each candidate in order, then of the stranger; together 1.
///
/// P(r) ∝ prior(r) · LR(r), P(stranger) ∝ prior(stranger); riders the search did not return have likelihood ratios too
/// small to matter, and leaving them out is covered by the stranger's share.
fn posteriors(candidates: &[Candidate], priors: &Priors) -> (Vec<f64>, f64) {
    let weight = |c: &Candidate| priors.of(&c.tiers).ln() + c.ln_likelihood_ratio;
    let weights: Vec<f64> = candidates.iter().map(weight).collect();
    let stranger = priors.stranger.ln();
    // Measured against the greatest, so that no ratio is too large to be taken the exponential of.
    let most = weights.iter().copied().fold(stranger, f64::max);
    if most == f64::NEG_INFINITY {
        return (vec![0.0; candidates.len()], 1.0);
    }
    let total: f64 = weights.iter().chain([&stranger]).map(|weight| (weight - most).exp()).sum();
    let share = |weight: f64| (weight - most).exp() / total;
    (weights.into_iter().map(share).collect(), share(stranger))
}

/// The one decision rule: the likeliest rider is accepted if everybody else together, the stranger among them, is no
/// likelier than `risk_max` (see [`risk_limit`]).
pub fn decide(candidates: &[Candidate], priors: &Priors, risk_max: f64) -> Verdict {
    let (posteriors, stranger) = posteriors(candidates, priors);
    let Some((best, posterior)) = posteriors.iter().copied().enumerate().max_by(|a, b| a.1.total_cmp(&b.1)) else {
        return Verdict::Unknown { risk: 1.0 };
    };
    // Summed, not taken from 1, of which a small risk would be rounding.
    let others = posteriors.iter().enumerate().filter(|(i, _)| *i != best).map(|(_, other)| other);
    let risk = stranger + others.sum::<f64>();
    if risk <= risk_max {
        let Candidate { rider, similarity, tiers, .. } = &candidates[best];
        let tier = tiers.iter().copied().min().unwrap_or(Tier::City);
        return Verdict::Recognised(Recognition { rider: *rider, similarity: *similarity, tier, risk });
    }
    // Had there been no second rider, would this one have passed? Then it is a likeness, not a stranger.
    if stranger <= risk_max * (stranger + posterior) {
        return Verdict::Ambiguous { risk };
    }
    Verdict::Unknown { risk }
}

#[cfg(test)]
mod tests;
