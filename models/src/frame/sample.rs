//! Colours between pixels, looked up in the planes as they were coded.

use super::{Part, to_rgb};
use crate::geometry::Point;

/// The planes of a frame, ready to be looked up in many places.
pub struct Sampler<'f> {
    planes: Part<'f>,
    /// Width and height of the frame in pixels.
    size: (f32, f32),
    /// Colour samples per pixel, across and down.
    coarse: (f32, f32),
}

impl<'f> Sampler<'f> {
    pub fn new(planes: Part<'f>) -> Self {
        let [luma, cb, _] = &planes;
        let share = |part: usize, whole: usize| part as f32 / whole as f32;
        let coarse = (share(cb.width, luma.width), share(cb.height, luma.height));
        Self { size: (luma.width as f32, luma.height as f32), planes, coarse }
    }

    /// Red, green and blue, 0 to 255, between pixel centres; beyond the edge that of the edge.
    pub fn colour_at(&self, at: Point) -> [f32; 3] {
        let [luma, cb, cr] = &self.planes;
        let coarse = cb.place((at.x + 0.5) * self.coarse.0 - 0.5, (at.y + 0.5) * self.coarse.1 - 0.5);
        to_rgb(luma.between(luma.place(at.x, at.y)), cb.between(coarse), cr.between(coarse))
    }

    /// The same, but beyond the outermost pixel centres it fades into black within a pixel, as OpenCV's `warpAffine`
    /// with a constant border has it.
    pub fn faded_at(&self, at: Point) -> [f32; 3] {
        let inside = |v: f32, size: f32| (1.0 + v.min(size - 1.0 - v)).clamp(0.0, 1.0);
        let share = inside(at.x, self.size.0) * inside(at.y, self.size.1);
        if share > 0.0 { self.colour_at(at).map(|v| v * share) } else { [0.0; 3] }
    }
}
