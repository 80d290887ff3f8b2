//! What the camera over a gate's door sees: who comes, as large as he is near, and behind him the next one.
//!
//! People are photographs; the first one's is the whole picture, its edges drawn out, since a photograph pasted on a wall is
//! what liveness looks for. They are still but for a little swaying. The field of view is that of a common wide lens.

use anyhow::Result;
use image::imageops::{FilterType, fast_blur, resize};
use image::{GrayImage, Rgb, RgbImage};
use turbojpeg::{Compressor, Image, PixelFormat, Subsamp};

use super::people::Look;

const WIDTH: u32 = 960;
const HEIGHT: u32 = 540;
/// Focal length in pixels: 62° from left to right.
const FOCAL_PX: f32 = 800.0;
/// Between the eyes of an adult, in metres.
const INTER_EYE_M: f32 = 0.063;
/// From the middle between the eyes to the side of a head with its hair, and to above and below it.
const HEAD_M: (f32, f32) = (0.12, 0.17);
/// Half of what shoulders take.
const SHOULDERS_M: f32 = 0.22;
const JPEG_QUALITY: i32 = 88;
/// Side of a phone's code as the camera sees it.
const CODE_PX: u32 = 480;

/// Somebody in view.
#[derive(Debug, Clone, Copy)]
pub struct InView<'a> {
    pub look: &'a Look,
    /// From the camera.
    pub metres: f32,
    /// To the right of the aisle's middle, in metres.
    pub aside: f32,
    /// A number that makes him sway.
    pub phase: f32,
}

impl InView<'_> {
    /// Pixels of the frame to one of his photograph.
    fn scale(&self) -> f32 {
        FOCAL_PX * INTER_EYE_M / self.metres / self.look.inter_eye_px
    }

    /// Where the middle between his eyes is in the frame.
    #[expect(clippy::cast_precision_loss, reason = "pixels")]
    fn eyes(&self) -> (f32, f32) {
        let sway = 0.01 * (self.phase + self.metres * 5.0).sin();
        let nod = 0.02 * (self.phase * 1.3 + self.metres * 9.0).sin();
        let across = WIDTH as f32 / 2.0 + FOCAL_PX * (self.aside + sway) / self.metres;
        (across, HEIGHT as f32 * 0.45 + FOCAL_PX * nod / self.metres)
    }

    /// Whether his head, or his shoulders below it, are before what is at this place of the frame.
    #[expect(clippy::cast_precision_loss, reason = "pixels")]
    fn hides(&self, (x, y): (i64, i64)) -> bool {
        let metres_per_px = self.metres / FOCAL_PX;
        let eyes = self.eyes();
        let (aside, below) = ((x as f32 - eyes.0) * metres_per_px, (y as f32 - eyes.1) * metres_per_px);
        (aside / HEAD_M.0).hypot(below / HEAD_M.1) < 1.0 || (below > HEAD_M.1 && aside.abs() < SHOULDERS_M)
    }

    /// His photograph as large as he is seen, and where it begins in the frame.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "pixels")]
    fn seen(&self) -> (RgbImage, (i64, i64)) {
        let (scale, pixels) = (self.scale(), &self.look.pixels);
        let side = |length: u32| ((length as f32 * scale) as u32).max(8);
        let seen = resize(pixels, side(pixels.width()), side(pixels.height()), FilterType::Triangle);
        let (x, y) = self.eyes();
        (seen, ((x - self.look.eyes.0 * scale) as i64, (y - self.look.eyes.1 * scale) as i64))
    }
}

/// One camera, its noise, its encoder.
pub struct Camera {
    encoder: Compressor,
    taken: u64,
}

impl std::fmt::Debug for Camera {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Camera({} frames)", self.taken)
    }
}

impl Camera {
    pub fn new() -> Result<Self> {
        let mut encoder = Compressor::new()?;
        encoder.set_quality(JPEG_QUALITY)?;
        encoder.set_subsamp(Subsamp::Sub2x2)?;
        Ok(Self { encoder, taken: 0 })
    }

