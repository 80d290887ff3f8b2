//! Veto by depth: a head is curved in every direction, a sheet of paper or a screen in at most one.
//!
//! Within the face box the depth image is averaged into cells, which takes most of a sensor's noise away. A plane
//! fitted to them leaves a residual; a flat sheet leaves none. A sheet can be bent, but not like a head: paper is
//! developable, so of its two principal curvatures one is zero. Both are measured relative to half the face's width,
//! so that they mean the same near and far and for a child.

use std::fmt;

use super::sensors::registered;
use crate::geometry::BoundingBox;

mod surface;

use surface::{Cell, Quadric, fit_quadric, plane_residual};

/// Cells along each side of the face box.
const CELLS: usize = 12;
/// Share of a cell's pixels that must have been measured.
const CELL_FILLED_MIN: f32 = 0.3;
/// Share of the face's cells that must be filled; hair and glasses leave holes.
const CELLS_MIN: f32 = 0.5;
/// Residual of the plane, root mean square over half the face's width, below which there is no relief. The rendered
/// head has 0.12, a sheet with 5 mm of noise 0.01.
const RESIDUAL_MIN: f32 = 0.04;
/// How far the less curved direction rises over half the face's width, as a share of it. The rendered head has 0.2
/// and more, a sheet bent around a can 0.02.
const RISE_MIN: f32 = 0.07;

/// What a depth image says about a face.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DepthFinding {
    /// Curved in every direction, as a head is.
    Solid,
    /// Flat, or bent in one direction.
    Flat,
    /// Too little was measured.
    Unusable,
}

/// Distances in millimetres along the optical axis, 0 unknown; cannot be printed.
#[derive(Clone)]
pub struct DepthMap {
    width: u32,
    height: u32,
    mm: Vec<u16>,
}

impl DepthMap {
    /// Row by row; missing rows count as unknown.
    pub fn new(width: u32, height: u32, mut mm: Vec<u16>) -> Self {
        mm.resize(width as usize * height as usize, 0);
        Self { width, height, mm }
    }
}

impl fmt::Debug for DepthMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DepthMap({}x{})", self.width, self.height)
    }
}

/// Whether the face in `bounds` of a frame of `frame` pixels has a head's relief. `view_degrees` is the horizontal
/// field of view that frame and depth image share.
pub fn relief(map: &DepthMap, bounds: &BoundingBox, frame: (u32, u32), view_degrees: f32) -> DepthFinding {
    let face = registered(bounds, frame, (map.width, map.height));
    // Pixels per unit of tangent: a pinhole.
    let focal = map.width as f32 / 2.0 / (view_degrees.to_radians() / 2.0).tan();
    let (cells, wanted) = cells(map, &face, focal);
    if wanted == 0 || (cells.len() as f32) < CELLS_MIN * wanted as f32 {
        return DepthFinding::Unusable;
    }
    let (Some(residual), Some(quadric)) = (plane_residual(&cells), fit_quadric(&cells)) else {
        return DepthFinding::Unusable;
    };
    if residual >= RESIDUAL_MIN && rise(&quadric) >= RISE_MIN { DepthFinding::Solid } else { DepthFinding::Flat }
}

/// Half the lesser eigenvalue of the quadric's second derivatives; positive where the middle is nearest.
fn rise(quadric: &Quadric) -> f32 {
    let [xx, xy, yy] = [2.0 * quadric.xx, quadric.xy, 2.0 * quadric.yy];
    let middle = xx.midpoint(yy);
    (middle - ((xx - yy) / 2.0).hypot(xy)) / 2.0
}

/// The filled cells of the ellipse in the face box, in half face widths, and how many there could be.
fn cells(map: &DepthMap, face: &BoundingBox, focal: f32) -> (Vec<Cell>, usize) {
    let centre = face.centre();
    let mut metric = Vec::new();
    let mut wanted = 0;
    for row in 0..CELLS {
        for column in 0..CELLS {
            let along = |i: usize| (i as f32 + 0.5) / CELLS as f32 * 2.0 - 1.0;
            let (u, v) = (along(column), along(row));
            // Beyond, hair, ears and background begin.
            if u * u + v * v > 0.8 * 0.8 {
                continue;
            }
            wanted += 1;
            let x = centre.x + u * face.width / 2.0;
            let y = centre.y + v * face.height / 2.0;
            if let Some(z) = cell_depth(map, (x, y), (face.width / CELLS as f32, face.height / CELLS as f32)) {
                let along_axis = |at: f32, middle: u32| (at - middle as f32 / 2.0) * z / focal;
                metric.push(Cell { x: along_axis(x, map.width), y: along_axis(y, map.height), z });
            }
        }
    }
    let count = metric.len().max(1) as f32;
    let mean = |of: fn(&Cell) -> f32| metric.iter().map(of).sum::<f32>() / count;
    let (x, y, z) = (mean(|c| c.x), mean(|c| c.y), mean(|c| c.z));
    let half_width = (face.width / 2.0 * z / focal).max(1.0);
    let scaled = |c: &Cell| Cell { x: (c.x - x) / half_width, y: (c.y - y) / half_width, z: (c.z - z) / half_width };
    (metric.iter().map(scaled).collect(), wanted)
}

/// The mean of the middle half of a cell's measured pixels, in millimetres.
fn cell_depth(map: &DepthMap, (x, y): (f32, f32), (width, height): (f32, f32)) -> Option<f32> {
    let within = |at: f32, size: u32| (at.max(0.0) as u32).min(size);
    let (left, right) = (within(x - width / 2.0, map.width), within(x + width / 2.0 + 1.0, map.width));
    let (top, bottom) = (within(y - height / 2.0, map.height), within(y + height / 2.0 + 1.0, map.height));
    let area = (right - left) as usize * (bottom - top) as usize;
    let mut measured: Vec<u16> = Vec::with_capacity(area);
    for row in top..bottom {
        let start = row as usize * map.width as usize;
        let line = &map.mm[start + left as usize..start + right as usize];
        measured.extend(line.iter().filter(|mm| **mm > 0));
    }
    if area == 0 || (measured.len() as f32) < CELL_FILLED_MIN * area as f32 {
        return None;
    }
    measured.sort_unstable();
    let quarter = measured.len() / 4;
    let middle = &measured[quarter..(measured.len() - quarter).max(quarter + 1)];
    Some(middle.iter().map(|mm| f32::from(*mm)).sum::<f32>() / middle.len() as f32)
}

#[cfg(test)]
mod tests;
