//! One frame, looked at: a code or a face, and what is wrong with either. Blocking; the frame dies here.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use facegate_domain::code::PREFIX;
use facegate_domain::face::Embedding;
use facegate_domain::score::LivenessScore;
use facegate_models::{FaceEngine, FaceObservation, Frame, Quality, QualityPolicy, QualityProblem};
use facegate_runtime::clock::Stopwatch;

use crate::camera::CapturedFrame;
use crate::code::read_qr;

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
    /// Too small to be coming to this gate.
    PasserBy,
    /// Two or more of similar size.
    Several,
    Poor(QualityProblem),
    Usable(UsableFace),
}

/// A face that is good enough to be compared.
#[derive(Clone)]
pub struct UsableFace {
    pub embedding: Embedding,
    pub quality: Quality,
    pub liveness: LivenessScore,
}

impl fmt::Debug for UsableFace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UsableFace({:?}, liveness={:.2})", self.embedding, self.liveness.get())
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
}

impl Default for Attention {
    fn default() -> Self {
        Self { faces: AtomicBool::new(true), codes: AtomicBool::new(true) }
    }
}

impl Attention {
    pub fn set(&self, faces: bool, codes: bool) {
        self.faces.store(faces, Ordering::Relaxed);
        self.codes.store(codes, Ordering::Relaxed);
    }
}

/// Which faces count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FacePolicy {
    pub quality: QualityPolicy,
    /// Faces with less between the eyes belong to passers-by.
    pub near_px_min: f32,
    /// A second face of at least this share of the largest one's area makes several.
    pub several_area_ratio: f32,
}

/// The eyes of a gate.
#[derive(Debug)]
pub struct Vision {
    pub engine: Arc<FaceEngine>,
    pub policy: FacePolicy,
    /// Entrance cameras don't read codes.
    pub reads_codes: bool,
}

impl Vision {
    /// Looks at one frame. Nothing that a picture holds may end the gate: a panic below is a bad frame, too.
    pub fn look(&self, frame: &CapturedFrame, attention: &Attention) -> Result<Look, BadFrame> {
        catch_unwind(AssertUnwindSafe(|| self.look_inside(frame, attention)))
            .unwrap_or_else(|_| Err(BadFrame("looking at it panicked; it is dropped, please report it".into())))
    }

    fn look_inside(&self, captured: &CapturedFrame, attention: &Attention) -> Result<Look, BadFrame> {
        let frame = timed("decode", || self.engine.decode(&captured.bytes)).map_err(|e| BadFrame(e.to_string()))?;
        let wants_codes = self.reads_codes && attention.codes.load(Ordering::Relaxed);
        let code = if wants_codes { timed("code", || read_qr(&frame)) } else { None };
        // Somebody who shows a ride code is handled by that alone; another system's QR may be on a T-shirt.
        let shows_ride_code = code.as_ref().is_some_and(|text| text.starts_with(PREFIX));
        let face = if shows_ride_code || !attention.faces.load(Ordering::Relaxed) {
            FaceLook::NotLookedFor
        } else {
            self.look_for_face(&frame)?
        };
        Ok(Look { sequence: captured.sequence, captured_ms: captured.captured_ms, code, face })
    }

    fn look_for_face(&self, frame: &Frame) -> Result<FaceLook, BadFrame> {
        let faces = timed("analyse", || self.engine.analyse(frame)).map_err(|e| BadFrame(e.to_string()))?;
        let face = match self.choose(&faces) {
            Ok(face) => face,
            Err(look) => return Ok(look),
        };
        let embedding = timed("embed", || self.engine.embed(frame, face)).map_err(|e| BadFrame(e.to_string()))?;
        Ok(FaceLook::Usable(UsableFace { embedding, quality: face.quality, liveness: face.liveness }))
    }

    /// The one face that counts, or why there is none. `faces` come largest first.
    fn choose<'f>(&self, faces: &'f [FaceObservation]) -> Result<&'f FaceObservation, FaceLook> {
        let Some(largest) = faces.first() else { return Err(FaceLook::Nobody) };
        if largest.quality.inter_eye_px < self.policy.near_px_min {
            return Err(FaceLook::PasserBy);
        }
        let rival = |f: &FaceObservation| f.bounds.area() >= largest.bounds.area() * self.policy.several_area_ratio;
        if faces[1..].iter().any(rival) {
            return Err(FaceLook::Several);
        }
        largest.quality.verdict(&self.policy.quality).map_err(FaceLook::Poor)?;
        Ok(largest)
    }
}

fn timed<T>(stage: &'static str, work: impl FnOnce() -> T) -> T {
    let watch = Stopwatch::start();
    let result = work();
    metrics::histogram!("facegate_gate_stage_seconds", "stage" => stage).record(watch.elapsed().as_secs_f64());
    result
}
