//! The measured score distributions of one embedding model, which turn a similarity into evidence.
//!
//! A calibration file holds, for each fusion level, the logarithm of the likelihood ratio p(s | mated) / p(s | impostor)
//! at rising similarities. `eval calibrate` measures it: the body from counted scores, the impostor tail extrapolated,
//! both made monotone and bounded there. Here it is only read, checked and interpolated.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Similarity;
use crate::ids::ModelId;

/// How many photographs (or frames) are fused into one unit vector on either side of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FusionLevel {
    pub template: u32,
    pub probe: u32,
}

impl FusionLevel {
    /// One photograph against one photograph.
    pub const SINGLE: Self = Self { template: 1, probe: 1 };

    const fn reaches(self, needed: Self) -> bool {
        self.template >= needed.template && self.probe >= needed.probe
    }
}

/// Evidence by similarity at one fusion level.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScoreModel {
    pub level: FusionLevel,
    /// What it was measured on: pairs of photographs (or fused sets) of one person, and of two.
    pub mated_pairs: u64,
    pub impostor_pairs: u64,
    /// Shape of the generalised Pareto distribution that the impostor tail was extrapolated with.
    pub tail_index: f64,
    /// From this similarity on the impostor scores are extrapolated, not counted.
    pub extrapolated_from: f64,
    /// Rising similarities. Between two, what follows is interpolated; beyond the ends it is held, so that no score is
    /// ever more evidence than the last entry says.
    pub similarity: Vec<f64>,
    /// The natural logarithm of the likelihood ratio at each, never falling.
    pub ln_likelihood_ratio: Vec<f64>,
    /// The natural logarithm of the share of impostor scores from each on, never rising.
    pub ln_impostor_share: Vec<f64>,
}

/// The same stranger seen twice: by an entrance camera and at the gate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SightingModel {
    /// Correlation of two photographs of one stranger in their similarity to one template.
    pub correlation: f64,
    /// Most that one expected rider's prior may be, by that correlation (see the file's provenance).
    pub expected_rider_max: f64,
}

/// All that was measured for one embedding model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    pub model: ModelId,
    /// Where the figures come from: photographs, people, provider, what was fitted and what was left out.
    pub provenance: String,
    /// True until measured on real pairs.
    pub provisional: bool,
    /// The mean embedding of many people, `[dims]`: the gallery subtracts it from templates and probes before they are
    /// compared, and the levels below were measured so. Without it, they are compared as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub centre: Option<Vec<f32>>,
    pub sighting: SightingModel,
    /// By fusion level; the single one is always there.
    #[serde(rename = "level")]
    pub levels: Vec<ScoreModel>,
}

/// Why a calibration file cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InvalidCalibration {
    #[error("calibration is not valid TOML: {0}")]
    Syntax(String),
    #[error("calibration: {0}")]
    Value(&'static str),
    #[error("calibration of level {}+{}: {why}", level.template, level.probe)]
    Level { level: FusionLevel, why: &'static str },
}

impl Calibration {
    /// Reads and checks the text of a calibration file.
    pub fn parse(text: &str) -> Result<Self, InvalidCalibration> {
        let read: Self = toml::from_str(text).map_err(|e| InvalidCalibration::Syntax(e.to_string()))?;
        if !read.levels.iter().any(|model| model.level == FusionLevel::SINGLE) {
            return Err(InvalidCalibration::Value("there is no level of one photograph against one"));
        }
        if !(0.0..=1.0).contains(&read.sighting.expected_rider_max) || read.sighting.expected_rider_max == 0.0 {
            return Err(InvalidCalibration::Value("sighting.expected_rider_max must be above 0 and at most 1"));
        }
        if !(-1.0..=1.0).contains(&read.sighting.correlation) {
            return Err(InvalidCalibration::Value("sighting.correlation must be a correlation"));
        }
        // Embeddings have length 1 and people differ, so the mean of many lies well within.
        let centred = |centre: &Vec<f32>| centre.iter().map(|c| c * c).sum::<f32>() < 0.9;
        if !read.centre.as_ref().is_none_or(centred) {
            return Err(InvalidCalibration::Value(
                "centre must be a mean of unit vectors: finite and shorter than 0.95",
            ));
        }
        for model in &read.levels {
            model.check().map_err(|why| InvalidCalibration::Level { level: model.level, why })?;
        }
        Ok(read)
    }

    /// What scores of a comparison at this level say.
    ///
    /// Frames of one walk are less independent than the photographs that the levels were measured on, so nobody knows
    /// whether three of them count for three or for one: of all levels that the comparison reaches, the one counts
    /// that makes least of the score.
    pub fn at(&self, level: FusionLevel) -> Evidence<'_> {
        Evidence { models: self.levels.iter().filter(|model| level.reaches(model.level)).collect() }
    }

    /// What scores of a probe of so many frames say, for each sort of template that the levels tell apart. Whatever
    /// template it meets, one of these is [`Calibration::at`] their level.
    pub fn met_by(&self, probe: u32) -> Vec<Evidence<'_>> {
        let reached = self.levels.iter().map(|model| model.level).filter(|level| level.probe <= probe);
        let templates: BTreeSet<u32> = reached.map(|level| level.template).collect();
        templates.into_iter().map(|template| self.at(FusionLevel { template, probe })).collect()
    }
}

