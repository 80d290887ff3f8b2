//! How well a face can be recognised, in the terms of ISO/IEC 29794-5, and what is wrong in words.
//!
//! Everything is measured without a trained model: pose on the five landmarks, the rest on the aligned face. Components
//! carry the names that the standard and its reference implementation (OFIQ) give them; how each is measured here is
//! simpler than there and said where it is done, so values do not compare with OFIQ's.

mod components;
mod measure;
mod pose;

use image::RgbImage;
use serde::{Deserialize, Serialize};

pub use components::Component;

use crate::geometry::Point;
use measure::Pixels;

/// What was measured on one face.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Quality {
    /// Distance of the eyes in the frame's pixels.
    pub inter_eye_px: f32,
    /// Strength of fine detail in the aligned face against its contrast, so that light does not count: Laplacian
    /// over standard deviation of the brightness. The six portraits have 0.45 to 1.2.
    pub sharpness: f32,
    /// Mean brightness of the aligned face, 0 black to 1 white.
    pub exposure: f32,
    /// Turn to the side: 0 looks into the camera, ±1 has the nose over an eye, the sign by the side of the picture.
    pub yaw: f32,
    /// Where the nose tip lies between the line of the eyes (0) and that of the mouth (1): 0.56 looks straight ahead.
    pub pitch: f32,
    /// Turn of the line of the eyes against the picture's rows, in degrees.
    pub roll_deg: f32,
    /// Share of the face's pixels that are nearly black (0 to 25 of 255).
    pub under_exposed: f32,
    /// Share of the face's pixels that are nearly white (247 to 255).
    pub over_exposed: f32,
    /// Entropy of the face's brightness in bits, 0 to 8.
    pub dynamic_range: f32,
    /// Difference of the cheeks' brightness over their sum: 0 even, 0.33 one side twice as bright.
    pub uneven_light: f32,
    /// The brighter parts of the brighter eye's surroundings against the cheeks: 1 as bright; dark glasses have 0.1 to 0.4.
    pub eye_light: f32,
    /// Contrast within the eyes' surroundings against the cheeks' brightness.
    pub eye_contrast: f32,
    /// Mean steepness of brightness round the mouth against its brightness: cloth has none of a mouth's edges.
    pub mouth_texture: f32,
    /// How much redder (Cr, −128 to 127) the surroundings of the mouth are than the skin below the eyes.
    pub mouth_redness: f32,
}

/// A near, sharp, evenly lit, uncovered face from the front.
impl Default for Quality {
    fn default() -> Self {
        Self {
            inter_eye_px: 60.0,
            sharpness: 0.5,
            exposure: 0.5,
            yaw: 0.0,
            pitch: 0.56,
            roll_deg: 0.0,
            under_exposed: 0.0,
            over_exposed: 0.0,
            dynamic_range: 7.0,
            uneven_light: 0.05,
            eye_light: 0.9,
            eye_contrast: 0.2,
            mouth_texture: 0.2,
            mouth_redness: 2.0,
        }
    }
}

/// What is good enough.
///
/// The covers' limits are measured: of 6158 photographs of LFW 15 fall below `eyes_visible_min`, most of them of people
/// in sunglasses, and 3 below `mouth_visible_min`. Of 300 faces on which `eval quality` painted them, every mask is
/// refused, of 299 with sunglasses 193 are refused as covered eyes, and of 300 with spectacles one. Why a third of the
/// sunglasses passes was not measured; that covered eyes shift the landmarks, and with them the places that are looked at,
/// is an assumption. Those of tilt and light are judgement: nothing within LFW's range (roll to 16°, pitch 0.40 to 0.70,
/// light to 0.5) costs matches, so they lie beyond what was measured.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QualityPolicy {
    pub inter_eye_px_min: f32,
    pub sharpness_min: f32,
    pub exposure_min: f32,
    pub exposure_max: f32,
    pub yaw_max: f32,
    pub roll_deg_max: f32,
    pub pitch_min: f32,
    pub pitch_max: f32,
    pub uneven_light_max: f32,
    /// Of the component `EyesVisible`, 0 to 100; 0 lets sunglasses pass.
    pub eyes_visible_min: f32,
    /// Of the component `MouthOcclusionPrevention`, 0 to 100; 0 lets masks pass.
    pub mouth_visible_min: f32,
}

impl Default for QualityPolicy {
    fn default() -> Self {
        Self {
            inter_eye_px_min: 24.0,
            sharpness_min: 0.15,
            exposure_min: 0.12,
            exposure_max: 0.92,
            yaw_max: 0.6,
            roll_deg_max: 35.0,
            pitch_min: 0.3,
            pitch_max: 0.8,
            uneven_light_max: 0.6,
            eyes_visible_min: 50.0,
            mouth_visible_min: 50.0,
        }
    }
}

