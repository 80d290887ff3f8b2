//! Open-set 1:N in the terms of ISO/IEC 19795-1: how often an enrolled person is missed (FNIR) at the threshold where a
//! share of strangers (FPIR) would be taken for somebody, over many random galleries.
//!
//! The people of the set are dealt anew for each split: some are enrolled and searched for with other photographs of
//! theirs (mates), some are strangers who are searched for and not enrolled, and the gallery is filled up with others.
//! Where too few people have as many photographs as the fusion level asks for, those who fill up are enrolled with as
//! many as they have; this is reported with the figures.

use facegate_domain::face::Embedding;
use facegate_models::{Quality, fuse};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use serde::Serialize;

use super::acquire::Population;
use super::intervals::{Estimate, resample, wilson};
use super::scores::{Vectors, cosine};

/// How many photographs are fused into a template and into a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct Level {
    pub enrolled: usize,
    pub probed: usize,
}

impl Level {
    pub const SINGLE: Self = Self { enrolled: 1, probed: 1 };
    pub const ALL: [Self; 3] = [Self::SINGLE, Self { enrolled: 3, probed: 1 }, Self { enrolled: 3, probed: 3 }];

    pub fn photographs(self) -> usize {
        self.enrolled + self.probed
    }
}

impl std::fmt::Display for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if *self == Self::SINGLE { f.write_str("single") } else { write!(f, "{}+{}", self.enrolled, self.probed) }
    }
}

/// What one random gallery gave. A score is −∞ where nothing was acquired.
#[derive(Debug, Clone)]
pub struct Split {
    /// Per mate: the score against the own template, or −∞ if somebody else's was higher.
    pub mated: Vec<f32>,
    /// Per stranger: the highest score in the gallery.
    pub strangers: Vec<f32>,
    pub gallery: usize,
    /// Templates of fewer photographs than the level asks for.
    pub enrolled_with_fewer: usize,
}

/// Several photographs' faces as one, centred as the gallery does it; `None` if none was acquired.
pub fn fused(population: &Population, photographs: &[usize]) -> Option<Embedding> {
    let face = |index: &usize| population.face(*index).map(|face| (face.embedding.clone(), face.quality));
    let parts: Vec<(Embedding, Quality)> = photographs.iter().filter_map(face).collect();
    let fused = fuse(&parts).ok()?;
    population.centre.as_ref().map_or_else(|| Some(fused.clone()), |centre| fused.centred(centre).ok())
}

impl Split {
    /// Deals the people into a gallery of `n`, its mates and strangers; `None` if the set is too small for that.
    pub fn deal(population: &Population, level: Level, n: usize, seed: u64) -> Option<Self> {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut people = population.set.by_person();
        people.iter_mut().for_each(|photographs| photographs.shuffle(&mut rng));
        people.shuffle(&mut rng);
        let (mut may_mate, others): (Vec<_>, Vec<_>) =
            people.into_iter().partition(|photographs| photographs.len() >= level.photographs());
        // Half of those who could be mates are strangers too: the two groups must not differ in kind.
        let mates_max = (may_mate.len() / 2).min(n);
        let spare = may_mate.split_off(mates_max);
        // People with too few photographs for a probe fill up first, so that strangers do not run out.
        let (can_probe, cannot): (Vec<_>, Vec<_>) =
            spare.into_iter().chain(others).partition(|photographs| photographs.len() >= level.probed);
        let mut rest: Vec<Vec<usize>> = cannot.into_iter().chain(can_probe).collect();
        if rest.len() < n - mates_max {
            return None;
        }
        let strangers = rest.split_off(n - mates_max);
        let strangers: Vec<_> = strangers.iter().filter(|photographs| photographs.len() >= level.probed).collect();
        if strangers.is_empty() || may_mate.is_empty() {
            return None;
        }
        Some(Self::score(population, level, &may_mate, &rest, &strangers))
    }

    fn score(
        population: &Population,
        level: Level,
        mates: &[Vec<usize>],
        fill: &[Vec<usize>],
        strangers: &[&Vec<usize>],
    ) -> Self {
        let enrol = |photographs: &Vec<usize>| fused(population, &photographs[..level.enrolled.min(photographs.len())]);
        let templates: Vec<Option<Embedding>> = mates.iter().chain(fill).map(enrol).collect();
        let known: Vec<&[f32]> = templates.iter().flatten().map(Embedding::values).collect();
        let gallery = Vectors::of(known);
        let best = |probe: &Embedding| {
            (0..gallery.len()).map(|i| cosine(probe.values(), gallery.get(i))).fold(f32::NEG_INFINITY, f32::max)
        };
        let mated = mates.iter().zip(&templates).map(|(photographs, template)| {
            let probe = fused(population, &photographs[level.enrolled..level.photographs()]);
            match (probe, template) {
                (Some(probe), Some(own)) => {
                    let score = cosine(probe.values(), own.values());
                    // Found only if nobody else is nearer; the own template is part of the gallery.
                    if best(&probe) <= score { score } else { f32::NEG_INFINITY }
                }
                _ => f32::NEG_INFINITY,
            }
        });
        let stranger = |photographs: &&Vec<usize>| {
            fused(population, &photographs[..level.probed]).map_or(f32::NEG_INFINITY, |probe| best(&probe))
        };
        Self {
            mated: mated.collect(),
            strangers: strangers.iter().map(stranger).collect(),
            gallery: templates.len(),
            enrolled_with_fewer: fill.iter().filter(|photographs| photographs.len() < level.enrolled).count(),
        }
    }

