//! The far tail of impostor scores, extrapolated by extreme-value theory: peaks over a threshold.
//!
//! Beyond a high threshold u, exceedances follow a generalised Pareto distribution (Pickands 1975). Its free fit to a
//! few thousand exceedances puts the upper end point of face scores well below 1, and so promises false match rates of
//! exactly zero where nobody has looked. A cosine ends at 1, and nothing says that it ends earlier, so the end point is
//! fixed there: P(S > s) = p · ((1 − s) / (1 − u))^α, shape ξ = −1/α. For unit vectors in random directions this is the
//! exact form (α = (d − 1) / 2), and what remains to fit is one number, by maximum likelihood in closed form.

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::intervals::{quantile, resample};

/// A score above the threshold and the two people it is of.
#[derive(Debug, Clone, Copy)]
pub struct Exceedance {
    pub people: [usize; 2],
    pub score: f64,
}

/// A fitted tail.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tail {
    /// From here on the tail holds …
    pub from: f64,
    /// … with this share of all impostor scores above it.
    pub share: f64,
    pub alpha: f64,
}

impl Tail {
    /// Shape of the generalised Pareto distribution.
    pub fn index(&self) -> f64 {
        -1.0 / self.alpha
    }

    /// Share of impostor scores from `score` on.
    pub fn exceedance(&self, score: f64) -> f64 {
        self.share * ((1.0 - score.min(1.0)) / (1.0 - self.from)).powf(self.alpha)
    }

    /// Density of impostor scores per unit of cosine.
    pub fn density(&self, score: f64) -> f64 {
        self.alpha / (1.0 - score.min(1.0 - 1e-9)) * self.exceedance(score)
    }

    /// The score that this share of impostor scores exceeds.
    pub fn score_of(&self, share: f64) -> f64 {
        1.0 - (1.0 - self.from) * (share / self.share).powf(1.0 / self.alpha)
    }
}

/// Fits with each exceedance counted as often as its two people were drawn; `pairs` of all scores by the same count.
fn fit(exceedances: &[Exceedance], from: f64, pairs: f64, times: &[u32]) -> Tail {
    let (mut count, mut logs) = (0.0, 0.0);
    for exceedance in exceedances.iter().filter(|e| e.score >= from) {
        let [a, b] = exceedance.people.map(|person| f64::from(times[person]));
        count += a * b;
        logs += a * b * ((1.0 - from) / (1.0 - exceedance.score.min(1.0 - 1e-6))).ln();
    }
    Tail { from, share: count / pairs, alpha: count / logs.max(f64::MIN_POSITIVE) }
}

/// The tail of `pairs` scores whose highest are `exceedances`, with replicates of it over resampled people: pairs that
/// share a person are not independent, and a few lookalikes make most of a tail.
#[derive(Debug, Clone)]
pub struct TailFit {
    pub best: Tail,
    replicates: Vec<Tail>,
}

impl TailFit {
    pub fn of(exceedances: &[Exceedance], from: f64, pairs: f64, people: usize, replicates: usize) -> Self {
        let mut rng = StdRng::seed_from_u64(0);
        let draw = |_| fit(exceedances, from, pairs, &resample(people, &mut rng));
        let replicates = (0..replicates).map(draw).collect();
        Self { best: fit(exceedances, from, pairs, &vec![1; people]), replicates }
    }

    /// The `q`-quantile over replicates of what `figure` makes of a tail.
    pub fn quantile(&self, q: f64, figure: impl Fn(&Tail) -> f64) -> f64 {
        let mut figures: Vec<f64> = self.replicates.iter().map(figure).collect();
        figures.sort_by(f64::total_cmp);
        quantile(&figures, q)
    }

    /// The tails of the replicates, whose spread is how sure the fit is.
    pub fn replicates(&self) -> &[Tail] {
        &self.replicates
    }

