//! How well a face can be recognised: size, sharpness, light and pose, and what is wrong in words.

use image::RgbImage;
use serde::{Deserialize, Serialize};

use crate::align::SIDE;
use crate::geometry::Point;

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
}

/// What is good enough.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QualityPolicy {
    pub inter_eye_px_min: f32,
    pub sharpness_min: f32,
    pub exposure_min: f32,
    pub exposure_max: f32,
    pub yaw_max: f32,
}

impl Default for QualityPolicy {
    fn default() -> Self {
        Self { inter_eye_px_min: 24.0, sharpness_min: 0.15, exposure_min: 0.12, exposure_max: 0.92, yaw_max: 0.6 }
    }
}

/// Why a face is not good enough, in the order in which it is told to the person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QualityProblem {
    #[error("the face is too small: come closer")]
    TooSmall,
    #[error("the face is turned away: look into the camera")]
    TurnedAway,
    #[error("the face is too dark: more light is needed")]
    TooDark,
    #[error("the face is too bright: less light is needed")]
    TooBright,
    #[error("the face is blurred: hold still")]
    Blurred,
}

impl Quality {
    /// Measures an aligned face and the landmarks it was aligned by.
    pub(crate) fn measure(aligned: &RgbImage, landmarks: &[Point; 5]) -> Self {
        let [right_eye, left_eye, nose, ..] = *landmarks;
        let inter_eye_px = right_eye.distance(left_eye);
        let grey: Vec<f32> = aligned.pixels().map(|p| luma(p.0)).collect();
        let mean = grey.iter().sum::<f32>() / grey.len() as f32;
        Self {
            inter_eye_px,
            sharpness: sharpness(&grey, aligned.width() as usize),
            exposure: mean / 255.0,
            yaw: yaw(right_eye, left_eye, nose),
        }
    }

    /// Whether the face is good enough, or the first thing that is wrong.
    pub fn verdict(&self, policy: &QualityPolicy) -> Result<(), QualityProblem> {
        let checks = [
            (self.inter_eye_px >= policy.inter_eye_px_min, QualityProblem::TooSmall),
            (self.yaw.abs() <= policy.yaw_max, QualityProblem::TurnedAway),
            (self.exposure >= policy.exposure_min, QualityProblem::TooDark),
            (self.exposure <= policy.exposure_max, QualityProblem::TooBright),
            (self.sharpness >= policy.sharpness_min, QualityProblem::Blurred),
        ];
        checks.into_iter().find(|(good, _)| !good).map_or(Ok(()), |(_, problem)| Err(problem))
    }

    /// How much this face counts beside others of the same person, above 0 up to 1.
    ///
    /// Detail beyond what the embedder's 112 pixels hold adds nothing; a turned face says less.
    pub fn weight(&self) -> f32 {
        // Written so that what is no number counts least.
        let share = |value: f32| if value > 0.1 { value.min(1.0) } else { 0.1 };
        let size = share(self.inter_eye_px / 40.0);
        let detail = share(self.sharpness / 0.4);
        let pose = share(1.0 - self.yaw * self.yaw);
        size * detail * pose
    }
}

/// Root mean square of the Laplacian over the standard deviation, on the middle of the aligned face (no hair, no
/// background).
fn sharpness(grey: &[f32], width: usize) -> f32 {
    let margin = SIDE as usize / 4;
    let (mut laplacian, mut sum, mut squares, mut count) = (0.0, 0.0, 0.0, 0.0);
    for y in margin..grey.len() / width - margin {
        for x in margin..width - margin {
            let at = |dx: isize, dy: isize| grey[(y as isize + dy) as usize * width + (x as isize + dx) as usize];
            let l = at(-1, 0) + at(1, 0) + at(0, -1) + at(0, 1) - 4.0 * at(0, 0);
            laplacian += l * l;
            sum += at(0, 0);
            squares += at(0, 0) * at(0, 0);
            count += 1.0;
        }
    }
    let variance: f32 = (squares / count - (sum / count) * (sum / count)).max(1.0);
    (laplacian / count / variance).sqrt()
}

/// Brightness of a pixel, 0 to 255 (ITU-R BT.601).
fn luma([r, g, b]: [u8; 3]) -> f32 {
    0.299 * f32::from(r) + 0.587 * f32::from(g) + 0.114 * f32::from(b)
}

/// Where along the line of the eyes the nose lies, from −1 over one eye to 1 over the other.
fn yaw(right_eye: Point, left_eye: Point, nose: Point) -> f32 {
    let (ex, ey) = (left_eye.x - right_eye.x, left_eye.y - right_eye.y);
    let along =
        ((nose.x - right_eye.x) * ex + (nose.y - right_eye.y) * ey) / (ex * ex + ey * ey).max(f32::MIN_POSITIVE);
    (2.0 * along - 1.0).clamp(-2.0, 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Quality = Quality { inter_eye_px: 60.0, sharpness: 0.5, exposure: 0.5, yaw: 0.1 };

    #[test]
    fn each_fault_has_its_own_name() {
        let policy = QualityPolicy::default();
        assert_eq!(GOOD.verdict(&policy), Ok(()));
        let cases = [
            (Quality { inter_eye_px: 10.0, ..GOOD }, QualityProblem::TooSmall),
            (Quality { sharpness: 0.05, ..GOOD }, QualityProblem::Blurred),
            (Quality { exposure: 0.02, ..GOOD }, QualityProblem::TooDark),
            (Quality { exposure: 0.99, ..GOOD }, QualityProblem::TooBright),
            (Quality { yaw: -0.9, ..GOOD }, QualityProblem::TurnedAway),
            (Quality { yaw: f32::NAN, ..GOOD }, QualityProblem::TurnedAway),
        ];
        for (quality, problem) in cases {
            assert_eq!(quality.verdict(&policy), Err(problem));
            assert!(quality.weight() <= GOOD.weight());
        }
    }

    #[test]
    fn sharpness_falls_with_blur_and_not_with_light() {
        let checks = |low: f32, high: f32| -> Vec<f32> {
            (0..112 * 112).map(|i| if (i % 112 / 4 + i / 112 / 4) % 2 == 0 { low } else { high }).collect()
        };
        let ramp: Vec<f32> = (0..112 * 112).map(|i| (i % 112) as f32).collect();
        assert!(sharpness(&checks(0.0, 200.0), 112) > 0.5);
        assert!((sharpness(&checks(0.0, 200.0), 112) - sharpness(&checks(50.0, 90.0), 112)).abs() < 1e-3);
        assert!(sharpness(&ramp, 112) < 0.05);
    }

    #[test]
    fn yaw_is_measured_along_the_eyes_however_the_head_is_tilted() {
        let p = |x, y| Point { x, y };
        assert!(yaw(p(0.0, 0.0), p(10.0, 0.0), p(5.0, 6.0)).abs() < 1e-6);
        assert!((yaw(p(0.0, 0.0), p(10.0, 0.0), p(10.0, 6.0)) - 1.0).abs() < 1e-6);
        assert!((yaw(p(0.0, 0.0), p(0.0, 10.0), p(-6.0, 0.0)) + 1.0).abs() < 1e-6);
    }
}
