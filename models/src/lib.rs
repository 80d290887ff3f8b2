//! Faces: detection, alignment, quality, liveness and embedding over ONNX Runtime, and the manifest of the models.
//!
//! `FaceEngine` is the way in. No frame outlives the call that it is passed to, and no embedding can be printed.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::float_cmp))]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "pixel arithmetic: sizes are bounded by `ImageLimits`, far below what the smaller types hold"
)]

pub mod decode;
pub mod enrolment;
pub mod fetch;
pub mod home;
pub mod liveness;
pub mod manifest;
pub mod options;
pub mod quality;

mod align;
mod convert;
mod cut;
mod detect;
mod embed;
mod engine;
mod error;
mod frame;
mod fuse;
mod geometry;
mod mesh;
mod provider;
mod session;
mod tensor;
mod track;

pub use convert::ConversionError;
pub use decode::{ImageError, ImageLimits};
pub use detect::Detection;
pub use engine::{FaceEngine, FaceObservation};
pub use error::ModelError;
pub use frame::{Frame, Luma, MisfitPlanes, PixelLayout, SampleRange};
pub use fuse::{Unfusable, fuse};
pub use geometry::{BoundingBox, Point};
pub use mesh::{MESH_POINTS, MeshPoints};
pub use options::{EngineOptions, Provider};
pub use quality::{Component, Quality, QualityPolicy, QualityProblem};
pub use track::Track;