impl ScoreModel {
    fn check(&self) -> Result<(), &'static str> {
        let rising = |values: &[f64], least: f64| values.windows(2).all(|pair| pair[1] - pair[0] >= least);
        let columns = [&self.similarity, &self.ln_likelihood_ratio, &self.ln_impostor_share];
        if columns.iter().any(|column| column.len() < 2 || column.len() != self.similarity.len()) {
            return Err("similarity, ln_likelihood_ratio and ln_impostor_share must be of one length, at least 2");
        }
        if !columns.iter().all(|column| column.iter().all(|value| value.is_finite())) {
            return Err("every entry must be a finite number");
        }
        if !rising(&self.similarity, f64::EPSILON) {
            return Err("similarity must rise from entry to entry");
        }
        if !rising(&self.ln_likelihood_ratio, 0.0) {
            return Err("ln_likelihood_ratio must never fall: a better score is never worse evidence");
        }
        let falling: Vec<f64> = self.ln_impostor_share.iter().map(|share| -share).collect();
        if !rising(&falling, 0.0) || falling[0] < 0.0 {
            return Err("ln_impostor_share must be logarithms of shares and never rise");
        }
        if self.level.template == 0 || self.level.probe == 0 {
            return Err("a level counts from one photograph");
        }
        Ok(())
    }

    pub fn ln_likelihood_ratio(&self, similarity: Similarity) -> f64 {
        self.interpolate(&self.ln_likelihood_ratio, similarity)
    }

    pub fn ln_impostor_share(&self, similarity: Similarity) -> f64 {
        self.interpolate(&self.ln_impostor_share, similarity)
    }

    fn interpolate(&self, column: &[f64], similarity: Similarity) -> f64 {
        let s = f64::from(similarity.cosine());
        let above = self.similarity.partition_point(|known| *known <= s);
        let last = self.similarity.len() - 1;
        if above == 0 || above > last {
            return column[above.min(last)];
        }
        let (from, to) = (self.similarity[above - 1], self.similarity[above]);
        let (left, right) = (column[above - 1], column[above]);
        // Rounding must not carry the value beyond the next entry's.
        (left + (right - left) * (s - from) / (to - from)).clamp(left.min(right), left.max(right))
    }

    /// The lowest similarity with at least this much evidence; `None` if no score has so much.
    fn similarity_of(&self, ln_likelihood_ratio: f64) -> Option<f64> {
        let at = self.ln_likelihood_ratio.partition_point(|known| *known < ln_likelihood_ratio);
        let high = *self.ln_likelihood_ratio.get(at)?;
        let Some(below) = at.checked_sub(1) else { return Some(-1.0) };
        let low = self.ln_likelihood_ratio[below];
        let share = (ln_likelihood_ratio - low) / (high - low);
        Some(self.similarity[below] + share * (self.similarity[at] - self.similarity[below]))
    }
}

/// What scores say at the fusion level of one comparison: see [`Calibration::at`].
#[derive(Debug, Clone)]
pub struct Evidence<'a> {
    models: Vec<&'a ScoreModel>,
}

impl Evidence<'_> {
    /// ln(p(s | mated) / p(s | impostor)): monotone in s and bounded. Without any model, no score is evidence.
    pub fn ln_likelihood_ratio(&self, similarity: Similarity) -> f64 {
        let ratios = self.models.iter().map(|model| model.ln_likelihood_ratio(similarity));
        ratios.reduce(f64::min).unwrap_or(f64::NEG_INFINITY)
    }

    /// Share of impostor scores from `similarity` on.
    pub fn impostor_share(&self, similarity: Similarity) -> f64 {
        let shares = self.models.iter().map(|model| model.ln_impostor_share(similarity));
        shares.reduce(f64::max).map_or(1.0, f64::exp)
    }

    /// The lowest similarity with at least this much evidence; `None` if no score has so much.
    pub fn similarity_of(&self, ln_likelihood_ratio: f64) -> Option<Similarity> {
        let needed: Option<Vec<f64>> = self.models.iter().map(|m| m.similarity_of(ln_likelihood_ratio)).collect();
        // Rounded up, so that the float32 has the evidence too.
        #[expect(clippy::cast_possible_truncation, reason = "a cosine")]
        needed?.into_iter().reduce(f64::max).map(|s| Similarity::from_cosine((s as f32).next_up()))
    }
}
