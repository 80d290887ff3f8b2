//! What an operator sets about liveness.

use std::path::PathBuf;

use serde::Deserialize;

/// Settings of presentation attack detection; `Default` suits a gate with one colour camera.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LivenessPolicy {
    /// Frames of one face before it can be called live.
    pub frames_min: usize,
    /// The newest this many are judged.
    pub frames_max: usize,
    /// The texture nets look at every so many frames of a face.
    pub texture_every: usize,
    /// A depth image beside each frame.
    pub depth: SensorUse,
    /// An infrared image beside each frame.
    pub infrared: SensorUse,
    /// The colour camera's horizontal field of view in degrees, to which the depth image is registered.
    pub view_degrees: u16,
    /// The operator's own calibration; none: the shipped one.
    pub calibration: Option<PathBuf>,
    /// Who accepted, and when, that faces are let through unattended without the texture nets.
    pub reduced_accepted: Option<String>,
}

/// Whether a further sensor is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SensorUse {
    #[default]
    Absent,
    /// It is there, and without its images no face is judged.
    Required,
}

impl Default for LivenessPolicy {
    fn default() -> Self {
        Self {
            frames_min: 8,
            frames_max: 15,
            texture_every: 3,
            depth: SensorUse::Absent,
            infrared: SensorUse::Absent,
            view_degrees: 70,
            calibration: None,
            reduced_accepted: None,
        }
    }
}

impl LivenessPolicy {
    /// For one photograph, as at enrolment: it is all there is.
    pub fn of_a_still(&self) -> Self {
        Self { frames_min: 1, ..self.clone() }
    }

    /// What is wrong with the settings, in words.
    pub fn problem(&self) -> Option<&'static str> {
        if self.frames_min == 0 || self.frames_min > self.frames_max {
            return Some("frames_min must be 1 to frames_max");
        }
        if self.texture_every == 0 || self.texture_every > self.frames_min {
            return Some("texture_every must be 1 to frames_min, or a face could pass without the nets' look");
        }
        (!(20..=150).contains(&self.view_degrees)).then_some("view_degrees must be 20 to 150")
    }
}
