//! Seeded synthetic riders: as like to each other, and to themselves, as the faces that were measured.
//!
//! *Realistic*: coordinates of unequal spread (the square roots of the eigenvalues that real embeddings have), which
//! gives strangers the measured similarity; a probe's similarity to its mate is drawn from the measured ones.
//! *Isotropic*: random directions, and probes at one cosine: nothing to go by, the worst case.

use anyhow::{Context, Result};
use clap::ValueEnum;
use facegate_domain::face::{Embedding, Template};
use facegate_domain::ids::{ModelId, RiderId, TemplateId};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde::Deserialize;

pub const DIMS: usize = 128;
pub const MODEL: &str = "sface-2021dec";
const MEASURED: &str = include_str!("../../calibration/sface-2021dec-scores.toml");

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Vectors {
    Realistic,
    Isotropic,
}

/// What was measured on real photographs; the file says how.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    #[expect(dead_code, reason = "for whoever reads the file")]
    provenance: String,
    /// Quantiles of the similarity, evenly spaced from the least to the greatest.
    pub mated: Vec<f32>,
    pub impostor: Vec<f32>,
    /// Eigenvalues of the embeddings' covariance, `[DIMS]`.
    eigenvalues: Vec<f32>,
}

/// All riders that may be enrolled, by number; each is made anew whenever he is asked for.
#[derive(Debug)]
pub struct Population {
    model: ModelId,
    seed: u64,
    vectors: Vectors,
    /// By coordinate.
    spread: Vec<f32>,
    pub measured: Measured,
}

impl Population {
    pub fn new(vectors: Vectors, seed: u64) -> Result<Self> {
        let measured: Measured = toml::from_str(MEASURED).context("the measured scores")?;
        let spread = match vectors {
            Vectors::Realistic => measured.eigenvalues.iter().map(|value| value.sqrt()).collect(),
            Vectors::Isotropic => vec![1.0; DIMS],
        };
        Ok(Self { model: ModelId::new(MODEL)?, seed, vectors, spread, measured })
    }

    /// The unit vector of rider `number`.
    pub fn face(&self, number: usize) -> Vec<f32> {
        unit(self.direction(&mut self.rng(number as u64)))
    }

    pub fn template(&self, number: usize) -> Result<Template> {
        let embedding = Embedding::normalise(self.model.clone(), self.face(number))?;
        Ok(Template { id: template_id(number), rider: rider_id(number), embedding, photographs: 1 })
    }

    /// A probe of rider `number` at this cosine to his template.
    pub fn probe(&self, number: usize, cosine: f32, seed: u64) -> Result<Embedding> {
        let face = self.face(number);
        let mut side = self.direction(&mut self.rng(seed ^ 0x7072_6f62_6500_0000));
        let along = dot(&side, &face);
        side.iter_mut().zip(&face).for_each(|(s, f)| *s -= along * f);
        let side = unit(side);
        let sideways = (1.0 - cosine * cosine).sqrt();
        let values = face.iter().zip(&side).map(|(f, s)| cosine * f + sideways * s).collect();
        Ok(Embedding::normalise(self.model.clone(), values)?)
    }

    /// A cosine of a probe and its mate: a measured one from `least` on, or that itself where faces are isotropic.
    pub fn mated_cosine(&self, least: f32, rng: &mut SmallRng) -> f32 {
        if self.vectors == Vectors::Isotropic {
            return least;
        }
        loop {
            let cosine = drawn(&self.measured.mated, rng);
            if cosine >= least {
                return cosine;
            }
        }
    }

    fn direction(&self, rng: &mut SmallRng) -> Vec<f32> {
        let mut values = Vec::with_capacity(DIMS);
        for spread in self.spread.as_chunks::<2>().0 {
            // Box–Muller.
            let radius = (-2.0 * rng.random::<f32>().max(f32::MIN_POSITIVE).ln()).sqrt();
            let (sin, cos) = (std::f32::consts::TAU * rng.random::<f32>()).sin_cos();
            values.extend([radius * cos * spread[0], radius * sin * spread[1]]);
        }
        values
    }

    fn rng(&self, number: u64) -> SmallRng {
        SmallRng::seed_from_u64(self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number)
    }
}

pub fn template_id(number: usize) -> TemplateId {
    TemplateId::from_bytes(id(number, 1))
}

pub fn rider_id(number: usize) -> RiderId {
    RiderId::from_bytes(id(number, 2))
}

/// Sixteen bytes that look random, as ids do, and tell the number.
fn id(number: usize, kind: u64) -> [u8; 16] {
    let mixed = SmallRng::seed_from_u64(number as u64 ^ kind << 56).random::<u64>();
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&(number as u64).to_le_bytes());
    bytes[8..].copy_from_slice(&mixed.to_le_bytes());
    bytes
}

/// The number in an id.
pub fn number_of(template: TemplateId) -> usize {
    let bytes = template.as_bytes();
    usize::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6], bytes[7]])
}

/// A value of the distribution with these quantiles.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a place in a short list")]
#[expect(clippy::cast_precision_loss, reason = "a place in a short list")]
fn drawn(quantiles: &[f32], rng: &mut SmallRng) -> f32 {
    let at = rng.random::<f32>() * (quantiles.len() - 1) as f32;
    let below = (at as usize).min(quantiles.len() - 2);
    quantiles[below] + (quantiles[below + 1] - quantiles[below]) * at.fract()
}

/// The Kolmogorov–Smirnov distance of a sample to the distribution with these quantiles.
#[expect(clippy::cast_precision_loss, reason = "counts")]
pub fn ks_distance(mut sample: Vec<f32>, quantiles: &[f32]) -> f64 {
    sample.sort_unstable_by(f32::total_cmp);
    let last = (quantiles.len() - 1) as f64;
    let distance = |(i, quantile): (usize, &f32)| {
        let share = sample.partition_point(|value| value <= quantile) as f64 / sample.len() as f64;
        (share - i as f64 / last).abs()
    };
    quantiles.iter().enumerate().map(distance).fold(0.0, f64::max)
}

pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn unit(mut values: Vec<f32>) -> Vec<f32> {
    let length = dot(&values, &values).sqrt();
    values.iter_mut().for_each(|value| *value /= length);
    values
}
