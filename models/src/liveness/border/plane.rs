//! A small grey picture of a face's surroundings.

use std::ops::Range;

use crate::frame::Frame;

/// Brightness, row by row.
pub struct Plane {
    pub width: usize,
    pub height: usize,
    pub values: Vec<f32>,
}

impl Plane {
    pub fn build(width: usize, height: usize, value: impl Fn(usize, usize) -> f32) -> Self {
        let mut values = Vec::with_capacity(width * height);
        (0..height).for_each(|y| values.extend((0..width).map(|x| value(x, y))));
        Self { width, height, values }
    }

    /// A rectangle (left, top, width, height) of the frame at another size: the mean brightness of the whole pixels
    /// that each result covers, at least one.
    pub fn shrunk(frame: &Frame, region: (u32, u32, u32, u32), width: usize, height: usize) -> Self {
        let (left, top, from_width, from_height) = region;
        let luma = frame.luma();
        let spans = |from: u32, to: usize| -> Vec<Range<usize>> {
            let edge = |i: usize| i * from as usize / to;
            (0..to).map(|i| edge(i)..edge(i + 1).max(edge(i) + 1)).collect()
        };
        let (rows, columns) = (spans(from_height, height), spans(from_width, width));
        let mut values = Vec::with_capacity(width * height);
        let mut sums = vec![0_u32; from_width as usize];
        for rows in rows {
            let rows_count = rows.len();
            // Rows are added up first, all columns at once.
            sums.fill(0);
            for row in rows {
                let start = (top as usize + row) * luma.width as usize + left as usize;
                let pixels = &luma.samples[start..start + from_width as usize];
                sums.iter_mut().zip(pixels).for_each(|(sum, pixel)| *sum += u32::from(*pixel));
            }
            values.extend(columns.iter().map(|columns| {
                let count = rows_count * columns.len();
                sums[columns.clone()].iter().sum::<u32>() as f32 / count as f32
            }));
        }
        Self { width, height, values }
    }

    pub fn row(&self, y: usize) -> &[f32] {
        &self.values[y * self.width..][..self.width]
    }

    pub fn transposed(&self) -> Self {
        Self::build(self.height, self.width, |x, y| self.values[x * self.width + y])
    }

    /// Against noise and compression: a 3×3 Gaussian of σ 0.8, the outermost pixels repeated beyond the edge.
    pub fn smoothed(&self) -> Self {
        const SIDE: f32 = 0.239;
        let weigh = |before: f32, here: f32, after: f32| (1.0 - 2.0 * SIDE) * here + SIDE * (before + after);
        let across = Self::build(self.width, self.height, |x, y| {
            let row = self.row(y);
            weigh(row[x.saturating_sub(1)], row[x], row[(x + 1).min(row.len() - 1)])
        });
        let mut values = Vec::with_capacity(self.values.len());
        for y in 0..self.height {
            let [above, below] = [y.saturating_sub(1), (y + 1).min(self.height - 1)].map(|row| across.row(row));
            let rows = above.iter().zip(across.row(y)).zip(below);
            values.extend(rows.map(|((above, here), below)| weigh(*above, *here, *below)));
        }
        Self { width: self.width, height: self.height, values }
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
