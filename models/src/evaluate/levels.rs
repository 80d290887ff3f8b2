//! Mated and impostor scores of one fusion level: photographs fused into disjoint sets, every set against every other.

use facegate_domain::face::Embedding;
use facegate_domain::score::FusionLevel;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use super::acquire::Population;
use super::open_set::fused;
use super::scores::{Distribution, Pair, Vectors, cosine, cross};
use super::tail::{Exceedance, TailFit};

/// How many impostor scores the tail is fitted to, and the shares of all that these must lie between. The fitted shape
/// hardly changes from a hundredth to a thousandth, so the choice trades nothing but variance.
const EXCEEDANCES: f64 = 5000.0;
const TAIL_SHARES: [f64; 2] = [1e-3, 1e-2];
const TAIL_REPLICATES: usize = 200;

/// Sets of photographs of one size, none in two of them, each fused into one vector.
struct Sets {
    person: Vec<usize>,
    photographs: Vec<Vec<usize>>,
    vectors: Vectors,
}

impl Sets {
    fn of(population: &Population, size: usize) -> Self {
        let mut rng = StdRng::seed_from_u64(1);
        let (mut person, mut sets, mut embeddings) = (Vec::new(), Vec::new(), Vec::<Embedding>::new());
        for (who, mut photographs) in population.set.by_person().into_iter().enumerate() {
            photographs.retain(|index| population.face(*index).is_some());
            photographs.shuffle(&mut rng);
            for set in photographs.chunks_exact(size) {
                if let Some(embedding) = fused(population, set) {
                    person.push(who);
                    sets.push(set.to_vec());
                    embeddings.push(embedding);
                }
            }
        }
        Self { person, photographs: sets, vectors: Vectors::of(embeddings.iter().map(Embedding::values)) }
    }
}

/// What was measured at one level.
#[derive(Debug, Clone)]
pub struct LevelScores {
    pub level: FusionLevel,
    /// Scores by person; a person with many photographs counts no more than another where it matters.
    pub mated: Vec<Vec<f64>>,
    pub impostor: Distribution,
    pub tail: TailFit,
    /// The highest impostor scores, with the two people of each.
    pub highest: Vec<Exceedance>,
}

impl LevelScores {
    /// Scores templates of `level.template` photographs against probes of `level.probe`; `None` if the set has too few
    /// people with as many.
    #[expect(clippy::cast_precision_loss, reason = "pairs are far below 2^52")]
    pub fn measure(population: &Population, level: FusionLevel) -> Option<Self> {
        let (templates, probes) =
            (Sets::of(population, level.template as usize), Sets::of(population, level.probe as usize));
        let alike = level.template == level.probe;
        let other = |a: usize, b: usize| (!alike || a < b) && templates.person[a] != probes.person[b];
        let all = templates.vectors.len() as f64 * probes.vectors.len() as f64 / if alike { 2.0 } else { 1.0 };
        let share = (EXCEEDANCES / all).clamp(TAIL_SHARES[0], TAIL_SHARES[1]);
        let kept = (share * all).ceil() as usize + 1;
        let impostor = cross(&templates.vectors, &probes.vectors, kept, other);
        let mut mated = vec![Vec::new(); population.set.people.len()];
        for (a, person) in templates.person.iter().enumerate() {
            let first = probes.person.partition_point(|p| p < person);
            let own = probes.person[first..].iter().take_while(|p| *p == person).count();
            for b in (first..first + own).filter(|b| !alike || a < *b) {
                let apart = templates.photographs[a].iter().all(|index| !probes.photographs[b].contains(index));
                if apart {
                    mated[*person].push(f64::from(cosine(templates.vectors.get(a), probes.vectors.get(b))));
                }
            }
        }
        mated.retain(|scores| !scores.is_empty());
        if mated.len() < 2 || impostor.highest.len() < 100 {
            return None;
        }
        let people = |pair: &Pair| [templates.person[pair.a], probes.person[pair.b]];
        let exceed = |pair: &Pair| Exceedance { people: people(pair), score: f64::from(pair.cosine) };
        let highest: Vec<Exceedance> = impostor.highest.iter().map(exceed).collect();
        let from = impostor.threshold(share);
        let count = impostor.count as f64;
        let tail = TailFit::of(&highest, from, count, population.set.people.len(), TAIL_REPLICATES);
        Some(Self { level, mated, impostor, tail, highest })
    }

    pub fn mated_pairs(&self) -> usize {
        self.mated.iter().map(Vec::len).sum()
    }

    /// Share of mated comparisons below a threshold, each person counting once, drawn `times` each.
    pub fn fnmr_of(&self, threshold: f64, times: &[u32]) -> f64 {
        let (mut missed, mut people) = (0.0, 0.0);
        for (scores, times) in self.mated.iter().zip(times) {
            let below = scores.iter().filter(|score| **score < threshold).count();
            missed += f64::from(*times) * below as f64 / scores.len() as f64;
            people += f64::from(*times);
        }
        missed / people
    }

    pub fn fnmr(&self, threshold: f64) -> f64 {
        self.fnmr_of(threshold, &vec![1; self.mated.len()])
    }

    /// The mated score that a share of people's comparisons lies below.
    pub fn mated_quantile(&self, q: f64) -> f64 {
        let mut weighed: Vec<(f64, f64)> =
            self.mated.iter().flat_map(|scores| scores.iter().map(|s| (*s, 1.0 / scores.len() as f64))).collect();
        weighed.sort_by(|a, b| a.0.total_cmp(&b.0));
        let wanted = q * self.mated.len() as f64;
        let mut sum = 0.0;
        let at = weighed.iter().find(|(_, weight)| {
            sum += weight;
            sum >= wanted
        });
        at.or(weighed.last()).map_or(f64::NAN, |(score, _)| *score)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::acquire::made_up::disjoint;

    #[test]
    fn templates_and_probes_have_no_photograph_in_common() {
        let population = Population::orthogonal(&[5; 80]);
        for (template, probe) in [(1, 1), (1, 3), (3, 1), (2, 2)] {
            let scores = LevelScores::measure(&population, FusionLevel { template, probe }).unwrap();
            let expected = disjoint(template as usize, probe as usize);
            let mated = scores.mated.iter().flatten();
            assert!(mated.clone().all(|score| (score - expected).abs() < 1e-5), "{template}+{probe}");
            // Five photographs: ten pairs, two left over beside one set of three, one pair of two sets of two.
            let each = match (template, probe) {
                (1, 1) => 10,
                (2, 2) => 1,
                _ => 2,
            };
            assert!(scores.mated.len() == 80 && scores.mated_pairs() == 80 * each, "{template}+{probe}");
        }
        assert!(LevelScores::measure(&population, FusionLevel { template: 6, probe: 1 }).is_none());
    }

    #[test]
    fn a_person_of_many_photographs_counts_no_more_than_another() {
        let population = Population::orthogonal(&[2; 80]);
        let mut scores = LevelScores::measure(&population, FusionLevel::SINGLE).unwrap();
        scores.mated = vec![vec![0.1, 0.2, 0.3, 0.9], vec![0.8], vec![0.7]];
        assert!((scores.fnmr(0.5) - 0.25).abs() < 1e-9);
        assert!((scores.fnmr_of(0.5, &[2, 0, 1]) - 0.5).abs() < 1e-9);
        let at = |q| scores.mated_quantile(q);
        assert_eq!((at(0.0), at(0.25), at(0.3), at(0.5), at(1.0)), (0.1, 0.3, 0.7, 0.7, 0.9));
    }
}
