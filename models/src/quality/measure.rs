//! What the pixels of an aligned face say: sharpness, light, and whether eyes and mouth are covered.
//!
//! Regions are places in the 112×112 template, where the eyes lie at (38, 52) and (74, 52) and the mouth at 92.

use std::ops::{Range, RangeInclusive};

use image::RgbImage;

use crate::frame::rounded;

/// Columns and rows.
type Region = (Range<u32>, Range<u32>);

/// No hair, no background.
const FACE: Region = (24..88, 40..100);
const MIDDLE: Region = (28..84, 28..84);
const EYES: [Region; 2] = [(30..47, 46..57), (65..82, 46..57)];
/// Beside the nose, below what glasses cover.
const CHEEKS: [Region; 2] = [(30..46, 64..78), (66..82, 64..78)];
/// Where sides differ when light does.
const SIDES: [Region; 2] = [(28..50, 58..90), (62..84, 58..90)];
const MOUTH: Region = (40..72, 80..100);
/// Skin above masks.
const UPPER: [Region; 2] = [(30..82, 58..66), (48..64, 40..60)];

/// Brightness and redness of an aligned face.
pub struct Pixels {
    width: u32,
    luma: Vec<f32>,
    cr: Vec<f32>,
}

impl Pixels {
    /// Brightness 0 to 255 and Cr −128 to 127 (ITU-R BT.601).
    pub fn of(aligned: &RgbImage) -> Self {
        let sum = |weights: [f32; 3]| -> Vec<f32> {
            aligned.pixels().map(|p| p.0.iter().zip(weights).map(|(v, w)| w * f32::from(*v)).sum()).collect()
        };
        Self { width: aligned.width(), luma: sum([0.299, 0.587, 0.114]), cr: sum([0.5, -0.4187, -0.0813]) }
    }

    fn luma(&self, x: u32, y: u32) -> f32 {
        self.luma[(y * self.width + x) as usize]
    }

    fn lumas(&self, region: &Region) -> Vec<f32> {
        places(region).map(|(x, y)| self.luma(x, y)).collect()
    }

    pub fn mean(&self) -> f32 {
        mean(&self.luma)
    }

    /// Root mean square of the Laplacian over the standard deviation.
    pub fn sharpness(&self) -> f32 {
        let squared = |(x, y)| {
            let around = self.luma(x - 1, y) + self.luma(x + 1, y) + self.luma(x, y - 1) + self.luma(x, y + 1);
            (around - 4.0 * self.luma(x, y)).powi(2)
        };
        let laplacians: Vec<f32> = places(&MIDDLE).map(squared).collect();
        (mean(&laplacians) / variance(&self.lumas(&MIDDLE)).max(1.0)).sqrt()
    }

    /// Share of the face's pixels whose brightness lies in this range.
    pub fn share(&self, range: RangeInclusive<u8>) -> f32 {
        let face = self.lumas(&FACE);
        let inside = face.iter().filter(|v| range.contains(&rounded(**v))).count();
        inside as f32 / face.len() as f32
    }

    /// Entropy of the histogram of 256 levels, in bits.
    pub fn entropy(&self) -> f32 {
        let face = self.lumas(&FACE);
        let mut histogram = [0.0_f32; 256];
        face.iter().for_each(|v| histogram[usize::from(rounded(*v))] += 1.0 / face.len() as f32);
        -histogram.iter().filter(|p| **p > 0.0).map(|p| p * p.log2()).sum::<f32>()
    }

    /// Difference of the sides' mean brightness over their sum.
    pub fn uneven_light(&self) -> f32 {
        let [a, b] = SIDES.map(|side| mean(&self.lumas(&side)));
        (a - b).abs() / (a + b).max(1.0)
    }

    /// Brightness (90th percentile) and contrast (standard deviation) of the eyes' surroundings, of the eye that has
    /// more, over the cheeks' median brightness.
    pub fn eyes(&self) -> (f32, f32) {
        let cheeks = CHEEKS.iter().flat_map(|cheek| self.lumas(cheek)).collect();
        // In the dark, where noise rules, nothing is said against the eyes.
        let cheeks = quantile(cheeks, 0.5) + 5.0;
        let [a, b] = EYES.map(|eye| self.lumas(&eye));
        let contrast = variance(&a).max(variance(&b)).sqrt();
        (quantile(a, 0.9).max(quantile(b, 0.9)) / cheeks, contrast / cheeks)
    }

