//! Documented degradations of real photographs: what a gate's camera does to a face, and what people wear on theirs.
//!
//! Each takes a decoded photograph and the landmarks of its face. Strengths are relative to the distance of the eyes, so
//! that they mean the same on any photograph.

use facegate_models::Point;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// One degradation at one strength.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Degradation {
    /// Shrunk until the eyes are so many pixels apart, and enlarged again: a far face.
    EyesApart(f32),
    /// Averaged along a horizontal line of this length, in distances of the eyes: a walker and a slow shutter.
    Motion(f32),
    /// Gaussian noise of this standard deviation (0 to 255) on each channel: little light.
    Noise(f32),
    /// Brightness to the power of this: below 1 washed out, above 1 sunk into the dark.
    Gamma(f32),
    /// One half of the face brightened by this factor, until it clips: a low sun from the side.
    SideLight(f32),
    /// A flat cloth from below the eyes to below the chin: a surgical mask.
    Mask,
    /// The same of black cloth, as dark as a beard.
    DarkMask,
    /// Dark bars over both eyes: sunglasses.
    Sunglasses,
    /// Thin dark frames round both eyes: spectacles.
    Spectacles,
    /// Compressed as a JPEG of this quality.
    Jpeg(u8),
}

impl Degradation {
    pub const ALL: [Self; 17] = [
        Self::EyesApart(32.0),
        Self::EyesApart(20.0),
        Self::EyesApart(12.0),
        Self::Motion(0.1),
        Self::Motion(0.25),
        Self::Noise(15.0),
        Self::Noise(40.0),
        Self::Gamma(0.4),
        Self::Gamma(2.5),
        Self::SideLight(2.5),
        Self::Mask,
        Self::DarkMask,
        Self::Sunglasses,
        Self::Spectacles,
        Self::Jpeg(40),
        Self::Jpeg(15),
        Self::Jpeg(5),
    ];

    /// What was done, in words.
    pub fn name(self) -> String {
        match self {
            Self::EyesApart(px) => format!("eyes {px} px apart"),
            Self::Motion(length) => format!("motion blur over {length} eye distances"),
            Self::Noise(sigma) => format!("noise of sigma {sigma}"),
            Self::Gamma(gamma) => format!("gamma {gamma}"),
            Self::SideLight(gain) => format!("light from one side, factor {gain}"),
            Self::Mask => "mask over mouth and nose".into(),
            Self::DarkMask => "black mask over mouth and nose".into(),
            Self::Sunglasses => "sunglasses".into(),
            Self::Spectacles => "spectacles".into(),
            Self::Jpeg(quality) => format!("JPEG quality {quality}"),
        }
    }

    /// The degraded photograph as the bytes of a JPEG of high quality (of its own, where that is the degradation).
    pub fn apply(self, picture: &RgbImage, landmarks: &[Point; 5]) -> anyhow::Result<Vec<u8>> {
        let [right, left, ..] = *landmarks;
        let eyes = right.distance(left).max(1.0);
        let changed = match self {
            Self::EyesApart(px) => shrunk_and_enlarged(picture, (px / eyes).min(1.0)),
            Self::Motion(length) => smeared(picture, (length * eyes).round().max(1.0) as u32),
            Self::Noise(sigma) => noisy(picture, sigma),
            Self::Gamma(gamma) => brightness(picture, |value, _| value.powf(gamma)),
            Self::SideLight(gain) => {
                let middle = right.midway(left).x;
                brightness(picture, |value, x| if x < middle { (value * gain).min(1.0) } else { value })
            }
            Self::Mask => masked(picture, landmarks, eyes, [186, 205, 214]),
            Self::DarkMask => masked(picture, landmarks, eyes, [40, 40, 42]),
            Self::Sunglasses => ringed(picture, [right, left], eyes, 0.0),
            Self::Spectacles => ringed(picture, [right, left], eyes, 0.8),
            Self::Jpeg(_) => picture.clone(),
        };
        let quality = if let Self::Jpeg(quality) = self { quality } else { 97 };
        let mut bytes = Vec::new();
        JpegEncoder::new_with_quality(&mut bytes, quality).encode_image(&changed)?;
        Ok(bytes)
    }
}

fn shrunk_and_enlarged(picture: &RgbImage, factor: f32) -> RgbImage {
    let (width, height) = picture.dimensions();
    let side = |px: u32| ((px as f32 * factor).round() as u32).max(1);
    let small = imageops::resize(picture, side(width), side(height), FilterType::Triangle);
    imageops::resize(&small, width, height, FilterType::Triangle)
}

