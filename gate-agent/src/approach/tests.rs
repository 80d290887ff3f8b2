use facegate_domain::ids::ModelId;
use facegate_models::liveness::{Cause, DepthFinding, LivenessPolicy, LivenessVerdict, SensorUse};

use super::*;

fn approach() -> Approach {
    let policy = ApproachPolicy { gap_ms: 700, second_chance_ms: 3000, same_face_cosine_min: 0.5 };
    let liveness = LivenessPolicy { frames_min: 3, ..LivenessPolicy::default() };
    Approach::new(policy, Arc::new(LivenessJudge::load(&liveness).unwrap()))
}

/// A face whose texture nets say this much for life (above 0) or against it.
fn face(values: [f32; 2], texture: f32) -> FaceLook {
    FaceLook::Usable(UsableFace {
        embedding: Embedding::normalise(ModelId::new("m").unwrap(), values.to_vec()).unwrap(),
        quality: Quality::default(),
        liveness: LivenessSample { texture: Some(texture), ..LivenessSample::default() },
    })
}

#[test]
fn agreeing_frames_become_one_probe() {
    let mut approach = approach();
    for (ms, values) in [(0, [1.0, 0.0]), (100, [0.9, 0.1]), (200, [1.0, 0.1])] {
        approach.observe(ms, face(values, 20.0));
    }
    let evidence = approach.evidence(false);
    assert_eq!((evidence.frames_near, evidence.frames_agreeing), (3, 3));
    assert_eq!(evidence.liveness, LivenessVerdict::Live);
    let (probe, frames) = approach.probe().unwrap();
    assert!(frames == 3 && probe.values()[0] > 0.99);
    assert_eq!(approach.usable_ms(), (Some(0), Some(200)));
}

#[test]
fn another_face_starts_over() {
    let mut approach = approach();
    approach.observe(0, face([1.0, 0.0], 0.9));
    approach.observe(100, face([1.0, 0.0], 0.9));
    approach.searched_in_vain(Refusal::NotRecognised);
    approach.observe(200, face([0.0, 1.0], 0.9));
    let evidence = approach.evidence(false);
    assert_eq!((evidence.frames_near, evidence.frames_agreeing, evidence.searched), (1, 1, None));
}

#[test]
fn whoever_follows_a_refused_stranger_without_a_gap_is_decided_anew() {
    let (mut approach, stranger, rider) = (approach(), [1.0, 0.0], [0.0, 1.0]);
    approach.observe(0, FaceLook::Several);
    approach.observe(50, FaceLook::Poor(QualityProblem::Blurred));
    (1..10).for_each(|n| assert!(approach.observe(n * 100, face(stranger, 20.0))));
    approach.conclude(900, false);
    approach.observe(1000, face(stranger, 20.0));
    assert!(approach.is_concluded(), "who stands on has had his answer");
    (11..14).for_each(|n| assert!(approach.observe(n * 100, face(rider, 20.0))));
    assert!(!approach.is_concluded());
    let evidence = approach.evidence(false);
    let expected = Evidence {
        frames_near: 3,
        frames_agreeing: 3,
        liveness: LivenessVerdict::Live,
        tainted: false,
        frames_several: 0,
        problem: None,
        searched: None,
        claim: Claim::NotNeeded,
        ended: false,
    };
    assert_eq!(evidence, expected, "nothing of the stranger is held against him");
    assert!(approach.probe().unwrap().0.values()[1] > 0.99);
}

#[test]
fn a_face_that_stays_in_view_takes_no_more_and_more_memory() {
    let mut approach = approach();
    (0..500).for_each(|n| assert!(approach.observe(n * 100, face([1.0, 0.0], 0.0))));
    assert_eq!(approach.evidence(false).frames_agreeing, 100, "an entrance camera may never conclude");
    approach.conclude(50_000, false);
    (501..600).for_each(|n| assert!(approach.observe(n * 100, face([1.0, 0.0], 0.0))));
    assert_eq!(approach.evidence(false).frames_agreeing, 0);
}

#[test]
fn liveness_is_judged_over_the_frames() {
    let mut approach = approach();
    for (texture, n) in [-20.0, 20.0].into_iter().zip(0..) {
        assert!(approach.observe(n * 100, face([1.0, 0.0], texture)));
    }
    assert_eq!(approach.evidence(false).liveness, LivenessVerdict::Inconclusive);
    approach.observe(300, face([1.0, 0.0], -20.0));
    assert_eq!(approach.evidence(false).liveness, LivenessVerdict::Attack);
}

#[test]
fn a_veto_can_be_told_from_the_cues() {
    let policy = LivenessPolicy { frames_min: 3, depth: SensorUse::Required, ..LivenessPolicy::default() };
    let judged = |texture: f32, depth: DepthFinding| {
        let mut approach = Approach { judge: Arc::new(LivenessJudge::load(&policy).unwrap()), ..approach() };
        for n in 0..3 {
            let FaceLook::Usable(mut face) = face([1.0, 0.0], texture) else { unreachable!() };
            face.liveness.depth = Some(depth);
            approach.observe(n * 100, FaceLook::Usable(face));
        }
        let judgement = approach.judgement();
        (judgement.verdict, judgement.cause)
    };
    assert_eq!(judged(20.0, DepthFinding::Flat), (LivenessVerdict::Attack, Cause::DepthVeto));
    assert_eq!(judged(-20.0, DepthFinding::Solid), (LivenessVerdict::Attack, Cause::Cues));
}

#[test]
fn passers_by_and_empty_frames_start_nothing_and_keep_nothing_going() {
    let mut approach = approach();
    assert!(!approach.observe(0, FaceLook::Nobody) && !approach.observe(1, FaceLook::PasserBy));
    assert!(!approach.is_active());
    approach.observe(100, FaceLook::Poor(QualityProblem::Blurred));
    approach.observe(600, FaceLook::Nobody);
    assert!(!approach.has_ended(800) && approach.has_ended(801));
    assert_eq!(approach.evidence(true).problem, Some(Refusal::Blurred));
}

#[test]
fn a_frame_that_is_not_trusted_spoils_the_approach_and_starts_none() {
    let mut approach = approach();
    assert!(!approach.observe(0, FaceLook::Untrusted) && !approach.is_active());
    (1..4).for_each(|n| assert!(approach.observe(n * 100, face([1.0, 0.0], 20.0))));
    assert!(approach.evidence(false).tainted);
}

#[test]
fn a_missing_sensor_is_told_as_the_reason() {
    let mut approach = approach();
    assert!((0..3).all(|n| approach.observe(n * 100, FaceLook::Unavailable)));
    let evidence = approach.evidence(true);
    assert_eq!((evidence.frames_near, evidence.problem), (3, Some(Refusal::LivenessUnavailable)));
}

#[test]
fn walking_up_from_afar_uses_up_no_frames() {
    let mut approach = approach();
    assert!((0..50).all(|n| approach.observe(n * 50, FaceLook::Poor(QualityProblem::TooSmall))));
    let evidence = approach.evidence(false);
    assert_eq!((evidence.frames_near, evidence.problem), (0, Some(Refusal::TooFar)));
}

#[test]
fn what_a_rider_can_mend_is_looked_at_again() {
    let mut told = approach();
    told.conclude(1000, is_mendable(Refusal::SeveralFaces));
    assert!(!told.deserves_second_chance(4000) && told.deserves_second_chance(4001));
    let mut refused = approach();
    refused.conclude(1000, is_mendable(Refusal::PresentationAttack));
    assert!(!refused.deserves_second_chance(100_000));
}
