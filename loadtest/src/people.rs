//! Real faces for the demo: the credited portraits that come with the models, shown as walk-ups.
//!
//! A walk-up is one photograph seen by a camera as its subject comes closer: crops of the photograph on a 1280×720
//! frame, a little larger from frame to frame and never twice the same. Photographs are upright and frames are wide, so
//! what lies beside the photograph is made up without an edge: a face that fills its frame is what a replay looks like.

use std::path::Path;

use anyhow::{Context, Result, bail};
use facegate_models::{FaceEngine, Frame};
use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use image::{DynamicImage, Rgb, RgbImage};

pub const FRAME_WIDTH: u32 = 1280;
pub const FRAME_HEIGHT: u32 = 720;

/// One photograph of a person, as the file came.
#[derive(Debug, Clone)]
pub struct Portrait {
    /// File name, without a folder.
    pub file: String,
    pub bytes: Vec<u8>,
}

/// The people of the demo.
#[derive(Debug)]
pub struct People {
    /// Photographed twice: enrolled with the first photograph, walking as in the second.
    pub riders: Vec<(Portrait, Portrait)>,
    /// Photographed once, never enrolled.
    pub strangers: Vec<Portrait>,
}

impl People {
    /// Reads the portraits that `cargo xtask models` laid into `folder`.
    pub fn load(folder: &Path) -> Result<Self> {
        let portrait = |file: &str| -> Result<Portrait> {
            let path = folder.join(file);
            let bytes = std::fs::read(&path)
                .with_context(|| format!("{} is missing: run `cargo xtask models`", path.display()))?;
            Ok(Portrait { file: file.to_owned(), bytes })
        };
        let pair = |letter: &str| -> Result<(Portrait, Portrait)> {
            Ok((portrait(&format!("person_{letter}_1.jpg"))?, portrait(&format!("person_{letter}_2.jpg"))?))
        };
        Ok(Self {
            riders: vec![pair("a")?, pair("b")?],
            strangers: vec![portrait("impostor_1.jpg")?, portrait("impostor_2.jpg")?],
        })
    }
}

/// Renders `frames` JPEG frames of the portrait's subject walking up.
pub fn walk_up(engine: &FaceEngine, portrait: &Portrait, frames: usize) -> Result<Vec<Vec<u8>>> {
    let photo = image::load_from_memory(&portrait.bytes).with_context(|| portrait.file.clone())?.to_rgb8();
    let frame: Frame = engine.decode(&portrait.bytes)?;
    let faces = engine.analyse(&frame)?;
    let Some(face) = faces.first() else { bail!("no face is found in {}", portrait.file) };
    let centre = (face.bounds.left + face.bounds.width / 2.0, face.bounds.top + face.bounds.height / 2.0);
    (0..frames).map(|i| render(&photo, centre, face.bounds.height, i, frames)).collect()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "pixels")]
fn render(photo: &RgbImage, centre: (f32, f32), face_height: f32, index: usize, frames: usize) -> Result<Vec<u8>> {
    // From a face of about 0.40 of the frame's height to 0.50: an arm's length before the gate's camera.
    let progress = index as f32 / frames.max(2) as f32;
    let height = (face_height / (0.40 + 0.10 * progress)).min(photo.height() as f32);
    let width = height * FRAME_WIDTH as f32 / FRAME_HEIGHT as f32;
    let sway = (index as f32 * 1.7).sin() * width * 0.01;
    let left = (centre.0 - width / 2.0 + sway).round() as i64;
    let top = (centre.1 - height / 2.0).clamp(0.0, photo.height() as f32 - height) as u32;
    let softness = (face_height / 4.0) as u32;
    let view =
        RgbImage::from_fn(width as u32, height as u32, |x, y| widened(photo, left + i64::from(x), top + y, softness));
    let seen = image::imageops::resize(&view, FRAME_WIDTH, FRAME_HEIGHT, FilterType::CatmullRom);
    jpeg(&DynamicImage::ImageRgb8(seen))
}

/// The photograph, and beside it its outermost column, softer the farther out: a background without an edge, so that
/// the person has surroundings and no border of a print is to be seen.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "pixels")]
fn widened(photo: &RgbImage, x: i64, y: u32, softness: u32) -> Rgb<u8> {
    let last = i64::from(photo.width()) - 1;
    let inside = x.clamp(0, last);
    let distance = (x - inside).unsigned_abs() as f32;
    if distance == 0.0 {
        return *photo.get_pixel(inside as u32, y);
    }
    let reach = (softness as f32 / 2.0 * (2.0 * distance / softness.max(1) as f32).min(1.0)) as u32;
    let rows = y.saturating_sub(reach)..=(y + reach).min(photo.height() - 1);
    let count = rows.clone().count() as f32;
    let mut sum = [0.0; 3];
    for row in rows {
        let pixel = photo.get_pixel(inside as u32, row).0;
        (0..3).for_each(|c| sum[c] += f32::from(pixel[c]));
    }
    Rgb(sum.map(|value| (value / count) as u8))
}

/// JPEG at quality 90, as a camera would send it.
pub fn jpeg(image: &DynamicImage) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    image.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, 90))?;
    Ok(bytes)
}
