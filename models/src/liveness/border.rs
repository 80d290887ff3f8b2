//! Cue: the border of a screen or print around the face.
//!
//! A telephone, a tablet or a sheet of paper held before the camera has straight edges on several sides of the face.
//! The surroundings are scaled so that the face is 48 pixels wide; on each side the straightest long edge is sought,
//! and counts by how much of its length is edge, and by how far it stands out from its neighbours (so that shelves
//! and panelling, which have many, count less). Upright and level edges must both be there.
//!
//! Measured 2026-11 on real recordings, with thresholds chosen on the same ones, so an upper bound: the two replay
//! clips score at most 0.10 (screen in full view) and 0.45 (telephone, one side behind fingers) in every frame, the
//! two genuine ones at least 0.85; the six portraits 0.72 and more, cropped to a gate's frame 0.54 and more. Of 230
//! faces of LFW without black corners, 2 are taken for attacks and 1 is inconclusive. Of two stills, a tablet scores
//! 0.45, a large print whose sides lie outside the picture 0.66: that one passes.

use std::ops::Range;

use super::judge::bounded;
use crate::frame::Frame;
use crate::geometry::BoundingBox;

mod plane;

use plane::Plane;

/// Width of the face, in pixels, to which the surroundings are scaled.
const FACE_PX: f32 = 48.0;
/// A face narrower than this is none; nor is one so much higher than wide that its surroundings would be this large.
const FACE_PX_MIN: f32 = 8.0;
const SCALED_MAX: usize = 1 << 20;
/// Brightness step from one scaled pixel to the next that is an edge, of 255.
const STEP_MIN: f32 = 22.0;
/// How far an edge may lean: up to 16° either way, in steps that leave no pixel of its length out.
const SLOPES: [f32; 15] =
    [-0.28, -0.24, -0.20, -0.16, -0.12, -0.08, -0.04, 0.0, 0.04, 0.08, 0.12, 0.16, 0.20, 0.24, 0.28];
/// Evidence of the border (0 none, 4 a perfect frame on a plain ground) that leaves no life at all.
const CERTAIN: f32 = 1.7;

/// Area of the surroundings within the picture, in face boxes, below which there is no place for a border.
const SURROUNDINGS_MIN: f32 = 2.5;

/// 1 no border of a screen or print around the face, 0 a certain one; none if the face fills the picture.
///
/// It cannot see a picture that fills the frame (full-bleed replay, cut-out mask), and takes real frames close behind
/// a head for borders. Alone it is no presentation-attack detection, only a cue.
pub fn border(frame: &Frame, face: &BoundingBox) -> Option<f32> {
    let (plane, bounds) = surroundings(frame, face)?;
    Some(bounded(1.0 - border_evidence(&plane, &bounds) / CERTAIN))
}

/// 0 if either the upright or the level sides are missing; their geometric mean otherwise, times two.
fn border_evidence(plane: &Plane, face: &BoundingBox) -> f32 {
    let BoundingBox { left, top, width, height } = *face;
    let (right, bottom) = (left + width, top + height);
    let beside = (top - 0.4 * height, bottom + 0.5 * height);
    let upright = Edges::of(plane);
    let sides = upright.evidence(beside, (left - 1.6 * width, left - 0.1 * width))
        + upright.evidence(beside, (right + 0.1 * width, right + 1.6 * width));
    let across = (left - 0.35 * width, right + 0.35 * width);
    let level = Edges::of(&plane.transposed());
    let ends = level.evidence(across, (top - 1.5 * height, top - 0.12 * height))
        + level.evidence(across, (bottom + 0.12 * height, bottom + 1.6 * height));
    2.0 * (sides * ends).sqrt()
}

/// What lies around the face, grey, scaled and slightly smoothed, and where the face is in it.
fn surroundings(frame: &Frame, face: &BoundingBox) -> Option<(Plane, BoundingBox)> {
    let within = |value: f32, max: u32| value.clamp(0.0, max as f32) as u32;
    let left = within(face.left - 2.0 * face.width, frame.width());
    let right = within(face.left + 3.0 * face.width, frame.width());
    let top = within(face.top - 1.9 * face.height, frame.height());
    let bottom = within(face.top + 3.0 * face.height, frame.height());
    let (width, height) = (right.checked_sub(left)?, bottom.checked_sub(top)?);
    if width as f32 * height as f32 <= SURROUNDINGS_MIN * face.area() {
        return None;
    }
    if face.width.is_nan() || face.width < FACE_PX_MIN {
        return None;
    }
    let scale = FACE_PX / face.width;
    let scaled = |px: u32| (px as f32 * scale).round() as usize;
    if scaled(width) < 8 || scaled(height) < 8 || scaled(width).saturating_mul(scaled(height)) > SCALED_MAX {
        return None;
    }
    let plane = Plane::shrunk(frame, (left, top, width, height), scaled(width), scaled(height));
    let bounds = BoundingBox {
        left: (face.left - left as f32) * scale,
        top: (face.top - top as f32) * scale,
        width: FACE_PX,
        height: face.height * scale,
    };
    Some((plane.smoothed(), bounds))
}

