//! Somebody's walk up to a gate as pictures, made once: how he looks from each distance, with the next one behind him.

use anyhow::Result;
use facegate_domain::face::Embedding;
use facegate_models::liveness::{Effort, LivenessSample, LivenessVerdict, Sensors};
use facegate_models::{FaceEngine, QualityPolicy, Track, fuse};

use super::people::Look;
use super::queue::{LINE_M, ZONE_M};
use super::scene::{Camera, InView};

/// Where in their swaying people may begin.
pub const PHASES: f32 = 6.3;
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

/// Who is seen on a walk.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    pub look: &'a Look,
    /// What he holds before his face: a print of somebody else's.
    pub holds: Option<&'a Look>,
    /// Who comes next.
    pub behind: &'a Look,
    pub phase: f32,
}

impl WalkUp {
    pub fn of(camera: &mut Camera, seen: &Seen<'_>) -> Result<Self> {
        let picture = |metres| {
            let first = in_view(seen.look, metres, seen.phase);
            let next = InView { aside: ASIDE_M, ..in_view(seen.behind, metres + BEHIND_M, -seen.phase) };
            let print = seen.holds.map(|print| in_view(print, metres, seen.phase));
            Ok((metres, camera.frame(&first, print.as_ref(), &[next])?))
        };
        distances().map(picture).collect::<Result<_>>().map(Self)
    }

    /// What the camera sees of him there.
    pub fn at(&self, metres: f64) -> &[u8] {
        let place = self.0.partition_point(|(from, _)| *from > metres).min(self.0.len() - 1);
        &self.0[place].1
    }
}

/// Where pictures are taken, the farthest first.
fn distances() -> impl Iterator<Item = f64> {
    std::iter::successors(Some(ZONE_M), |metres| Some(metres - STEP_M))
        .take_while(|metres| *metres > LINE_M - 2.0 * STEP_M)
}

#[expect(clippy::cast_possible_truncation, reason = "metres of an aisle")]
fn in_view(look: &Look, metres: f64, phase: f32) -> InView<'_> {
    InView { look, metres: (metres + CAMERA_BEHIND_M) as f32, aside: 0.0, phase }
}

/// What the engine made of somebody who walked up alone.
#[derive(Debug)]
pub struct Looked {
    pub verdict: LivenessVerdict,
    /// Of the frames until then; none of whom no frame was usable.
    pub probe: Option<Embedding>,
}

/// Looks at him as a gate does, until it can tell whether he is alive. Photographs are not people: many a one is taken for
/// what it is.
pub fn look_at(engine: &FaceEngine, camera: &mut Camera, look: &Look, phase: f32) -> Result<Looked> {
    let (mut track, mut samples, mut parts) = (Track::default(), Vec::<LivenessSample>::new(), Vec::new());
    let mut verdict = LivenessVerdict::Inconclusive;
    let policy = QualityPolicy::default();
    for metres in distances() {
        let frame = engine.decode(&camera.frame(&in_view(look, metres, phase), None, &[])?)?;
        let faces = engine.follow(&mut track, &frame)?;
        let Some(face) = faces.first().filter(|face| face.quality.verdict(&policy).is_ok()) else { continue };
        let every = engine.judge().policy().texture_every.max(1);
        let effort = if samples.len().is_multiple_of(every) { Effort::Frame } else { Effort::Light };
        samples.push(engine.liveness(&frame, face, &Sensors::default(), effort)?);
        parts.push((engine.embed(&frame, face)?, face.quality));
        verdict = engine.judge().judge(&samples).verdict;
        if verdict != LivenessVerdict::Inconclusive {
            break;
        }
    }
    Ok(Looked { verdict, probe: fuse(&parts).ok() })
}
