//! Synthetic people before a camera of ten frames a second.

use facegate_domain::score::DetectionConfidence;
use facegate_models::{Point, Quality};

use super::*;

const SIZE: (u32, u32) = (1280, 720);

/// A face with its centre here, so wide, turned by so much.
fn face(x: f32, y: f32, width: f32, yaw: f32) -> FaceObservation {
    let bounds = BoundingBox { left: x - width / 2.0, top: y - width / 2.0, width, height: width };
    FaceObservation {
        bounds,
        landmarks: [Point { x, y }; 5],
        confidence: DetectionConfidence::new(0.9).unwrap(),
        quality: Quality { inter_eye_px: width / 2.2, yaw, ..Quality::default() },
    }
}

fn intentions(zone: &[(f32, f32)]) -> Intentions {
    let zone = LaneZone::new(zone.to_vec()).unwrap();
    Intentions::new(IntentPolicy { zone, still_after_ms: 4000 })
}

/// What the last of `frames` frames says of the first face of each.
fn after(frames: u16, faces: impl Fn(f32) -> Vec<FaceObservation>) -> Vec<Intention> {
    let mut intentions = intentions(&[]);
    let mut last = Vec::new();
    for n in 0..frames {
        last = intentions.observe(u64::from(n) * 100, SIZE, &faces(f32::from(n) / 10.0));
    }
    last
}

/// Somebody who cannot stand still.
fn sway(t: f32) -> f32 {
    6.0 * (2.0 * t).sin()
}

#[test]
fn what_people_do_says_whether_they_are_coming() {
    use Intention::{Coming, Passing, Still};
    let one = |frames: u16, at: fn(f32) -> FaceObservation| after(frames, |t| vec![at(t)])[0];
    let table = [
        ("walks up to the gate", one(20, |t| face(640.0, 300.0, 60.0 * (1.0 + 0.5 * t), 0.0)), Coming),
        ("walks up slantwise", one(15, |t| face(400.0 + 150.0 * t, 300.0, 80.0 * (1.0 + 0.4 * t), 0.1)), Coming),
        ("stands at the gate already", one(100, |t| face(640.0 + sway(t), 300.0, 160.0, 0.0)), Coming),
        ("stands there and looks away", one(30, |t| face(640.0 + sway(t), 300.0, 160.0, 0.9)), Coming),
        ("has just appeared", one(2, |_| face(640.0, 300.0, 160.0, 0.0)), Coming),
        ("crosses before the gate", one(15, |t| face(100.0 + 300.0 * t, 300.0, 100.0, 0.8)), Passing),
        ("crosses and glances at it", one(15, |t| face(100.0 + 400.0 * t, 300.0, 100.0, 0.1)), Passing),
        ("walks away backwards", one(20, |t| face(640.0, 300.0, 200.0 / (1.0 + 0.4 * t), 0.0)), Passing),
        ("turns and walks away", one(20, |t| face(640.0, 300.0, 200.0 / (1.0 + 0.15 * t), 0.9)), Passing),
        ("a poster", one(60, |t| face(640.0 + 0.3 * (9.0 * t).sin(), 300.0, 150.0, 0.0)), Still),
        ("a poster seen for two seconds only", one(20, |_| face(640.0, 300.0, 150.0, 0.0)), Coming),
    ];
    for (what, intention, expected) in table {
        assert_eq!(intention, expected, "{what}");
    }
}

#[test]
fn a_rider_before_a_poster_is_told_from_it_and_so_are_those_who_cross_behind_him() {
    let seen = after(60, |t| {
        vec![
            face(900.0, 200.0, 220.0, 0.0),
            face(500.0 + sway(t), 320.0, 70.0 * (1.0 + 0.2 * t), 0.0),
            face((1270.0 - 220.0 * t).max(30.0), 250.0, 60.0, 0.7),
        ]
    });
    assert_eq!(seen[..2], [Intention::Still, Intention::Coming]);
    let crossing =
        after(20, |t| vec![face(500.0 + sway(t), 320.0, 120.0, 0.0), face(1200.0 - 220.0 * t, 250.0, 60.0, 0.7)]);
    assert_eq!(crossing, [Intention::Coming, Intention::Passing]);
}

