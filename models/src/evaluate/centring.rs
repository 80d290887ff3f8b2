//! Centring by the impostor mean: what all faces have in common is subtracted, if that helps people it was not fitted to.

use facegate_domain::face::Embedding;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use super::acquire::Population;
use super::scores::{Vectors, cosine, cross};

/// The false match rates at which misses are compared.
pub const FMRS: [f64; 3] = [1e-3, 1e-4, 1e-5];
/// Misses below this are counted as this: a set of thousands of people shows no fewer, and a rate that fell to none must
/// not outweigh all others.
const MISSES_MIN: f64 = 1e-4;
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
        let log = |(before, after): &(f64, f64)| (after.max(MISSES_MIN) / before.max(MISSES_MIN)).ln();
        let logs: Vec<f64> = self.halves.iter().flatten().map(log).collect();
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

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;

    #[test]
    fn each_person_counts_once_in_the_centre_and_failures_do_not() {
        let (x, y) = (Some(vec![1.0, 0.0]), Some(vec![0.0, 1.0]));
        let population =
            Population::made_up(&[vec![x.clone(), x.clone(), x.clone()], vec![y, None], vec![None], vec![x]]);
        assert_eq!(centre(&population, &[0, 1, 2]), [0.5, 0.5]);
        assert_eq!(centre(&population, &[0, 1, 3]), [0.66667, 0.33333], "rounded to five decimals");
        assert_eq!(centre(&population, &[1]), [0.0, 1.0]);
    }

    #[test]
    fn misses_are_counted_by_person_at_the_rate_that_impostors_set() {
        // Everybody's photographs are alike but for one person, of whose three pairs two are missed.
        let mut people: Vec<Vec<_>> = (0..10)
            .map(|who| {
                let mut vector = vec![0.0; 12];
                vector[who] = 1.0;
                vec![Some(vector); 2]
            })
            .collect();
        let mut elsewhere = vec![0.0; 12];
        elsewhere[11] = 1.0;
        let alike = people[0][0].clone();
        people[0] = vec![alike.clone(), alike, Some(elsewhere)];
        let population = Population::made_up(&people);
        let everybody: Vec<usize> = (0..10).collect();
        for missed in misses(&population, &everybody, None) {
            assert!((missed - 2.0 / 3.0 / 10.0).abs() < 1e-9, "{missed}");
        }
    }

    /// Photographs that have `shared` in common, more or less of it by chance, beside what is the person's and what is
    /// the photograph's.
    fn people(shared: f32) -> Population {
        let mut rng = StdRng::seed_from_u64(11);
        let mut noise =
            |strength: f32| -> Vec<f32> { (0..24).map(|_| strength * (rng.random::<f32>() - 0.5)).collect() };
        let person = |_| {
            let own = noise(1.0);
            let mut photograph = || {
                let (by_chance, extent) = (noise(0.8), 0.5 + noise(1.0)[0]);
                let mut vector: Vec<f32> = own.iter().zip(by_chance).map(|(a, b)| a + b).collect();
                vector[0] += shared * extent;
                Some(vector)
            };
            (0..4).map(|_| photograph()).collect()
        };
        Population::made_up(&(0..120).map(person).collect::<Vec<_>>())
    }

    #[test]
    fn centring_is_worth_it_where_faces_have_much_in_common_and_not_where_they_have_nothing() {
        let (much, nothing) = (Gain::measure(&people(4.0)), Gain::measure(&people(0.0)));
        assert!(much.is_worth_it(), "{much:?}");
        assert!(!nothing.is_worth_it() && (nothing.ratio() - 1.0).abs() < 0.1, "{nothing:?}");
    }

    #[test]
    fn the_ratio_is_the_geometric_mean_and_one_rate_without_misses_does_not_decide_it() {
        let gain = |half: [(f64, f64); 3]| Gain { halves: vec![half, half] };
        let halved = gain([(0.2, 0.1), (0.4, 0.2), (0.8, 0.4)]);
        assert!((halved.ratio() - 0.5).abs() < 1e-9 && halved.is_worth_it());
        assert!((gain([(0.0, 0.0); 3]).ratio() - 1.0).abs() < 1e-9);
        assert!(!gain([(0.001, 0.0), (0.1, 0.3), (0.2, 0.6)]).is_worth_it());
    }
}