/// Where upright edges are, those from dark to bright apart from those from bright to dark: 1 there, 0 elsewhere.
struct Edges {
    width: usize,
    height: usize,
    rising: Vec<u8>,
    falling: Vec<u8>,
}

impl Edges {
    fn of(plane: &Plane) -> Self {
        let (width, height) = (plane.width, plane.height);
        let (mut rising, mut falling) = (vec![0; width * height], vec![0; width * height]);
        // No step beyond the picture.
        let mut steps = vec![0.0; width + 2];
        for y in 0..height {
            steps_along([plane.row(y.saturating_sub(1)), plane.row(y), plane.row((y + 1).min(height - 1))], &mut steps);
            let line = y * width..(y + 1) * width;
            let edges = rising[line.clone()].iter_mut().zip(&mut falling[line]);
            // A pixel to either side counts too, for edges that are not quite straight.
            for ((rising, falling), beside) in edges.zip(steps.windows(3)) {
                let most = beside[0].max(beside[1]).max(beside[2]);
                let least = beside[0].min(beside[1]).min(beside[2]);
                (*rising, *falling) = (u8::from(most > 8.0 * STEP_MIN), u8::from(least < -8.0 * STEP_MIN));
            }
        }
        Self { width, height, rising, falling }
    }

    /// How much one edge stands for a border: its coverage of the rows, times how far that is above what is usual
    /// between `columns`. 0 where the picture ends before.
    fn evidence(&self, rows: (f32, f32), columns: (f32, f32)) -> f32 {
        let bound = |value: f32, max: usize| value.max(0.0).min(max as f32) as usize;
        let (first, last) = (bound(rows.0, self.height), bound(rows.1, self.height));
        // The outermost pixels have no neighbours to be an edge against.
        let columns = bound(columns.0, self.width).max(2)..bound(columns.1, self.width.saturating_sub(2));
        if last < first + 4 || columns.is_empty() {
            return 0.0;
        }
        let mut most = self.covered(columns, first, last);
        most.sort_unstable();
        let share = |rows: u16| f32::from(rows) / (last - first) as f32;
        let best = share(most[most.len() - 1]);
        best * (best - share(most[most.len() / 2]))
    }

    /// For each column the most rows that lie on one edge through it at mid-height, over all leanings. Whole stretches
    /// of a row are counted at once, shifted by the leaning: this is the cue's hot loop.
    fn covered(&self, columns: Range<usize>, first: usize, last: usize) -> Vec<u16> {
        let middle = (first + last) as f32 / 2.0;
        let mut most = vec![0; columns.len()];
        let mut counts = vec![0_u16; columns.len()];
        for (map, slope) in [&self.rising, &self.falling].into_iter().flat_map(|map| SLOPES.map(|slope| (map, slope))) {
            counts.fill(0);
            for row in first..last {
                let shift = (slope * (row as f32 - middle) + 0.5).floor() as isize;
                // What the shift moves out of the picture lies on no edge.
                let from = (columns.start as isize).max(-shift);
                let to = (columns.end as isize).min(self.width as isize - shift);
                if from >= to {
                    continue;
                }
                let seen = &map[row * self.width..][(from + shift) as usize..(to + shift) as usize];
                let counted = &mut counts[from as usize - columns.start..to as usize - columns.start];
                counted.iter_mut().zip(seen).for_each(|(count, edge)| *count += u16::from(*edge));
            }
            most.iter_mut().zip(&counts).for_each(|(most, count)| *most = (*most).max(*count));
        }
        most
    }
}

