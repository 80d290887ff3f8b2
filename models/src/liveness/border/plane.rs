//! A small grey picture of a face's surroundings.

use crate::frame::Frame;

/// Brightness, row by row.
pub struct Plane {
    pub width: usize,
    pub height: usize,
    pub values: Vec<f32>,
}

impl Plane {
    pub fn build(width: usize, height: usize, value: impl Fn(usize, usize) -> f32) -> Self {
        let values = (0..width * height).map(|i| value(i % width, i / width)).collect();
        Self { width, height, values }
    }

    /// A rectangle (left, top, width, height) of the frame at another size: the mean brightness of the whole pixels
    /// that each result covers, at least one. Every other row and column serves where it shrinks more than six times.
    pub fn shrunk(frame: &Frame, region: (u32, u32, u32, u32), width: usize, height: usize) -> Self {
        let (left, top, from_width, from_height) = region;
        let luma = frame.luma();
        let span = |i: usize, from: u32, to: usize| {
            let edge = |i: usize| (i * from as usize / to) as u32;
            let (first, end) = (edge(i).min(from - 1), edge(i + 1).min(from));
            let step = if end.saturating_sub(first) > 6 { 2 } else { 1 };
            (first..end.max(first + 1)).step_by(step)
        };
        Self::build(width, height, |x, y| {
            let (mut sum, mut count) = (0_u32, 0_u32);
            for row in span(y, from_height, height) {
                for column in span(x, from_width, width) {
                    sum += u32::from(luma.samples[((top + row) * luma.width + left + column) as usize]);
                    count += 1;
                }
            }
            sum as f32 / count as f32
        })
    }

    /// The nearest pixel for places outside.
    pub fn at(&self, x: isize, y: isize) -> f32 {
        let x = x.clamp(0, self.width as isize - 1) as usize;
        let y = y.clamp(0, self.height as isize - 1) as usize;
        self.values[y * self.width + x]
    }

    pub fn transposed(&self) -> Self {
        Self::build(self.height, self.width, |x, y| self.values[x * self.width + y])
    }

    /// Against noise and compression: a 3×3 Gaussian of σ 0.8.
    pub fn smoothed(&self) -> Self {
        const SIDE: f32 = 0.239;
        let pass = |plane: &Self, dx: isize, dy: isize| {
            Self::build(plane.width, plane.height, |x, y| {
                let (x, y) = (x as isize, y as isize);
                (1.0 - 2.0 * SIDE) * plane.at(x, y) + SIDE * (plane.at(x - dx, y - dy) + plane.at(x + dx, y + dy))
            })
        };
        pass(&pass(self, 1, 0), 0, 1)
    }
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage};

    use super::*;

    #[test]
    fn shrinking_averages_what_is_covered() {
        let frame = Frame::from_rgb(&RgbImage::from_fn(8, 4, |x, y| Rgb([(x * 10 + y * 20) as u8; 3])));
        let half = Plane::shrunk(&frame, (0, 0, 8, 4), 4, 2);
        assert_eq!((half.values[0], half.values[7]), (15.0, 115.0));
        let grown = Plane::shrunk(&frame, (2, 1, 2, 1), 4, 2);
        assert_eq!(grown.values, [40.0, 40.0, 50.0, 50.0, 40.0, 40.0, 50.0, 50.0]);
    }
}
