//! Why the engine does not start or does not answer.

use std::path::PathBuf;

use facegate_domain::face::InvalidEmbedding;

use crate::liveness::BadLivenessCalibration;

/// What went wrong with a model or with ONNX Runtime, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    #[error("the manifest has no embedder {name}, but {known}: set embedder to one of them")]
    UnknownEmbedder { name: String, known: String },
    #[error("model {name} is missing at {}: run `cargo xtask models`", path.display())]
    Missing { name: String, path: PathBuf },
    #[error("optional model {name} is missing at {}: run `cargo xtask models fetch --with {name}`", path.display())]
    OptionalMissing { name: String, path: PathBuf },
    #[error("model {name} at {} cannot be read: {reason}", path.display())]
    Unreadable { name: String, path: PathBuf, reason: String },
    #[error(
        "model {name} at {} is not the file that the manifest names (SHA-256 {got}, expected {expected}); \
         it is not loaded: run `cargo xtask models` to fetch it anew",
        path.display()
    )]
    WrongFile { name: String, path: PathBuf, expected: String, got: String },
    #[error("models/manifest.toml does not say {what} of {name}: add it")]
    Undescribed { name: String, what: &'static str },
    #[error("the liveness calibration at {} cannot be used: {source}", path.display())]
    LivenessCalibration { path: PathBuf, source: BadLivenessCalibration },
    #[error("ONNX Runtime is missing at {}: run `cargo xtask models`", path.display())]
    RuntimeMissing { path: PathBuf },
    #[error(
        "ONNX Runtime at {} is version {found}, at least {needed} is needed: run `cargo xtask models` for the right one",
        path.display()
    )]
    RuntimeTooOld { path: PathBuf, found: String, needed: String },
    #[error("ONNX Runtime at {} cannot be used: {reason}; run `cargo xtask models`", path.display())]
    RuntimeUnusable { path: PathBuf, reason: String },
    #[error("ONNX Runtime refuses model {name}: {reason}")]
    Unloadable { name: String, reason: String },
    #[error("model {name} failed on this frame, which is dropped: {reason}")]
    Inference { name: String, reason: String },
    #[error("model {name} gave an unusable embedding, the frame is dropped: {source}")]
    Embedding { name: String, source: InvalidEmbedding },
}
