//! What may not become a template, each refused by its own name.

use facegate_models::enrolment::{Capture, CaptureProblem, capture};
use facegate_models::{ImageError, QualityPolicy, QualityProblem};
use image::imageops::{self, FilterType};
use image::{ImageFormat, Rgb, RgbImage};

use crate::{encoded, engine, portrait, portrait_bytes};

fn try_capture(bytes: &[u8]) -> Result<Capture, CaptureProblem> {
    capture(engine(), bytes, &QualityPolicy::default())
}

fn try_picture(pixels: &RgbImage) -> Result<Capture, CaptureProblem> {
    try_capture(&encoded(pixels, ImageFormat::Png))
}

#[test]
fn a_picture_without_a_face() {
    let stripes = RgbImage::from_fn(640, 480, |x, y| Rgb([(x % 251) as u8, (y % 241) as u8, ((x + y) % 239) as u8]));
    assert!(matches!(try_picture(&stripes), Err(CaptureProblem::NoFace)));
}

#[test]
fn two_people() {
    let (left, right) = (portrait("person_a_2"), portrait("person_b_1"));
    let mut both = RgbImage::new(left.width() + right.width(), left.height().max(right.height()));
    imageops::replace(&mut both, &left, 0, 0);
    imageops::replace(&mut both, &right, i64::from(left.width()), 0);
    assert!(matches!(try_picture(&both), Err(CaptureProblem::SeveralFaces { count: 2 })));
}

#[test]
fn a_face_too_far_away() {
    let mut wide = RgbImage::from_pixel(640, 480, Rgb([128, 128, 128]));
    let small = imageops::resize(&portrait("person_b_2"), 92, 120, FilterType::Triangle);
    imageops::replace(&mut wide, &small, 270, 180);
    let refused = try_picture(&wide);
    assert!(matches!(refused, Err(CaptureProblem::Quality(QualityProblem::TooSmall))), "{refused:?}");
}

#[test]
fn a_blurred_face() {
    let blurred = imageops::blur(&portrait("person_b_2"), 12.0);
    let refused = try_picture(&blurred);
    assert!(matches!(refused, Err(CaptureProblem::Quality(QualityProblem::Blurred))), "{refused:?}");
}

#[test]
fn a_face_in_the_dark() {
    let mut dark = portrait("person_b_2");
    dark.pixels_mut().for_each(|p| p.0 = p.0.map(|v| v / 6));
    let refused = try_picture(&dark);
    assert!(matches!(refused, Err(CaptureProblem::Quality(QualityProblem::TooDark))), "{refused:?}");
}

#[test]
fn a_photograph_shown_on_a_telephone() {
    let face = imageops::resize(&portrait("person_b_2"), 276, 360, FilterType::Triangle);
    let mut held_up = RgbImage::from_fn(640, 480, |x, y| Rgb([(150 + x / 16) as u8, (170 + y / 16) as u8, 180]));
    imageops::replace(&mut held_up, &RgbImage::from_pixel(300, 400, Rgb([12, 12, 14])), 170, 40);
    imageops::replace(&mut held_up, &face, 182, 60);
    let refused = try_picture(&held_up);
    assert!(matches!(refused, Err(CaptureProblem::Attack)), "{refused:?}");
}

#[test]
fn a_damaged_a_huge_and_a_foreign_file() {
    let whole = portrait_bytes("person_a_2");
    let damaged = &encoded(&portrait("person_a_2"), ImageFormat::Png)[..60_000];
    assert!(matches!(try_capture(damaged), Err(CaptureProblem::Image(ImageError::Corrupt))));
    let padded: Vec<u8> = whole.iter().copied().chain(std::iter::repeat_n(0, 10_000_001)).collect();
    assert!(matches!(try_capture(&padded), Err(CaptureProblem::Image(ImageError::FileTooLarge { .. }))));
    let wide = RgbImage::new(20_000, 1_000);
    assert!(matches!(try_picture(&wide), Err(CaptureProblem::Image(ImageError::TooLarge { width: 20_000, .. }))));
    let gif = b"GIF89a\x01\0\x01\0\0\0\0;";
    assert!(matches!(try_capture(gif), Err(CaptureProblem::Image(ImageError::UnsupportedType { found: "GIF" }))));
    assert!(matches!(try_capture(b"{}"), Err(CaptureProblem::Image(ImageError::NotAnImage))));
}
