//! One picture in memory: planes of brightness and colour as cameras and JPEG have them, and what is cut out of it.
//!
//! Nothing is turned into RGB but what a network looks at: shrinking, aligning and cropping gather from the planes.

mod camera;
mod colour;
mod pixels;
mod plane;
mod sample;
mod shrink;

use std::fmt;

use image::RgbImage;

use crate::geometry::BoundingBox;

pub use camera::{PixelLayout, SampleRange};
pub use plane::{Luma, MisfitPlanes};

pub(crate) use colour::{rounded, to_rgb};
pub(crate) use plane::{Extent, Plane};
pub(crate) use sample::{Beyond, Sampler};
pub(crate) use shrink::shrink;

/// Luma, Cb and Cr of a part of a frame.
pub(crate) type Part<'f> = [Plane<'f>; 3];

/// A decoded picture. It lives as long as the call that looks at it, and cannot be printed.
///
/// Luma and the two colour differences Cb and Cr (JPEG's full-range BT.601), the latter at the resolution at which
/// they were coded: a colour sample lies in the middle of the pixels that it serves.
#[derive(Clone)]
pub struct Frame {
    samples: Vec<u8>,
    /// Where luma, Cb and Cr lie in `samples`.
    extents: [Extent; 3],
}

impl Frame {
    /// A frame of RGB pixels; colour keeps its full resolution.
    pub fn from_rgb(pixels: &RgbImage) -> Self {
        let (width, height) = (pixels.width() as usize, pixels.height() as usize);
        let extents = std::array::from_fn(|kind| Extent { start: kind * width * height, width, height });
        Self { samples: colour::planes(pixels.as_raw()), extents }
    }

    /// A frame of samples as they were coded: luma, Cb and Cr at their places.
    ///
    /// Errors: a plane that is empty or does not lie within the samples; chroma planes that differ in size or are not
    /// 1, 2 or 4 times smaller than luma.
    pub(crate) fn from_samples(samples: Vec<u8>, extents: [Extent; 3]) -> Result<Self, MisfitPlanes> {
        let [luma, cb, cr] = &extents;
        let within = |e: &Extent| e.width > 0 && e.height > 0 && e.start + e.width * e.height <= samples.len();
        let whole = |whole: usize, part: usize| [1, 2, 4].iter().any(|factor| part * factor == whole);
        let alike = (cb.width, cb.height) == (cr.width, cr.height);
        let fits = alike && whole(luma.width, cb.width) && whole(luma.height, cb.height);
        if fits && extents.iter().all(within) { Ok(Self { samples, extents }) } else { Err(MisfitPlanes) }
    }

    pub fn width(&self) -> u32 {
        self.extents[0].width as u32
    }

    pub fn height(&self) -> u32 {
        self.extents[0].height as u32
    }

    /// The brightness of all pixels, without a copy.
    pub fn luma(&self) -> Luma<'_> {
        let plane = self.plane(0);
        Luma { width: self.width(), height: self.height(), samples: plane.samples }
    }

    /// Brightness of one pixel, 0 to 255 (ITU-R BT.601, as JPEG has it). Panics outside the frame.
    pub fn luma_at(&self, x: u32, y: u32) -> u8 {
        self.plane(0).row(y as usize)[x as usize]
    }

    /// The frame turned by half a turn, as a camera that hangs upside down should have seen it.
    pub fn turned(mut self) -> Self {
        for Extent { start, width, height } in &self.extents {
            self.samples[*start..start + width * height].reverse();
        }
        self
    }

    /// For looking up many places.
    pub(crate) fn sampler(&self, beyond: Beyond) -> Sampler<'_> {
        Sampler::new(self.planes(), beyond)
    }

    pub(crate) fn planes(&self) -> [Plane<'_>; 3] {
        std::array::from_fn(|kind| self.plane(kind))
    }

    /// The planes of a part of the frame: `region` cut to what the frame has, its edges moved outwards to where a colour
    /// sample begins; with the part's left and top edge. None if nothing of it lies in the frame.
    pub(crate) fn part(&self, region: BoundingBox) -> Option<(Part<'_>, usize, usize)> {
        const STEP: usize = 4;
        let planes = self.planes();
        let span = |start: f32, length: f32, size: usize| {
            let first = start.clamp(0.0, size as f32) as usize / STEP * STEP;
            let beyond = (((start + length).clamp(0.0, size as f32)).ceil() as usize).next_multiple_of(STEP).min(size);
            (first < beyond).then_some((first, beyond - first))
        };
        let (left, width) = span(region.left, region.width, planes[0].width)?;
        let (top, height) = span(region.top, region.height, planes[0].height)?;
        let part = planes.map(|plane| {
            let (across, down) = (planes[0].width / plane.width, planes[0].height / plane.height);
            plane.part(left / across, top / down, width / across, height / down)
        });
        Some((part, left, top))
    }

    fn plane(&self, kind: usize) -> Plane<'_> {
        let Extent { start, width, height } = self.extents[kind];
        Plane { width, height, stride: width, samples: &self.samples[start..start + width * height] }
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame({}x{})", self.width(), self.height())
    }
}

#[cfg(test)]
mod tests;