    /// Mean steepness of brightness round the mouth over its brightness, and Cr there less that of the skin above.
    pub fn mouth(&self) -> (f32, f32) {
        let steepness = |(x, y)| {
            let (across, down) = (self.luma(x + 1, y) - self.luma(x - 1, y), self.luma(x, y + 1) - self.luma(x, y - 1));
            across.hypot(down)
        };
        let steep: Vec<f32> = places(&MOUTH).map(steepness).collect();
        let cr = |(x, y): (u32, u32)| self.cr[(y * self.width + x) as usize];
        let mouth = places(&MOUTH).map(cr).collect();
        let skin = UPPER.iter().flat_map(places).map(cr).collect();
        let redness = quantile(mouth, 0.5) - quantile(skin, 0.5);
        (mean(&steep) / (mean(&self.lumas(&MOUTH)) + 20.0), redness)
    }
}

fn places((columns, rows): &Region) -> impl Iterator<Item = (u32, u32)> {
    let columns = columns.clone();
    rows.clone().flat_map(move |y| columns.clone().map(move |x| (x, y)))
}

fn mean(values: &[f32]) -> f32 {
    values.iter().sum::<f32>() / values.len() as f32
}

fn variance(values: &[f32]) -> f32 {
    let mean = mean(values);
    values.iter().map(|v| (v - mean) * (v - mean)).sum::<f32>() / values.len() as f32
}

/// The value that this share of all lies below.
fn quantile(mut values: Vec<f32>, share: f32) -> f32 {
    let at = ((values.len() - 1) as f32 * share) as usize;
    *values.select_nth_unstable_by(at, f32::total_cmp).1
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    fn drawn(colour: impl Fn(u32, u32) -> [u8; 3]) -> Pixels {
        Pixels::of(&RgbImage::from_fn(112, 112, |x, y| Rgb(colour(x, y))))
    }

    fn grey(brightness: impl Fn(u32, u32) -> u8) -> Pixels {
        drawn(|x, y| [brightness(x, y); 3])
    }

    fn within(places: &[Region], x: u32, y: u32) -> bool {
        places.iter().any(|(columns, rows)| columns.contains(&x) && rows.contains(&y))
    }

    #[test]
    fn sharpness_falls_with_blur_and_not_with_light() {
        let checks = |low, high| grey(move |x, y| if (x / 4 + y / 4) % 2 == 0 { low } else { high }).sharpness();
        assert!(checks(0, 200) > 0.5);
        assert!((checks(0, 200) - checks(50, 90)).abs() < 1e-3);
        assert!(grey(|x, _| x as u8).sharpness() < 0.05);
    }

    #[test]
    fn light_is_counted_where_the_face_is() {
        let half = grey(|x, _| if x < 56 { 10 } else { 250 });
        assert!((half.share(0..=25) - 0.5).abs() < 1e-3 && (half.share(247..=255) - 0.5).abs() < 1e-3);
        assert!((half.entropy() - 1.0).abs() < 1e-3);
        assert!((half.uneven_light() - 240.0 / 260.0).abs() < 1e-3);
        let even = grey(|_, y| y as u8 + 60);
        assert!(even.uneven_light() < 1e-6 && even.entropy() > 5.0 && even.share(0..=25) == 0.0);
    }

    #[test]
    fn dark_bars_over_the_eyes_show_and_one_open_eye_is_enough() {
        let bars = |covered: &'static [Region]| {
            grey(move |x, y| if within(covered, x, y) { 20 } else { 120 + (x % 4 * 20) as u8 }).eyes()
        };
        let (light, contrast) = bars(&EYES);
        assert!(light < 0.2 && contrast < 0.01);
        let (light, contrast) = bars(&EYES[..1]);
        assert!(light > 0.9 && contrast > 0.1);
    }

    #[test]
    fn blue_cloth_over_the_mouth_is_smooth_and_not_red() {
        let face = |cloth: bool| {
            drawn(move |x, y| match (y > 68, cloth) {
                (true, true) => [120, 165, 205],
                _ => [200, 150, 120 + (y % 3 * 20) as u8 + (x % 2 * 20) as u8],
            })
        };
        let (texture, redness) = face(true).mouth();
        assert!(texture < 1e-6 && redness < -30.0);
        let (texture, redness) = face(false).mouth();
        assert!(texture > 0.01 && redness.abs() < 3.0);
    }
}
