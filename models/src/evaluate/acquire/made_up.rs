//! People made of numbers, for tests of what is done with embeddings: no picture, no engine.

use facegate_domain::face::Embedding;
use facegate_domain::ids::ModelId;
use facegate_models::Quality;

use super::{Engines, Face, IdentitySet, NotAcquired, Population};

/// One vector per photograph, any length above 0; `None` is a failure to acquire.
pub type Vector = Option<Vec<f32>>;

impl Population {
    /// People by their photographs' vectors, all of equal quality.
    pub fn made_up(people: &[Vec<Vector>]) -> Self {
        let face = |vector: &Vector| {
            let values = vector.clone().ok_or(NotAcquired::NoFace)?;
            let embedding = Embedding::normalise(ModelId::new("made-up").unwrap(), values).unwrap();
            Ok(Face { embedding, quality: Quality::default() })
        };
        let counts: Vec<usize> = people.iter().map(Vec::len).collect();
        Self {
            set: IdentitySet::made_up(&counts),
            faces: people.iter().flatten().map(face).collect(),
            engines: Engines(Vec::new()),
            centre: None,
        }
    }

    /// People of so many photographs each, no two alike: a photograph is as near to every other of its person (cosine ½)
    /// as a vector of its own lets it be, and at right angles to everybody else's. What was compared with what can be
    /// read off the score: fused from m and n photographs that have none in common, √(m / (m + 1) · n / (n + 1)).
    pub fn orthogonal(photographs: &[usize]) -> Self {
        let dims = photographs.len() + photographs.iter().sum::<usize>();
        let mut own = photographs.len();
        let mut person = |who: usize, count: usize| {
            let mut one = || {
                let mut vector = vec![0.0; dims];
                (vector[who], vector[own]) = (1.0, 1.0);
                own += 1;
                Some(vector)
            };
            (0..count).map(|_| one()).collect::<Vec<Vector>>()
        };
        let people: Vec<Vec<Vector>> = photographs.iter().enumerate().map(|(who, count)| person(who, *count)).collect();
        Self::made_up(&people)
    }
}

/// The score of disjoint sets of `m` and `n` photographs of one person of [`Population::orthogonal`].
pub fn disjoint(m: usize, n: usize) -> f64 {
    let (m, n) = (m as f64, n as f64);
    (m / (m + 1.0) * n / (n + 1.0)).sqrt()
}