/// Why a face is not good enough, in the order in which it is told to the person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum QualityProblem {
    #[error("the face is too small: come closer")]
    TooSmall,
    #[error("the face is turned away: look into the camera")]
    TurnedAway,
    #[error("the head is tilted: hold it upright")]
    Tilted,
    #[error("the face is too dark: more light is needed")]
    TooDark,
    #[error("the face is too bright: less light is needed")]
    TooBright,
    #[error("the face is lit from one side only: turn to the light")]
    UnevenLight,
    #[error("the face is blurred: hold still")]
    Blurred,
    #[error("the eyes are covered: take off the dark glasses")]
    EyesCovered,
    #[error("mouth and nose are covered: take off the mask")]
    Masked,
}

impl Quality {
    /// Measures an aligned face and the landmarks it was aligned by.
    pub(crate) fn measure(aligned: &RgbImage, landmarks: &[Point; 5]) -> Self {
        let pixels = Pixels::of(aligned);
        let (eye_light, eye_contrast) = pixels.eyes();
        let (mouth_texture, mouth_redness) = pixels.mouth();
        Self {
            inter_eye_px: landmarks[0].distance(landmarks[1]),
            sharpness: pixels.sharpness(),
            exposure: pixels.mean() / 255.0,
            yaw: pose::yaw(landmarks),
            pitch: pose::pitch(landmarks),
            roll_deg: pose::roll_deg(landmarks),
            under_exposed: pixels.share(0..=25),
            over_exposed: pixels.share(247..=255),
            dynamic_range: pixels.entropy(),
            uneven_light: pixels.uneven_light(),
            eye_light,
            eye_contrast,
            mouth_texture,
            mouth_redness,
        }
    }

    /// Whether the face is good enough, or the first thing that is wrong.
    pub fn verdict(&self, policy: &QualityPolicy) -> Result<(), QualityProblem> {
        // Each asks for what is good, so that what is no number is refused.
        let upright =
            self.roll_deg.abs() <= policy.roll_deg_max && (policy.pitch_min..=policy.pitch_max).contains(&self.pitch);
        let checks = [
            (self.inter_eye_px >= policy.inter_eye_px_min, QualityProblem::TooSmall),
            (self.yaw.abs() <= policy.yaw_max, QualityProblem::TurnedAway),
            (upright, QualityProblem::Tilted),
            (self.exposure >= policy.exposure_min, QualityProblem::TooDark),
            (self.exposure <= policy.exposure_max, QualityProblem::TooBright),
            (self.uneven_light <= policy.uneven_light_max, QualityProblem::UnevenLight),
            (self.sharpness >= policy.sharpness_min, QualityProblem::Blurred),
            (self.eyes_visible() >= policy.eyes_visible_min, QualityProblem::EyesCovered),
            (self.mouth_visible() >= policy.mouth_visible_min, QualityProblem::Masked),
        ];
        checks.into_iter().find(|(good, _)| !good).map_or(Ok(()), |(_, problem)| Err(problem))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fault_has_its_own_name_and_counts_no_more_than_a_good_face() {
        let policy = QualityPolicy::default();
        let good = Quality::default();
        assert_eq!(good.verdict(&policy), Ok(()));
        let cases = [
            (Quality { inter_eye_px: 10.0, ..good }, QualityProblem::TooSmall),
            (Quality { sharpness: 0.05, ..good }, QualityProblem::Blurred),
            (Quality { exposure: 0.02, ..good }, QualityProblem::TooDark),
            (Quality { exposure: 0.99, ..good }, QualityProblem::TooBright),
            (Quality { uneven_light: 0.7, ..good }, QualityProblem::UnevenLight),
            (Quality { yaw: -0.9, ..good }, QualityProblem::TurnedAway),
            (Quality { yaw: f32::NAN, ..good }, QualityProblem::TurnedAway),
            (Quality { roll_deg: -50.0, ..good }, QualityProblem::Tilted),
            (Quality { pitch: 0.1, ..good }, QualityProblem::Tilted),
            (Quality { pitch: f32::NAN, ..good }, QualityProblem::Tilted),
            (Quality { eye_light: 0.2, eye_contrast: 0.03, ..good }, QualityProblem::EyesCovered),
            (Quality { mouth_texture: 0.03, ..good }, QualityProblem::Masked),
            (Quality { mouth_texture: 0.11, mouth_redness: -24.0, ..good }, QualityProblem::Masked),
        ];
        for (quality, problem) in cases {
            assert_eq!(quality.verdict(&policy), Err(problem));
            assert!(quality.weight() < good.weight(), "{problem}");
        }
    }

    #[test]
    fn deep_set_eyes_and_beards_are_no_covers() {
        let policy = QualityPolicy::default();
        let shaded = Quality { eye_light: 0.4, eye_contrast: 0.15, ..Quality::default() };
        let bearded = Quality { mouth_redness: -24.0, ..Quality::default() };
        assert_eq!((shaded.verdict(&policy), bearded.verdict(&policy)), (Ok(()), Ok(())));
    }
}