fn smeared(picture: &RgbImage, length: u32) -> RgbImage {
    RgbImage::from_fn(picture.width(), picture.height(), |x, y| {
        let from = x.saturating_sub(length / 2);
        let to = (x + length - length / 2).min(picture.width());
        let sum = (from..to).fold([0_u32; 3], |sum, x| {
            let pixel = picture.get_pixel(x, y).0;
            std::array::from_fn(|c| sum[c] + u32::from(pixel[c]))
        });
        Rgb(sum.map(|s| (s / (to - from)) as u8))
    })
}

fn noisy(picture: &RgbImage, sigma: f32) -> RgbImage {
    let mut rng = StdRng::seed_from_u64(7);
    // Twelve uniform numbers add up to nearly a normal one of variance 1.
    let mut normal = || (0..12).map(|_| rng.random::<f32>()).sum::<f32>() - 6.0;
    let mut noisy = picture.clone();
    for pixel in noisy.pixels_mut() {
        pixel.0 = pixel.0.map(|value| (f32::from(value) + sigma * normal()).clamp(0.0, 255.0) as u8);
    }
    noisy
}

fn brightness(picture: &RgbImage, curve: impl Fn(f32, f32) -> f32) -> RgbImage {
    RgbImage::from_fn(picture.width(), picture.height(), |x, y| {
        Rgb(picture.get_pixel(x, y).0.map(|value| (255.0 * curve(f32::from(value) / 255.0, x as f32)).round() as u8))
    })
}

/// Paints pixels by their place relative to the eyes: along the line of the eyes and across it downwards, in distances
/// of the eyes from the point midway.
fn painted(
    picture: &RgbImage,
    [right, left]: [Point; 2],
    eyes: f32,
    colour: impl Fn(f32, f32) -> Option<[u8; 3]>,
) -> RgbImage {
    let middle = right.midway(left);
    let (ax, ay) = ((left.x - right.x) / eyes, (left.y - right.y) / eyes);
    RgbImage::from_fn(picture.width(), picture.height(), |x, y| {
        let (dx, dy) = (x as f32 - middle.x, y as f32 - middle.y);
        let (along, down) = ((dx * ax + dy * ay) / eyes, (dy * ax - dx * ay) / eyes);
        colour(along, down).map_or(*picture.get_pixel(x, y), Rgb)
    })
}

fn masked(picture: &RgbImage, landmarks: &[Point; 5], eyes: f32, cloth: [u8; 3]) -> RgbImage {
    painted(picture, [landmarks[0], landmarks[1]], eyes, |along, down| {
        // From just above the nose tip to under the chin, narrowing downwards.
        ((0.45..1.9).contains(&down) && along.abs() < 1.05 - 0.25 * down).then_some(cloth)
    })
}

fn ringed(picture: &RgbImage, ends: [Point; 2], eyes: f32, hollow: f32) -> RgbImage {
    painted(picture, ends, eyes, |along, down| {
        let lens = ((along.abs() - 0.5) / 0.42).hypot(down / 0.32);
        let bridge = along.abs() < 0.12 && (-0.12..-0.02).contains(&down);
        ((hollow..1.0).contains(&lens) || bridge).then_some([18, 18, 20])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LANDMARKS: [Point; 5] = [
        Point { x: 40.0, y: 50.0 },
        Point { x: 80.0, y: 50.0 },
        Point { x: 60.0, y: 75.0 },
        Point { x: 45.0, y: 95.0 },
        Point { x: 75.0, y: 95.0 },
    ];

    fn picture() -> RgbImage {
        RgbImage::from_fn(120, 130, |x, y| Rgb([(x * 2) as u8, (y + 60) as u8, ((x / 3 + y / 3) % 2 * 200) as u8]))
    }

    #[test]
    fn every_degradation_changes_the_picture_and_keeps_its_size() {
        for degradation in Degradation::ALL {
            let bytes = degradation.apply(&picture(), &LANDMARKS).unwrap();
            let changed = image::load_from_memory(&bytes).unwrap().into_rgb8();
            assert_eq!(changed.dimensions(), (120, 130), "{}", degradation.name());
            let off: u32 = changed.iter().zip(picture().iter()).map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
            assert!(off > 1000, "{} changes nothing", degradation.name());
        }
    }

    #[test]
    fn a_mask_hides_the_mouth_and_sunglasses_the_eyes_alone() {
        let masked = masked(&picture(), &LANDMARKS, 40.0, [186, 205, 214]);
        assert_eq!(masked.get_pixel(60, 95).0, [186, 205, 214]);
        assert_eq!(masked.get_pixel(40, 50), picture().get_pixel(40, 50));
        let shaded = ringed(&picture(), [LANDMARKS[0], LANDMARKS[1]], 40.0, 0.0);
        assert_eq!(shaded.get_pixel(40, 50).0, [18, 18, 20]);
        assert_eq!(shaded.get_pixel(60, 95), picture().get_pixel(60, 95));
    }
}
