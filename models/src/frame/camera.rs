//! Frames as cameras hand them over uncompressed.

use super::{Extent, Frame, MisfitPlanes};

/// How a camera orders its samples; names as V4L2 and GStreamer have them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PixelLayout {
    /// Luma, then Cb, then Cr, both at half the size each way. Taken as it is.
    I420,
    /// Luma, then Cb and Cr by turns, both at half the size each way.
    Nv12,
    /// Luma, Cb, luma, Cr by turns: colour at half the width. V4L2 calls it YUYV, GStreamer YUY2.
    Yuyv,
}

/// Which values black and white have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SampleRange {
    /// 0 to 255, as in JPEG.
    Full,
    /// Luma 16 to 235, colour 16 to 240, as in television and most camera formats (ITU-R BT.601).
    Limited,
}

impl Frame {
    /// A camera's uncompressed frame of `width` × `height` pixels, rows without gaps.
    ///
    /// Errors: an odd width or height (colour is coded for pairs of pixels), or another number of samples.
    pub fn from_camera(
        layout: PixelLayout,
        range: SampleRange,
        width: usize,
        height: usize,
        mut samples: Vec<u8>,
    ) -> Result<Self, MisfitPlanes> {
        let pixels = width.checked_mul(height).ok_or(MisfitPlanes)?;
        let (colour_height, needed) = match layout {
            PixelLayout::I420 | PixelLayout::Nv12 => (height / 2, pixels / 2 * 3),
            PixelLayout::Yuyv => (height, pixels * 2),
        };
        if width % 2 == 1 || height % 2 == 1 || samples.len() != needed {
            return Err(MisfitPlanes);
        }
        match layout {
            PixelLayout::I420 => {}
            PixelLayout::Nv12 => {
                let (cb, cr) = apart(&samples[pixels..], 0, 1, 2);
                samples.truncate(pixels);
                samples.extend(cb.into_iter().chain(cr));
            }
            PixelLayout::Yuyv => {
                let (cb, cr) = apart(&samples, 1, 3, 4);
                let mut luma: Vec<u8> = samples.iter().copied().step_by(2).collect();
                luma.extend(cb.into_iter().chain(cr));
                samples = luma;
            }
        }
        if range == SampleRange::Limited {
            let (luma, colour) = samples.split_at_mut(pixels);
            luma.iter_mut().for_each(|v| *v = widened(*v, 16.0, 219.0, 0.0));
            colour.iter_mut().for_each(|v| *v = widened(*v, 128.0, 224.0, 128.0));
        }
        let colour = |start| Extent { start, width: width / 2, height: colour_height };
        let extents = [Extent { start: 0, width, height }, colour(pixels), colour(pixels + width / 2 * colour_height)];
        Self::from_samples(samples, extents)
    }
}

/// Every `step`th sample from `first` on, and from `second` on.
fn apart(samples: &[u8], first: usize, second: usize, step: usize) -> (Vec<u8>, Vec<u8>) {
    let from = |start: usize| samples[start.min(samples.len())..].iter().copied().step_by(step).collect();
    (from(first), from(second))
}

/// From a span of values around `from` to all 255 around `to`.
fn widened(value: u8, from: f32, span: f32, to: f32) -> u8 {
    ((f32::from(value) - from) * 255.0 / span + to).round().clamp(0.0, 255.0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 4×2 pixels: luma 10 to 80, two colour samples (across) with Cb 100, 110 and Cr 200, 210.
    fn samples(layout: PixelLayout) -> Vec<u8> {
        match layout {
            PixelLayout::I420 => vec![10, 20, 30, 40, 50, 60, 70, 80, 100, 110, 200, 210],
            PixelLayout::Nv12 => vec![10, 20, 30, 40, 50, 60, 70, 80, 100, 200, 110, 210],
            PixelLayout::Yuyv => {
                vec![10, 100, 20, 200, 30, 110, 40, 210, 50, 100, 60, 200, 70, 110, 80, 210]
            }
        }
    }

    #[test]
    fn every_layout_gives_the_same_picture() {
        for layout in [PixelLayout::I420, PixelLayout::Nv12, PixelLayout::Yuyv] {
            let frame = Frame::from_camera(layout, SampleRange::Full, 4, 2, samples(layout)).unwrap();
            assert_eq!(frame.luma().samples, [10, 20, 30, 40, 50, 60, 70, 80], "{layout:?}");
            let [_, cb, cr] = frame.planes();
            assert_eq!((&cb.samples[..2], &cr.samples[..2]), (&[100, 110][..], &[200, 210][..]), "{layout:?}");
        }
    }

    #[test]
    fn limited_range_is_widened() {
        let samples = vec![16, 235, 126, 0, 128, 240];
        let frame = Frame::from_camera(PixelLayout::I420, SampleRange::Limited, 2, 2, samples).unwrap();
        assert_eq!(frame.luma().samples, [0, 255, 128, 0]);
        let [_, cb, cr] = frame.planes();
        assert_eq!((cb.samples, cr.samples), (&[128][..], &[255][..]));
    }

    #[test]
    fn a_frame_of_another_size_is_refused() {
        let made = |width, height, count| {
            Frame::from_camera(PixelLayout::I420, SampleRange::Full, width, height, vec![0; count])
        };
        assert!(made(4, 2, 12).is_ok());
        assert!(made(4, 2, 11).is_err() && made(3, 2, 9).is_err() && made(0, 0, 0).is_err());
        assert!(made(usize::MAX - 1, 4, 12).is_err());
    }
}