    /// FNIR at the lowest threshold that at most the share `fpir` of strangers exceeds, with that threshold. Weights
    /// say how often each mate and stranger counts.
    pub fn fnir(&self, fpir: f64, mates: &[u32], strangers: &[u32]) -> (f64, f32) {
        let mut scored: Vec<(f32, u32)> = self.strangers.iter().copied().zip(strangers.iter().copied()).collect();
        scored.sort_by(|a, b| b.0.total_cmp(&a.0));
        let total: u32 = strangers.iter().sum();
        let allowed = fpir * f64::from(total);
        let mut exceeding = 0;
        let stopped = scored.iter().find(|(_, weight)| {
            exceeding += weight;
            f64::from(exceeding) > allowed
        });
        // Accepted is what lies above the first stranger who may not be.
        let threshold = stopped.map_or(-1.0, |(score, _)| *score);
        let missed: u32 =
            self.mated.iter().zip(mates).filter(|(score, _)| **score <= threshold).map(|(_, weight)| *weight).sum();
        (f64::from(missed) / f64::from(mates.iter().sum::<u32>()), threshold)
    }
}

/// FNIR at one FPIR and gallery size.
#[derive(Debug, Clone, Serialize)]
pub struct OpenSet {
    pub level: Level,
    pub n: usize,
    pub fpir: f64,
    /// Median over the splits; the interval is the bootstrap's over people within and over splits, its upper end never
    /// below Wilson's for one split.
    pub fnir: Estimate,
    pub threshold: f64,
    pub splits: usize,
    pub mates: usize,
    pub strangers: usize,
    pub enrolled_with_fewer: usize,
}

/// All splits of one level and gallery size.
pub fn deal_all(population: &Population, level: Level, n: usize, splits: u64) -> Vec<Split> {
    (0..splits).filter_map(|seed| Split::deal(population, level, n, seed)).collect()
}

