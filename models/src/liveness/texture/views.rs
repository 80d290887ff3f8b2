//! What a texture net is shown: a rectangle around the face, 80×80, BGR, 0 to 255.
//!
//! The rectangle follows the original (`generate_patches.py`): the face box times the scale, shrunk until it fits the
//! picture, moved until it lies inside, whole pixels. Sampling is OpenCV's `INTER_LINEAR`.

use super::SIDE;
use crate::frame::{Beyond, Frame};
use crate::geometry::{BoundingBox, Point};

/// What is done where the rectangle would stick out of the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    /// It is shrunk and moved inside.
    Shifted,
    /// It stays, and the picture is mirrored at its edge.
    Mirrored,
}

/// How many face boxes wide and high the shrunk rectangle is, up to `scale`.
pub fn reach(frame: &Frame, face: &BoundingBox, scale: f32) -> f32 {
    let fits = |room: u32, size: f32| (room.saturating_sub(1)) as f32 / size.max(1.0);
    scale.min(fits(frame.height(), face.height)).min(fits(frame.width(), face.width))
}

/// The net's input, channels first; `turned`: left and right exchanged.
pub fn view(frame: &Frame, face: &BoundingBox, scale: f32, edge: Edge, turned: bool) -> Vec<f32> {
    let region = match edge {
        Edge::Shifted => shifted(frame, face, reach(frame, face, scale)),
        Edge::Mirrored => around(face, scale),
    };
    let step = (region.width / SIDE as f32, region.height / SIDE as f32);
    let plane = (SIDE * SIDE) as usize;
    let mut input = vec![0.0; 3 * plane];
    let mut sampler = frame.sampler(Beyond::Repeated);
    for row in 0..SIDE {
        let y = mirrored(region.top + (row as f32 + 0.5) * step.1 - 0.5, frame.height());
        let places = (0..SIDE).map(|column| {
            let across = if turned { SIDE - 1 - column } else { column };
            Point { x: mirrored(region.left + (across as f32 + 0.5) * step.0 - 0.5, frame.width()), y }
        });
        let [red, green, blue] = sampler.row(places);
        let start = (row * SIDE) as usize;
        for (i, values) in [blue, green, red].into_iter().enumerate() {
            input[i * plane + start..][..values.len()].copy_from_slice(values);
        }
    }
    input
}

fn around(face: &BoundingBox, scale: f32) -> BoundingBox {
    let (centre, width, height) = (face.centre(), face.width * scale, face.height * scale);
    BoundingBox { left: centre.x - width / 2.0, top: centre.y - height / 2.0, width, height }
}

fn shifted(frame: &Frame, face: &BoundingBox, scale: f32) -> BoundingBox {
    let wanted = around(face, scale);
    let inside = |start: f32, size: f32, room: u32| {
        let start = start.min(room as f32 - size).max(0.0);
        // The original takes whole pixels, the last one included.
        let end = ((start + size).trunc() + 1.0).min(room as f32);
        (start.trunc(), end - start.trunc())
    };
    let (left, width) = inside(wanted.left, wanted.width, frame.width());
    let (top, height) = inside(wanted.top, wanted.height, frame.height());
    BoundingBox { left, top, width, height }
}

/// A place beyond the edge is the place as far inside of it, as often as needed.
fn mirrored(at: f32, size: u32) -> f32 {
    let last = size.saturating_sub(1) as f32;
    if last == 0.0 || !at.is_finite() {
        return 0.0;
    }
    // The outermost half pixel belongs to the picture.
    if at > -0.5 && at < last + 0.5 {
        return at.clamp(0.0, last);
    }
    let wrapped = at.rem_euclid(2.0 * last);
    if wrapped > last { 2.0 * last - wrapped } else { wrapped }
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage};

    use super::*;

    const FACE: BoundingBox = BoundingBox { left: 10.0, top: 20.0, width: 40.0, height: 50.0 };

    fn frame(width: u32, height: u32) -> Frame {
        Frame::from_rgb(&RgbImage::from_fn(width, height, |x, _| Rgb([x as u8; 3])))
    }

    #[test]
    fn a_rectangle_that_sticks_out_is_moved_inside_and_shrunk_if_it_must() {
        let roomy = frame(250, 300);
        assert_eq!(reach(&roomy, &FACE, 2.7), 2.7);
        let moved = shifted(&roomy, &FACE, 2.7);
        assert_eq!((moved.left, moved.top, moved.width), (0.0, 0.0, 109.0));
        let tight = frame(61, 200);
        assert_eq!(reach(&tight, &FACE, 4.0), 1.5);
        assert_eq!(shifted(&tight, &FACE, 1.5).width, 61.0);
    }

    #[test]
    fn views_are_blue_first_and_turn() {
        let red = Frame::from_rgb(&RgbImage::from_pixel(200, 200, Rgb([200, 0, 0])));
        let input = view(&red, &FACE, 2.7, Edge::Shifted, false);
        assert!(input[0] < 3.0 && input[2 * 6400] > 196.0);
        let ramp = frame(200, 200);
        let [plain, turned] = [false, true].map(|turned| view(&ramp, &FACE, 2.7, Edge::Shifted, turned));
        assert!(plain[0] < plain[79] && (plain[0] - turned[79]).abs() < 1e-3);
    }

    #[test]
    fn beyond_the_edge_the_picture_is_mirrored() {
        assert_eq!([-1.0, -0.3, 0.0, 9.3, 10.0, 19.0].map(|at| mirrored(at, 10)), [1.0, 0.0, 0.0, 9.0, 8.0, 1.0]);
        assert_eq!((mirrored(5.0, 1), mirrored(f32::NAN, 10)), (0.0, 0.0));
    }
}
