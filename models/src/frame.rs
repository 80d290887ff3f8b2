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

/// Shrinks `source` by averaging the pixels that fall into each of the result's, `width` × `height` at most its size.
///
/// At a factor of two this is what bilinear scaling gives; beyond, it does not alias. Calls `put(x, y, rgb)`.
pub(crate) fn shrink(source: &RgbImage, width: u32, height: u32, mut put: impl FnMut(u32, u32, [u8; 3])) {
    let columns = spans(source.width(), width);
    let stride = source.width() as usize * 3;
    let raw = source.as_raw();
    for (y, (top, bottom)) in spans(source.height(), height).into_iter().enumerate() {
        for (x, &(left, right)) in columns.iter().enumerate() {
            let mut sum = [0_u32; 3];
            for row in top..bottom {
                let start = row * stride;
                for pixel in raw[start + left * 3..start + right * 3].as_chunks::<3>().0 {
                    (0..3).for_each(|c| sum[c] += u32::from(pixel[c]));
                }
            }
            let count = ((bottom - top) * (right - left)) as u32;
            put(x as u32, y as u32, sum.map(|s| ((s + count / 2) / count) as u8));
        }
    }
}

/// For each of `to` cells, which of `from` pixels fall into it; never none.
fn spans(from: u32, to: u32) -> Vec<(usize, usize)> {
    let edge = |i: u32| (u64::from(i) * u64::from(from) / u64::from(to)) as usize;
    (0..to).map(|i| (edge(i), edge(i + 1).max(edge(i) + 1))).collect()
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
        for (from, to) in [(100, 7), (641, 640), (5, 5)] {
            let spans = spans(from, to);
            assert_eq!((spans[0].0, spans[to as usize - 1].1), (0, from as usize));
        }
    }

    #[test]
    fn a_frame_prints_only_its_size() {
        let frame = Frame::from_rgb(RgbImage::from_pixel(3, 2, image::Rgb([255, 255, 255])));
        assert_eq!(format!("{frame:?}"), "Frame(3x2)");
        assert_eq!(frame.luma_at(0, 0), 255);
    }
}
