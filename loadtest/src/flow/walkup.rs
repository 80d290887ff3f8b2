//! Somebody's walk up to a gate as pictures, made once: how he looks from each distance, with another behind him.

use anyhow::Result;
use facegate_models::liveness::{Effort, LivenessSample, LivenessVerdict, Sensors};
use facegate_models::{FaceEngine, QualityPolicy, Track};

use super::people::Look;
use super::queue::{LINE_M, ZONE_M};
use super::scene::{Camera, InView};

/// The camera is so far behind the door.
const CAMERA_BEHIND_M: f64 = 0.4;
/// Between two pictures.
const STEP_M: f64 = 0.08;
/// How far behind the next one comes, and how far aside.
const BEHIND_M: f64 = 1.0;
const ASIDE_M: f32 = 0.22;

/// JPEGs by distance, the farthest first.
pub struct WalkUp(Vec<(f64, Vec<u8>)>);

impl std::fmt::Debug for WalkUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "WalkUp({} pictures)", self.0.len())
    }
}

impl WalkUp {
    #[expect(clippy::cast_possible_truncation, reason = "metres of an aisle")]
    pub fn of(camera: &mut Camera, look: &Look, behind: &Look, phase: f32) -> Result<Self> {
        let mut pictures = Vec::new();
        let mut metres = ZONE_M;
        while metres > LINE_M - STEP_M {
            let first = InView { look, metres: (metres + CAMERA_BEHIND_M) as f32, aside: 0.0, phase };
            let next = InView { look: behind, metres: first.metres + BEHIND_M as f32, aside: ASIDE_M, phase: -phase };
            pictures.push((metres, camera.frame(&[first, next])?));
            metres -= STEP_M;
        }
        Ok(Self(pictures))
    }

    /// What the camera sees of him there.
    pub fn at(&self, metres: f64) -> &[u8] {
        let place = self.0.partition_point(|(from, _)| *from > metres).min(self.0.len() - 1);
        &self.0[place].1
    }

    /// What the engine makes of him, looked at as a gate does. Photographs are not people: many a one is taken for what it is.
    pub fn verdict(&self, engine: &FaceEngine) -> Result<LivenessVerdict> {
        let (mut track, mut samples) = (Track::default(), Vec::<LivenessSample>::new());
        let policy = QualityPolicy::default();
        for (_, picture) in &self.0 {
            let frame = engine.decode(picture)?;
            let faces = engine.follow(&mut track, &frame)?;
            let Some(face) = faces.first().filter(|face| face.quality.verdict(&policy).is_ok()) else { continue };
            let every = engine.judge().policy().texture_every.max(1);
            let effort = if samples.len().is_multiple_of(every) { Effort::Frame } else { Effort::Light };
            samples.push(engine.liveness(&frame, face, &Sensors::default(), effort)?);
            let verdict = engine.judge().judge(&samples).verdict;
            if verdict != LivenessVerdict::Inconclusive {
                return Ok(verdict);
            }
        }
        Ok(LivenessVerdict::Inconclusive)
    }
}
