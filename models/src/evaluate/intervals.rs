//! How sure a figure is: Wilson's interval for a share, percentiles, and the bootstrap over people or sources.

use std::fmt;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::Serialize;

/// Standard normal quantile of 97.5 %: all intervals are of 95 %.
const Z: f64 = 1.959_964;

/// A figure with its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    pub value: f64,
    pub low: f64,
    pub high: f64,
}

impl Estimate {
    /// Median with the 2.5th and 97.5th percentile of what was drawn; what is no number is left out.
    pub fn of_draws(mut draws: Vec<f64>) -> Self {
        draws.retain(|d| !d.is_nan());
        draws.sort_by(f64::total_cmp);
        let at = |q| quantile(&draws, q);
        Self { value: at(0.5), low: at(0.025), high: at(0.975) }
    }
}

/// As a percentage, for tables.
impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} % [{:.2}, {:.2}]", 100.0 * self.value, 100.0 * self.low, 100.0 * self.high)
    }
}

/// Share of `hits` among `trials` with the score interval of Wilson (1927), which stays sensible at none and at all.
/// Trials must be independent: for several trials of one person use [`bootstrap`].
#[expect(clippy::cast_precision_loss, reason = "trials are far below 2^52")]
pub fn wilson(hits: usize, trials: usize) -> Estimate {
    if trials == 0 {
        return Estimate { value: f64::NAN, low: 0.0, high: 1.0 };
    }
    let (n, p) = (trials as f64, hits as f64 / trials as f64);
    let centre = (p + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let half = Z / (1.0 + Z * Z / n) * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
    // At none and at all an end is the share itself, from which rounding must not part it.
    Estimate { value: p, low: (centre - half).clamp(0.0, p), high: (centre + half).clamp(p, 1.0) }
}

/// The `q`-quantile of ascending values, between neighbours by their distance; NaN of none.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
pub fn quantile(ascending: &[f64], q: f64) -> f64 {
    let Some(last) = ascending.len().checked_sub(1) else { return f64::NAN };
    let at = q.clamp(0.0, 1.0) * last as f64;
    let (low, share) = (at.floor() as usize, at.fract());
    // Scores may be −∞ (nothing was acquired), of which no difference can be taken.
    if share == 0.0 { ascending[low] } else { ascending[low] * (1.0 - share) + ascending[low + 1] * share }
}

/// The figure of `statistic` over `units` clusters (people, sources) with its percentile bootstrap interval: each
/// replicate draws as many clusters with replacement and passes how often each was drawn (Efron 1979).
pub fn bootstrap(units: usize, replicates: usize, seed: u64, statistic: impl Fn(&[u32]) -> f64) -> Estimate {
    let mut rng = StdRng::seed_from_u64(seed);
    let draws = (0..replicates).map(|_| statistic(&resample(units, &mut rng))).collect();
    Estimate { value: statistic(&vec![1; units]), ..Estimate::of_draws(draws) }
}

/// How often each of `units` clusters comes when as many are drawn with replacement.
pub fn resample(units: usize, rng: &mut StdRng) -> Vec<u32> {
    let mut times = vec![0; units];
    for _ in 0..units {
        times[rng.random_range(0..units)] += 1;
    }
    times
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn wilsons_interval_is_the_published_one() {
        // Newcombe (1998), table I: 15 of 148, and none of 20.
        let e = wilson(15, 148);
        assert!((e.low - 0.0624).abs() < 1e-4 && (e.high - 0.1605).abs() < 1e-4, "{e:?}");
        let none = wilson(0, 20);
        assert!(none.low.abs() < 1e-9 && (none.high - 0.1611).abs() < 1e-4, "{none:?}");
        assert!(wilson(0, 0).value.is_nan());
    }

    #[test]
    fn quantiles_lie_between_neighbours() {
        let v = [f64::NEG_INFINITY, 1.0, 2.0];
        assert_eq!((quantile(&v, 0.0), quantile(&v, 0.75), quantile(&v, 1.0)), (f64::NEG_INFINITY, 1.5, 2.0));
        assert!(quantile(&[], 0.5).is_nan());
    }

    #[test]
    fn the_bootstrap_of_a_mean_agrees_with_theory() {
        let values: Vec<f64> = (0..400).map(|i| f64::from(i % 2)).collect();
        let mean = |times: &[u32]| {
            let sum: f64 = values.iter().zip(times).map(|(v, t)| v * f64::from(*t)).sum();
            sum / times.iter().sum::<u32>() as f64
        };
        let e = bootstrap(400, 2000, 1, mean);
        // A mean of 400 coins: 0.5 ± 1.96 · 0.025.
        assert!(
            (e.value - 0.5).abs() < 1e-9 && (e.low - 0.451).abs() < 0.006 && (e.high - 0.549).abs() < 0.006,
            "{e:?}"
        );
        assert_eq!(e, bootstrap(400, 2000, 1, mean));
    }

    #[test]
    fn what_is_no_number_is_no_draw() {
        let drawn = Estimate::of_draws(vec![f64::NAN, 3.0, 1.0, f64::NAN, 2.0]);
        assert_eq!(drawn.value, 2.0);
        assert!((drawn.low - 1.05).abs() < 1e-9 && (drawn.high - 2.95).abs() < 1e-9, "{drawn:?}");
        assert!(Estimate::of_draws(vec![f64::NAN]).value.is_nan());
        assert_eq!(Estimate { value: 0.0123, low: 0.0, high: 0.5 }.to_string(), "1.23 % [0.00, 50.00]");
    }

    proptest! {
        #[test]
        fn wilsons_interval_holds_the_share_and_narrows_with_more_trials(trials in 1usize..500, part in 0.0_f64..=1.0) {
            let hits = (part * trials as f64).round() as usize;
            let (few, many) = (wilson(hits, trials), wilson(4 * hits, 4 * trials));
            prop_assert!(0.0 <= few.low && few.low <= few.value && few.value <= few.high && few.high <= 1.0);
            prop_assert!(many.high - many.low < few.high - few.low);
            let turned = wilson(trials - hits, trials);
            prop_assert!((turned.low - (1.0 - few.high)).abs() < 1e-9, "misses and hits are one interval seen from two ends");
        }

        #[test]
        fn quantiles_rise_and_stay_between_the_ends(
            mut values in prop::collection::vec(-5.0_f64..5.0, 1..40), a in 0.0_f64..=1.0, b in 0.0_f64..=1.0
        ) {
            values.sort_by(f64::total_cmp);
            let (low, high) = (quantile(&values, a.min(b)), quantile(&values, a.max(b)));
            prop_assert!(values[0] - 1e-9 <= low && low <= high + 1e-9 && high <= values[values.len() - 1] + 1e-9);
        }

        #[test]
        fn as_many_clusters_are_drawn_as_there_are(units in 1usize..200, seed in any::<u64>()) {
            let times = resample(units, &mut StdRng::seed_from_u64(seed));
            prop_assert_eq!((times.len(), times.iter().sum::<u32>() as usize), (units, units));
        }
    }
}