    /// The tail that is as heavy as the upper end of the 95 % interval: of the share at its start and of its decline
    /// both, so that no extrapolation from it promises more than the data bear.
    pub fn upper(&self) -> Tail {
        Tail {
            from: self.best.from,
            share: self.quantile(0.975, |tail| tail.share),
            alpha: self.quantile(0.025, |tail| tail.alpha),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::Rng as _;

    use super::*;

    #[test]
    fn a_known_tail_is_found_again_and_its_upper_end_is_heavier() {
        let mut rng = StdRng::seed_from_u64(3);
        let (from, alpha) = (0.4, 25.0);
        let exceedances: Vec<Exceedance> = (0..4000)
            .map(|_| {
                let people = [rng.random_range(0..500), rng.random_range(0..500)];
                let score = 1.0 - (1.0 - from) * rng.random::<f64>().powf(1.0 / alpha);
                Exceedance { people, score }
            })
            .collect();
        let fitted = TailFit::of(&exceedances, from, 4e6, 500, 100);
        assert!((fitted.best.alpha - alpha).abs() < 1.0 && (fitted.best.share - 1e-3).abs() < 1e-9, "{fitted:?}");
        let upper = fitted.upper();
        assert!(upper.alpha < fitted.best.alpha && upper.share > fitted.best.share);
        assert!(upper.exceedance(0.7) > fitted.best.exceedance(0.7));
        assert!((upper.exceedance(upper.score_of(1e-9)) / 1e-9 - 1.0).abs() < 1e-6);
        assert!(fitted.best.exceedance(1.0) == 0.0 && fitted.best.index() < 0.0);
    }

    #[test]
    fn the_density_is_the_decline_of_the_exceedance() {
        let tail = Tail { from: 0.4, share: 1e-3, alpha: 25.0 };
        let step = 1e-6;
        let decline = (tail.exceedance(0.6) - tail.exceedance(0.6 + step)) / step;
        assert!((tail.density(0.6) / decline - 1.0).abs() < 1e-3);
    }

    #[test]
    fn a_person_drawn_twice_counts_twice_and_one_not_drawn_counts_not() {
        let exceedance = |people, score| Exceedance { people, score };
        let all = [exceedance([0, 1], 0.5), exceedance([0, 2], 0.7), exceedance([1, 2], 0.39)];
        let close = |a: Tail, b: Tail| (a.alpha - b.alpha).abs() < 1e-9 && (a.share - b.share).abs() < 1e-12;
        let plain = fit(&all, 0.4, 100.0, &[1; 3]);
        // Below the threshold the third is no exceedance; of two, α is 2 over the sum of their logarithms.
        let logs = (0.6_f64 / 0.5).ln() + (0.6_f64 / 0.3).ln();
        assert!(close(plain, Tail { from: 0.4, share: 0.02, alpha: 2.0 / logs }), "{plain:?}");
        let twice = fit(&[all[0], all[0], all[1]], 0.4, 100.0, &[1; 3]);
        assert!(close(fit(&all, 0.4, 100.0, &[1, 2, 1]), twice));
        assert!(close(fit(&all, 0.4, 100.0, &[1, 1, 0]), fit(&all[..1], 0.4, 100.0, &[1; 3])));
    }

    proptest! {
        #[test]
        fn a_rarer_score_is_a_higher_one_and_never_beyond_one(
            from in 0.1_f64..0.6, share in 1e-3_f64..1e-2, alpha in 5.0_f64..60.0, rarer in 1.0_f64..12.0
        ) {
            let tail = Tail { from, share, alpha };
            let wanted = share * 10f64.powf(-rarer);
            let score = tail.score_of(wanted);
            prop_assert!(from < score && score < 1.0 && score < tail.score_of(wanted / 2.0));
            prop_assert!((tail.exceedance(score) / wanted - 1.0).abs() < 1e-6);
            prop_assert!((tail.exceedance(from) / share - 1.0).abs() < 1e-9);
        }
    }
}
