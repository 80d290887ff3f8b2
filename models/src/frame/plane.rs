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
