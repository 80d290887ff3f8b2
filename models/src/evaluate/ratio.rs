//! From measured scores to the table of evidence that stations decide by.

use facegate_domain::score::ScoreModel;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::intervals::{quantile, resample};
use super::levels::LevelScores;

/// Distance of the table's entries, and of the bins that densities are counted in.
const STEP: f64 = 0.01;
const FROM: f64 = -0.2;
/// Width (standard deviation) of the kernel that the mated density is smoothed with: about a quarter of the scores' own.
const KERNEL: f64 = 0.02;
/// The table ends where this share of mated scores is reached: beyond, the mated density is a few pairs' word.
const MATED_SHARE_MAX: f64 = 0.99;
const REPLICATES: usize = 200;

/// The table of one level.
///
/// Conservative on both sides: the mated density is the lower end of its bootstrap interval over people; the impostor
/// density beyond the counted scores is the upper end of the extrapolated tail's; where the ratio of the two falls with
/// a rising score, the lower value counts from before on. So no score is taken for more evidence than the data bear. A
/// share of mated comparisons, never less than one person's, is held to look like impostors' (a wrong label, a face
/// turned away): evidence against a rider is bounded by it.
pub fn score_model(scores: &LevelScores) -> ScoreModel {
    let top = scores.mated_quantile(MATED_SHARE_MAX);
    let nodes = ((top - FROM) / STEP).floor() as usize + 1;
    let similarity: Vec<f64> = (0..nodes).map(|i| round(FROM + i as f64 * STEP)).collect();
    let tail = scores.tail.upper();
    let impostor = scores.impostor.density(FROM - STEP / 2.0, FROM - STEP / 2.0 + nodes as f64 * STEP, nodes);
    let odd = odd_share(scores);
    let mated = mated_density(scores, nodes);
    let mut ratio: Vec<f64> = (0..nodes)
        .map(|i| {
            let counted = impostor[i].1.max(f64::MIN_POSITIVE);
            // Beyond, single pairs make the count, and the highest of them are wrong labels.
            let strangers = if similarity[i] >= tail.from { tail.density(similarity[i]) } else { counted };
            ((1.0 - odd) * mated[i] / strangers + odd).ln()
        })
        .collect();
    for i in (0..nodes - 1).rev() {
        ratio[i] = ratio[i].min(ratio[i + 1]);
    }
    let share = |s: f64| {
        if s >= tail.from { tail.exceedance(s) } else { scores.impostor.share_from(s).max(tail.share) }
    };
    ScoreModel {
        level: scores.level,
        mated_pairs: scores.mated_pairs() as u64,
        impostor_pairs: scores.impostor.count,
        tail_index: round(tail.index()),
        extrapolated_from: round(tail.from),
        ln_impostor_share: similarity.iter().map(|s| round(share(*s).ln())).collect(),
        similarity,
        ln_likelihood_ratio: ratio.into_iter().map(round).collect(),
    }
}

/// Share of mated comparisons that look like impostors': below what all but 2.5 % of those reach.
fn odd_share(scores: &LevelScores) -> f64 {
    let ordinary = scores.impostor.threshold(0.025);
    scores.fnmr(ordinary).max(1.0 / scores.mated.len() as f64)
}

/// Kernel density of the mated scores at the table's entries, each person counting once: the 2.5th percentile over
/// resampled people.
fn mated_density(scores: &LevelScores, nodes: usize) -> Vec<f64> {
    let at = |i: usize| FROM + i as f64 * STEP;
    let of_person = |own: &Vec<f64>| -> Vec<f64> {
        let kernel = |i: usize, s: f64| (-0.5 * ((at(i) - s) / KERNEL).powi(2)).exp();
        let norm = own.len() as f64 * KERNEL * std::f64::consts::TAU.sqrt();
        (0..nodes).map(|i| own.iter().map(|s| kernel(i, *s)).sum::<f64>() / norm).collect()
    };
    let people: Vec<Vec<f64>> = scores.mated.iter().map(of_person).collect();
    let mut rng = StdRng::seed_from_u64(2);
    let draws: Vec<Vec<f64>> = (0..REPLICATES)
        .map(|_| {
            let times = resample(people.len(), &mut rng);
            let mut sum = vec![0.0; nodes];
            for (density, times) in people.iter().zip(times).filter(|(_, times)| *times > 0) {
                sum.iter_mut().zip(density).for_each(|(s, d)| *s += f64::from(times) * d / people.len() as f64);
            }
            sum
        })
        .collect();
    let lower = |i: usize| {
        let mut values: Vec<f64> = draws.iter().map(|draw| draw[i]).collect();
        values.sort_by(f64::total_cmp);
        quantile(&values, 0.025)
    };
    (0..nodes).map(lower).collect()
}

