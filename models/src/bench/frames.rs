//! A camera's frames, made of photographs: 1280×720, the face with 80 or 40 pixels between the eyes, JPEG of quality 90 with
//! colour at half the resolution (4:2:0), as cameras send it.

use anyhow::Context;
use facegate_models::FaceEngine;
use facegate_models::home::Home;
use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};
use turbojpeg::{Compressor, Image, PixelFormat, Subsamp};

pub const WIDTH: u32 = 1280;
pub const HEIGHT: u32 = 720;
/// Pixels between the eyes, by turns: an arm's length before the gate, and twice as far.
pub const EYES_PX: [u32; 2] = [80, 40];
const QUALITY: i32 = 90;
const PORTRAITS: [&str; 6] = ["person_a_1", "person_a_2", "person_b_1", "person_b_2", "impostor_1", "impostor_2"];

/// One frame, as a camera would send it.
pub struct CameraFrame {
    pub jpeg: Vec<u8>,
    pub eyes_px: u32,
}

/// Where a photograph's face is.
struct Face {
    pixels: RgbImage,
    centre: (f32, f32),
    eyes_px: f32,
}

impl Face {
    /// None if no face is found in it.
    fn find(engine: &FaceEngine, bytes: &[u8]) -> anyhow::Result<Option<Self>> {
        let frame = engine.decode(bytes)?;
        let Some(face) = engine.detect(&frame)?.into_iter().next() else { return Ok(None) };
        let [right_eye, left_eye, ..] = face.landmarks;
        let centre = face.bounds.centre();
        let pixels = image::load_from_memory(bytes)?.into_rgb8();
        Ok(Some(Self { pixels, centre: (centre.x, centre.y), eyes_px: right_eye.distance(left_eye) }))
    }

    /// The photograph on a plain, faintly noisy wall, its face somewhere in the middle of the frame.
    fn on_a_wall(&self, eyes_px: f32, seed: u32) -> RgbImage {
        let scale = eyes_px / self.eyes_px;
        let side = |px: u32| ((px as f32 * scale).round() as u32).max(1);
        let filter = if scale < 1.0 { FilterType::Triangle } else { FilterType::CatmullRom };
        let photograph = imageops::resize(&self.pixels, side(self.pixels.width()), side(self.pixels.height()), filter);
        let mut frame = RgbImage::from_fn(WIDTH, HEIGHT, |x, y| wall(x, y, seed));
        let place = |at: f32, size: u32, shake: u32| {
            let wanted = size as f32 * (0.35 + 0.3 * (scrambled(seed ^ shake) % 1000) as f32 / 1000.0);
            (wanted - at * scale).round() as i64
        };
        imageops::overlay(
            &mut frame,
            &photograph,
            place(self.centre.0, WIDTH, 0x51ed),
            place(self.centre.1, HEIGHT, 0x2e7b),
        );
        frame
    }
}

/// A frame of each photograph in turn, as long as there are photographs in which a face is found.
pub fn frame_of(engine: &FaceEngine, photograph: &[u8], index: u32) -> anyhow::Result<Option<CameraFrame>> {
    let eyes_px = EYES_PX[index as usize % EYES_PX.len()];
    let Some(face) = Face::find(engine, photograph)? else { return Ok(None) };
    Ok(Some(CameraFrame { jpeg: encoded(&face.on_a_wall(eyes_px as f32, index))?, eyes_px }))
}

/// A walk-up: the face of one photograph nearer from frame to frame, from 45 to 80 pixels between the eyes.
pub fn walk_up(engine: &FaceEngine, photograph: &[u8], frames: u32) -> anyhow::Result<Option<Vec<Vec<u8>>>> {
    let Some(face) = Face::find(engine, photograph)? else { return Ok(None) };
    let at = |i: u32| 45.0 + 35.0 * i as f32 / frames.saturating_sub(1).max(1) as f32;
    (0..frames).map(|i| encoded(&face.on_a_wall(at(i), 7))).collect::<anyhow::Result<_>>().map(Some)
}

/// The six credited portraits.
pub fn portraits(home: &Home) -> anyhow::Result<Vec<Vec<u8>>> {
    let read = |name: &&str| {
        let path = home.people_dir().join(format!("{name}.jpg"));
        std::fs::read(&path).with_context(|| format!("{}: run `cargo xtask models`", path.display()))
    };
    PORTRAITS.iter().map(read).collect()
}

fn encoded(pixels: &RgbImage) -> anyhow::Result<Vec<u8>> {
    let (width, height) = (pixels.width() as usize, pixels.height() as usize);
    let mut compressor = Compressor::new()?;
    compressor.set_subsamp(Subsamp::Sub2x2)?;
    compressor.set_quality(QUALITY)?;
    let image = Image { pixels: &pixels.as_raw()[..], width, pitch: width * 3, height, format: PixelFormat::RGB };
    Ok(compressor.compress_to_vec(image)?)
}

/// Light falls off to one side, and the sensor is a little noisy.
fn wall(x: u32, y: u32, seed: u32) -> Rgb<u8> {
    let noise = scrambled(x ^ (y << 12) ^ (seed << 24)) % 4;
    let light = 100 + x / 16 + y / 24 + noise;
    Rgb([light as u8, (light + 4) as u8, (light + 9) as u8])
}

/// Numbers without a pattern that anyone would see, always the same ones.
fn scrambled(value: u32) -> u32 {
    let value = (value ^ (value >> 16)).wrapping_mul(0x7feb_352d);
    let value = (value ^ (value >> 15)).wrapping_mul(0x846c_a68b);
    value ^ (value >> 16)
}
