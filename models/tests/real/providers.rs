//! The same face gives the same embedding wherever the network runs, and a face that is followed is the one that a
//! look at the whole frame finds.

use facegate_models::{EngineOptions, FaceEngine, Frame, Provider, Track};
use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};

use crate::{PEOPLE, engine, portrait};
use facegate_models::home::Home;

fn load(provider: Provider) -> FaceEngine {
    let options = EngineOptions { provider, ..EngineOptions::default() };
    FaceEngine::load(&Home::from_env().models_dir(), options).unwrap_or_else(|e| panic!("{e}"))
}

/// Least cosine over the portraits between what two engines make of the same pixels.
fn least_cosine(a: &FaceEngine, b: &FaceEngine) -> f32 {
    let cosine = |name: &str| {
        let frame = Frame::from_rgb(&portrait(name));
        let face = a.detect(&frame).unwrap()[0];
        let pixels = a.cut(&frame, face.bounds, &face.landmarks);
        a.embed_cut(&pixels).unwrap().similarity(&b.embed_cut(&pixels).unwrap()).cosine()
    };
    PEOPLE.map(cosine).into_iter().fold(1.0, f32::min)
}

#[test]
fn the_rewritten_graph_is_the_converted_one_but_for_rounding() {
    let (reference, plain) = (load(Provider::Reference), load(Provider::Cpu));
    assert_eq!((reference.provider(), plain.provider()), ("reference", "cpu"));
    let least = least_cosine(&reference, &plain);
    assert!(least > 0.99999, "{least}");
}

#[test]
fn the_fastest_provider_agrees_with_float32() {
    let (reference, best) = (load(Provider::Reference), load(Provider::Auto));
    let least = least_cosine(&reference, &best);
    assert!(least > 0.999, "{}: {least}", best.provider());
}

#[test]
#[cfg(target_arch = "x86_64")]
fn openvino_runs_when_it_is_asked_for() {
    let openvino = load(Provider::OpenVino);
    assert!(openvino.provider().starts_with("openvino-"), "{}", openvino.provider());
}

/// A frame with the portrait's face at this place.
fn frame_with(name: &str, left: i64, second: Option<&str>) -> Frame {
    let small = |name| {
        let picture = portrait(name);
        let height = 360;
        imageops::resize(&picture, picture.width() * height / picture.height(), height, FilterType::Triangle)
    };
    let mut frame = RgbImage::from_fn(1280, 720, |x, y| Rgb([(100 + x / 20) as u8, (110 + y / 20) as u8, 120]));
    imageops::overlay(&mut frame, &small(name), left, 180);
    if let Some(second) = second {
        imageops::overlay(&mut frame, &small(second), 900, 200);
    }
    Frame::from_rgb(&frame)
}

#[test]
fn a_face_that_is_followed_is_found_where_a_whole_look_finds_it() {
    let mut track = Track::default();
    for step in 0..8 {
        let frame = frame_with("person_b_2", 300 + step * 12, None);
        let (whole, followed) = (engine().analyse(&frame).unwrap(), engine().follow(&mut track, &frame).unwrap());
        assert_eq!((whole.len(), followed.len()), (1, 1), "{step}");
        assert!(whole[0].bounds.overlap(&followed[0].bounds) > 0.8, "{step}");
        let apart = whole[0].landmarks[0].distance(followed[0].landmarks[0]) / whole[0].quality.inter_eye_px;
        assert!(apart < 0.25, "{step}: {apart}");
        let (a, b) = (engine().embed(&frame, &whole[0]).unwrap(), engine().embed(&frame, &followed[0]).unwrap());
        assert!(a.similarity(&b).cosine() > 0.85, "{step}: {}", a.similarity(&b).cosine());
    }
}

#[test]
fn a_second_face_is_seen_at_most_four_frames_late_and_a_lost_one_at_once_elsewhere() {
    let mut track = Track::default();
    let alone = frame_with("person_b_2", 200, None);
    assert_eq!(engine().follow(&mut track, &alone).unwrap().len(), 1);
    let joined = frame_with("person_b_2", 200, Some("impostor_1"));
    let late = (0..6).position(|_| engine().follow(&mut track, &joined).unwrap().len() == 2);
    assert!(late.is_some_and(|frames| frames <= 4), "{late:?}");
    let elsewhere = frame_with("person_a_2", 900, None);
    let found = engine().follow(&mut track, &elsewhere).unwrap();
    assert!(found.len() == 1 && found[0].bounds.left > 800.0, "{found:?}");
    assert!(engine().follow(&mut track, &Frame::from_rgb(&RgbImage::new(640, 480))).unwrap().is_empty());
}
