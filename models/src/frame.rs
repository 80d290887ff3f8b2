//! One picture in memory: RGB, 8 bits, and the few things that are done to pixels.

use std::fmt;

use image::RgbImage;

/// A decoded picture. It lives as long as the call that looks at it, and cannot be printed.
#[derive(Clone)]
pub struct Frame {
    pixels: RgbImage,
}

impl Frame {
    pub fn from_rgb(pixels: RgbImage) -> Self {
        Self { pixels }
    }

    pub fn width(&self) -> u32 {
        self.pixels.width()
    }

    pub fn height(&self) -> u32 {
        self.pixels.height()
    }

    /// Brightness of one pixel, 0 to 255 (ITU-R BT.601, as JPEG has it). Panics outside the frame.
    pub fn luma_at(&self, x: u32, y: u32) -> u8 {
        luma(self.pixels.get_pixel(x, y).0)
    }

    pub(crate) fn rgb(&self) -> &RgbImage {
        &self.pixels
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame({}x{})", self.width(), self.height())
    }
}

pub(crate) fn luma([r, g, b]: [u8; 3]) -> u8 {
    // Weights in 256ths add up to 256, so the result always fits.
    ((77 * u32::from(r) + 150 * u32::from(g) + 29 * u32::from(b)) >> 8) as u8
}

/// Shrinks `source` to `width` × `height`, at most its size: each result is the mean of the area it covers, pixels cut
/// by its edge counting by their part. At a factor of two this is what bilinear scaling gives; beyond, it does not
/// alias. Calls `put(x, y, rgb)`.
pub(crate) fn shrink(source: &RgbImage, width: u32, height: u32, mut put: impl FnMut(u32, u32, [u8; 3])) {
    let (columns, rows) = (spans(source.width(), width), spans(source.height(), height));
    let stride = source.width() as usize * 3;
    let raw = source.as_raw();
    for (y, row) in rows.iter().enumerate() {
        for (x, column) in columns.iter().enumerate() {
            let mut sum = [0_u64; 3];
            for (line, line_weight) in row.weights.iter().enumerate() {
                let start = (row.first + line) * stride + column.first * 3;
                let mut line_sum = [0_u32; 3];
                for (pixel, weight) in raw[start..].as_chunks::<3>().0.iter().zip(&column.weights) {
                    (0..3).for_each(|c| line_sum[c] += weight * u32::from(pixel[c]));
                }
                (0..3).for_each(|c| sum[c] += u64::from(line_sum[c]) * u64::from(*line_weight));
            }
            let whole = column.total() * row.total();
            put(x as u32, y as u32, sum.map(|s| ((s + whole / 2) / whole) as u8));
        }
    }
}

/// Which pixels one cell of the result covers, and how much of each, in 256ths.
struct Span {
    first: usize,
    weights: Vec<u32>,
}

impl Span {
    fn total(&self) -> u64 {
        self.weights.iter().map(|w| u64::from(*w)).sum()
    }
}

/// The spans of `to` cells over `from` pixels.
fn spans(from: u32, to: u32) -> Vec<Span> {
    let edge = |i: u32| u64::from(i) * u64::from(from) * 256 / u64::from(to);
    let span = |i: u32| {
        let (start, end) = (edge(i), edge(i + 1));
        let first = start / 256;
        let covered = |pixel: u64| (end.min((pixel + 1) * 256) - start.max(pixel * 256)) as u32;
        Span { first: first as usize, weights: (first..end.div_ceil(256)).map(covered).collect() }
    };
    (0..to).map(span).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shrinking_averages_and_reaches_every_pixel() {
        let source = RgbImage::from_fn(6, 4, |x, y| image::Rgb([(x * 10) as u8, (y * 20) as u8, 7]));
        let mut seen = Vec::new();
        shrink(&source, 3, 2, |x, y, rgb| seen.push((x, y, rgb)));
        assert_eq!(seen.len(), 6);
        assert_eq!(seen[0], (0, 0, [5, 10, 7]));
        assert_eq!(seen[5], (2, 1, [45, 50, 7]));
        shrink(&source, 6, 4, |x, y, rgb| assert_eq!(rgb, source.get_pixel(x, y).0));
        for (from, to) in [(100_u32, 7), (641, 640), (5, 5)] {
            let spans = spans(from, to);
            let covered: u64 = spans.iter().map(Span::total).sum();
            assert_eq!(covered, u64::from(from) * 256);
            let last = &spans[spans.len() - 1];
            assert_eq!(last.first + last.weights.len(), from as usize);
        }
    }

    #[test]
    fn a_frame_prints_only_its_size() {
        let frame = Frame::from_rgb(RgbImage::from_pixel(3, 2, image::Rgb([255, 255, 255])));
        assert_eq!(format!("{frame:?}"), "Frame(3x2)");
        assert_eq!(frame.luma_at(0, 0), 255);
    }
}
