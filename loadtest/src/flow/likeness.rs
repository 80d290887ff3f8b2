//! Riders who are made up, as like to each other and to real faces as real faces are: normal deviates with the mean and
//! the covariance of real embeddings, so that a stranger's lookalike is among millions as often as in life.

use anyhow::{Result, ensure};
use facegate_domain::face::{Embedding, Template};
use facegate_domain::ids::{ModelId, RiderId, TemplateId};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

/// What must be added to the covariance's diagonal so that it has a root also where few faces were measured.
const RIDGE: f32 = 1e-4;

/// Mean, and the lower triangular root of the covariance, of real embeddings.
#[derive(Debug)]
pub struct Likeness {
    model: ModelId,
    mean: Vec<f32>,
    /// By rows; row `i` has `i + 1` numbers.
    root: Vec<Vec<f32>>,
}

impl Likeness {
    pub fn of(faces: &[Embedding]) -> Result<Self> {
        ensure!(faces.len() > 1, "two faces at least are needed to tell how unlike faces are");
        let dims = faces[0].values().len();
        #[expect(clippy::cast_precision_loss, reason = "a count of photographs")]
        let count = faces.len() as f32;
        let mut mean = vec![0.0; dims];
        for face in faces {
            mean.iter_mut().zip(face.values()).for_each(|(sum, value)| *sum += value / count);
        }
        let mut covariance = vec![vec![0.0; dims]; dims];
        for face in faces {
            let off: Vec<f32> = face.values().iter().zip(&mean).map(|(value, mean)| value - mean).collect();
            for (row, a) in covariance.iter_mut().zip(&off) {
                row.iter_mut().zip(&off).for_each(|(sum, b)| *sum += a * b / count);
            }
        }
        Ok(Self { model: faces[0].model().clone(), mean, root: root(&covariance) })
    }

    /// Rider `number`.
    pub fn template(&self, number: u64) -> Result<Template> {
        let mut random = SmallRng::seed_from_u64(number ^ 0x6c69_6b65);
        let deviates: Vec<f32> = (0..self.mean.len().div_ceil(2)).flat_map(|_| normal_pair(&mut random)).collect();
        let values = self.mean.iter().zip(&self.root).map(|(mean, row)| mean + dot(row, &deviates)).collect();
        let embedding = Embedding::normalise(self.model.clone(), values)?;
        let (id, rider) = (TemplateId::from_bytes(random.random()), RiderId::from_bytes(random.random()));
        Ok(Template { id, rider, embedding, photographs: 3 })
    }
}

/// Cholesky's.
fn root(covariance: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let mut rows: Vec<Vec<f32>> = Vec::with_capacity(covariance.len());
    for (i, wanted) in covariance.iter().enumerate() {
        let mut row = Vec::with_capacity(i + 1);
        for (above, wanted) in rows.iter().zip(wanted) {
            let diagonal = above[row.len()];
            row.push((wanted - dot(&above[..row.len()], &row)) / diagonal);
        }
        let left = wanted[i] + RIDGE - dot(&row, &row);
        row.push(left.max(RIDGE).sqrt());
        rows.push(row);
    }
    rows
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Box–Muller.
fn normal_pair(random: &mut SmallRng) -> [f32; 2] {
    let radius = (-2.0 * random.random::<f32>().max(f32::MIN_POSITIVE).ln()).sqrt();
    let (sin, cos) = (std::f32::consts::TAU * random.random::<f32>()).sin_cos();
    [radius * cos, radius * sin]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_made_up_is_as_like_to_others_as_those_measured_are() {
        let model = ModelId::new("m").unwrap();
        let mut random = SmallRng::seed_from_u64(1);
        // Faces that share a direction, and vary most along the first coordinate.
        let mut face = || {
            let [a, b] = normal_pair(&mut random);
            let [c, d] = normal_pair(&mut random);
            Embedding::normalise(model.clone(), vec![1.0 + a, 0.3 * b, 0.3 * c, 1.0 + 0.3 * d]).unwrap()
        };
        let real: Vec<Embedding> = (0..2000).map(|_| face()).collect();
        let likeness = Likeness::of(&real).unwrap();
        let made_up: Vec<Embedding> = (0..2000).map(|n| likeness.template(n).unwrap().embedding).collect();
        let mean_cosine = |a: &[Embedding], b: &[Embedding]| {
            let cosines = a.iter().zip(b.iter().skip(1)).map(|(a, b)| a.similarity(b).cosine());
            cosines.sum::<f32>() / 1999.0
        };
        let (among_real, across) = (mean_cosine(&real, &real), mean_cosine(&made_up, &real));
        assert!((among_real - across).abs() < 0.08, "{among_real} {across}");
        assert_eq!(likeness.template(7).unwrap(), likeness.template(7).unwrap());
    }
}