#[test]
fn the_poster_becomes_a_rider_when_it_moves_and_another_face_is_another() {
    let mut intentions = intentions(&[]);
    let mut last = Vec::new();
    for n in 0..60 {
        last = intentions.observe(n * 100, SIZE, &[face(640.0, 300.0, 150.0, 0.0)]);
    }
    assert_eq!(last, [Intention::Still]);
    assert_eq!(
        intentions.observe(6000, SIZE, &[face(652.0, 300.0, 152.0, 0.0)]),
        [Intention::Coming],
        "he had held still"
    );
    let mut unseen = intentions;
    assert_eq!(unseen.observe(9000, SIZE, &[face(640.0, 300.0, 150.0, 0.0)]), [Intention::Coming], "after a gap");
}

#[test]
fn only_the_lane_counts() {
    let lane = [(0.3, 0.0), (0.7, 0.0), (0.8, 1.0), (0.2, 1.0)];
    let mut intentions = intentions(&lane);
    let beside = [face(640.0, 300.0, 90.0, 0.0), face(1100.0, 300.0, 200.0, 0.0), face(150.0, 650.0, 90.0, 0.0)];
    let expected = [Intention::Coming, Intention::Outside, Intention::Outside];
    assert_eq!(intentions.observe(0, SIZE, &beside), expected, "the neighbour may be nearer");
}

#[test]
fn a_zone_is_a_polygon_within_the_frame() {
    assert_eq!(LaneZone::new(vec![(0.0, 0.0), (1.0, 1.0)]), Err(BadZone::TooFew));
    assert_eq!(LaneZone::new(vec![(0.0, 0.0), (1.0, 1.0), (0.0, 1.2)]), Err(BadZone::Outside));
    assert_eq!(LaneZone::new(vec![(0.0, f32::NAN); 4]), Err(BadZone::Outside));
    assert_eq!(LaneZone::new(vec![(0.5, 0.5); 33]), Err(BadZone::TooMany));
    let everywhere = LaneZone::new(vec![]).unwrap();
    assert!(everywhere.contains((0.0, 0.0)) && everywhere.contains((1.0, 1.0)));
    // An L: what lies in its corner is outside.
    let bent = LaneZone::new(vec![(0.0, 0.0), (0.4, 0.0), (0.4, 0.6), (1.0, 0.6), (1.0, 1.0), (0.0, 1.0)]).unwrap();
    assert!(bent.contains((0.2, 0.3)) && bent.contains((0.8, 0.8)) && !bent.contains((0.8, 0.3)));
}

#[test]
fn a_crowd_for_an_hour_takes_no_more_memory() {
    let mut intentions = intentions(&[]);
    let crowd: Vec<FaceObservation> = (0..60_u8).map(|n| face(20.0 * f32::from(n), 300.0, 20.0, 0.0)).collect();
    for n in 0..3000 {
        assert_eq!(intentions.observe(n * 100, SIZE, &crowd).len(), 60);
    }
    assert!(intentions.faces.len() <= FACES_MAX);
    assert!(intentions.faces.iter().all(|face| face.seen.len() <= FRAMES_KEPT_MAX));
}

#[test]
fn who_stands_on_is_compared_now_and_then_and_another_at_once() {
    let mut intentions = intentions(&[]);
    let mut due = |n: u64, face: FaceObservation| {
        intentions.observe(n * 100, SIZE, &[face]);
        intentions.is_due(&face, 4)
    };
    let stands: Vec<bool> = (0..9).map(|n| due(n, face(640.0 + n as f32, 300.0, 150.0, 0.0))).collect();
    assert_eq!(stands, [true, false, false, false, true, false, false, false, true]);
    assert!(due(9, face(400.0, 320.0, 90.0, 0.0)), "he came up behind");
    assert!(!due(10, face(402.0, 320.0, 90.0, 0.0)));
}
