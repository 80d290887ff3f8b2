//! The engine: from the bytes of a picture to faces, and from a face to its embedding.

mod liveness;

use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use facegate_domain::face::Embedding;
use facegate_domain::ids::ModelId;
use facegate_domain::score::DetectionConfidence;
use image::RgbImage;

use crate::align::align;
use crate::decode::{ImageError, decode};
use crate::detect::{Detection, Detector};
use crate::embed::Embedder;
use crate::error::ModelError;
use crate::frame::Frame;
use crate::geometry::{BoundingBox, Point};
use crate::liveness::{LivenessJudge, TexturePair};
use crate::manifest::{Manifest, Model, Role, Sha256Hex};
use crate::mesh::{Mesh, MeshPoints};
use crate::options::EngineOptions;
use crate::provider::{Chosen, Machine};
use crate::quality::Quality;
use crate::session::Network;
use crate::track::Track;

/// Detector, aligner, quality, liveness and embedder.
///
/// `Send + Sync`: share one per process behind an `Arc`. Each network serves one call at a time and others wait, so
/// call it from blocking threads. It keeps nothing of any frame.
pub struct FaceEngine {
    detector: Detector,
    embedder: Embedder,
    mesh: Mesh,
    texture: Option<TexturePair>,
    judge: Arc<LivenessJudge>,
    options: EngineOptions,
}

/// One face of a frame, without its embedding.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FaceObservation {
    pub bounds: BoundingBox,
    /// In the picture from left to right: right eye, left eye, nose tip, right and left corner of the mouth.
    pub landmarks: [Point; 5],
    pub confidence: DetectionConfidence,
    pub quality: Quality,
}

impl FaceEngine {
    /// Loads the models of the manifest from `models_dir`, and ONNX Runtime from `onnxruntime/` beside it.
    ///
    /// Every model is checked against the manifest's SHA-256 first. Errors name the file and say what to run.
    pub fn load(models_dir: &Path, options: EngineOptions) -> Result<Self, ModelError> {
        let manifest = Manifest::built_in();
        let runtime = models_dir.join("../onnxruntime/libonnxruntime.so");
        let load = |model: &Model, chosen: Chosen| {
            let bytes = verified_bytes(model, models_dir)?;
            Network::load_on(chosen, model.name.as_str(), &bytes, &runtime, &options)
        };
        // Landmarks are measured in fractions of a pixel, for which bfloat16 has not enough digits.
        let exactly = |model: &Model| load(model, Chosen::Plain);
        let model = manifest.model(Role::Detector).expect("the built-in manifest has a detector: a test reads it");
        let detector = Detector::new(exactly(model)?, model, &options);
        let model = manifest.embedder(&options.embedder).ok_or_else(|| unknown_embedder(&manifest, &options))?;
        let (chosen, reason) = Chosen::of(options.provider, Machine::here(&runtime));
        let embedder = Embedder::new(load(model, chosen)?, model)?;
        tracing::info!(provider = embedder.provider().name(), reason, "the embedder is loaded");
        let model = manifest.model(Role::Mesh).expect("the built-in manifest has a mesh: a test reads it");
        let mesh = Mesh::new(exactly(model)?, model)?;
        let texture = liveness::texture_pair(&manifest, exactly)?;
        let judge = Arc::new(LivenessJudge::load(&options.liveness)?.with_texture(texture.is_some()));
        Ok(Self { detector, embedder, mesh, texture, judge, options })
    }

    /// The model that embeddings are bound to.
    pub fn model_id(&self) -> &ModelId {
        self.embedder.id()
    }

    /// Where the embedder runs: `cpu`, `openvino-f32` or `openvino-bf16`.
    pub fn provider(&self) -> &'static str {
        self.embedder.provider().name()
    }

    pub fn options(&self) -> &EngineOptions {
        &self.options
    }

    /// Decodes a JPEG or PNG file; limits are checked before memory is taken.
    pub fn decode(&self, bytes: &[u8]) -> Result<Frame, ImageError> {
        decode(bytes, &self.options.image)
    }

    /// Every face in the frame, largest first, each with its quality.
    pub fn analyse(&self, frame: &Frame) -> Result<Vec<FaceObservation>, ModelError> {
        let detections = self.detector.detect(frame)?;
        Ok(detections.iter().map(|detection| observe(frame, detection)).collect())
    }

    /// Like `analyse` for the next frame of one camera: the face is looked for where it was, everywhere only if it is
    /// not found there, and every fifth time, so that a second one is seen at most four frames late.
    pub fn follow(&self, track: &mut Track, frame: &Frame) -> Result<Vec<FaceObservation>, ModelError> {
        let detections = track.follow(&self.detector, frame)?;
        Ok(detections.iter().map(|detection| observe(frame, detection)).collect())
    }

    /// Every face in the frame, largest first, and nothing else about it.
    pub fn detect(&self, frame: &Frame) -> Result<Vec<Detection>, ModelError> {
        self.detector.detect(frame)
    }

    /// The embedding of one face of the frame, of unit length.
    pub fn embed(&self, frame: &Frame, face: &FaceObservation) -> Result<Embedding, ModelError> {
        self.embed_cut(&self.cut(frame, face.bounds, &face.landmarks))
    }

    /// The face in this box with these landmarks as the embedder is fed it.
    pub fn cut(&self, frame: &Frame, bounds: BoundingBox, landmarks: &[Point; 5]) -> RgbImage {
        self.embedder.cut(frame, bounds, landmarks)
    }

    /// The embedding, of unit length, of a face that was cut out before.
    pub fn embed_cut(&self, pixels: &RgbImage) -> Result<Embedding, ModelError> {
        self.embedder.embed(pixels)
    }

    /// The 468 points of a face's surface, in the frame's pixels; liveness looks at how they move.
    pub fn mesh(&self, frame: &Frame, face: &FaceObservation) -> Result<MeshPoints, ModelError> {
        self.mesh.find(frame, face.bounds, &face.landmarks)
    }
}

fn observe(frame: &Frame, detection: &Detection) -> FaceObservation {
    let Detection { bounds, landmarks, confidence } = *detection;
    let quality = Quality::measure(&align(frame, &landmarks), &landmarks);
    FaceObservation { bounds, landmarks, confidence, quality }
}

impl fmt::Debug for FaceEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FaceEngine(model={}, provider={})", self.model_id(), self.provider())
    }
}

fn unknown_embedder(manifest: &Manifest, options: &EngineOptions) -> ModelError {
    let known: Vec<&str> = manifest.models_of(Role::Embedder).map(|m| m.name.as_str()).collect();
    ModelError::UnknownEmbedder { name: options.embedder.to_string(), known: known.join(", ") }
}

/// Reads a model and refuses any other file than the manifest's.
fn verified_bytes(model: &Model, models_dir: &Path) -> Result<Vec<u8>, ModelError> {
    let name = model.name.to_string();
    let path = models_dir.join(Path::new(&model.to).file_name().unwrap_or_default());
    if !path.is_file() {
        let required = model.required;
        return Err(if required {
            ModelError::Missing { name, path }
        } else {
            ModelError::OptionalMissing { name, path }
        });
    }
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(e) => return Err(ModelError::Unreadable { name, path, reason: e.to_string() }),
    };
    let got = Sha256Hex::of(&bytes);
    if got == model.converted_sha256 {
        return Ok(bytes);
    }
    let expected = model.converted_sha256.as_str().to_owned();
    Err(ModelError::WrongFile { name, path, expected, got: got.as_str().to_owned() })
}
