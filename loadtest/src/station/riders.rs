//! Synthetic riders: seeded random unit vectors (the hardest case for an index), probes at a chosen cosine.

use anyhow::Result;
use facegate_domain::face::{Embedding, Template};
use facegate_domain::ids::{ModelId, RiderId, TemplateId};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// What SFace has.
pub const DIMS: usize = 128;
pub const MODEL: &str = "sface-2021dec";
/// Cosine of a mated probe: the median of fused mated scores measured on LFW (mean .848).
const MATED_COSINE: f32 = 0.85;

/// All enrolled templates of one load run.
#[derive(Debug)]
pub struct Riders {
    model: ModelId,
    templates: Vec<Template>,
}

impl Riders {
    pub fn make(count: usize, seed: u64) -> Result<Self> {
        let model = ModelId::new(MODEL)?;
        let mut rng = StdRng::seed_from_u64(seed);
        let templates = (0..count)
            .map(|_| {
                Ok(Template {
                    id: TemplateId::from_bytes(rng.random()),
                    rider: RiderId::from_bytes(rng.random()),
                    embedding: Embedding::normalise(model.clone(), gaussian(&mut rng))?,
                    photographs: 1,
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self { model, templates })
    }

    pub fn len(&self) -> usize {
        self.templates.len()
    }

    pub fn templates(&self) -> &[Template] {
        &self.templates
    }

    /// A probe of rider `index`: his template turned away by a random direction.
    pub fn mated_probe(&self, index: usize, seed: u64) -> Result<Embedding> {
        let template = self.templates[index].embedding.values();
        let mut noise = gaussian(&mut StdRng::seed_from_u64(seed ^ 0x005e_ed0f_a1b0));
        let along: f32 = noise.iter().zip(template).map(|(n, t)| n * t).sum();
        noise.iter_mut().zip(template).for_each(|(n, t)| *n -= along * t);
        let length = noise.iter().map(|n| n * n).sum::<f32>().sqrt();
        let sideways = (1.0 - MATED_COSINE * MATED_COSINE).sqrt() / length;
        let values = template.iter().zip(&noise).map(|(t, n)| t * MATED_COSINE + n * sideways).collect();
        Ok(Embedding::normalise(self.model.clone(), values)?)
    }

    /// A stranger's probe with probability `strangers`, else a random rider's with his id.
    pub fn probe(&self, strangers: f64, seed: u64) -> Result<(Option<RiderId>, Embedding)> {
        let mut rng = StdRng::seed_from_u64(seed);
        if rng.random_bool(strangers) {
            return Ok((None, Embedding::normalise(self.model.clone(), gaussian(&mut rng))?));
        }
        let index = rng.random_range(0..self.templates.len());
        Ok((Some(self.templates[index].rider), self.mated_probe(index, seed)?))
    }
}

/// Independent standard normals (Box–Muller), so that directions are uniform on the sphere.
fn gaussian(rng: &mut StdRng) -> Vec<f32> {
    (0..DIMS)
        .map(|_| {
            let radius = (-2.0 * rng.random::<f32>().max(f32::MIN_POSITIVE).ln()).sqrt();
            radius * (std::f32::consts::TAU * rng.random::<f32>()).cos()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probes_are_seeded_and_at_the_stated_cosine() {
        let riders = Riders::make(50, 7).unwrap();
        assert_eq!(riders.templates(), Riders::make(50, 7).unwrap().templates());
        let similarity = riders.mated_probe(3, 9).unwrap().similarity(&riders.templates()[3].embedding);
        assert!((similarity.cosine() - MATED_COSINE).abs() < 1e-3, "{similarity:?}");
        let strangers = (0..1000).filter(|s| riders.probe(0.85, *s).unwrap().0.is_none()).count();
        assert!((800..900).contains(&strangers), "{strangers} of 1000");
    }
}
