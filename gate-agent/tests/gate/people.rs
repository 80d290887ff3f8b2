//! Frames of real people: the six credited portraits that come with the models, as a walk-up would show them.

use std::io::Cursor;
use std::sync::{Arc, OnceLock};

use facegate_domain::face::Embedding;
use facegate_models::home::Home;
use facegate_models::liveness::LivenessPolicy;
use facegate_models::{EngineOptions, FaceEngine, ImageLimits};
use image::imageops::{FilterType, fast_blur, overlay, resize};
use image::{DynamicImage, ImageFormat, Luma, Rgb, RgbImage};
use qrcode::{EcLevel, QrCode};

const WIDTH: u32 = 1280;
const HEIGHT: u32 = 720;

/// One engine for all tests; models take a while to load.
pub fn engine() -> Arc<FaceEngine> {
    static ENGINE: OnceLock<Arc<FaceEngine>> = OnceLock::new();
    // Walk-ups of three frames keep the tests short.
    let short = LivenessPolicy { frames_min: 3, ..LivenessPolicy::default() };
    Arc::clone(ENGINE.get_or_init(|| engine_with(short)))
}

pub fn engine_with(liveness: LivenessPolicy) -> Arc<FaceEngine> {
    let options = EngineOptions { liveness, ..EngineOptions::default() };
    let engine = FaceEngine::load(&Home::from_env().models_dir(), options);
    Arc::new(engine.unwrap_or_else(|e| panic!("{e}; `cargo xtask test` fetches what the tests need")))
}

fn portrait(name: &str) -> RgbImage {
    let path = Home::from_env().people_dir().join(name);
    let read = image::open(&path);
    read.unwrap_or_else(|e| panic!("{}: {e}; `cargo xtask test` fetches it", path.display())).into_rgb8()
}

/// What enrolment would have stored for this portrait.
pub fn template(name: &str) -> Embedding {
    let frame = engine().decode(&jpeg(&portrait(name))).unwrap();
    let faces = engine().analyse(&frame).unwrap();
    engine().embed(&frame, &faces[0]).unwrap()
}

/// `frames` frames of somebody coming up, moved a little from one to the next.
pub fn walk_up(name: &str, frames: u32) -> Vec<Vec<u8>> {
    let portrait = portrait(name);
    (0..frames).map(|n| jpeg(&filling(&portrait, n))).collect()
}

fn filling(portrait: &RgbImage, n: u32) -> RgbImage {
    // As high as the frame and a little more; what is beside a portrait is its outermost column, ever softer.
    let high = resize(portrait, 760 * portrait.width() / portrait.height(), 760, FilterType::Triangle);
    let (left, last) = (i64::from(WIDTH - high.width()) / 2, i64::from(high.width()) - 1);
    RgbImage::from_fn(WIDTH, HEIGHT, |x, y| {
        let (x, y) = (i64::from(x) - left, y + 3 * n);
        let inside = x.clamp(0, last);
        let reach = u32::try_from((x - inside).unsigned_abs() / 2).unwrap().min(40);
        let rows = y.saturating_sub(reach)..=(y + reach).min(high.height() - 1);
        let column = u32::try_from(inside).unwrap();
        let mean = |c: usize| {
            let sum: u32 = rows.clone().map(|row| u32::from(high.get_pixel(column, row).0[c])).sum();
            u8::try_from(sum as usize / rows.clone().count()).unwrap()
        };
        Rgb([mean(0), mean(1), mean(2)])
    })
}

/// Somebody blurred beyond recognition.
pub fn blurred(name: &str) -> Vec<Vec<u8>> {
    let portrait = portrait(name);
    (0..9).map(|n| jpeg(&fast_blur(&filling(&portrait, n), 24.0))).collect()
}

/// Somebody far off in an empty hall, with this much between the eyes.
pub fn far_off(name: &str, inter_eye_px: f32) -> Vec<Vec<u8>> {
    let portrait = portrait(name);
    let frame = engine().decode(&jpeg(&portrait)).unwrap();
    let scale = inter_eye_px / engine().analyse(&frame).unwrap()[0].quality.inter_eye_px;
    let scaled = |px: u32| (px as f32 * scale).round() as u32;
    let small = resize(&portrait, scaled(portrait.width()), scaled(portrait.height()), FilterType::Triangle);
    (0..4).map(|n| jpeg(&pasted(&[(&small, 560 + 2 * n)]))).collect()
}

