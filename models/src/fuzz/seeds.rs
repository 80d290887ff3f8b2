//! What the hostile pictures are made from: the portraits in every form that our encoder writes, and odd ones.

use std::io::Cursor;

use anyhow::Context;
use facegate_models::home::Home;
use image::imageops::{FilterType, resize};
use image::{DynamicImage, GrayImage, ImageBuffer, ImageFormat, Rgb, RgbImage};

/// Whole files. Errors: the portraits are not there.
pub fn seeds(home: &Home) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut seeds = Vec::new();
    for name in ["person_a_1", "person_b_2", "impostor_1"] {
        let path = home.people_dir().join(format!("{name}.jpg"));
        let next = || format!("{}: run `cargo xtask models`", path.display());
        let bytes = std::fs::read(&path).with_context(next)?;
        let picture = image::load_from_memory(&bytes).with_context(next)?.into_rgb8();
        seeds.push(bytes);
        seeds.extend(forms(&picture));
    }
    seeds.push(encode(&crowd(&seeds[0])?.into(), ImageFormat::Jpeg));
    seeds.push(encode(&RgbImage::new(1, 1).into(), ImageFormat::Png));
    seeds.push(encode(&RgbImage::new(200, 200).into(), ImageFormat::Jpeg));
    // Not pictures that we take, so that what looks like one is tried too.
    for magic in [&b"GIF89a\x40\0\x40\0\x80\0\0"[..], b"RIFF\0\0\0\0WEBPVP8 ", b"\0\0\0\x18ftypheic", b"BM"] {
        seeds.push(magic.to_vec());
    }
    Ok(seeds)
}

/// Small enough that thousands are tried in a minute, large enough for a face.
fn forms(picture: &RgbImage) -> Vec<Vec<u8>> {
    let height = picture.height() * 240 / picture.width().max(1);
    let small = DynamicImage::from(resize(picture, 240, height, FilterType::Triangle));
    let grey: GrayImage = small.to_luma8();
    let deep: ImageBuffer<Rgb<u16>, Vec<u16>> = small.to_rgb16();
    vec![
        encode(&small, ImageFormat::Jpeg),
        encode(&small, ImageFormat::Png),
        encode(&grey.clone().into(), ImageFormat::Jpeg),
        encode(&grey.into(), ImageFormat::Png),
        encode(&deep.into(), ImageFormat::Png),
        encode(&small.to_rgba8().into(), ImageFormat::Png),
    ]
}

/// Fifty faces in one picture.
fn crowd(portrait: &[u8]) -> anyhow::Result<RgbImage> {
    let face = resize(&image::load_from_memory(portrait)?.into_rgb8(), 96, 120, FilterType::Triangle);
    let mut crowd = RgbImage::new(96 * 10, 120 * 5);
    for i in 0..50_i64 {
        image::imageops::replace(&mut crowd, &face, 96 * (i % 10), 120 * (i / 10));
    }
    Ok(crowd)
}

fn encode(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).expect("writing to memory does not fail, and both formats take these pixels");
    bytes.into_inner()
}
