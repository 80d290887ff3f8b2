//! Cue: moiré. A screen's grid and the camera's interfere; the pattern stands as isolated peaks in the spectrum.
//!
//! Light evidence: it is absent at many distances and cameras invent it on fine cloth. Measured on real recordings it
//! separates clips somewhat (AUC .76) and small crops not (.56 on the four sources at hand), so the shipped calibration
//! gives it no weight, and it is not even computed; an operator whose captures show it gets one by calibrating.

mod fft;

use crate::frame::Frame;
use crate::geometry::BoundingBox;
use fft::spectrum;

/// Side of the square in the middle of the face that is looked at, at the frame's own resolution.
pub(super) const SIDE: usize = 128;
/// Lower frequencies, in periods over the square, are the face's own.
const RADIUS_MIN: usize = 13;
/// Edges and JPEG's blocks lie on the axes.
const AXIS: usize = 2;
/// The peaks that are averaged.
const PEAKS: usize = 10;

/// Minus the mean height, in nepers over what is usual at their frequency, of the strongest peaks; none if the face
/// is too small to have any.
pub fn moire(frame: &Frame, face: &BoundingBox) -> Option<f32> {
    let (centre, half) = (face.centre(), SIDE as f32 / 2.0);
    let (left, top) = (centre.x - half, centre.y - half);
    // Compared as they come: a detector's numbers may be none, or far outside.
    let fits = |start: f32, size: u32| start >= 0.0 && start + SIDE as f32 <= size as f32;
    if !fits(left, frame.width()) || !fits(top, frame.height()) || face.width < SIDE as f32 * 0.75 {
        return None;
    }
    let (left, top) = (left as u32, top as u32);
    let brightness = |i: usize| f32::from(frame.luma_at(left + (i % SIDE) as u32, top + (i / SIDE) as u32));
    Some(-peaks(&spectrum((0..SIDE * SIDE).map(brightness).collect())))
}

/// `spectrum` holds log magnitudes, frequency (0, 0) first.
fn peaks(spectrum: &[f32]) -> f32 {
    let fold = |i: usize| i.min(SIDE - i);
    let mut rings: Vec<Vec<f32>> = vec![Vec::new(); SIDE / 2];
    let mut places = Vec::new();
    for (i, value) in spectrum.iter().enumerate() {
        let (x, y) = (fold(i % SIDE), fold(i / SIDE));
        let radius = (x as f32).hypot(y as f32) as usize;
        if (RADIUS_MIN..SIDE / 2).contains(&radius) {
            rings[radius].push(*value);
            if x >= AXIS && y >= AXIS {
                places.push((radius, *value));
            }
        }
    }
    let usual: Vec<f32> = rings.into_iter().map(median).collect();
    let mut heights: Vec<f32> = places.into_iter().map(|(radius, value)| value - usual[radius]).collect();
    heights.sort_by(|a, b| b.total_cmp(a));
    heights[..PEAKS].iter().sum::<f32>() / PEAKS as f32
}

fn median(mut values: Vec<f32>) -> f32 {
    values.sort_by(f32::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scored(grid: f32) -> f32 {
        let pixels = image::RgbImage::from_fn(400, 400, |x, y| {
            let (x, y) = (x as f32, y as f32);
            let skin = 120.0 + 40.0 * (x / 60.0).sin() * (y / 70.0).cos() + (x * 91.7 + y * 47.3).sin() * 3.0;
            let pattern = grid * ((x * 1.1 + y * 0.6).sin() + (x * 0.7 - y * 1.2).sin());
            image::Rgb([(skin + pattern) as u8; 3])
        });
        let face = BoundingBox { left: 120.0, top: 100.0, width: 160.0, height: 200.0 };
        moire(&Frame::from_rgb(&pixels), &face).unwrap()
    }

    #[test]
    fn a_grid_over_a_face_makes_peaks() {
        assert!(scored(0.0) - scored(8.0) > 0.5, "{} {}", scored(0.0), scored(8.0));
    }

    #[test]
    fn a_small_or_cut_off_face_has_none() {
        let frame = Frame::from_rgb(&image::RgbImage::new(300, 300));
        let at = |left, width| BoundingBox { left, top: 80.0, width, height: 150.0 };
        assert_eq!(moire(&frame, &at(100.0, 60.0)), None);
        assert_eq!(moire(&frame, &at(-80.0, 150.0)), None);
    }
}
