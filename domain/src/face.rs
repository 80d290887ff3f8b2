//! Faces as numbers: embeddings and templates. No type here can print its values.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::ids::{ModelId, RiderId, TemplateId};
use crate::score::Similarity;

/// How far from 1 the length of a unit embedding may be (float32 sums over 512 dimensions stay well within).
const UNIT_LENGTH_TOLERANCE: f32 = 1e-3;

/// Why numbers are not a usable embedding.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum InvalidEmbedding {
    #[error("embedding has {got} dimensions, the model {model} has {expected}")]
    WrongDimension { model: ModelId, expected: usize, got: usize },
    #[error("embedding of model {got}, but this gallery holds templates of model {expected}")]
    WrongModel { expected: ModelId, got: ModelId },
    #[error("embedding has a value that is not a finite number at position {position}")]
    NotFinite { position: usize },
    #[error("embedding has length {length}, not 1: normalise it before sending")]
    NotUnit { length: f32 },
    #[error("embedding is all zeros")]
    Zero,
}

/// A unit vector that a face-recognition model made of one face, or of several fused.
///
/// Shape `[dims]`, float32, Euclidean length 1, so that the dot product is the cosine similarity. Wiped when dropped.
#[derive(Clone, PartialEq, Zeroize, ZeroizeOnDrop)]
pub struct Embedding {
    #[zeroize(skip)]
    model: ModelId,
    values: Vec<f32>,
}

impl Embedding {
    /// Takes values that claim to be of unit length already (from the wire, from disk).
    pub fn from_unit(model: ModelId, values: Vec<f32>) -> Result<Self, InvalidEmbedding> {
        let length = length_of(&values)?;
        if (length - 1.0).abs() > UNIT_LENGTH_TOLERANCE {
            return Err(if length == 0.0 { InvalidEmbedding::Zero } else { InvalidEmbedding::NotUnit { length } });
        }
        Ok(Self { model, values })
    }

    /// Takes a model's raw output and scales it to unit length.
    pub fn normalise(model: ModelId, mut values: Vec<f32>) -> Result<Self, InvalidEmbedding> {
        let length = length_of(&values)?;
        if length == 0.0 {
            return Err(InvalidEmbedding::Zero);
        }
        values.iter_mut().for_each(|v| *v /= length);
        Ok(Self { model, values })
    }

    /// Moved by what all faces have in common (`centre`: the mean embedding of many people, `[dims]`) and scaled back to
    /// unit length, which spreads strangers apart. Only vectors centred alike may be compared.
    ///
    /// Errors: a centre of another size, or the very centre itself.
    pub fn centred(&self, centre: &[f32]) -> Result<Self, InvalidEmbedding> {
        self.expect(&self.model, centre.len())?;
        Self::normalise(self.model.clone(), self.values.iter().zip(centre).map(|(v, c)| v - c).collect())
    }

    pub fn model(&self) -> &ModelId {
        &self.model
    }

    pub fn values(&self) -> &[f32] {
        &self.values
    }

    pub fn dims(&self) -> usize {
        self.values.len()
    }

    /// Checks that this embedding may meet a gallery of `model` with `dims` dimensions.
    pub fn expect(&self, model: &ModelId, dims: usize) -> Result<(), InvalidEmbedding> {
        if self.model != *model {
            return Err(InvalidEmbedding::WrongModel { expected: model.clone(), got: self.model.clone() });
        }
        if self.values.len() != dims {
            return Err(InvalidEmbedding::WrongDimension {
                model: model.clone(),
                expected: dims,
                got: self.values.len(),
            });
        }
        Ok(())
    }

    /// Cosine similarity; both must be of one model and size (checked where they entered).
    pub fn similarity(&self, other: &Self) -> Similarity {
        debug_assert_eq!(self.model, other.model);
        let dot: f32 = self.values.iter().zip(&other.values).map(|(a, b)| a * b).sum();
        Similarity::from_cosine(dot)
    }
}

impl fmt::Debug for Embedding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Embedding(model={}, dims={})", self.model, self.values.len())
    }
}

fn length_of(values: &[f32]) -> Result<f32, InvalidEmbedding> {
    if let Some(position) = values.iter().position(|v| !v.is_finite()) {
        return Err(InvalidEmbedding::NotFinite { position });
    }
    let squared: f64 = values.iter().map(|v| f64::from(*v) * f64::from(*v)).sum();
    #[expect(clippy::cast_possible_truncation, reason = "a length near 1 fits")]
    Ok(squared.sqrt() as f32)
}

/// One enrolled embedding of a rider, bound to the model that made it.
#[derive(Clone, PartialEq)]
pub struct Template {
    pub id: TemplateId,
    pub rider: RiderId,
    pub embedding: Embedding,
    /// How many photographs were fused into it; 0 (from before this was counted) means one.
    pub photographs: u32,
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Template(model={}, dims={})", self.embedding.model(), self.embedding.dims())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model() -> ModelId {
        ModelId::new("sface").unwrap()
    }

    #[test]
    fn values_that_are_no_unit_vector_are_refused_by_name() {
        assert!(matches!(
            Embedding::from_unit(model(), vec![0.0, f32::NAN]),
            Err(InvalidEmbedding::NotFinite { position: 1 })
        ));
        assert!(matches!(Embedding::from_unit(model(), vec![3.0, 4.0]), Err(InvalidEmbedding::NotUnit { .. })));
        assert_eq!(Embedding::from_unit(model(), vec![0.0; 4]), Err(InvalidEmbedding::Zero));
        assert!(matches!(
            Embedding::from_unit(model(), vec![f32::INFINITY]),
            Err(InvalidEmbedding::NotFinite { position: 0 })
        ));
    }

    #[test]
    fn a_probe_meets_only_its_own_model_and_size() {
        let probe = Embedding::normalise(model(), vec![3.0, 4.0]).unwrap();
        assert_eq!(probe.values(), [0.6, 0.8]);
        assert!(probe.expect(&model(), 2).is_ok());
        assert!(matches!(
            probe.expect(&model(), 128),
            Err(InvalidEmbedding::WrongDimension { expected: 128, got: 2, .. })
        ));
        assert!(matches!(probe.expect(&ModelId::new("arcface").unwrap(), 2), Err(InvalidEmbedding::WrongModel { .. })));
    }

    #[test]
    fn a_face_is_wiped_when_it_is_dropped() {
        fn is_wiped_when_dropped<T: ZeroizeOnDrop>() {}
        is_wiped_when_dropped::<Embedding>();
        let mut probe = Embedding::normalise(model(), vec![3.0, 4.0]).unwrap();
        probe.zeroize();
        assert_eq!(probe.values(), [0.0; 0]);
    }

    #[test]
    fn nothing_about_a_face_can_be_printed() {
        let embedding = Embedding::normalise(model(), vec![0.25, 0.5]).unwrap();
        let template = Template { id: TemplateId::random(), rider: RiderId::random(), embedding, photographs: 1 };
        assert_eq!(format!("{template:?}"), "Template(model=sface, dims=2)");
        assert_eq!(format!("{:?}", template.embedding), "Embedding(model=sface, dims=2)");
    }
}