/// A printed photograph, held before the camera in a hall: its edge is to be seen on all sides.
pub fn held_up(name: &str) -> Vec<Vec<u8>> {
    let portrait = portrait(name);
    let print = resize(&portrait, 440 * portrait.width() / portrait.height(), 440, FilterType::Triangle);
    let at = |n: i64| (450 + 3 * n, 120 + n);
    (0..9).map(|n| jpeg(&pasted_at(&[(&print, at(n))]))).collect()
}

/// Two people side by side, equally near.
pub fn side_by_side(left: &str, right: &str) -> Vec<Vec<u8>> {
    let half = |name| {
        let portrait = portrait(name);
        resize(&portrait, 600, 600 * portrait.height() / portrait.width(), FilterType::Triangle)
    };
    let (left, right) = (half(left), half(right));
    (0..4).map(|n| jpeg(&pasted(&[(&left, 2 * n), (&right, 660 + 2 * n)]))).collect()
}

fn pasted(people: &[(&RgbImage, i64)]) -> RgbImage {
    pasted_at(&people.iter().map(|(person, x)| (*person, (*x, 10))).collect::<Vec<_>>())
}

fn pasted_at(people: &[(&RgbImage, (i64, i64))]) -> RgbImage {
    let mut hall = hall();
    people.iter().for_each(|(person, (x, y))| overlay(&mut hall, *person, *x, *y));
    hall
}

/// Nobody there.
pub fn empty_hall() -> Vec<u8> {
    jpeg(&hall())
}

fn hall() -> RgbImage {
    RgbImage::from_fn(WIDTH, HEIGHT, |x, y| Rgb([90 + (x / 40 % 8) as u8, 95, 100 + (y / 30 % 8) as u8]))
}

/// A phone that shows this text as a QR, held into the camera.
pub fn phone_with(text: &str) -> Vec<u8> {
    let qr = QrCode::with_error_correction_level(text, EcLevel::L).unwrap().render::<Luma<u8>>().build();
    let held = |side: u32| {
        let shown = DynamicImage::ImageLuma8(resize(&qr, side, side, FilterType::Triangle)).into_rgb8();
        let mut hall = hall();
        overlay(&mut hall, &shown, 400, 100);
        jpeg(&hall)
    };
    // Some codes are read at one size and not at another, and these tests show a code in one frame, at any of the reader's
    // turns.
    let is_read = |frame: &Vec<u8>| {
        let frame = facegate_models::decode::decode(frame, &ImageLimits::default()).unwrap();
        let reader = facegate_gate_agent::code::CodeReader::default();
        (0..4).all(|_| reader.read(&frame).as_deref() == Some(text))
    };
    [500, 540, 470, 520, 455, 490, 530].into_iter().map(held).find(is_read).unwrap()
}

pub fn jpeg(pixels: &RgbImage) -> Vec<u8> {
    encoded(pixels, ImageFormat::Jpeg)
}

pub fn encoded(pixels: &RgbImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    pixels.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// So many people in a hall, none nearer than the others.
pub fn crowd(people: u32, frames: i64) -> Vec<Vec<u8>> {
    let names = ["person_a_2.jpg", "person_b_2.jpg", "impostor_1.jpg", "impostor_2.jpg"];
    let faces: Vec<RgbImage> =
        names.iter().map(|name| resize(&portrait(name), 190, 140, FilterType::Triangle)).collect();
    let at = |n: u32, frame: i64| (i64::from(n % 6) * 210 + 2 * frame, i64::from(n / 6) * 143);
    let shown = |frame| (0..people).map(|n| (&faces[n as usize % faces.len()], at(n, frame))).collect::<Vec<_>>();
    (0..frames).map(|frame| jpeg(&pasted_at(&shown(frame)))).collect()
}

/// A picture that is the same grey all over.
pub fn grey(value: u8) -> Vec<u8> {
    jpeg(&RgbImage::from_pixel(WIDTH, HEIGHT, Rgb([value; 3])))
}

/// The picture as a camera that hangs upside down takes it.
pub fn turned(picture: &[u8]) -> Vec<u8> {
    jpeg(&image::imageops::rotate180(&image::load_from_memory(picture).unwrap().into_rgb8()))
}

/// The picture at 3840×2160.
pub fn large(picture: &[u8]) -> Vec<u8> {
    jpeg(&resize(&image::load_from_memory(picture).unwrap().into_rgb8(), 3840, 2160, FilterType::Triangle))
}
