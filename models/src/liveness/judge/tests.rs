//! The table of verdicts.

use super::*;
use crate::geometry::Point;
use crate::liveness::CueWeight;
use crate::mesh::MeshPoints;

fn calibration() -> LivenessCalibration {
    let weight = |weight, most_live| CueWeight { weight, centre: 0.0, most_attack: -4.0, most_live };
    LivenessCalibration {
        provenance: "made up".into(),
        attack_below: 0.3,
        live_from: 0.7,
        bias: 0.0,
        cues: [(Cue::Texture, weight(1.0, 4.0)), (Cue::Border, weight(2.0, 0.5)), (Cue::Plane, weight(1.0, 4.0))]
            .into(),
    }
}

fn sample(texture: Option<f32>, border: Option<f32>) -> LivenessSample {
    LivenessSample { texture, border, ..LivenessSample::default() }
}

fn judged(samples: &[LivenessSample], policy: &LivenessPolicy) -> (LivenessVerdict, Cause) {
    let judgement = judge(samples, &calibration(), policy);
    (judgement.verdict, judgement.cause)
}

#[test]
fn the_table() {
    use LivenessVerdict::{Attack, Inconclusive, Live};
    let policy = LivenessPolicy { frames_min: 3, ..LivenessPolicy::default() };
    let eight = |texture, border| vec![sample(texture, border); 8];
    let table = [
        ("nothing seen", vec![], Inconclusive, Cause::TooFewFrames),
        ("sure, but of two frames only", vec![sample(Some(9.0), None); 2], Inconclusive, Cause::TooFewFrames),
        ("skin", eight(Some(3.0), Some(1.0)), Live, Cause::Cues),
        ("a screen", eight(Some(-3.0), None), Attack, Cause::Cues),
        ("in between", eight(Some(0.1), None), Inconclusive, Cause::Cues),
        ("no border alone is no proof of life", eight(None, Some(9.0)), Inconclusive, Cause::Cues),
        ("a border alone is one of an attack", eight(None, Some(-2.0)), Attack, Cause::Cues),
        ("silence", eight(None, None), Inconclusive, Cause::CuesSilent),
        ("skin inside a border", eight(Some(4.0), Some(-2.0)), Inconclusive, Cause::Contradiction),
        ("no number is silence", eight(Some(f32::NAN), None), Inconclusive, Cause::CuesSilent),
    ];
    for (what, samples, verdict, cause) in table {
        assert_eq!(judged(&samples, &policy), (verdict, cause), "{what}");
    }
}

#[test]
fn one_odd_frame_of_many_changes_nothing_and_cut_off_faces_do_not_count() {
    let policy = LivenessPolicy { frames_min: 3, ..LivenessPolicy::default() };
    let mut samples = vec![sample(Some(3.0), None); 5];
    samples.push(sample(Some(-20.0), None));
    assert_eq!(judged(&samples, &policy).0, LivenessVerdict::Live);
    samples.iter_mut().for_each(|sample| sample.clipped = true);
    assert_eq!(judged(&samples, &policy).1, Cause::TooFewFrames);
}

#[test]
fn only_the_newest_frames_are_judged() {
    let policy = LivenessPolicy { frames_min: 3, frames_max: 4, ..LivenessPolicy::default() };
    let mut samples = vec![sample(Some(3.0), None); 20];
    samples.extend(vec![sample(Some(-3.0), None); 4]);
    assert_eq!(judged(&samples, &policy).0, LivenessVerdict::Attack);
}