/// Four decimals: what is beyond them is noise, and files differ by less.
pub fn round(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

#[cfg(test)]
mod tests {
    use facegate_domain::score::{Calibration, FusionLevel, SightingModel};
    use rand::Rng;

    use super::*;
    use crate::evaluate::scores::{Distribution, Pair};
    use crate::evaluate::tail::{Exceedance, TailFit};

    const MATED: (f64, f64) = (0.6, 0.1);
    const SIGMA: f64 = 0.09;

    /// Scores drawn from two normal distributions, of which the ratio is known; `odd` people look like impostors.
    fn scores(people: usize, odd: usize) -> LevelScores {
        let mut rng = StdRng::seed_from_u64(21);
        let mut normal = || (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
        let mated = (0..people)
            .map(|who| {
                let mean = if who < odd { -0.1 } else { MATED.0 };
                (0..4).map(|_| mean + MATED.1 * normal()).collect()
            })
            .collect();
        let mut impostor = Distribution::new(400);
        let mut highest = Vec::new();
        for pair in 0..100_000 {
            let score = SIGMA * normal();
            impostor.add(Pair { a: pair, b: 0, cosine: score as f32 });
            highest.push(Exceedance { people: [pair % people, (pair / people) % people], score });
        }
        let from = impostor.threshold(3e-3);
        let tail = TailFit::of(&highest, from, 1e5, people, 50);
        LevelScores { level: FusionLevel::SINGLE, mated, impostor, tail, highest }
    }

    fn at(model: &ScoreModel, similarity: f64) -> f64 {
        let node = model.similarity.iter().position(|s| (s - similarity).abs() < 1e-9).unwrap();
        model.ln_likelihood_ratio[node]
    }

    #[test]
    fn the_table_is_near_the_known_ratio_on_the_careful_side() {
        let model = score_model(&scores(400, 0));
        let known = |s: f64| {
            let log = |mean: f64, sigma: f64| -0.5 * ((s - mean) / sigma).powi(2) - sigma.ln();
            log(MATED.0, MATED.1) - log(0.0, SIGMA)
        };
        for similarity in [0.3, 0.4, 0.5, 0.6] {
            let (ours, known) = (at(&model, similarity), known(similarity));
            assert!(ours < known + 0.3, "{similarity}: {ours} promises more than {known}");
        }
        // Where scores were counted, not extrapolated, it is near; the fitted tail is heavier than a normal one.
        let counted = 0.2;
        assert!((at(&model, counted) - known(counted)).abs() < 1.0, "{} {}", at(&model, counted), known(counted));
        assert!(at(&model, 0.6) > 5.0 && at(&model, -0.1) < -4.0);
    }

    #[test]
    fn the_table_is_a_calibration_that_stations_accept() {
        // A third of the people look like impostors, so that the plain ratio of the densities falls before it rises.
        let model = score_model(&scores(60, 20));
        assert!(model.extrapolated_from < 0.4 && model.tail_index < 0.0);
        assert_eq!((model.mated_pairs, model.impostor_pairs), (240, 100_000));
        let calibration = Calibration {
            model: facegate_domain::ids::ModelId::new("m").unwrap(),
            provenance: String::new(),
            provisional: false,
            centre: None,
            sighting: SightingModel { correlation: 0.5, expected_rider_max: 0.1 },
            levels: vec![model],
        };
        let read = Calibration::parse(&toml::to_string(&calibration).unwrap()).unwrap();
        assert_eq!(read, calibration);
    }

    #[test]
    fn wrong_labels_bound_what_a_low_score_says_against_a_rider() {
        let (clean, odd) = (scores(400, 0), scores(400, 40));
        // Never less than one person's share, and of one person in ten where so many look like strangers.
        assert!((odd_share(&clean) - 1.0 / 400.0).abs() < 1e-9);
        assert!((odd_share(&odd) - 0.1).abs() < 0.01, "{}", odd_share(&odd));
        let lowest = |scores: &LevelScores| score_model(scores).ln_likelihood_ratio[0];
        assert!(lowest(&odd) > 0.05_f64.ln() && lowest(&clean) < 0.01_f64.ln());
    }
}
