//! The acquired faces of a set as vectors that may be compared, and the scores of all their pairs.

use facegate_domain::face::Embedding;

use super::acquire::Population;
use super::intervals::{Estimate, bootstrap};
use super::open_set::fused;
use super::scores::{Distribution, Vectors, cosine, cross};

/// One vector per acquired photograph, centred where the calibration says so.
#[derive(Debug)]
pub struct Comparable {
    /// By photograph.
    embeddings: Vec<Option<Embedding>>,
    person: Vec<usize>,
    by_person: Vec<Vec<usize>>,
}

impl Comparable {
    pub fn of(population: &Population) -> Self {
        Self {
            embeddings: (0..population.faces.len()).map(|index| fused(population, &[index])).collect(),
            person: population.set.photographs.iter().map(|photograph| photograph.person).collect(),
            by_person: population.set.by_person(),
        }
    }

    /// Cosine of two photographs; `None` if one was not acquired.
    pub fn score(&self, a: usize, b: usize) -> Option<f32> {
        let (a, b) = (self.embeddings[a].as_ref()?, self.embeddings[b].as_ref()?);
        Some(cosine(a.values(), b.values()))
    }

    /// The scores of every pair of acquired photographs of the people who count: of one person, and of two.
    pub fn all_pairs(&self, counts: impl Fn(usize) -> bool) -> (Distribution, Distribution) {
        let (mut person, mut embeddings) = (Vec::new(), Vec::new());
        for (who, embedding) in self.person.iter().zip(&self.embeddings).filter(|(who, _)| counts(**who)) {
            if let Some(embedding) = embedding {
                person.push(*who);
                embeddings.push(embedding.values());
            }
        }
        let vectors = Vectors::of(embeddings);
        let mated = cross(&vectors, &vectors, 0, |a, b| a < b && person[a] == person[b]);
        let impostor = cross(&vectors, &vectors, 0, |a, b| a < b && person[a] != person[b]);
        (mated, impostor)
    }

    /// True acceptances over all mated pairs of the people who count at a threshold, a pair with a failure to acquire
    /// being none; the interval is the bootstrap's over people, since pairs of one person are not independent.
    pub fn tar_at(&self, threshold: f64, counts: impl Fn(usize) -> bool) -> Estimate {
        let count = |photographs: &Vec<usize>| {
            let (mut accepted, mut pairs) = (0.0, 0.0);
            for (i, a) in photographs.iter().enumerate() {
                for b in &photographs[i + 1..] {
                    pairs += 1.0;
                    if self.score(*a, *b).is_some_and(|score| f64::from(score) >= threshold) {
                        accepted += 1.0;
                    }
                }
            }
            (accepted, pairs)
        };
        let people = self.by_person.iter().enumerate().filter(|(person, _)| counts(*person));
        let counted: Vec<(f64, f64)> = people.map(|(_, own)| count(own)).filter(|(_, pairs)| *pairs > 0.0).collect();
        if counted.is_empty() {
            return Estimate { value: f64::NAN, low: 0.0, high: 1.0 };
        }
        bootstrap(counted.len(), 1000, 0, |times| {
            let weighed = counted.iter().zip(times).map(|((a, p), t)| (a * f64::from(*t), p * f64::from(*t)));
            let (accepted, pairs) = weighed.fold((0.0, 0.0), |sum, w| (sum.0 + w.0, sum.1 + w.1));
            accepted / pairs
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two people of two photographs and one of three, of which one failed; all acquired mated pairs score ½.
    fn population() -> Population {
        let mut population = Population::orthogonal(&[2, 2, 3]);
        population.faces[6] = Err(crate::evaluate::acquire::NotAcquired::NoFace);
        population
    }

    #[test]
    fn every_pair_of_acquired_photographs_is_scored_once() {
        let vectors = Comparable::of(&population());
        let (mated, impostor) = vectors.all_pairs(|_| true);
        assert_eq!((mated.count, impostor.count), (3, 12), "six photographs");
        assert!((mated.mean() - 0.5).abs() < 1e-6 && impostor.mean().abs() < 1e-6);
        let (mated, impostor) = vectors.all_pairs(|person| person != 1);
        assert_eq!((mated.count, impostor.count), (2, 4));
        assert!((vectors.score(0, 1).unwrap() - 0.5).abs() < 1e-6);
        assert_eq!((vectors.score(0, 6), vectors.score(6, 4)), (None, None));
    }

    #[test]
    fn a_failure_to_acquire_is_no_true_acceptance() {
        let vectors = Comparable::of(&population());
        // Of five mated pairs two are with the photograph that failed.
        let tar = vectors.tar_at(0.4, |_| true);
        assert!((tar.value - 0.6).abs() < 1e-9, "{tar}");
        assert!(tar.low < 0.6 && tar.high > 0.6 && tar.low >= 1.0 / 3.0 - 1e-9, "{tar}");
        assert_eq!(vectors.tar_at(0.6, |_| true).value, 0.0);
        assert_eq!(vectors.tar_at(0.4, |person| person < 2).value, 1.0);
        assert!(vectors.tar_at(0.4, |_| false).value.is_nan());
    }

    #[test]
    fn vectors_are_centred_as_the_gallery_does_it() {
        let (a, b) = (Some(vec![1.0, 0.2, 0.0]), Some(vec![1.0, 0.0, 0.2]));
        let mut population = Population::made_up(&[vec![a], vec![b]]);
        let score = |population: &Population| Comparable::of(population).score(0, 1).unwrap();
        assert!(score(&population) > 0.9);
        population.centre = Some(vec![0.98, 0.1, 0.1]);
        assert!(score(&population) < -0.9, "{}", score(&population));
    }
}
