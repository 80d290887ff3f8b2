//! One frame, looked at: a code or a face, and what is wrong with either. Blocking; the frame dies here.

mod choice;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use facegate_domain::code::PREFIX;
use facegate_domain::face::Embedding;
use facegate_models::liveness::{DepthMap, Effort, InfraredMap, LivenessPolicy, LivenessSample, SensorUse, Sensors};
use facegate_models::{FaceEngine, FaceObservation, Frame, Quality, QualityProblem, Track};
use facegate_runtime::clock::Stopwatch;

use crate::camera::CapturedFrame;
use crate::camera::health::CameraHealth;
use crate::code::CodeReader;
use crate::intent::{IntentPolicy, Intention, Intentions};

pub use self::choice::FacePolicy;
use self::choice::choose;

/// Of who has had his answer one frame in so many is compared: somebody else may stand in his place.
const COMPARED_EVERY: u32 = 4;

/// What a frame showed.
#[derive(Debug)]
pub struct Look {
    /// The camera's number of the frame.
    pub sequence: u64,
    /// Monotonic clock at capture.
    pub captured_ms: u64,
    /// Text of a QR in the frame.
    pub code: Option<String>,
    pub face: FaceLook,
}

/// The face that a frame showed.
#[derive(Debug)]
pub enum FaceLook {
    /// Nobody asked (somebody is passing, or a code was shown).
    NotLookedFor,
    Nobody,
    /// Too small to be coming to this gate, or on another way.
    PasserBy,
    /// Two or more of similar size.
    Several,
    Poor(QualityProblem),
    /// There is a face, but its liveness cannot be judged: faces have to wait, codes work.
    Unavailable,
    /// Whoever was decided about is there yet: compared now and then only.
    DecidedAbout,
    /// The frame is not to be trusted; nobody looked.
    Untrusted,
    Usable(UsableFace),
}

/// A face that is good enough to be compared.
#[derive(Clone)]
pub struct UsableFace {
    pub embedding: Embedding,
    pub quality: Quality,
    pub liveness: LivenessSample,
}

impl fmt::Debug for UsableFace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UsableFace({:?}, {:?})", self.embedding, self.liveness)
    }
}

/// A frame that could not be looked at, with what happens next in its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadFrame(pub String);

/// What the gate wants looked for just now; frames already on their way may still be looked at the old way.
#[derive(Debug)]
pub struct Attention {
    faces: AtomicBool,
    codes: AtomicBool,
    decided: AtomicBool,
}

impl Default for Attention {
    fn default() -> Self {
        Self { faces: AtomicBool::new(true), codes: AtomicBool::new(true), decided: AtomicBool::new(false) }
    }
}

impl Attention {
    pub fn set(&self, faces: bool, codes: bool) {
        self.faces.store(faces, Ordering::Relaxed);
        self.codes.store(codes, Ordering::Relaxed);
    }

    /// Whether who is there has had his answer.
    pub fn decided(&self, decided: bool) {
        self.decided.store(decided, Ordering::Relaxed);
    }
}

/// The eyes of a gate.
#[derive(Debug)]
pub struct Vision {
    pub engine: Arc<FaceEngine>,
    pub policy: FacePolicy,
    /// Entrance cameras don't read codes.
    pub reads_codes: bool,
    /// Faces are let through; else (liveness is reduced and nobody accepted that) only codes.
    pub takes_faces: bool,
    turns: Turns,
    codes: CodeReader,
    /// What is seen of the camera itself.
    health: Arc<CameraHealth>,
    /// Who of those before the camera is coming.
    intentions: Mutex<Intentions>,
    /// Where this camera last saw the largest face. It finds its way by itself: whoever is not where the last one was
    /// is looked for everywhere.
    track: Mutex<Track>,
}

impl Vision {
    pub fn new(
        engine: Arc<FaceEngine>,
        (policy, intent): (FacePolicy, IntentPolicy),
        health: Arc<CameraHealth>,
        reads_codes: bool,
        takes_faces: bool,
    ) -> Self {
        Self {
            engine,
            policy,
            reads_codes,
            takes_faces,
            turns: Turns::default(),
            codes: CodeReader::default(),
            health,
            intentions: Mutex::new(Intentions::new(intent)),
            track: Mutex::default(),
        }
    }

