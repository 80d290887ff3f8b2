//! Colours between pixels, looked up in the planes as they were coded.

use super::{Part, Plane, to_rgb};
use crate::geometry::Point;

/// What lies beyond the outermost pixel centres.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beyond {
    /// The colour at the edge.
    Repeated,
    /// Black, faded into within a pixel, as OpenCV's `warpAffine` with a constant border has it.
    Black,
}

/// Looks up rows of places in a frame. Each step is done for a whole row at once, which is several times as fast as
/// place by place.
pub struct Sampler<'f> {
    planes: Part<'f>,
    /// Width and height of the frame in pixels.
    size: (f32, f32),
    /// Colour samples per pixel, across and down; none if there is one for each.
    coarse: Option<(f32, f32)>,
    beyond: Beyond,
    places: Vec<Point>,
    coarse_places: Vec<Point>,
    colours: [Vec<f32>; 3],
}

impl<'f> Sampler<'f> {
    pub fn new(planes: Part<'f>, beyond: Beyond) -> Self {
        let [luma, cb, _] = &planes;
        let share = |part: usize, whole: usize| part as f32 / whole as f32;
        let coarse = (share(cb.width, luma.width), share(cb.height, luma.height));
        Self {
            size: (luma.width as f32, luma.height as f32),
            coarse: (coarse != (1.0, 1.0)).then_some(coarse),
            planes,
            beyond,
            places: Vec::new(),
            coarse_places: Vec::new(),
            colours: Default::default(),
        }
    }

    /// Red, green and blue, 0 to 255, of each place; bilinear between pixel centres, which lie at whole numbers.
    pub fn row(&mut self, places: impl Iterator<Item = Point>) -> [&[f32]; 3] {
        self.places.clear();
        self.places.extend(places);
        self.colours.iter_mut().for_each(|values| values.resize(self.places.len(), 0.0));
        let [red, green, blue] = self.colours.each_mut().map(|values| &mut values[..]);
        // Luma and the two colour differences first, where red, green and blue will be.
        match self.coarse {
            None => between(self.planes, &self.places, [&mut *red, &mut *green, &mut *blue]),
            Some((across, down)) => {
                let coarse = |at: &Point| Point { x: (at.x + 0.5) * across - 0.5, y: (at.y + 0.5) * down - 0.5 };
                self.coarse_places.clear();
                self.coarse_places.extend(self.places.iter().map(coarse));
                let [luma, cb, cr] = self.planes;
                between([luma], &self.places, [&mut *red]);
                between([cb, cr], &self.coarse_places, [&mut *green, &mut *blue]);
            }
        }
        for ((red, green), blue) in red.iter_mut().zip(green.iter_mut()).zip(blue.iter_mut()) {
            [*red, *green, *blue] = to_rgb(*red, *green, *blue);
        }
        if self.beyond == Beyond::Black {
            let within = |v: f32, size: f32| (1.0 + v.min(size - 1.0 - v)).clamp(0.0, 1.0);
            let values = red.iter_mut().zip(green.iter_mut()).zip(blue.iter_mut());
            for (at, ((red, green), blue)) in self.places.iter().zip(values) {
                let share = within(at.x, self.size.0) * within(at.y, self.size.1);
                (*red, *green, *blue) = (*red * share, *green * share, *blue * share);
            }
        }
        [red, green, blue]
    }
}

/// Places that are told apart between two pixels.
const STEPS: u32 = 256;

/// The values of planes of one size at each place, bilinear; beyond the edge those of the edge.
fn between<const N: usize>(planes: [Plane<'_>; N], places: &[Point], mut into: [&mut [f32]; N]) {
    let (width, height, stride) = (planes[0].width, planes[0].height, planes[0].stride);
    let (right, bottom) = ((width - 1) as f32, (height - 1) as f32);
    let inside = |at: &Point| (at.x >= 0.0) & (at.y >= 0.0) & (at.x < right) & (at.y < bottom);
    // Most rows lie wholly inside, where the four samples around a place need no care.
    let all_inside = places.iter().fold(true, |all, at| all & inside(at));
    for (i, at) in places.iter().enumerate() {
        // Written so that what is no number lands at the edge.
        let bound = |v: f32, max: f32| if v > 0.0 { v.min(max) } else { 0.0 };
        let (x, y) = if all_inside { (at.x, at.y) } else { (bound(at.x, right), bound(at.y, bottom)) };
        // In whole numbers of a 256th of a pixel, with which a processor is done soonest.
        let (x, y) = ((x * STEPS as f32 + 0.5) as u32, (y * STEPS as f32 + 0.5) as u32);
        let (dx, dy) = (x % STEPS, y % STEPS);
        let (left, top) = ((x / STEPS) as usize, (y / STEPS) as usize);
        let first = top * stride + left;
        let weights = [(STEPS - dx) * (STEPS - dy), dx * (STEPS - dy), (STEPS - dx) * dy, dx * dy];
        let at_edge = left + 1 >= width || top + 1 >= height;
        for (plane, values) in planes.iter().zip(&mut into) {
            let four = if at_edge {
                let (right, below) = ((left + 1).min(width - 1), (top + 1).min(height - 1));
                let sample = |x: usize, y: usize| plane.samples[y * stride + x];
                [sample(left, top), sample(right, top), sample(left, below), sample(right, below)]
            } else {
                let (north, south) = (&plane.samples[first..first + 2], &plane.samples[first + stride..][..2]);
                [north[0], north[1], south[0], south[1]]
            };
            let sum: u32 = four.iter().zip(weights).map(|(sample, weight)| u32::from(*sample) * weight).sum();
            values[i] = sum as i32 as f32 * (1.0 / (STEPS * STEPS) as f32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_lie_between_pixels_and_beyond_the_edge_at_it() {
        let samples = [0, 10, 20, 30, 40, 50, 60, 70, 99];
        // Three wide of rows four apart; what lies between the rows is not looked at.
        let plane = Plane { width: 3, height: 2, stride: 4, samples: &samples };
        let mut seen = [0.0; 7];
        let place = |(x, y)| Point { x, y };
        let at = [(0.0, 0.0), (0.5, 0.0), (1.5, 0.5), (2.0, 1.0), (-3.0, 9.0), (9.0, -1.0), (f32::NAN, 0.25)];
        between([plane], &at.map(place), [&mut seen]);
        assert_eq!(seen, [0.0, 5.0, 35.0, 60.0, 40.0, 20.0, 10.0]);
        let mut inside = [0.0; 2];
        between([plane], &[(0.5, 0.0), (1.5, 0.5)].map(place), [&mut inside]);
        assert_eq!(inside, [5.0, 35.0]);
    }
}
