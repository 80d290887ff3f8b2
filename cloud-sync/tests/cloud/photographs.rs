//! Real photographs through the real engine: who is taken, and what is refused with which words.

use std::io::Cursor;
use std::sync::{Arc, OnceLock};

use facegate_cloud_sync::enrolment::EngineCapture;
use facegate_models::home::Home;
use facegate_models::{EngineOptions, FaceEngine, QualityPolicy};
use image::{DynamicImage, ImageFormat, RgbImage, imageops};
use tonic::Code;

use crate::harness::{TestCloud, code, consenting_rider, enrol};

/// One engine for all tests; its networks take a second to load.
fn faces() -> Arc<EngineCapture> {
    static ENGINE: OnceLock<Arc<EngineCapture>> = OnceLock::new();
    let load = || {
        let models = Home::from_env().models_dir();
        let engine = FaceEngine::load(&models, EngineOptions::default()).expect("run `cargo xtask models` first");
        Arc::new(EngineCapture { engine, quality: QualityPolicy::default() })
    };
    Arc::clone(ENGINE.get_or_init(load))
}

fn photograph(name: &str) -> Vec<u8> {
    std::fs::read(Home::from_env().people_dir().join(name)).expect("run `cargo xtask models` first")
}

fn picture(name: &str) -> RgbImage {
    image::load_from_memory(&photograph(name)).unwrap().into_rgb8()
}

fn encoded(picture: RgbImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::from(picture).write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn two_people() -> Vec<u8> {
    let (left, right) = (picture("person_a_2.jpg"), picture("person_b_1.jpg"));
    let mut both = RgbImage::new(left.width() + right.width(), left.height().max(right.height()));
    imageops::replace(&mut both, &left, 0, 0);
    imageops::replace(&mut both, &right, i64::from(left.width()), 0);
    encoded(both, ImageFormat::Png)
}

/// The portrait, small in a large empty picture.
fn far_away() -> Vec<u8> {
    let small = imageops::resize(&picture("person_b_2.jpg"), 92, 120, imageops::FilterType::Triangle);
    let mut wide = RgbImage::from_pixel(640, 480, image::Rgb([128, 128, 128]));
    imageops::replace(&mut wide, &small, 270, 180);
    encoded(wide, ImageFormat::Png)
}

fn out_of_focus() -> Vec<u8> {
    encoded(imageops::blur(&picture("person_b_2.jpg"), 12.0), ImageFormat::Png)
}

fn cut_short(mut file: Vec<u8>) -> Vec<u8> {
    file.truncate(file.len() / 2);
    file
}

fn larger_than_any_file() -> Vec<u8> {
    let mut bytes = photograph("person_a_1.jpg");
    bytes.resize(10_000_001, 0);
    bytes
}

/// Twenty million black pixels in some tens of kilobytes.
fn decompression_bomb() -> Vec<u8> {
    encoded(RgbImage::new(20_000, 1_000), ImageFormat::Png)
}

#[tokio::test]
async fn people_are_enrolled_once_and_another_photograph_tells_them() {
    let cloud = TestCloud::start_with(faces()).await;
    let mut app = cloud.app();
    for name in ["person_a_1.jpg", "person_b_1.jpg", "impostor_1.jpg", "impostor_2.jpg"] {
        let rider = consenting_rider(&mut app).await;
        enrol(&mut app, &rider, &photograph(name)).await.unwrap_or_else(|refused| panic!("{name}: {refused}"));
    }
    for name in ["person_a_2.jpg", "person_b_2.jpg"] {
        let other = consenting_rider(&mut app).await;
        let refused = enrol(&mut app, &other, &photograph(name)).await.unwrap_err();
        assert_eq!((refused.code(), code(&refused)), (Code::AlreadyExists, "already_enrolled"), "{name}");
    }
    assert_eq!(cloud.cloud.store.overview().await.unwrap().enrolled, 4);
}

#[tokio::test]
async fn what_will_not_do_is_refused_with_its_reason_and_nothing_is_kept() {
    let cloud = TestCloud::start_with(faces()).await;
    let mut app = cloud.app();
    let rider = consenting_rider(&mut app).await;
    let cases: [(&str, Vec<u8>); 10] = [
        ("no_face", encoded(RgbImage::from_pixel(640, 480, image::Rgb([90, 120, 90])), ImageFormat::Png)),
        ("several_faces", two_people()),
        ("face_too_small", far_away()),
        ("face_blurred", out_of_focus()),
        ("image_corrupt", cut_short(encoded(picture("person_a_2.jpg"), ImageFormat::Png))),
        ("image_corrupt", cut_short(photograph("person_a_1.jpg"))),
        ("file_too_large", larger_than_any_file()),
        ("image_too_large", decompression_bomb()),
        ("unsupported_image_type", b"GIF89a\x01\x00\x01\x00".to_vec()),
        ("not_an_image", b"hello".to_vec()),
    ];
    for (expected, bytes) in cases {
        let refused = enrol(&mut app, &rider, &bytes).await.expect_err(expected);
        assert_eq!((code(&refused), refused.code()), (expected, Code::InvalidArgument), "{refused}");
        assert!(refused.message().ends_with('.') && refused.message().len() > 40, "says what to do next: {refused}");
    }
    assert_eq!(*cloud.cloud.store.head().borrow(), 1, "nothing but the issuer's key is on the feed");
    enrol(&mut app, &rider, &photograph("person_a_1.jpg")).await.unwrap();
}
