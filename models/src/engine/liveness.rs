//! What the engine measures for liveness, cue by cue.

use std::sync::Arc;

use super::{FaceEngine, FaceObservation};
use crate::error::ModelError;
use crate::frame::Frame;
use crate::geometry::BoundingBox;
use crate::liveness::{
    Cue, Effort, LivenessJudge, LivenessSample, SensorUse, Sensors, Texture, TexturePair, border, moire, reflectance,
    relief,
};
use crate::manifest::{Manifest, Model, Role};
use crate::session::Network;

impl FaceEngine {
    /// What one frame says about the life of one face; [`FaceEngine::judge`] takes those of an approach together.
    pub fn liveness(
        &self,
        frame: &Frame,
        face: &FaceObservation,
        sensors: &Sensors,
        effort: Effort,
    ) -> Result<LivenessSample, ModelError> {
        let (bounds, size) = (&face.bounds, (frame.width(), frame.height()));
        // A still is what calibrations are made of, so every cue is measured on it.
        let uses = |cue| effort == Effort::Still || self.judge.calibration().uses(cue);
        let policy = self.judge.policy();
        let texture = if effort == Effort::Light { None } else { self.texture(frame, face, effort)? };
        let moves = effort != Effort::Still && self.judge.calibration().uses(Cue::Plane);
        let mesh = moves.then(|| self.mesh(frame, face));
        let depth = sensors.depth.as_ref().filter(|_| policy.depth == SensorUse::Required);
        let infrared = sensors.infrared.as_ref().filter(|_| policy.infrared == SensorUse::Required);
        Ok(LivenessSample {
            texture: texture.map(|texture| texture.measured),
            border: uses(Cue::Border).then(|| border(frame, bounds)).flatten(),
            moire: (effort != Effort::Light && uses(Cue::Moire)).then(|| moire(frame, bounds)).flatten(),
            mesh: mesh.transpose()?,
            clipped: is_clipped(bounds, size),
            depth: depth.map(|map| relief(map, bounds, size, f32::from(policy.view_degrees))),
            infrared: infrared.map(|map| reflectance(map, bounds, size)),
        })
    }

    /// What the texture nets say; none if they are not there.
    pub fn texture(
        &self,
        frame: &Frame,
        face: &FaceObservation,
        effort: Effort,
    ) -> Result<Option<Texture>, ModelError> {
        self.texture.as_ref().map(|pair| pair.look(frame, &face.bounds, effort)).transpose()
    }

    /// Weights, thresholds and settings of the liveness verdict.
    pub fn judge(&self) -> &Arc<LivenessJudge> {
        &self.judge
    }

    /// Whether the texture nets are missing, so that replays without a visible border pass.
    pub fn liveness_is_reduced(&self) -> bool {
        self.texture.is_none()
    }
}

/// A face that leaves the frame on any side by more than a tenth of its size shows too little of itself.
fn is_clipped(face: &BoundingBox, (width, height): (u32, u32)) -> bool {
    let outside = |start: f32, size: f32, room: u32| start < -0.1 * size || start + size > room as f32 + 0.1 * size;
    outside(face.left, face.width, width) || outside(face.top, face.height, height)
}

/// Both nets or none: one alone is not what was measured. A file that is there must be the manifest's.
pub(super) fn texture_pair(
    manifest: &Manifest,
    load: impl Fn(&Model) -> Result<Network, ModelError>,
) -> Result<Option<TexturePair>, ModelError> {
    let mut nets = Vec::new();
    for model in manifest.models_of(Role::Texture) {
        match load(model) {
            Ok(net) => nets.push(net),
            Err(ModelError::OptionalMissing { .. }) => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    Ok(nets.try_into().ok().map(TexturePair::new))
}