/// The figure over dealt splits; `None` of none.
pub fn figure(dealt: &[Split], level: Level, fpir: f64, replicates: usize) -> Option<OpenSet> {
    let first = dealt.first()?;
    let ones = |scores: &[f32]| vec![1; scores.len()];
    let plain: Vec<(f64, f32)> = dealt.iter().map(|s| s.fnir(fpir, &ones(&s.mated), &ones(&s.strangers))).collect();
    let mut rng = StdRng::seed_from_u64(0);
    let mut draws = Vec::with_capacity(dealt.len() * replicates);
    for split in dealt {
        for _ in 0..replicates {
            let mates = resample(split.mated.len(), &mut rng);
            let strangers = resample(split.strangers.len(), &mut rng);
            draws.push(split.fnir(fpir, &mates, &strangers).0);
        }
    }
    let value = Estimate::of_draws(plain.iter().map(|p| p.0).collect()).value;
    let threshold = Estimate::of_draws(plain.iter().map(|p| f64::from(p.1)).collect()).value;
    // No resample of no misses has any: Wilson's upper end says what so few mates can show at most.
    let fewest = wilson((value * first.mated.len() as f64).round() as usize, first.mated.len());
    let drawn = Estimate::of_draws(draws);
    Some(OpenSet {
        level,
        n: first.gallery,
        fpir,
        fnir: Estimate { value, low: drawn.low, high: drawn.high.max(fewest.high) },
        threshold,
        splits: dealt.len(),
        mates: first.mated.len(),
        strangers: first.strangers.len(),
        enrolled_with_fewer: first.enrolled_with_fewer,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::evaluate::acquire::NotAcquired;
    use crate::evaluate::acquire::made_up::disjoint;

    fn split() -> Split {
        let strangers = (0..100u8).map(|i| f32::from(i) / 200.0).collect();
        Split { mated: vec![0.9, 0.6, 0.494, f32::NEG_INFINITY], strangers, gallery: 10, enrolled_with_fewer: 0 }
    }

    #[test]
    fn the_threshold_lets_the_allowed_share_of_strangers_through() {
        let split = split();
        let (fnir, threshold) = split.fnir(0.01, &[1; 4], &[1; 100]);
        // One of a hundred may exceed it: the second highest of 0.00, 0.005, …, 0.495 is the threshold.
        assert!((threshold - 0.49).abs() < 1e-6 && (fnir - 0.25).abs() < 1e-9, "{threshold} {fnir}");
        let (fnir, threshold) = split.fnir(0.0, &[1; 4], &[1; 100]);
        assert!((threshold - 0.495).abs() < 1e-6 && (fnir - 0.5).abs() < 1e-9, "{threshold} {fnir}");
        assert_eq!(split.fnir(0.01, &[0, 0, 0, 1], &[1; 100]).0, 1.0);
    }

    #[test]
    fn the_figure_is_a_median_within_its_interval() {
        let dealt = vec![split(); 5];
        let figure = figure(&dealt, Level::SINGLE, 0.01, 50).unwrap();
        assert_eq!((figure.fnir.value, figure.splits, figure.mates), (0.25, 5, 4));
        assert!(figure.fnir.low <= 0.25 && figure.fnir.high > 0.25);
        assert!(super::figure(&[], Level::SINGLE, 0.01, 50).is_none());
    }

    #[test]
    fn somebody_else_in_first_place_and_a_failure_to_acquire_are_misses() {
        // Two people so alike that each is nearest to the other.
        let (a, b) = (Some(vec![1.0, 0.0, 0.0]), Some(vec![0.8, 0.6, 0.0]));
        let mixed = [vec![a.clone(), b.clone()], vec![b.clone(), a.clone()]];
        let score = |people: &[Vec<Option<Vec<f32>>>; 2], level| {
            let mates = [vec![0, 1], vec![2, 3]];
            Split::score(&Population::made_up(people), level, &mates, &[], &[]).mated
        };
        assert_eq!(score(&mixed, Level::SINGLE), [f32::NEG_INFINITY; 2]);
        let apart = [vec![a.clone(), a.clone()], vec![b.clone(), b.clone()]];
        assert!(score(&apart, Level::SINGLE).iter().all(|score| (score - 1.0).abs() < 1e-6));
        let failing = [vec![a.clone(), None], vec![None, b]];
        assert_eq!(score(&failing, Level::SINGLE), [f32::NEG_INFINITY; 2]);
    }

    #[test]
    fn a_set_too_small_for_the_gallery_gives_no_split() {
        let population = Population::orthogonal(&[4, 4, 4, 1, 1]);
        assert!(Split::deal(&population, Level::SINGLE, 3, 0).is_some());
        assert!(Split::deal(&population, Level::SINGLE, 5, 0).is_none(), "nobody is left to be a stranger");
        assert!(Split::deal(&population, Level::ALL[2], 2, 0).is_none(), "nobody has six photographs");
        assert_eq!(deal_all(&population, Level::SINGLE, 3, 7).len(), 7);
    }

    proptest! {
        /// Everybody at right angles to everybody else: who was enrolled, and with what, shows in the scores.
        #[test]
        fn strangers_are_not_enrolled_and_mates_are_found_by_other_photographs(
            counts in prop::collection::vec(1usize..8, 8..30),
            level in prop::sample::select(Level::ALL.to_vec()),
            n in 2usize..12,
            seed in any::<u64>(),
            lost in any::<bool>(),
        ) {
            let mut population = Population::orthogonal(&counts);
            let whole = Split::deal(&population, level, n, seed);
            let Some(split) = whole else { return Ok(()) };
            let expected = disjoint(level.enrolled, level.probed) as f32;
            prop_assert!(split.mated.iter().all(|score| (score - expected).abs() < 1e-5), "{:?}", split.mated);
            prop_assert!(split.strangers.iter().all(|score| score.abs() < 1e-5), "{:?}", split.strangers);
            prop_assert_eq!(split.gallery, n);
            prop_assert!(split.mated.len() + split.enrolled_with_fewer <= n);
            prop_assert!(n + split.strangers.len() <= counts.len());
            if lost {
                population.faces.iter_mut().for_each(|face| *face = Err(NotAcquired::NoFace));
                let nothing = Split::deal(&population, level, n, seed).unwrap();
                prop_assert_eq!((nothing.mated.len(), nothing.gallery), (split.mated.len(), n), "failures are not dropped");
                prop_assert_eq!(nothing.fnir(0.01, &vec![1; nothing.mated.len()], &vec![1; nothing.strangers.len()]).0, 1.0);
            }
        }

        #[test]
        fn more_strangers_let_through_never_cost_a_mate(
            mated in prop::collection::vec(-1.0_f32..1.0, 1..20),
            strangers in prop::collection::vec(-1.0_f32..1.0, 1..40),
            a in 0.0_f64..1.0, b in 0.0_f64..1.0,
        ) {
            let (mates, all) = (vec![1; mated.len()], vec![1; strangers.len()]);
            let split = Split { mated, strangers, gallery: 1, enrolled_with_fewer: 0 };
            let (strict, threshold) = split.fnir(a.min(b), &mates, &all);
            prop_assert!(split.fnir(a.max(b), &mates, &all).0 <= strict);
            let through = split.strangers.iter().filter(|score| **score > threshold).count();
            prop_assert!(through as f64 <= a.min(b) * split.strangers.len() as f64);
        }
    }
}