#[test]
fn a_face_that_turns_in_depth_is_live_and_one_that_turns_as_a_card_is_not() {
    // A grid of points on a dome, seen under perspective's first order: x shifts by depth when the head turns.
    let mesh = |degrees: f32, solid: f32| {
        let turn = degrees.to_radians();
        let points: Vec<(f32, f32, f32)> = (0..81)
            .map(|i| ((i % 9) as f32 / 4.0 - 1.0, (i / 9) as f32 / 4.0 - 1.0))
            .map(|(x, y)| (x, y, (x * x + y * y) / 2.0))
            .collect();
        let place =
            |(x, y, z): &(f32, f32, f32)| Point { x: 50.0 * (x * turn.cos() + solid * z * turn.sin()), y: 50.0 * y };
        MeshPoints {
            places: points.iter().map(place).collect(),
            depths: points.iter().map(|(_, _, z)| 50.0 * z).collect(),
            presence: 1.0,
        }
    };
    let track = |solid: f32| -> Vec<LivenessSample> {
        let seen = |n: i16| LivenessSample { mesh: Some(mesh(f32::from(n) * 4.0, solid)), ..sample(Some(0.0), None) };
        (-4..=4).map(seen).collect()
    };
    let mut weights = calibration();
    let plane = CueWeight { weight: 0.5, centre: 8.0, most_attack: -4.0, most_live: 4.0 };
    weights.cues.insert(Cue::Plane, plane);
    let verdict = |solid| judge(&track(solid), &weights, &LivenessPolicy::default());
    assert_eq!(verdict(1.0).verdict, LivenessVerdict::Live, "{:?}", verdict(1.0));
    assert_eq!(verdict(0.0).verdict, LivenessVerdict::Attack, "{:?}", verdict(0.0));
}

#[test]
fn a_required_sensor_vetoes_and_its_silence_is_no_consent() {
    let policy = LivenessPolicy { depth: SensorUse::Required, infrared: SensorUse::Required, ..Default::default() };
    let seen = |depth, infrared| vec![LivenessSample { depth, infrared, ..sample(Some(4.0), Some(1.0)) }; 8];
    let (solid, flat) = (Some(DepthFinding::Solid), Some(DepthFinding::Flat));
    let (skin, glass) = (Some(InfraredFinding::Skin), Some(InfraredFinding::NotSkin));
    assert_eq!(judged(&seen(solid, skin), &policy), (LivenessVerdict::Live, Cause::Cues));
    assert_eq!(judged(&seen(flat, skin), &policy), (LivenessVerdict::Attack, Cause::DepthVeto));
    assert_eq!(judged(&seen(solid, glass), &policy), (LivenessVerdict::Attack, Cause::InfraredVeto));
    assert_eq!(judged(&seen(None, skin), &policy), (LivenessVerdict::Inconclusive, Cause::SensorSilent));
    let unusable = seen(solid, Some(InfraredFinding::Unusable));
    assert_eq!(judged(&unusable, &policy), (LivenessVerdict::Inconclusive, Cause::SensorSilent));
    // Without the sensors configured their images do not matter.
    assert_eq!(judged(&seen(flat, glass), &LivenessPolicy::default()).0, LivenessVerdict::Live);
}

#[test]
fn with_the_texture_nets_no_face_is_live_that_they_never_saw() {
    let policy = LivenessPolicy { frames_min: 3, ..LivenessPolicy::default() };
    let calibration = LivenessCalibration { live_from: 0.6, ..calibration() };
    let judge = |has_texture| LivenessJudge { calibration: calibration.clone(), policy: policy.clone(), has_texture };
    // The nets' looks fell on frames from which the face was moved out.
    let clipped = LivenessSample { clipped: true, ..sample(Some(-9.0), None) };
    let dodging: Vec<LivenessSample> =
        (0..9).map(|i| if i % 3 == 0 { clipped.clone() } else { sample(None, Some(9.0)) }).collect();
    assert_eq!(judge(false).judge(&dodging).verdict, LivenessVerdict::Live);
    let judgement = judge(true).judge(&dodging);
    assert_eq!((judgement.verdict, judgement.cause), (LivenessVerdict::Inconclusive, Cause::NotLookedAt));
    let seen: Vec<LivenessSample> = vec![sample(Some(3.0), Some(9.0)); 4];
    assert_eq!(judge(true).judge(&seen).verdict, LivenessVerdict::Live);
}
