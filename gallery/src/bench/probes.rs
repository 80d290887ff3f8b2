//! The probes of one run, and what each should find.

use anyhow::Result;
use facegate_domain::face::Embedding;
use facegate_domain::ids::ModelId;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::population::{MODEL, Population, dot};

/// Pairs of riders whose similarity is compared with the measured ones.
const PAIRS: usize = 100_000;

/// One probe and its rider's number.
#[derive(Debug)]
pub struct Probe {
    pub mate: usize,
    pub embedding: Embedding,
}

/// Mated probes: those at .65 or more first, then those at .5 or more.
#[derive(Debug)]
pub struct Probes {
    pub strict: Vec<Probe>,
    pub loose: Vec<Probe>,
    seed: u64,
    n: usize,
}

impl Probes {
    /// `count` of those at .5, ten times as many of the others, of riders below `n`.
    pub fn make(population: &Population, n: usize, count: usize, seed: u64) -> Result<Self> {
        let mut rng = SmallRng::seed_from_u64(seed ^ 0x7072_6f62_6573);
        let mut make = |count, least| {
            let probe = |_| {
                let (mate, cosine) = (rng.random_range(0..n), population.mated_cosine(least, &mut rng));
                Ok(Probe { mate, embedding: population.probe(mate, cosine, rng.random())? })
            };
            (0..count).map(probe).collect::<Result<Vec<_>>>()
        };
        Ok(Self { strict: make(10 * count, 0.65)?, loose: make(count, 0.5)?, seed, n })
    }

    #[expect(clippy::unused_self, reason = "the model is that of all probes")]
    pub fn model(&self) -> ModelId {
        ModelId::new(MODEL).expect("the name of a model that ships")
    }

    pub fn all(&self) -> impl Iterator<Item = &Probe> {
        self.strict.iter().chain(&self.loose)
    }

    /// Similarities of different riders' templates.
    pub fn impostor_scores(&self, population: &Population) -> Vec<f32> {
        let mut rng = SmallRng::seed_from_u64(self.seed ^ 1);
        let faces: Vec<_> = (0..PAIRS / 100).map(|_| population.face(rng.random_range(0..self.n))).collect();
        let others: Vec<_> = (0..100).map(|_| population.face(rng.random_range(0..self.n))).collect();
        let scores = faces.iter().flat_map(|a| others.iter().map(move |b| dot(a, b)));
        scores.filter(|score| *score < 0.999).collect()
    }

    /// Similarities of probes to their mates, as they are made where no least one is asked for.
    pub fn mated_scores(&self, population: &Population) -> Result<Vec<f32>> {
        let mut rng = SmallRng::seed_from_u64(self.seed ^ 2);
        let score = |_| {
            let mate = rng.random_range(0..self.n);
            let probe = population.probe(mate, population.mated_cosine(-1.0, &mut rng), rng.random())?;
            Ok(dot(probe.values(), &population.face(mate)))
        };
        (0..PAIRS / 10).map(score).collect()
    }
}
