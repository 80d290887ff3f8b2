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
