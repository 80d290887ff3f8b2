use super::*;

/// A bowl-shaped face with a nose, in units of half its width; turned by angles, seen from `distance`.
fn seen(yaw: f32, pitch: f32, distance: f32, relief: f32, noise: f32) -> MeshPoints {
    let mut places = Vec::new();
    let mut depths = Vec::new();
    for i in 0..468_u32 {
        let (radius, angle) = ((i as f32 / 468.0).sqrt(), i as f32 * 2.399_963);
        let (x, y) = (radius * angle.cos(), 1.3 * radius * angle.sin());
        let nose = (-(x * x + y * y) * 12.0).exp();
        let z = 0.7 * radius * radius - 0.45 * nose;
        let (x1, z1) = (x * yaw.cos() + relief * z * yaw.sin(), relief * z * yaw.cos() - x * yaw.sin());
        let (y2, z2) = (y * pitch.cos() - z1 * pitch.sin(), z1 * pitch.cos() + y * pitch.sin());
        let jitter = |n: u32| noise * ((i * 7919 + n * 104_729) % 1000) as f32 / 1000.0;
        let scale = 800.0 / (distance + z2);
        places.push(Point { x: 640.0 + scale * (x1 + jitter(1)), y: 360.0 + scale * (y2 + jitter(2)) });
        // The network imagines depth on pictures as well.
        depths.push(z * scale);
    }
    MeshPoints { places, depths, presence: 1.0 }
}

fn approach(turn_degrees: f32, relief: f32) -> Vec<MeshPoints> {
    let frame = |i: u32| {
        let share = i as f32 / 9.0;
        let turn = (turn_degrees * share).to_radians();
        seen(turn, turn / 3.0 - 0.1, 20.0 - 12.0 * share, relief, 0.01)
    };
    (0..10).map(frame).collect()
}

fn judged(track: &[MeshPoints]) -> Option<PlaneEvidence> {
    plane(&track.iter().collect::<Vec<_>>())
}

#[test]
fn a_turning_head_shifts_its_relief_by_as_much_as_it_turned() {
    let evidence = judged(&approach(20.0, 1.0)).unwrap();
    // 20° of yaw with 6.7° of pitch: 21° together.
    assert!((evidence.relief_degrees - 21.0).abs() < 3.0, "{evidence:?}");
}

#[test]
fn a_turning_picture_shifts_nothing_however_near_it_comes() {
    let evidence = judged(&approach(35.0, 0.0)).unwrap();
    assert!(evidence.relief_degrees < 2.0 && evidence.card_degrees > 20.0, "{evidence:?}");
}

#[test]
fn a_steady_turn_counts_whole_and_jitter_hardly() {
    let ramp: Vec<[f64; 2]> = (0..10).map(|i| [0.02 * f64::from(i), -0.01 * f64::from(i)]).collect();
    assert!((swing(&ramp) - 0.18_f64.hypot(0.09)).abs() < 1e-9);
    // The same range to and fro in no order.
    let jitter: Vec<[f64; 2]> = [3, 9, 0, 7, 2, 8, 1, 6, 4, 5].map(|i| [0.02 * f64::from(i), 0.0]).to_vec();
    assert!(swing(&jitter) < 0.04, "{}", swing(&jitter));
    assert_eq!(swing(&[[0.3, 0.1]; 5]), 0.0);
}

#[test]
fn without_turning_there_is_nothing_to_go_by() {
    assert_eq!(judged(&approach(1.0, 1.0)), None);
    assert_eq!(judged(&approach(1.0, 0.0)), None);
    assert_eq!(judged(&approach(20.0, 1.0)[..4]), None);
    let mut absent = approach(20.0, 1.0);
    absent.iter_mut().for_each(|mesh| mesh.presence = 0.1);
    assert_eq!(judged(&absent), None);
}

#[test]
fn points_in_one_place_or_on_a_line_are_no_face() {
    let mut track = approach(20.0, 1.0);
    track.iter_mut().for_each(|mesh| mesh.places.iter_mut().for_each(|p| p.y = 3.0));
    assert_eq!(judged(&track), None);
    track.iter_mut().for_each(|mesh| mesh.places.iter_mut().for_each(|p| p.x = 3.0));
    assert_eq!(judged(&track), None);
}
