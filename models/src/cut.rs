//! Cutting a face out of a frame as one network of the manifest wants it.

use image::RgbImage;

use crate::align::{cut_out, to_template};
use crate::error::ModelError;
use crate::frame::Frame;
use crate::geometry::{BoundingBox, Point};
use crate::manifest::{Crop, Model};

/// How, and at which size.
#[derive(Debug, Clone, Copy)]
pub struct Cutter {
    crop: Crop,
    width: u32,
    height: u32,
}

impl Cutter {
    /// Errors: `Undescribed` if the manifest does not say how to cut, or at which size.
    pub fn of(model: &Model) -> Result<Self, ModelError> {
        let undescribed = |what| ModelError::Undescribed { name: model.name.to_string(), what };
        let crop = model.crop.ok_or_else(|| undescribed("crop"))?;
        let (width, height) = model.input.size().ok_or_else(|| undescribed("width and height of input.shape"))?;
        Ok(Self { crop, width, height })
    }

    /// The face in this box with these landmarks; black where the frame has nothing.
    pub fn cut(&self, frame: &Frame, bounds: BoundingBox, landmarks: &[Point; 5]) -> RgbImage {
        let (width, height) = (self.width, self.height);
        match self.crop {
            Crop::Landmarks { margin } => {
                let placed = to_template(landmarks, (width, height), margin);
                cut_out(frame, width, height, |p| placed.apply(p))
            }
            Crop::Box { margin } => {
                let region = enlarged(bounds, bounds.width * margin, bounds.height * margin);
                let place = |v: f32, size: u32, start: f32, length: f32| start + (v + 0.5) * length / size as f32 - 0.5;
                cut_out(frame, width, height, |p| Point {
                    x: place(p.x, width, region.left, region.width),
                    y: place(p.y, height, region.top, region.height),
                })
            }
            Crop::Square { margin } => {
                let square = LevelSquare::around(bounds, landmarks, margin);
                cut_out(frame, width, height, |p| square.to_frame(p, width, height))
            }
        }
    }
}

fn enlarged(bounds: BoundingBox, width: f32, height: f32) -> BoundingBox {
    let centre = bounds.centre();
    BoundingBox { left: centre.x - width / 2.0, top: centre.y - height / 2.0, width, height }
}

/// A square about a face, turned until its eyes are level.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LevelSquare {
    centre: Point,
    side: f32,
    /// Cosine and sine of the angle between the frame's and the square's horizontal.
    turn: (f32, f32),
}

impl LevelSquare {
    /// `margin` times the longer side of the box.
    pub fn around(bounds: BoundingBox, landmarks: &[Point; 5], margin: f32) -> Self {
        let [right_eye, left_eye, ..] = landmarks;
        let (x, y) = (left_eye.x - right_eye.x, left_eye.y - right_eye.y);
        let distance = x.hypot(y);
        // Eyes in one place have no direction; then the face is taken as upright.
        let turn = if distance > 0.0 { (x / distance, y / distance) } else { (1.0, 0.0) };
        Self { centre: bounds.centre(), side: bounds.width.max(bounds.height) * margin, turn }
    }

    /// In the frame's pixels.
    pub fn side(self) -> f32 {
        self.side
    }

    /// What lies in it, at `size` × `size` pixels.
    pub fn cut(self, frame: &Frame, size: u32) -> RgbImage {
        cut_out(frame, size, size, |p| self.to_frame(p, size, size))
    }

    /// Where a place of the cut-out picture (pixel centres at whole numbers) lies in the frame.
    pub fn to_frame(self, p: Point, width: u32, height: u32) -> Point {
        let across = ((p.x + 0.5) / width as f32 - 0.5) * self.side;
        let down = ((p.y + 0.5) / height as f32 - 0.5) * self.side;
        let (cos, sin) = self.turn;
        Point { x: self.centre.x + cos * across - sin * down - 0.5, y: self.centre.y + sin * across + cos * down - 0.5 }
    }
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    const EYES_ABOVE: [Point; 5] = [
        Point { x: 20.0, y: 20.0 },
        Point { x: 40.0, y: 20.0 },
        Point { x: 30.0, y: 30.0 },
        Point { x: 22.0, y: 40.0 },
        Point { x: 38.0, y: 40.0 },
    ];

    fn cut(crop: Crop, bounds: BoundingBox, landmarks: &[Point; 5], (width, height): (u32, u32)) -> RgbImage {
        let pixels = RgbImage::from_fn(64, 64, |x, y| Rgb([(4 * x) as u8, (4 * y) as u8, 9]));
        Cutter { crop, width, height }.cut(&Frame::from_rgb(&pixels), bounds, landmarks)
    }

    /// Within what a change of colour space rounds away.
    fn alike(pixel: Rgb<u8>, expected: [u8; 3]) -> bool {
        pixel.0.into_iter().zip(expected).all(|(is, should)| is.abs_diff(should) <= 3)
    }

    #[test]
    fn a_box_is_enlarged_about_its_centre_and_stretched() {
        let bounds = BoundingBox { left: 20.0, top: 24.0, width: 20.0, height: 10.0 };
        let out = cut(Crop::Box { margin: 2.0 }, bounds, &EYES_ABOVE, (20, 20));
        // 40×20 pixels from (10, 19) become 20×20: two columns are averaged, rows stay.
        assert!(alike(*out.get_pixel(0, 0), [42, 76, 9]) && alike(*out.get_pixel(19, 19), [194, 152, 9]));
        let beyond = cut(Crop::Box { margin: 8.0 }, bounds, &EYES_ABOVE, (20, 20));
        assert_eq!(beyond.get_pixel(0, 0).0, [0, 0, 0]);
    }

    #[test]
    fn a_square_is_turned_until_the_eyes_are_level() {
        let bounds = BoundingBox { left: 20.0, top: 22.0, width: 20.0, height: 16.0 };
        let upright = cut(Crop::Square { margin: 1.0 }, bounds, &EYES_ABOVE, (20, 20));
        assert!(alike(*upright.get_pixel(0, 0), [80, 80, 9]), "{:?}", upright.get_pixel(0, 0));
        // The left eye straight below the right one: the face lies on its side.
        let fallen = EYES_ABOVE.map(|p| Point { x: 60.0 - p.y, y: p.x });
        let turned = cut(Crop::Square { margin: 1.0 }, bounds, &fallen, (20, 20));
        assert!(alike(*turned.get_pixel(0, 0), [4 * 39, 80, 9]), "{:?}", turned.get_pixel(0, 0));
        assert!(alike(*turned.get_pixel(19, 0), [4 * 39, 4 * 39, 9]), "{:?}", turned.get_pixel(19, 0));
    }
}