    /// Looks at one frame. Nothing that a picture holds may end the gate: a panic below is a bad frame, too.
    /// In a frame that is not `trusted` no face is looked for.
    pub fn look(&self, frame: CapturedFrame, trusted: bool, attention: &Attention) -> Result<Look, BadFrame> {
        catch_unwind(AssertUnwindSafe(|| self.look_inside(frame, trusted, attention)))
            .unwrap_or_else(|_| Err(BadFrame("looking at it panicked; it is dropped, please report it".into())))
    }

    fn look_inside(&self, captured: CapturedFrame, trusted: bool, attention: &Attention) -> Result<Look, BadFrame> {
        let CapturedFrame { sequence, captured_ms, picture, depth, infrared, .. } = captured;
        let frame = timed("decode", || picture.decode(&self.engine)).map_err(|e| BadFrame(e.to_string()))?;
        // Whoever is in a picture that stands still need not be there any more.
        let trusted = !self.health.pictured(&frame, captured_ms) && trusted;
        let images = Images { depth, infrared };
        let wants_codes = self.reads_codes && attention.codes.load(Ordering::Relaxed);
        let code = if wants_codes { timed("code", || self.codes.read(&frame)) } else { None };
        // Somebody who shows a ride code is handled by that alone; another system's QR may be on a T-shirt.
        let shows_ride_code = code.as_ref().is_some_and(|text| text.starts_with(PREFIX));
        let face = if shows_ride_code || !attention.faces.load(Ordering::Relaxed) {
            FaceLook::NotLookedFor
        } else if trusted {
            self.look_for_face(&frame, captured_ms, &images, attention.decided.load(Ordering::Relaxed))?
        } else {
            FaceLook::Untrusted
        };
        Ok(Look { sequence, captured_ms, code, face })
    }

    fn look_for_face(
        &self,
        frame: &Frame,
        captured_ms: u64,
        images: &Images,
        decided: bool,
    ) -> Result<FaceLook, BadFrame> {
        // A place in the frame is all that a panic could leave behind, and the next look mends a wrong one.
        let mut track = self.track.lock().unwrap_or_else(PoisonError::into_inner);
        let faces = timed("analyse", || self.engine.follow(&mut track, frame));
        drop(track);
        let faces = faces.map_err(|e| BadFrame(e.to_string()))?;
        self.watch_posture(frame, &faces)?;
        let each = self.intentions(captured_ms, frame, &faces);
        let face = match choose(&faces, &each, &self.policy) {
            Ok(face) => face,
            Err(look) => return Ok(look),
        };
        if decided && !self.following().is_due(face, COMPARED_EVERY) {
            return Ok(FaceLook::DecidedAbout);
        }
        let policy = self.engine.judge().policy();
        let Some(sensors) = sensors(policy, images).filter(|_| self.takes_faces) else {
            return Ok(FaceLook::Unavailable);
        };
        let effort = self.turns.effort(policy.texture_every);
        let liveness = timed("liveness", || self.engine.liveness(frame, face, &sensors, effort))
            .map_err(|e| BadFrame(e.to_string()))?;
        let embedding = timed("embed", || self.engine.embed(frame, face)).map_err(|e| BadFrame(e.to_string()))?;
        self.turns.took(&liveness);
        Ok(FaceLook::Usable(UsableFace { embedding, quality: face.quality, liveness }))
    }

    /// Finds out now and then whether the faces would be surer if the camera were turned.
    fn watch_posture(&self, frame: &Frame, faces: &[FaceObservation]) -> Result<(), BadFrame> {
        if !self.health.is_due_a_turn() {
            return Ok(());
        }
        let found = timed("turned", || self.engine.detect(&frame.clone().turned()));
        let turned = found.map_err(|e| BadFrame(e.to_string()))?.into_iter().map(|face| face.confidence.get());
        let upright = faces.iter().map(|face| face.confidence.get());
        self.health.compared(upright.fold(0.0, f32::max), turned.fold(0.0, f32::max));
        Ok(())
    }

    /// What each of the faces is up to, in their order.
    fn intentions(&self, at_ms: u64, frame: &Frame, faces: &[FaceObservation]) -> Vec<Intention> {
        let each = self.following().observe(at_ms, (frame.width(), frame.height()), faces);
        for intention in &each {
            metrics::counter!("facegate_gate_faces_total", "intention" => intention.name()).increment(1);
        }
        each
    }

    fn following(&self) -> MutexGuard<'_, Intentions> {
        self.intentions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whose turn it is to be looked at by the texture nets: the first of every so many whole faces, counted so far.
#[derive(Debug, Default)]
struct Turns(AtomicUsize);

impl Turns {
    fn effort(&self, every: usize) -> Effort {
        if self.0.load(Ordering::Relaxed).is_multiple_of(every.max(1)) { Effort::Frame } else { Effort::Light }
    }

