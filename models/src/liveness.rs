//! Presentation attack detection: is it a face, or a picture of one?
//!
//! Each frame of an approach gives a [`LivenessSample`]: what each cue measured, no pixels. [`judge`] takes the samples
//! of one tracked face together: live, attack or inconclusive. Terms are those of ISO/IEC 30107-3.
//!
//! What the evidence is: measured on 288 crops of four small public sets (phone and monitor replays, few people), four
//! clips and three stills; `cargo xtask eval liveness` prints it anew. What it is not: no certification, no masks, no
//! good borderless replay held still. Those need depth, infrared or a challenge. Weights and thresholds come from
//! `models/calibration/liveness.toml`, which `facegate-models calibrate-liveness` fits on an operator's own captures.

mod border;
mod calibration;
mod depth;
mod infrared;
mod judge;
mod moire;
pub mod plane;
mod policy;
mod sample;
mod sensors;
mod texture;

pub use calibration::{BadLivenessCalibration, CueWeight, LivenessCalibration};
pub use depth::{DepthFinding, DepthMap, relief};
pub use infrared::{InfraredFinding, InfraredMap, reflectance};
pub use judge::{Cause, LivenessJudge, LivenessJudgement, LivenessVerdict, judge};
pub use policy::{LivenessPolicy, SensorUse};
pub use sample::{Cue, Effort, LivenessSample};
pub use sensors::{Sensors, UnreadablePlane};
pub use texture::Texture;

pub(crate) use border::border;
pub(crate) use moire::moire;
pub(crate) use texture::TexturePair;
