//! Ride codes: the good, the expired, the forged and the replayed, and codes together with faces.

use std::time::Duration;

use facegate_domain::code::{CodeIssuer, Phone};
use facegate_domain::ids::RiderId;
use facegate_domain::tap::Evidence;
use facegate_models::liveness::{LivenessPolicy, SensorUse};

use crate::people::{engine_with, phone_with, template, walk_up};
use crate::world::{World, authorisations, now};

#[test]
fn a_code_opens_once_and_bad_ones_never() {
    let mut world = World::new();
    let rider = RiderId::random();
    let phone = world.phone(rider);
    let code = phone_with(&phone.show(now(), [1; 8]));
    world.show(std::slice::from_ref(&code));
    let decision = world.decision(1);
    assert_eq!((&decision["kind"], &decision["medium"]), (&"granted".into(), &"code".into()), "{decision}");
    let records = world.wait_delivered(2);
    let authorisation = &authorisations(&records)[0];
    assert_eq!(authorisation.rider, rider);
    assert_eq!(authorisation.evidence, Evidence::Code { nonce: [1; 8], checked_online: true, face: None });

    std::thread::sleep(Duration::from_secs(5));
    world.show(&[code.clone(), code]);
    assert_eq!(world.decision(2)["reason"], "code_replayed");
    world.pause();

    let late = phone_with(&phone.show(now().minus(Duration::from_secs(600)), [2; 8]));
    world.show(&[late.clone(), late]);
    assert_eq!(world.decision(3)["reason"], "code_expired");
    world.pause();

    let strange_issuer = CodeIssuer::from_secret(&[8; 32]);
    let certificate = strange_issuer.issue(rider, &Phone::public_key(&[9; 32]), [1; 8], now(), Duration::from_secs(60));
    let forged = Phone::new(&[9; 32], certificate.unwrap()).show(now(), [3; 8]);
    world.show(&[phone_with(&forged)]);
    assert_eq!(world.decision(4)["reason"], "code_forged");
    world.pause();

    world.show(&[phone_with("https://example.org/menu")]);
    assert_eq!(world.decision(5)["reason"], "code_not_ours");
    assert_eq!(world.state()["decided"], 5, "the same code over several frames is one presentation");
    assert_eq!(world.aisle.crossings().len(), 1);
}

#[test]
fn a_gate_whose_depth_sensor_is_gone_takes_codes_only() {
    let liveness = LivenessPolicy { frames_min: 3, depth: SensorUse::Required, ..LivenessPolicy::default() };
    let mut world = World::with_engine(engine_with(liveness), "depth = \"required\"\n");
    let rider = RiderId::random();
    world.station.memory().riders.push((rider, template("person_a_1.jpg")));
    world.show(&walk_up("person_a_2.jpg", 9));
    assert_eq!(world.decision(1)["reason"], "liveness_unavailable", "{}", world.state());
    assert_eq!(world.station.memory().searches, 0);
    world.pause();
    world.show(&[phone_with(&world.phone(rider).show(now(), [1; 8]))]);
    let decision = world.decision(2);
    assert_eq!((&decision["kind"], &decision["medium"]), (&"granted".into(), &"code".into()), "{decision}");
}

#[test]
fn a_code_and_the_face_above_it_are_one_tap() {
    let mut world = World::with("[codes]\ncode_merge_window_ms = 30000");
    let rider = RiderId::random();
    world.station.memory().riders.push((rider, template("person_a_1.jpg")));
    let phone = world.phone(rider);
    let face = walk_up("person_a_2.jpg", 4);

    world.show(&face[..1]);
    world.show(&[phone_with(&phone.show(now(), [1; 8]))]);
    assert_eq!(world.decision(1)["medium"], "code");
    assert_eq!(world.station.memory().searches, 0, "who shows a code is handled by that alone");
    world.wait("he has passed", |state| state["passages"]["code"] == 1);

    world.show(&face);
    assert_eq!(world.decision(2)["kind"], "merged", "his face within the window is the same tap");
    world.pause();
    world.show(&[phone_with(&phone.show(now(), [2; 8]))]);
    assert_eq!(world.decision(3)["kind"], "merged", "and so is another code of his");
    assert_eq!(world.wait_delivered(2).len(), 2);
    assert_eq!(world.aisle.crossings().len(), 1);
}

#[test]
fn a_face_and_then_the_code_are_one_tap() {
    let mut world = World::with("[codes]\ncode_merge_window_ms = 30000");
    let rider = RiderId::random();
    world.station.memory().riders.push((rider, template("person_b_1.jpg")));
    world.show(&walk_up("person_b_2.jpg", 3));
    assert_eq!(world.decision(1)["medium"], "face");
    world.wait("he has passed", |state| state["passages"]["face"] == 1 && state["phase"] == "idle");
    // Codes are looked for again a moment after the door has shut.
    std::thread::sleep(std::time::Duration::from_millis(300));
    world.show(&[phone_with(&world.phone(rider).show(now(), [1; 8]))]);
    assert_eq!(world.decision(2)["kind"], "merged");
    assert!(world.station.memory().spent.is_empty(), "the code is not used up");
    assert_eq!(world.aisle.crossings().len(), 1);
}