    /// A face partly outside the frame is not judged. It uses up no turn, or a replay that leaves the frame whenever
    /// the nets look would never be seen by them.
    fn took(&self, sample: &LivenessSample) {
        self.0.fetch_add(usize::from(!sample.clipped), Ordering::Relaxed);
    }
}

/// The images beside a frame, as they came.
struct Images {
    depth: Option<Vec<u8>>,
    infrared: Option<Vec<u8>>,
}

/// What the further sensors saw; none if one that must be there gave nothing.
fn sensors(policy: &LivenessPolicy, images: &Images) -> Option<Sensors> {
    let mut sensors = Sensors::default();
    if policy.depth == SensorUse::Required {
        sensors.depth = Some(sensor("depth", images.depth.as_deref(), DepthMap::from_png)?);
    }
    if policy.infrared == SensorUse::Required {
        sensors.infrared = Some(sensor("infrared", images.infrared.as_deref(), InfraredMap::from_picture)?);
    }
    Some(sensors)
}

/// An image that must be there, read.
fn sensor<T, E: fmt::Display>(kind: &'static str, bytes: Option<&[u8]>, read: fn(&[u8]) -> Result<T, E>) -> Option<T> {
    let result = bytes.map(read);
    if !matches!(result, Some(Ok(_))) {
        metrics::counter!("facegate_gate_sensor_missing_total", "sensor" => kind).increment(1);
    }
    match result? {
        Ok(image) => Some(image),
        Err(error) => {
            tracing::warn!(kind, %error, "a sensor's image cannot be used; the gate takes codes only");
            None
        }
    }
}

fn timed<T>(stage: &'static str, work: impl FnOnce() -> T) -> T {
    let watch = Stopwatch::start();
    let result = work();
    metrics::histogram!("facegate_gate_stage_seconds", "stage" => stage).record(watch.elapsed().as_secs_f64());
    result
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::{DynamicImage, ImageFormat};

    use super::*;

    #[test]
    fn a_face_that_leaves_the_frame_whenever_the_nets_look_is_looked_at_all_the_same() {
        for leaves_every in 1..5 {
            let turns = Turns::default();
            let mut light_in_a_row = 0;
            for n in 0..60 {
                let clipped = n % leaves_every == 0;
                let effort = turns.effort(3);
                turns.took(&LivenessSample { clipped, ..LivenessSample::default() });
                light_in_a_row = match effort {
                    _ if clipped => light_in_a_row,
                    Effort::Light => light_in_a_row + 1,
                    Effort::Frame | Effort::Still => 0,
                };
                assert!(light_in_a_row <= 2, "out of the frame every {leaves_every}");
            }
        }
    }

    #[test]
    fn a_sensor_that_must_be_there_and_gives_nothing_leaves_faces_unjudged() {
        let png = |image: DynamicImage| {
            let mut bytes = Cursor::new(Vec::new());
            image.write_to(&mut bytes, ImageFormat::Png).unwrap();
            Some(bytes.into_inner())
        };
        let (sixteen, eight) = (png(DynamicImage::new_luma16(4, 4)), png(DynamicImage::new_luma8(4, 4)));
        let garbage = Some(b"no picture".to_vec());
        let (absent, required) = (SensorUse::Absent, SensorUse::Required);
        let table = [
            ("neither is asked for", absent, absent, &None, &None, true),
            ("what is not asked for is not read", absent, absent, &garbage, &garbage, true),
            ("both are there", required, required, &sixteen, &eight, true),
            ("depth is gone", required, absent, &None, &eight, false),
            ("depth is no picture", required, absent, &garbage, &eight, false),
            ("depth is eight bits", required, absent, &eight, &eight, false),
            ("infrared is gone", absent, required, &sixteen, &None, false),
            ("infrared is no picture", absent, required, &sixteen, &garbage, false),
            ("one of two is gone", required, required, &sixteen, &None, false),
        ];
        for (what, depth, infrared, depth_image, infrared_image, usable) in table {
            let policy = LivenessPolicy { depth, infrared, ..LivenessPolicy::default() };
            let images = Images { depth: depth_image.clone(), infrared: infrared_image.clone() };
            assert_eq!(sensors(&policy, &images).is_some(), usable, "{what}");
        }
    }
}
