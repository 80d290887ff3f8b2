//! Who is recognised as whom.

use facegate_domain::face::Embedding;
use facegate_models::enrolment::{Capture, capture};
use facegate_models::liveness::{Effort, LivenessVerdict, Sensors};
use facegate_models::{Frame, QualityPolicy, fuse};
use image::imageops::{self, FilterType};

use crate::{PEOPLE, engine, portrait, portrait_bytes};

fn enrol(name: &str) -> Capture {
    capture(engine(), &portrait_bytes(name), &QualityPolicy::default()).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn cosine(a: &Embedding, b: &Embedding) -> f32 {
    a.similarity(b).cosine()
}

#[test]
fn photographs_taken_years_apart_match_and_other_people_do_not() {
    let captures = PEOPLE.map(|name| (name, enrol(name).embedding));
    for (i, (name, embedding)) in captures.iter().enumerate() {
        for (other_name, other) in &captures[i + 1..] {
            let cosine = cosine(embedding, other);
            let one_person = name[..8] == other_name[..8] && name.starts_with("person");
            // SFace's published threshold is .363; impostors lie around .09 ± .09.
            if one_person {
                assert!(cosine > 0.5, "{name} ~ {other_name}: {cosine}");
            } else {
                assert!(cosine < 0.3, "{name} ~ {other_name}: {cosine}");
            }
        }
    }
}

/// What OpenCV 5 (`FaceDetectorYN` + `FaceRecognizerSF`) gives for the same pictures with the unconverted,
/// block-quantised files: conversion, detection, alignment and normalisation together do not change a score.
#[test]
fn similarities_agree_with_opencvs_own_pipeline_on_the_unconverted_models() {
    let opencv = [
        ("person_a_1", "person_a_2", 0.626),
        ("person_b_1", "person_b_2", 0.769),
        ("impostor_2", "person_a_2", 0.236),
        ("impostor_1", "person_b_1", 0.134),
    ];
    for (a, b, expected) in opencv {
        let ours = cosine(&enrol(a).embedding, &enrol(b).embedding);
        assert!((ours - expected).abs() < 0.03, "{a} ~ {b}: {ours}, OpenCV {expected}");
    }
}

#[test]
fn a_fused_enrolment_is_as_near_to_each_photograph_as_they_are_to_each_other() {
    let parts = ["person_b_1", "person_b_2"].map(|name| {
        let Capture { embedding, quality } = enrol(name);
        (embedding, quality)
    });
    let fused = fuse(&parts).unwrap();
    let apart = cosine(&parts[0].0, &parts[1].0);
    for (embedding, _) in &parts {
        assert!(cosine(&fused, embedding) > apart);
    }
    assert!(cosine(&fused, &enrol("impostor_1").embedding) < 0.3);
}

/// With the texture nets and without them: six people who are there, as their photographs show them.
#[test]
fn a_photograph_of_somebody_is_alive_and_is_himself_at_another_size() {
    for name in PEOPLE {
        let picture = portrait(name);
        let smaller =
            imageops::resize(&picture, picture.width() * 3 / 4, picture.height() * 3 / 4, FilterType::Triangle);
        let frame = Frame::from_rgb(&smaller);
        let faces = engine().analyse(&frame).unwrap();
        assert_eq!(faces.len(), 1, "{name}");
        let sample = engine().liveness(&frame, &faces[0], &Sensors::default(), Effort::Still).unwrap();
        let judgement = engine().judge().judge_still(sample.clone());
        assert_eq!(judgement.verdict, LivenessVerdict::Live, "{name}: {sample:?} {judgement:?}");
        assert_eq!(sample.texture.is_none(), engine().liveness_is_reduced());
        let probe = engine().embed(&frame, &faces[0]).unwrap();
        let itself = cosine(&probe, &enrol(name).embedding);
        assert!(itself > 0.8, "{name}: {itself}");
    }
}

#[test]
fn faces_are_reported_largest_first_with_landmarks_inside() {
    let (near, far) = (portrait("person_b_1"), portrait("impostor_2"));
    let far = imageops::resize(&far, far.width() / 2, far.height() / 2, FilterType::Triangle);
    let mut both = image::RgbImage::new(near.width() + far.width(), near.height());
    imageops::replace(&mut both, &far, 0, 0);
    imageops::replace(&mut both, &near, i64::from(far.width()), 0);
    let faces = engine().analyse(&Frame::from_rgb(&both)).unwrap();
    assert_eq!(faces.len(), 2);
    assert!(faces[0].bounds.area() > faces[1].bounds.area());
    for face in faces {
        let (b, [right_eye, left_eye, nose, right_mouth, left_mouth]) = (face.bounds, face.landmarks);
        assert!(
            right_eye.x < left_eye.x && right_mouth.x < left_mouth.x && right_eye.y < nose.y && nose.y < left_mouth.y
        );
        assert!(
            face.landmarks
                .iter()
                .all(|p| p.x > b.left && p.x < b.left + b.width && p.y > b.top && p.y < b.top + b.height)
        );
    }
}