/// For each pixel of the middle one of three rows eight times the brightness step from left to right (Sobel), 0 where
/// the step from top to bottom is larger; `steps` has one place more at either end.
fn steps_along([above, here, below]: [&[f32]; 3], steps: &mut [f32]) {
    let step = |above: [f32; 3], here: [f32; 3], below: [f32; 3]| {
        let across = above[2] + 2.0 * here[2] + below[2] - above[0] - 2.0 * here[0] - below[0];
        let along = below[0] + 2.0 * below[1] + below[2] - above[0] - 2.0 * above[1] - above[2];
        if along.abs() < across.abs() { across } else { 0.0 }
    };
    let last = here.len() - 1;
    let around = |row: &[f32], x: usize| [row[x.saturating_sub(1)], row[x], row[(x + 1).min(last)]];
    for x in [0, last] {
        steps[x + 1] = step(around(above, x), around(here, x), around(below, x));
    }
    let [above, here, below] = [above, here, below].map(|row| row.array_windows::<3>());
    let inner = steps[2..].iter_mut().zip(above).zip(here).zip(below);
    inner.for_each(|(((into, above), here), below)| *into = step(*above, *here, *below));
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn stretches_of_rows_count_what_each_column_would_by_itself(
            map in prop::collection::vec(0_u8..2, 23 * 17),
            (start, end) in (2_usize..12, 12_usize..21),
            (first, last) in (0_usize..8, 8_usize..18),
        ) {
            let none = vec![0; map.len()];
            let edges = Edges { width: 23, height: 17, rising: map.clone(), falling: none };
            let last = last.min(17);
            let middle = (first + last) as f32 / 2.0;
            let on_edge = |column: usize, slope: f32, row: usize| {
                let x = column as isize + (slope * (row as f32 - middle) + 0.5).floor() as isize;
                (0..23).contains(&x) && map[row * 23 + x as usize] == 1
            };
            let along = |column, slope| (first..last).filter(|row| on_edge(column, slope, *row)).count() as u16;
            let expected: Vec<u16> =
                (start..end).map(|column| SLOPES.map(|slope| along(column, slope)).into_iter().max().unwrap()).collect();
            prop_assert_eq!(edges.covered(start..end, first, last), expected);
        }
    }

    /// A face-sized place in the middle of 640×480, on whatever ground is painted.
    fn scored(paint: impl Fn(f32, f32) -> u8) -> f32 {
        let pixels = RgbImage::from_fn(640, 480, |x, y| Rgb([paint(x as f32, y as f32); 3]));
        let face = BoundingBox { left: 280.0, top: 180.0, width: 80.0, height: 110.0 };
        border(&Frame::from_rgb(&pixels), &face).unwrap()
    }

    fn inside(x: f32, y: f32, lean: f32) -> bool {
        let (dx, dy) = (x - 320.0 + lean * (y - 240.0), y - 240.0 - lean * (x - 320.0));
        dx.abs() < 90.0 && dy.abs() < 140.0
    }

    #[test]
    fn a_bright_screen_before_a_dark_room_is_an_attack_upright_or_leaning() {
        for lean in [0.0, 0.15, -0.2] {
            assert!(scored(|x, y| if inside(x, y, lean) { 190 } else { 40 }) < 0.1, "{lean}");
            assert!(scored(|x, y| if inside(x, y, lean) { 60 } else { 200 }) < 0.1, "{lean}");
        }
    }

    #[test]
    fn a_plain_wall_a_door_frame_and_panelling_are_no_border() {
        assert_eq!(scored(|_, _| 128), 1.0);
        assert_eq!(scored(|x, _| if (x - 320.0).abs() < 90.0 { 190 } else { 40 }), 1.0);
        let panelling = |x: f32, y: f32| if (x % 24.0) < 12.0 || (y % 24.0) < 12.0 { 150 } else { 60 };
        assert!(scored(panelling) > 0.6);
    }

    #[test]
    fn a_picture_that_fills_the_frame_shows_no_border() {
        let plane = Plane::build(60, 70, |_, _| 90.0);
        let face = BoundingBox { left: 6.0, top: 4.0, width: 48.0, height: 62.0 };
        assert_eq!(border_evidence(&plane, &face), 0.0);
    }

    #[test]
    fn a_face_without_surroundings_is_not_judged() {
        let frame = Frame::from_rgb(&RgbImage::from_pixel(160, 200, Rgb([90; 3])));
        let face = BoundingBox { left: 10.0, top: 10.0, width: 130.0, height: 170.0 };
        assert_eq!(border(&frame, &face), None);
    }

    #[test]
    fn a_box_that_is_no_face_takes_no_memory() {
        let frame = Frame::from_rgb(&RgbImage::from_pixel(1280, 720, Rgb([90; 3])));
        for (width, height) in [(0.01, 700.0), (1e-30, 1e-30), (f32::NAN, 100.0), (9.0, 5_000.0), (-50.0, 80.0)] {
            let face = BoundingBox { left: 600.0, top: 10.0, width, height };
            assert_eq!(border(&frame, &face), None, "{width}x{height}");
        }
    }
}