    /// A JPEG of who comes, of what he holds before his face, and of who is behind him.
    pub fn frame(&mut self, first: &InView<'_>, print: Option<&InView<'_>>, others: &[InView<'_>]) -> Result<Vec<u8>> {
        let mut frame = wall();
        stand(&mut frame, first);
        others.iter().for_each(|other| paint(&mut frame, other, first));
        if let Some(print) = print {
            hold(&mut frame, print);
        }
        self.encode(frame)
    }

    /// A JPEG of an aisle with nobody in it.
    pub fn nobody(&mut self) -> Result<Vec<u8>> {
        self.encode(wall())
    }

    /// A JPEG of a phone held before the camera.
    pub fn code(&mut self, code: &GrayImage) -> Result<Vec<u8>> {
        let mut frame = wall();
        let shown = resize(code, CODE_PX, CODE_PX, FilterType::Triangle);
        for (x, y, pixel) in shown.enumerate_pixels() {
            frame.put_pixel(x + (WIDTH - CODE_PX) / 2, y + (HEIGHT - CODE_PX) / 2, Rgb([pixel.0[0]; 3]));
        }
        self.encode(frame)
    }

    fn encode(&mut self, mut frame: RgbImage) -> Result<Vec<u8>> {
        // A sensor is never still: no frame may be another's copy.
        self.taken += 1;
        let (row, least) = (u32::try_from(self.taken % u64::from(HEIGHT))?, u8::try_from(self.taken % 7)?);
        (0..WIDTH).for_each(|x| frame.get_pixel_mut(x, row).0[2] ^= least + 1);
        let (width, pitch, height) = (WIDTH as usize, WIDTH as usize * 3, HEIGHT as usize);
        let image = Image { pixels: frame.as_raw().as_slice(), width, pitch, height, format: PixelFormat::RGB };
        Ok(self.encoder.compress_to_vec(image)?)
    }
}

fn wall() -> RgbImage {
    RgbImage::from_fn(WIDTH, HEIGHT, |x, y| {
        let shade = |base: u32| u8::try_from(base + x / 24 + y / 18).unwrap_or(u8::MAX);
        Rgb([shade(96), shade(100), shade(104)])
    })
}

/// Fills the frame with somebody; beyond his photograph its edges go on, out of focus.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "pixels")]
fn stand(frame: &mut RgbImage, person: &InView<'_>) {
    let (seen, (left, top)) = person.seen();
    let soft = fast_blur(&seen, (person.scale() * 12.0).max(1.0));
    let (last_x, last_y) = (i64::from(seen.width()) - 1, i64::from(seen.height()) - 1);
    for (x, y, pixel) in frame.enumerate_pixels_mut() {
        let (u, v) = (i64::from(x) - left, i64::from(y) - top);
        let (inside_u, inside_v) = (u.clamp(0, last_x), v.clamp(0, last_y));
        let of = if (u, v) == (inside_u, inside_v) { &seen } else { &soft };
        *pixel = *of.get_pixel(inside_u as u32, inside_v as u32);
    }
}

/// Blends somebody in who is farther away: his photograph fades towards its edges, and the first one stands before him.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "pixels")]
fn paint(frame: &mut RgbImage, person: &InView<'_>, first: &InView<'_>) {
    let (seen, (left, top)) = person.seen();
    let (across, down) = (seen.width() as f32, seen.height() as f32);
    for (x, y, pixel) in seen.enumerate_pixels() {
        let (to_x, to_y) = (left + i64::from(x), top + i64::from(y));
        let inside = (0..i64::from(WIDTH)).contains(&to_x) && (0..i64::from(HEIGHT)).contains(&to_y);
        let share = faded(x as f32 / across) * faded(y as f32 / down);
        if inside && share > 0.0 && !first.hides((to_x, to_y)) {
            let under = frame.get_pixel_mut(to_x as u32, to_y as u32);
            for (under, over) in under.0.iter_mut().zip(pixel.0) {
                *under = (f32::from(*under) * (1.0 - share) + f32::from(over) * share) as u8;
            }
        }
    }
}

/// A photograph on paper, as large as life, with the white margin of a print.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "pixels")]
fn hold(frame: &mut RgbImage, print: &InView<'_>) {
    let (seen, (left, top)) = print.seen();
    let margin = i64::from(seen.width() / 20).max(2);
    let (across, down) = (i64::from(seen.width()), i64::from(seen.height()));
    for y in -margin..down + margin {
        for x in -margin..across + margin {
            let (to_x, to_y) = (left + x, top + y);
            if (0..i64::from(WIDTH)).contains(&to_x) && (0..i64::from(HEIGHT)).contains(&to_y) {
                let on_it = (0..across).contains(&x) && (0..down).contains(&y);
                let pixel = if on_it { *seen.get_pixel(x as u32, y as u32) } else { Rgb([236, 234, 228]) };
                frame.put_pixel(to_x as u32, to_y as u32, pixel);
            }
        }
    }
}

/// From nothing at an edge (0 and 1) to all, over the outermost sixth.
fn faded(along: f32) -> f32 {
    (along.min(1.0 - along) * 6.0).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use facegate_domain::face::Embedding;
    use facegate_domain::ids::ModelId;

    use super::*;

    fn look(colour: u8) -> Look {
        let embedding = Embedding::normalise(ModelId::new("m").unwrap(), vec![1.0, 0.0]).unwrap();
        let pixels = RgbImage::from_pixel(250, 250, Rgb([colour; 3]));
        Look { pixels, eyes: (125.0, 110.0), inter_eye_px: 45.0, embedding }
    }

    #[test]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "pixels")]
    fn who_is_behind_is_seen_beside_the_one_before_him_and_never_on_his_face() {
        let (before, behind) = (look(200), look(40));
        for metres in [0.8, 1.4, 2.4] {
            let first = InView { look: &before, metres, aside: 0.0, phase: 1.0 };
            let next = InView { look: &behind, metres: metres + 1.0, aside: 0.22, phase: 2.0 };
            let mut frame = wall();
            stand(&mut frame, &first);
            paint(&mut frame, &next, &first);
            let px_per_metre = FOCAL_PX / metres;
            let at = |x: f32, y: f32| {
                let eyes = first.eyes();
                frame.get_pixel((eyes.0 + x * px_per_metre) as u32, (eyes.1 + y * px_per_metre) as u32).0[0]
            };
            for (x, y) in [(0.0, 0.0), (0.1, 0.0), (-0.1, 0.05), (0.0, 0.12), (0.05, -0.1)] {
                assert_eq!(at(x, y), 200, "{metres} m, {x} {y}");
            }
            assert!(at(0.15, 0.0) < 200, "{metres} m");
        }
    }
}
