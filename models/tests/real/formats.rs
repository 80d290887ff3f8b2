//! Every kind of file that a telephone, a scanner or a joker may send: taken as it was meant, or refused by name.

use std::io::Cursor;

use facegate_domain::face::Embedding;
use facegate_models::enrolment::{CaptureProblem, capture};
use facegate_models::{ImageError, QualityPolicy};
use image::imageops::{self, FilterType};
use image::{DynamicImage, ImageBuffer, ImageFormat, Rgb, RgbImage};
use turbojpeg::{Compressor, Image, PixelFormat, Subsamp};

use crate::{encoded, engine, portrait};

const NAME: &str = "person_b_2";

fn embedding_of(bytes: &[u8]) -> Embedding {
    let frame = engine().decode(bytes).unwrap();
    let faces = engine().analyse(&frame).unwrap();
    assert_eq!(faces.len(), 1);
    engine().embed(&frame, &faces[0]).unwrap()
}

fn refusal(bytes: &[u8]) -> CaptureProblem {
    capture(engine(), bytes, &QualityPolicy::default()).unwrap_err()
}

fn file(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// By the encoder that knows more kinds of JPEG than the product writes.
fn jpeg(picture: &RgbImage, change: impl Fn(&mut Compressor)) -> Vec<u8> {
    let mut compressor = Compressor::new().unwrap();
    compressor.set_quality(92).unwrap();
    change(&mut compressor);
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let image =
        Image { pixels: picture.as_raw().as_slice(), width, pitch: 3 * width, height, format: PixelFormat::RGB };
    compressor.compress_to_vec(image).unwrap()
}

/// A note of how the camera was held (EXIF, tag 0x0112), put behind the start of a JPEG.
fn with_orientation(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let mut note = b"\xff\xe1\x00\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    note.extend([orientation, 0, 0, 0, 0, 0, 0]);
    [&jpeg[..2], &note, &jpeg[2..]].concat()
}

#[test]
fn however_a_photograph_is_coded_it_is_the_same_face() {
    let picture = portrait(NAME);
    let plain = embedding_of(&file(&picture.clone().into(), ImageFormat::Png));
    let whole = DynamicImage::from(picture.clone());
    let deep: ImageBuffer<Rgb<u16>, Vec<u16>> = whole.to_rgb16();
    let files = [
        ("16-bit PNG", file(&deep.into(), ImageFormat::Png), 0.99),
        ("PNG with transparency", file(&whole.to_rgba8().into(), ImageFormat::Png), 0.99),
        ("grey PNG", file(&whole.to_luma8().into(), ImageFormat::Png), 0.8),
        ("grey JPEG", file(&whole.to_luma8().into(), ImageFormat::Jpeg), 0.8),
        ("4:4:4 JPEG", jpeg(&picture, |c| c.set_subsamp(Subsamp::None).unwrap()), 0.97),
        ("4:2:2 JPEG", jpeg(&picture, |c| c.set_subsamp(Subsamp::Sub2x1).unwrap()), 0.97),
        ("4:2:0 JPEG", jpeg(&picture, |c| c.set_subsamp(Subsamp::Sub2x2).unwrap()), 0.97),
        ("4:1:1 JPEG", jpeg(&picture, |c| c.set_subsamp(Subsamp::Sub4x1).unwrap()), 0.95),
        ("progressive JPEG", jpeg(&picture, |c| c.set_progressive(true).unwrap()), 0.97),
    ];
    for (kind, bytes, least) in files {
        let cosine = plain.similarity(&embedding_of(&bytes)).cosine();
        assert!(cosine >= least, "{kind}: {cosine}");
    }
}

#[test]
fn a_photograph_stored_turned_is_turned_back() {
    let upright = portrait(NAME);
    let plain = embedding_of(&jpeg(&upright, |_| {}));
    // What the sensor stored if the note says so: the note's transformation undone.
    let stored: [(u8, RgbImage); 4] = [
        (1, upright.clone()),
        (3, imageops::rotate180(&upright)),
        (6, imageops::rotate270(&upright)),
        (8, imageops::rotate90(&upright)),
    ];
    for (orientation, picture) in stored {
        let cosine = plain.similarity(&embedding_of(&with_orientation(&jpeg(&picture, |_| {}), orientation))).cosine();
        assert!(cosine > 0.97, "orientation {orientation}: {cosine}");
    }
    // A front camera's picture, which the note mirrors back.
    let mirrored = with_orientation(&jpeg(&imageops::flip_horizontal(&upright), |_| {}), 2);
    assert!(plain.similarity(&embedding_of(&mirrored)).cosine() > 0.97);
}

#[test]
fn a_printers_cmyk_jpeg_is_taken_or_refused_but_never_a_wrong_face() {
    let picture = portrait(NAME);
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let inks: Vec<u8> = picture.pixels().flat_map(|p| [p.0[0], p.0[1], p.0[2], 255]).collect();
    let image = Image { pixels: inks.as_slice(), width, pitch: 4 * width, height, format: PixelFormat::CMYK };
    let bytes = Compressor::new().unwrap().compress_to_vec(image).unwrap();
    match capture(engine(), &bytes, &QualityPolicy::default()) {
        Ok(taken) => {
            let itself = embedding_of(&jpeg(&picture, |_| {})).similarity(&taken.embedding).cosine();
            assert!(itself > 0.9, "{itself}");
        }
        Err(CaptureProblem::Image(problem)) => assert!(!problem.to_string().is_empty()),
        Err(other) => panic!("{other}"),
    }
}

/// The chunks of a PNG file: kind and content.
fn chunks(png: &[u8]) -> Vec<([u8; 4], Vec<u8>)> {
    let mut rest = &png[8..];
    let mut chunks = Vec::new();
    while let [a, b, c, d, kind @ ..] = rest {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        chunks.push((kind[..4].try_into().unwrap(), kind[4..4 + length].to_vec()));
        rest = &kind[8 + length..];
    }
    chunks
}

/// An animated PNG of two pictures of one size.
fn animated(still: &[u8], next: &[u8]) -> Vec<u8> {
    let size = chunks(still)[0].1[..8].to_vec();
    let control = |sequence: u32| {
        let rest = [0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 10, 0, 0];
        (*b"fcTL", [&sequence.to_be_bytes()[..], &size, &rest].concat())
    };
    let data = chunks(next).into_iter().filter(|(kind, _)| kind == b"IDAT").flat_map(|(_, data)| data);
    let second = [&2_u32.to_be_bytes()[..], &data.collect::<Vec<u8>>()].concat();
    let mut all = chunks(still);
    all.splice(1..1, [(*b"acTL", [0, 0, 0, 2, 0, 0, 0, 0].to_vec()), control(0)]);
    let end = all.len() - 1;
    all.splice(end..end, [control(1), (*b"fdAT", second)]);
    let mut file = still[..8].to_vec();
    for (kind, content) in all {
        let named = [&kind[..], &content].concat();
        file.extend(
            [&(content.len() as u32).to_be_bytes()[..], &named, &crc32fast::hash(&named).to_be_bytes()].concat(),
        );
    }
    file
}

#[test]
fn an_animated_png_is_its_still_picture() {
    let picture = portrait(NAME);
    let still = file(&picture.clone().into(), ImageFormat::Png);
    let dark = file(&RgbImage::new(picture.width(), picture.height()).into(), ImageFormat::Png);
    assert!(embedding_of(&still).similarity(&embedding_of(&animated(&still, &dark))).cosine() > 0.9999);
}

#[test]
fn an_animation_is_refused_by_its_kind() {
    let gif = b"GIF89a\x40\0\x40\0\x80\0\0\0\0\0\xff\xff\xff!\xff\x0bNETSCAPE2.0\x03\x01\0\0\0;";
    assert!(matches!(refusal(gif), CaptureProblem::Image(ImageError::UnsupportedType { found: "GIF" })));
    let webp = b"RIFF\x1a\0\0\0WEBPVP8X\x0a\0\0\0\x02\0\0\0\0\0\0\0\0\0ANIM";
    assert!(matches!(refusal(webp), CaptureProblem::Image(ImageError::UnsupportedType { found: "WebP" })));
}

#[test]
fn one_pixel_and_far_too_many_are_refused_by_their_size() {
    for format in [ImageFormat::Png, ImageFormat::Jpeg] {
        let dot = refusal(&encoded(&RgbImage::new(1, 1), format));
        assert!(matches!(dot, CaptureProblem::Image(ImageError::TooSmall { width: 1, height: 1, .. })), "{dot}");
    }
    let mut jpeg = encoded(&RgbImage::new(64, 64), ImageFormat::Jpeg);
    let frame = jpeg.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0x4e, 0x20, 0x4e, 0x20]);
    let huge = refusal(&jpeg);
    assert!(
        matches!(huge, CaptureProblem::Image(ImageError::TooLarge { width: 20_000, height: 20_000, .. })),
        "{huge}"
    );
}

#[test]
fn nothing_is_seen_in_the_dark() {
    for format in [ImageFormat::Png, ImageFormat::Jpeg] {
        let dark = refusal(&encoded(&RgbImage::new(1280, 720), format));
        assert!(matches!(dark, CaptureProblem::NoFace), "{dark}");
    }
}

#[test]
fn fifty_faces_are_fifty_faces() {
    let face = imageops::resize(&portrait(NAME), 128, 160, FilterType::Triangle);
    let mut crowd = RgbImage::new(128 * 10, 160 * 5);
    for i in 0..50_i64 {
        imageops::replace(&mut crowd, &face, 128 * (i % 10), 160 * (i / 10));
    }
    let bytes = encoded(&crowd, ImageFormat::Jpeg);
    let frame = engine().decode(&bytes).unwrap();
    let faces = engine().analyse(&frame).unwrap();
    assert!((45..=55).contains(&faces.len()), "{}", faces.len());
    assert!(matches!(refusal(&bytes), CaptureProblem::SeveralFaces { count } if count == faces.len()));
}
