//! One plane of a picture: 8-bit samples, row by row.

use std::fmt;

/// Planes that do not belong to one picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the samples do not fit the picture's size: send all of luma and of both colour differences")]
pub struct MisfitPlanes;

/// Where a plane lies in a frame's samples; its rows follow each other without gaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Extent {
    pub start: usize,
    pub width: usize,
    pub height: usize,
}

/// Samples of one kind.
#[derive(Clone, Copy)]
pub(crate) struct Plane<'f> {
    pub width: usize,
    pub height: usize,
    /// From the start of one row to the next.
    pub stride: usize,
    pub samples: &'f [u8],
}

impl<'f> Plane<'f> {
    pub fn row(&self, y: usize) -> &'f [u8] {
        &self.samples[y * self.stride..y * self.stride + self.width]
    }

    /// The part from (`x`, `y`) on, which must lie within.
    pub fn part(&self, x: usize, y: usize, width: usize, height: usize) -> Self {
        Self { width, height, stride: self.stride, samples: &self.samples[y * self.stride + x..] }
    }

    /// Where a place between sample centres lies; one beyond the edge lies at the edge.
    pub fn place(&self, x: f32, y: f32) -> Place {
        // Written so that what is no number lands at the edge.
        let bound = |v: f32, size: usize| if v > 0.0 { v.min((size - 1) as f32) } else { 0.0 };
        let (x, y) = (bound(x, self.width), bound(y, self.height));
        let (left, top) = (x as usize, y as usize);
        let right = usize::from(left + 1 < self.width);
        let below = if top + 1 < self.height { self.stride } else { 0 };
        Place { first: top * self.stride + left, right, below, dx: x - left as f32, dy: y - top as f32 }
    }

    /// The value at a place of this plane, or of another of the same size, bilinear.
    pub fn between(&self, place: Place) -> f32 {
        let Place { first, right, below, dx, dy } = place;
        let square = &self.samples[first..=first + below + right];
        let at = |i: usize| f32::from(square[i]);
        let north = at(0) + (at(right) - at(0)) * dx;
        let south = at(below) + (at(below + right) - at(below)) * dx;
        north + (south - north) * dy
    }
}

/// The first of the four samples around a place, the steps to the others, and how far along them it lies.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    first: usize,
    right: usize,
    below: usize,
    dx: f32,
    dy: f32,
}

/// The brightness of a picture: one byte a pixel, row by row without gaps. Cannot be printed.
#[derive(Clone, Copy)]
pub struct Luma<'f> {
    pub width: u32,
    pub height: u32,
    pub samples: &'f [u8],
}

impl fmt::Debug for Luma<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Luma({}x{})", self.width, self.height)
    }
}
