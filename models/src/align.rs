//! Alignment: a face turned, scaled and moved so that its five landmarks lie where the embedder learnt them.

use image::RgbImage;

use crate::frame::{Beyond, Frame, rounded};
use crate::geometry::Point;

/// Side of an aligned face in pixels.
pub const SIDE: u32 = 112;

/// Where the landmarks of an aligned face lie: the template of ArcFace and SFace for 112×112.
const TEMPLATE: [Point; 5] = [
    Point { x: 38.2946, y: 51.6963 },
    Point { x: 73.5318, y: 51.5014 },
    Point { x: 56.0252, y: 71.7366 },
    Point { x: 41.5493, y: 92.3655 },
    Point { x: 70.7299, y: 92.2041 },
];

/// p ↦ (a·x − b·y + tx, b·x + a·y + ty): turn, scale and shift, no mirroring.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Similarity {
    a: f32,
    b: f32,
    tx: f32,
    ty: f32,
}

impl Similarity {
    pub fn apply(&self, p: Point) -> Point {
        Point { x: self.a * p.x - self.b * p.y + self.tx, y: self.b * p.x + self.a * p.y + self.ty }
    }

    fn inverse(&self) -> Self {
        let norm = (self.a * self.a + self.b * self.b).max(f32::MIN_POSITIVE);
        let (a, b) = (self.a / norm, -self.b / norm);
        let back = Self { a, b, tx: 0.0, ty: 0.0 }.apply(Point { x: self.tx, y: self.ty });
        Self { a, b, tx: -back.x, ty: -back.y }
    }

    /// The one that takes `from` to `to` with the least squared error (Umeyama 1991; in the plane, one complex
    /// division). The landmarks of a face never coincide; if they did, everything would map to one point.
    fn fit(from: &[Point; 5], to: &[Point; 5]) -> Self {
        let mean = |points: &[Point; 5]| {
            let sum = points.iter().fold((0.0, 0.0), |s, p| (s.0 + p.x, s.1 + p.y));
            Point { x: sum.0 / 5.0, y: sum.1 / 5.0 }
        };
        let (from_mean, to_mean) = (mean(from), mean(to));
        let (mut dot, mut cross, mut norm) = (0.0, 0.0, f32::MIN_POSITIVE);
        for (f, t) in from.iter().zip(to) {
            let (fx, fy, tx, ty) = (f.x - from_mean.x, f.y - from_mean.y, t.x - to_mean.x, t.y - to_mean.y);
            dot += fx * tx + fy * ty;
            cross += fx * ty - fy * tx;
            norm += fx * fx + fy * fy;
        }
        let (a, b) = (dot / norm, cross / norm);
        let turned = Self { a, b, tx: 0.0, ty: 0.0 }.apply(from_mean);
        Self { a, b, tx: to_mean.x - turned.x, ty: to_mean.y - turned.y }
    }
}

/// Cuts the face with these landmarks out of the frame: 112×112, bilinear, black where the frame has nothing.
pub fn align(frame: &Frame, landmarks: &[Point; 5]) -> RgbImage {
    let to_frame = to_template(landmarks, (SIDE, SIDE), 1.0);
    cut_out(frame, SIDE, SIDE, |p| to_frame.apply(p))
}

/// From the places of an aligned face of this size to the frame: the template scaled to it, with `margin` times as
/// much of the face's surroundings.
pub fn to_template(landmarks: &[Point; 5], (width, height): (u32, u32), margin: f32) -> Similarity {
    let scale = width.min(height) as f32 / SIDE as f32 / margin;
    let centre = (width as f32 / 2.0, height as f32 / 2.0);
    let half = SIDE as f32 / 2.0;
    let wanted = TEMPLATE.map(|p| Point { x: centre.0 + (p.x - half) * scale, y: centre.1 + (p.y - half) * scale });
    // Fitted towards the template, where errors count alike for near and far faces, then turned round.
    Similarity::fit(landmarks, &wanted).inverse()
}

/// A picture of this size whose every pixel is looked up where `to_frame` says; black where the frame has nothing.
pub fn cut_out(frame: &Frame, width: u32, height: u32, to_frame: impl Fn(Point) -> Point) -> RgbImage {
    let mut sampler = frame.sampler(Beyond::Black);
    let mut pixels = RgbImage::new(width, height);
    for (y, row) in (0..height).zip(pixels.as_chunks_mut::<3>().0.chunks_mut(width.max(1) as usize)) {
        let places = (0..width).map(|x| to_frame(Point { x: x as f32, y: y as f32 }));
        let [red, green, blue] = sampler.row(places);
        for (pixel, ((red, green), blue)) in row.iter_mut().zip(red.iter().zip(green).zip(blue)) {
            *pixel = [*red, *green, *blue].map(rounded);
        }
    }
    pixels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turned_scaled_and_moved_face_is_put_back() {
        let pose = Similarity { a: 1.5, b: 0.8, tx: 40.0, ty: -7.0 };
        let seen = TEMPLATE.map(|p| pose.apply(p));
        let fitted = Similarity::fit(&TEMPLATE, &seen);
        for p in TEMPLATE {
            assert!(fitted.apply(p).distance(pose.apply(p)) < 1e-3);
            assert!(fitted.inverse().apply(pose.apply(p)).distance(p) < 1e-3);
        }
    }

    #[test]
    fn the_template_scales_with_the_size_and_shrinks_with_the_margin() {
        let twice = to_template(&TEMPLATE, (224, 224), 1.0);
        assert!(twice.apply(Point { x: 100.0, y: 60.0 }).distance(Point { x: 50.0, y: 30.0 }) < 1e-3);
        let with_surroundings = to_template(&TEMPLATE, (112, 112), 2.0);
        assert!(with_surroundings.apply(Point { x: 0.0, y: 0.0 }).distance(Point { x: -56.0, y: -56.0 }) < 1e-3);
    }

    #[test]
    fn a_face_already_in_place_is_cut_out_unchanged_and_beyond_the_edge_is_black() {
        let pixels = RgbImage::from_fn(100, 112, |x, y| image::Rgb([x as u8, y as u8, 200]));
        let frame = Frame::from_rgb(&pixels);
        let aligned = align(&frame, &TEMPLATE);
        for (is, was) in aligned.get_pixel(50, 60).0.into_iter().zip(pixels.get_pixel(50, 60).0) {
            assert!(is.abs_diff(was) <= 2);
        }
        assert_eq!(aligned.get_pixel(105, 60).0, [0, 0, 0]);
        let (edge, half_out) = (Point { x: 0.0, y: 50.0 }, Point { x: -0.5, y: 50.0 });
        let mut sampler = frame.sampler(Beyond::Black);
        let [_, _, blue] = sampler.row([edge, half_out].into_iter());
        assert!(blue[0] > 190.0 && (blue[1] - blue[0] / 2.0).abs() < 1e-3);
    }
}
