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
    pub samples: &'f [u8],
}

impl<'f> Plane<'f> {
    pub fn row(&self, y: usize) -> &'f [u8] {
        &self.samples[y * self.width..(y + 1) * self.width]
    }

    /// The value between sample centres, bilinear; beyond the edge that of the edge.
    pub fn between(&self, x: f32, y: f32) -> f32 {
        // Written so that what is no number lands at the edge.
        let bound = |v: f32, size: usize| if v > 0.0 { v.min((size - 1) as f32) } else { 0.0 };
        let (x, y) = (bound(x, self.width), bound(y, self.height));
        let (left, top) = (x as usize, y as usize);
        let (right, bottom) = ((left + 1).min(self.width - 1), (top + 1).min(self.height - 1));
        let (dx, dy) = (x - left as f32, y - top as f32);
        let across = |row: &[u8]| {
            let (west, east) = (f32::from(row[left]), f32::from(row[right]));
            west + (east - west) * dx
        };
        let (north, south) = (across(self.row(top)), across(self.row(bottom)));
        north + (south - north) * dy
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
