//! station.proto: probes and decisions.

use facegate_domain::face::Embedding;
use facegate_domain::ids::{ModelId, RiderId};
use facegate_domain::policy::Refusal;
use facegate_domain::tap::Evidence;
use zeroize::Zeroizing;

use super::gate::{face_from_wire, rider_from_wire, tier_to_wire};
use super::{InvalidMessage, required};
use crate::v1;

/// Longest embedding that is read off the wire (dimensions); the gallery checks for its own exact size.
const DIMS_MAX: usize = 4096;

/// Little-endian float32 values of one embedding.
pub fn embedding_from_wire(model: String, bytes: &[u8]) -> Result<Embedding, InvalidMessage> {
    if bytes.is_empty() || !bytes.len().is_multiple_of(4) || bytes.len() / 4 > DIMS_MAX {
        return Err(InvalidMessage::WrongSize {
            field: "embedding",
            expected: "4 for each dimension",
            got: bytes.len(),
        });
    }
    let values = bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    Ok(Embedding::from_unit(ModelId::new(model)?, values)?)
}

pub fn embedding_to_wire(embedding: &Embedding) -> Vec<u8> {
    embedding.values().iter().flat_map(|v| v.to_le_bytes()).collect()
}

/// A fused probe and the number of frames in it.
pub fn probe_from_wire(probe: Option<v1::Probe>) -> Result<(Embedding, u32), InvalidMessage> {
    let v1::Probe { model, embedding, frames } = required("probe", probe)?;
    // Whoever it is, what goes on is wiped when it is dropped, and so is this.
    let embedding = Zeroizing::new(embedding);
    Ok((embedding_from_wire(model, &embedding)?, frames))
}

pub fn probe_to_wire(embedding: &Embedding, frames: u32) -> v1::Probe {
    v1::Probe { model: embedding.model().as_str().to_owned(), embedding: embedding_to_wire(embedding), frames }
}

/// What a station answered, face or code.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// `evidence` is absent for a code: the gate holds it already.
    Granted {
        rider: RiderId,
        evidence: Option<Evidence>,
    },
    Refused(Refusal),
}

impl Answer {
    /// In words that a gate of this level of [`Refusal`]s reads.
    #[must_use]
    pub fn understood_at(self, level: u32) -> Self {
        match self {
            Self::Refused(refusal) => Self::Refused(refusal.understood_at(level)),
            granted @ Self::Granted { .. } => granted,
        }
    }

    fn granted_from_wire(granted: &v1::Granted) -> Result<Self, InvalidMessage> {
        Ok(Self::Granted {
            rider: rider_from_wire(&granted.rider)?,
            evidence: granted.face.as_ref().map(face_from_wire).transpose()?,
        })
    }

    fn refused_from_wire(refused: v1::Refused) -> Result<Self, InvalidMessage> {
        Refusal::from_name(&refused.reason)
            .map(Self::Refused)
            .ok_or(InvalidMessage::UnknownValue { field: "reason", got: refused.reason })
    }

    fn granted_to_wire(rider: RiderId, evidence: Option<&Evidence>) -> v1::Granted {
        let face = match evidence {
            Some(&Evidence::Face { similarity, tier, risk, frames }) => Some(v1::FaceEvidence {
                similarity: similarity.cosine(),
                tier: tier_to_wire(tier).into(),
                risk,
                frames,
            }),
            _ => None,
        };
        v1::Granted { rider: rider.as_bytes().to_vec(), face }
    }
}

macro_rules! answer_conversions {
    ($response:ident, $module:ident) => {
        impl TryFrom<v1::$response> for Answer {
            type Error = InvalidMessage;
            fn try_from(wire: v1::$response) -> Result<Self, InvalidMessage> {
                match required("outcome", wire.outcome)? {
                    v1::$module::Outcome::Granted(granted) => Answer::granted_from_wire(&granted),
                    v1::$module::Outcome::Refused(refused) => Answer::refused_from_wire(refused),
                }
            }
        }

        impl From<Answer> for v1::$response {
            fn from(answer: Answer) -> Self {
                let outcome = match answer {
                    Answer::Granted { rider, evidence } => {
                        v1::$module::Outcome::Granted(Answer::granted_to_wire(rider, evidence.as_ref()))
                    }
                    Answer::Refused(refusal) => {
                        v1::$module::Outcome::Refused(v1::Refused { reason: refusal.name().to_owned() })
                    }
                };
                Self { outcome: Some(outcome) }
            }
        }
    };
}

answer_conversions!(IdentifyResponse, identify_response);
answer_conversions!(PresentCodeResponse, present_code_response);

#[cfg(test)]
mod tests {
    use facegate_domain::face::InvalidEmbedding;
    use facegate_domain::score::{Similarity, Tier};

    use super::*;

    fn wire(values: &[f32]) -> Result<Embedding, InvalidMessage> {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        embedding_from_wire("sface".into(), &bytes)
    }

    #[test]
    fn bad_embeddings_are_refused_by_what_is_wrong() {
        assert!(wire(&[0.6, 0.8]).is_ok());
        assert!(matches!(wire(&[]), Err(InvalidMessage::WrongSize { .. })));
        assert!(matches!(embedding_from_wire("sface".into(), &[0; 7]), Err(InvalidMessage::WrongSize { .. })));
        assert!(matches!(
            wire(&[f32::NAN, 1.0]),
            Err(InvalidMessage::Embedding(InvalidEmbedding::NotFinite { position: 0 }))
        ));
        assert!(matches!(wire(&[0.6, 0.9]), Err(InvalidMessage::Embedding(InvalidEmbedding::NotUnit { .. }))));
        assert!(matches!(embedding_from_wire("No Model".into(), &[0; 8]), Err(InvalidMessage::Id(_))));
    }

    #[test]
    fn answers_survive_the_wire() {
        let evidence =
            Evidence::Face { similarity: Similarity::from_cosine(0.7), tier: Tier::City, risk: 1e-6, frames: 4 };
        for answer in [
            Answer::Granted { rider: RiderId::random(), evidence: Some(evidence) },
            Answer::Refused(Refusal::Ambiguous),
        ] {
            let wire = v1::IdentifyResponse::from(answer.clone());
            assert_eq!(Answer::try_from(wire), Ok(answer));
        }
        let code = Answer::Granted { rider: RiderId::random(), evidence: None };
        assert_eq!(Answer::try_from(v1::PresentCodeResponse::from(code.clone())), Ok(code));
    }
}
