//! What degradations of real photographs cost: misses at a fixed threshold, faces not found, faces refused by quality.

use facegate_domain::Clock;
use facegate_models::QualityPolicy;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use serde::Serialize;

use super::acquire::{Face, NotAcquired, Population};
use super::degrade::Degradation;
use super::intervals::{Estimate, wilson};
use super::scores::cosine;

/// One row of the table.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    pub name: String,
    /// Degraded probes against an undegraded photograph of the same person.
    pub probes: usize,
    pub not_acquired: Estimate,
    /// Of the acquired, refused by the default quality policy: told "look at the screen" instead of being guessed at.
    pub refused: Estimate,
    /// Of all, missed at the threshold, failures to acquire included and refusals not.
    pub fnmr: Estimate,
    /// Of the acquired and not refused, missed: what remains after the refusals.
    pub fnmr_of_accepted: Estimate,
}

/// Degrades one photograph each of `people` persons with two, and compares it with the other at a threshold.
pub fn table(
    population: &Population,
    people: usize,
    threshold: f64,
    clock: &(dyn Clock + Sync),
) -> anyhow::Result<Vec<Row>> {
    let mut rng = StdRng::seed_from_u64(8);
    let mut pairs: Vec<[usize; 2]> = population
        .set
        .by_person()
        .into_iter()
        .filter_map(|mut own| {
            own.retain(|index| population.face(*index).is_some());
            own.shuffle(&mut rng);
            own.first_chunk::<2>().copied()
        })
        .collect();
    pairs.shuffle(&mut rng);
    pairs.truncate(people);
    let probes: Vec<usize> = pairs.iter().map(|[_, probe]| *probe).collect();
    let undegraded: Vec<_> = probes.iter().map(|index| population.faces[*index].clone()).collect();
    let mut rows = vec![row(population, "as they are".into(), &pairs, &undegraded, threshold)];
    for degradation in Degradation::ALL {
        let faces = population.engines.acquire_degraded(&population.set, &probes, degradation, clock)?;
        rows.push(row(population, degradation.name(), &pairs, &faces, threshold));
    }
    Ok(rows)
}

fn row(
    population: &Population,
    name: String,
    pairs: &[[usize; 2]],
    faces: &[Result<Face, NotAcquired>],
    threshold: f64,
) -> Row {
    let policy = QualityPolicy::default();
    let comparable = |face: &Face| match &population.centre {
        Some(centre) => face.embedding.centred(centre).ok(),
        None => Some(face.embedding.clone()),
    };
    let (mut not_acquired, mut refused, mut missed, mut missed_accepted) = (0, 0, 0, 0);
    for ([template, _], face) in pairs.iter().zip(faces) {
        let Ok(probe) = face else {
            not_acquired += 1;
            missed += 1;
            continue;
        };
        let template = population.face(*template).and_then(comparable);
        let score = comparable(probe).zip(template).map(|(p, t)| f64::from(cosine(p.values(), t.values())));
        let miss = usize::from(score.is_none_or(|score| score < threshold));
        missed += miss;
        if probe.quality.verdict(&policy).is_err() {
            refused += 1;
        } else {
            missed_accepted += miss;
        }
    }
    let acquired = pairs.len() - not_acquired;
    Row {
        name,
        probes: pairs.len(),
        not_acquired: wilson(not_acquired, pairs.len()),
        refused: wilson(refused, acquired),
        fnmr: wilson(missed, pairs.len()),
        fnmr_of_accepted: wilson(missed_accepted, acquired - refused),
    }
}

#[cfg(test)]
mod tests {
    use facegate_models::Quality;

    use super::*;

    #[test]
    fn a_lost_face_is_a_miss_and_a_refused_one_is_not_guessed_at() {
        let population = Population::orthogonal(&[2; 4]);
        let pairs = [[0, 1], [2, 3], [4, 5], [6, 7]];
        let mut faces: Vec<_> = pairs.iter().map(|[_, probe]| population.faces[*probe].clone()).collect();
        let told = |faces: &[Result<Face, NotAcquired>], threshold| {
            let row = row(&population, "as they are".into(), &pairs, faces, threshold);
            [row.not_acquired, row.refused, row.fnmr, row.fnmr_of_accepted].map(|share| share.value)
        };
        // One person's photographs score ½.
        assert_eq!(told(&faces, 0.4), [0.0, 0.0, 0.0, 0.0]);
        assert_eq!(told(&faces, 0.6), [0.0, 0.0, 1.0, 1.0]);
        faces[0] = Err(NotAcquired::NoFace);
        faces[1].as_mut().unwrap().quality = Quality { sharpness: 0.01, ..Quality::default() };
        let [lost, refused, missed, missed_of_accepted] = told(&faces, 0.4);
        assert!((refused - 1.0 / 3.0).abs() < 1e-9);
        assert_eq!((lost, missed, missed_of_accepted), (0.25, 0.25, 0.0));
        // Somebody else's face, acquired and good: a miss among the accepted.
        faces[2] = population.faces[0].clone();
        let [.., missed, missed_of_accepted] = told(&faces, 0.4);
        assert_eq!((missed, missed_of_accepted), (0.5, 0.5));
    }
}
