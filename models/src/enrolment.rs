//! Whether a photograph may become a template: exactly one face, good enough, alive.

use facegate_domain::face::Embedding;

use crate::decode::ImageError;
use crate::engine::{FaceEngine, FaceObservation};
use crate::error::ModelError;
use crate::liveness::{Effort, LivenessVerdict, Sensors};
use crate::quality::{Quality, QualityPolicy, QualityProblem};

/// What one accepted photograph gives; fuse those of several.
#[derive(Debug, Clone, PartialEq)]
pub struct Capture {
    pub embedding: Embedding,
    pub quality: Quality,
}

/// Why a photograph is not taken. All but `Engine` may be shown to whoever sent it.
#[derive(Debug, thiserror::Error)]
pub enum CaptureProblem {
    #[error(transparent)]
    Image(#[from] ImageError),
    #[error("no face is seen: send a photograph with the face looking into the camera")]
    NoFace,
    #[error("{count} faces are seen: send a photograph of one person alone")]
    SeveralFaces { count: usize },
    #[error("{0}, and take the photograph again")]
    Quality(QualityProblem),
    #[error("this looks like a photograph of a photograph or a screen: take one of the person")]
    Attack,
    #[error("it cannot be told whether this is a person or a picture: take it again before a plain wall")]
    LivenessInconclusive,
    #[error("the photograph could not be examined, try again later")]
    Engine(#[from] ModelError),
}

/// Examines the bytes of one photograph and embeds the face in it.
pub fn capture(engine: &FaceEngine, bytes: &[u8], policy: &QualityPolicy) -> Result<Capture, CaptureProblem> {
    let frame = engine.decode(bytes)?;
    let faces = engine.analyse(&frame)?;
    let face = only_good_face(&faces, policy)?;
    let sample = engine.liveness(&frame, face, &Sensors::default(), Effort::Still)?;
    match engine.judge().judge_still(sample).verdict {
        LivenessVerdict::Live => {}
        LivenessVerdict::Inconclusive => return Err(CaptureProblem::LivenessInconclusive),
        LivenessVerdict::Attack => return Err(CaptureProblem::Attack),
    }
    Ok(Capture { embedding: engine.embed(&frame, face)?, quality: face.quality })
}

fn only_good_face<'a>(
    faces: &'a [FaceObservation],
    policy: &QualityPolicy,
) -> Result<&'a FaceObservation, CaptureProblem> {
    let face = match faces {
        [] => return Err(CaptureProblem::NoFace),
        [face] => face,
        several => return Err(CaptureProblem::SeveralFaces { count: several.len() }),
    };
    face.quality.verdict(policy).map_err(CaptureProblem::Quality)?;
    Ok(face)
}
