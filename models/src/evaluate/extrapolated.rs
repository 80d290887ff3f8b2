//! What a city of three million would see: real mated scores against a threshold from the extrapolated impostor tail.

use facegate_domain::score::FusionLevel;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::acquire::Population;
use super::intervals::{Estimate, resample};
use super::levels::LevelScores;
use super::open_set::Level;
use super::tail::Tail;

const RIDERS: f64 = 3e6;
const STRANGERS: f64 = 0.9;
const FALSE_CHARGES_PER_PASSAGE: f64 = 1e-6;

/// FNIR at one false charge per million passages, three million riders, nine of ten passers strangers: extrapolated.
#[derive(Debug, Clone)]
pub struct Extrapolated {
    pub level: Level,
    pub fnir: Estimate,
    pub threshold: f64,
    pub scores: LevelScores,
}

impl Extrapolated {
    /// The threshold lets so small a share of single comparisons through that the city's together keep to the rate.
    /// The interval is of both: of the tail's fit and of the mated scores, people resampled in each.
    pub fn measure(population: &Population, level: Level) -> Option<Self> {
        let fusion = FusionLevel { template: level.enrolled as u32, probe: level.probed as u32 };
        let scores = LevelScores::measure(population, fusion)?;
        let share = FALSE_CHARGES_PER_PASSAGE / (STRANGERS * RIDERS);
        let threshold = |tail: &Tail| tail.score_of(share);
        // A photograph that gave no face is a rider who was not recognised.
        let lost = population.failures() as f64 / population.faces.len() as f64;
        let missed = |fnmr: f64| lost + (1.0 - lost) * fnmr;
        let mut rng = StdRng::seed_from_u64(9);
        let draws = scores
            .tail
            .replicates()
            .iter()
            .map(|tail| missed(scores.fnmr_of(threshold(tail), &resample(scores.mated.len(), &mut rng))));
        let interval = Estimate::of_draws(draws.collect());
        let from = threshold(&scores.tail.best);
        Some(Self { level, fnir: Estimate { value: missed(scores.fnmr(from)), ..interval }, threshold: from, scores })
    }
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;
    use crate::evaluate::acquire::NotAcquired;

    /// Two photographs each of people in random directions: of every other the same one, of the rest as alike as 0.8.
    fn people() -> Population {
        let mut rng = StdRng::seed_from_u64(12);
        let mut direction = |strength: f32| -> Vec<f32> {
            (0..16).map(|_| strength * (0..6).map(|_| rng.random::<f32>() - 0.5).sum::<f32>()).collect()
        };
        let person = |who| {
            let (own, noise) = (direction(1.0), if who % 2 == 0 { 0.0 } else { 0.5 });
            let mut photograph = || Some(own.iter().zip(direction(noise)).map(|(a, b)| a + b).collect());
            vec![photograph(), photograph()]
        };
        Population::made_up(&(0..80).map(person).collect::<Vec<_>>())
    }

    #[test]
    fn the_threshold_keeps_the_city_to_its_rate_and_lost_faces_are_misses() {
        let mut population = people();
        let far = Extrapolated::measure(&population, Level::SINGLE).unwrap();
        let false_charges = far.scores.tail.best.exceedance(far.threshold) * RIDERS * STRANGERS;
        assert!((false_charges / FALSE_CHARGES_PER_PASSAGE - 1.0).abs() < 1e-6, "{false_charges}");
        assert_eq!(far.fnir.value, far.scores.fnmr(far.threshold));
        // Of ten people one photograph in two gives no face.
        (0..10).for_each(|person| population.faces[2 * person] = Err(NotAcquired::NoFace));
        let lost = Extrapolated::measure(&population, Level::SINGLE).unwrap();
        let (share, missed) = (10.0 / 160.0, lost.scores.fnmr(lost.threshold));
        assert!(0.3 < missed && missed < 0.7, "{missed}");
        assert!((lost.fnir.value - (share + (1.0 - share) * missed)).abs() < 1e-9, "{}", lost.fnir);
        assert!(share <= lost.fnir.low && lost.fnir.low <= lost.fnir.high, "{}", lost.fnir);
    }
}
