//! Centring by the impostor mean: what all faces have in common is subtracted, if that helps people it was not fitted to.

use facegate_domain::face::Embedding;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use super::acquire::Population;
use super::scores::{Vectors, cosine, cross};

/// The false match rates at which misses are compared.
pub const FMRS: [f64; 3] = [1e-3, 1e-4, 1e-5];
/// A gain worth an operation more per template: a tenth fewer misses, over all rates and both halves together.
const RATIO_MAX: f64 = 0.9;

/// Mean embedding, each person counting once however many photographs there are.
pub fn centre(population: &Population, people: &[usize]) -> Vec<f32> {
    let photographs = population.set.by_person();
    let mut sum: Vec<f64> = Vec::new();
    let mut counted = 0.0;
    for person in people {
        let own: Vec<&Embedding> =
            photographs[*person].iter().filter_map(|i| population.face(*i)).map(|face| &face.embedding).collect();
        for embedding in &own {
            sum.resize(embedding.dims(), 0.0);
            let share = 1.0 / own.len() as f64;
            sum.iter_mut().zip(embedding.values()).for_each(|(s, v)| *s += share * f64::from(*v));
        }
        counted += if own.is_empty() { 0.0 } else { 1.0 };
    }
    // Five decimals keep a calibration file short and move no cosine by more than 1e-5.
    sum.iter().map(|s| ((s / counted * 1e5).round() / 1e5) as f32).collect()
}

/// Misses (FNMR, each person counting once) before and after, on people whom the centre was not fitted to.
#[derive(Debug, Clone)]
pub struct Gain {
    /// Per half of the people and per rate of `FMRS`: before, after.
    pub halves: Vec<[(f64, f64); 3]>,
}

impl Gain {
    /// Fits on one half of the people and tests on the other, both ways round.
    pub fn measure(population: &Population) -> Self {
        let mut people: Vec<usize> = (0..population.set.people.len()).collect();
        people.shuffle(&mut StdRng::seed_from_u64(4));
        let (a, b) = people.split_at(people.len() / 2);
        let half = |fitted: &[usize], tested: &[usize]| {
            let centre = centre(population, fitted);
            let (before, after) = (misses(population, tested, None), misses(population, tested, Some(&centre)));
            std::array::from_fn(|i| (before[i], after[i]))
        };
        Self { halves: vec![half(a, b), half(b, a)] }
    }

    /// Misses after as a share of those before, all rates and halves together (geometric mean).
    pub fn ratio(&self) -> f64 {
        let logs: Vec<f64> = self.halves.iter().flatten().map(|(before, after)| (after / before).ln()).collect();
        (logs.iter().sum::<f64>() / logs.len() as f64).exp()
    }

    pub fn is_worth_it(&self) -> bool {
        self.ratio() <= RATIO_MAX
    }
}

fn misses(population: &Population, people: &[usize], centre: Option<&Vec<f32>>) -> [f64; 3] {
    let photographs = population.set.by_person();
    let (mut person, mut embeddings) = (Vec::new(), Vec::new());
    for who in people {
        for face in photographs[*who].iter().filter_map(|i| population.face(*i)) {
            let centred = centre.map_or_else(|| Ok(face.embedding.clone()), |centre| face.embedding.centred(centre));
            if let Ok(embedding) = centred {
                person.push(*who);
                embeddings.push(embedding);
            }
        }
    }
    let vectors = Vectors::of(embeddings.iter().map(Embedding::values));
    let impostor = cross(&vectors, &vectors, 0, |a, b| a < b && person[a] != person[b]);
    FMRS.map(|fmr| {
        let threshold = impostor.threshold(fmr);
        let (mut missed, mut counted) = (0.0, 0.0);
        for run in person.chunk_by(|a, b| a == b).scan(0, |first, run| {
            *first += run.len();
            Some(*first - run.len()..*first)
        }) {
            let pairs = run.clone().flat_map(|a| (a + 1..run.end).map(move |b| (a, b)));
            let scores: Vec<f64> = pairs.map(|(a, b)| f64::from(cosine(vectors.get(a), vectors.get(b)))).collect();
            if !scores.is_empty() {
                missed += scores.iter().filter(|s| **s < threshold).count() as f64 / scores.len() as f64;
                counted += 1.0;
            }
        }
        missed / counted
    })
}
