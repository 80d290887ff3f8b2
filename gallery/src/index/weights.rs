//! A probe as the scan needs it: whole-number weights of the sign bits.
//!
//! The first pass scores a template by Σ ±w over its sign bits, w being the probe's coordinates rounded so that no score
//! exceeds a byte. For a template of nobody the score is nearly normal, which says where to begin looking.

#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "sums are kept within 0..=255")]
#![allow(clippy::cast_precision_loss, reason = "sums of bytes")]

/// The largest score.
const SCORE_MAX: u32 = 255;

/// Weights of the sign bits, and how scores of strangers are distributed.
#[derive(Debug, Clone)]
pub struct Weights {
    /// By coordinate: what the score gains if the bit has the weight's sign. `[8 · code_bytes]`.
    weights: Vec<i16>,
    mean: f32,
    deviation: f32,
}

impl Weights {
    /// `rotated`: the probe's coordinates that the code covers.
    pub fn new(rotated: &[f32]) -> Self {
        let total: f32 = rotated.iter().map(|value| value.abs()).sum();
        let mut factor = SCORE_MAX as f32 / total.max(f32::MIN_POSITIVE);
        let weights = loop {
            let weights: Vec<i16> = rotated.iter().map(|value| (value * factor).round() as i16).collect();
            if weights.iter().map(|w| u32::from(w.unsigned_abs())).sum::<u32>() <= SCORE_MAX {
                break weights;
            }
            factor *= 0.995;
        };
        let sum = |of: fn(f32) -> f32| weights.iter().map(|w| of(f32::from(*w))).sum::<f32>();
        let (mean, deviation) = (sum(f32::abs) / 2.0, sum(|w| w * w).sqrt() / 2.0);
        Self { weights, mean, deviation }
    }

    /// What the bits of one part of the code add to the score: `bits` of them from coordinate `from` on, each set or not
    /// as in `pattern`.
    pub fn gain(&self, from: usize, bits: usize, pattern: usize) -> u8 {
        let gain = |(i, w): (usize, &i16)| {
            let set = pattern >> i & 1 == 1;
            if set == (*w > 0) { w.unsigned_abs() } else { 0 }
        };
        self.weights[from..from + bits].iter().enumerate().map(gain).sum::<u16>() as u8
    }

    /// The score that about `wanted` of `among` templates of nobody reach.
    pub fn threshold(&self, wanted: usize, among: usize) -> u8 {
        if wanted >= among {
            return 0;
        }
        let z = upper_quantile(wanted as f32 / among as f32);
        (self.mean + z * self.deviation).clamp(0.0, 255.0) as u8
    }
}

/// z with P(Z > z) = `share` for a standard normal Z, within 0.003: Abramowitz and Stegun 26.2.22.
fn upper_quantile(share: f32) -> f32 {
    if share > 0.5 {
        return -upper_quantile(1.0 - share);
    }
    let t = (-2.0 * share.max(1e-12).ln()).sqrt();
    t - (2.30753 + 0.27061 * t) / (1.0 + 0.99229 * t + 0.04481 * t * t)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_score_exceeds_a_byte_and_the_probes_own_signs_reach_the_most() {
        let probe: Vec<f32> = (0..128).map(|i| ((i * 37 % 101) as f32 - 50.0) / 600.0).collect();
        let weights = Weights::new(&probe);
        let own: u32 = (0..16)
            .map(|octet| {
                let signs = (0..8).fold(0, |bits, i| bits | usize::from(probe[8 * octet + i] > 0.0) << i);
                u32::from(weights.gain(8 * octet, 8, signs))
            })
            .sum();
        assert!((230..=255).contains(&own), "{own}");
    }

    #[test]
    fn the_threshold_rises_with_the_crowd() {
        assert!((upper_quantile(0.00135) - 3.0).abs() < 0.01 && (upper_quantile(0.5)).abs() < 0.01);
        let weights = Weights::new(&[0.09; 128]);
        assert_eq!(weights.threshold(100, 50), 0);
        assert!(weights.threshold(100, 3_000_000) > weights.threshold(100, 10_000));
    }
}
