//! What riders pass by: dedicated lanes, and those that ask for both.

use facegate_domain::ids::RiderId;
use facegate_domain::tap::{Evidence, Medium};

use crate::people::{phone_with, template, walk_up};
use crate::world::{World, authorisations, now};

#[test]
fn a_face_lane_reads_no_codes() {
    let mut world = World::with("[lane]\ntakes = \"face\"");
    let rider = RiderId::random();
    world.station.memory().riders.push((rider, template("person_a_1.jpg")));
    world.show(&[phone_with(&world.phone(RiderId::random()).show(now(), [1; 8]))]);
    world.pause();
    world.show(&walk_up("person_a_2.jpg", 4));
    assert_eq!(world.decision(1)["medium"], "face");
    assert!(world.station.memory().spent.is_empty());
}

#[test]
fn a_code_lane_looks_for_no_faces() {
    let mut world = World::with("[lane]\ntakes = \"code\"");
    let rider = RiderId::random();
    world.station.memory().riders.push((rider, template("person_a_1.jpg")));
    world.show(&walk_up("person_a_2.jpg", 6));
    world.pause();
    world.show(&[phone_with(&world.phone(RiderId::random()).show(now(), [1; 8]))]);
    assert_eq!(world.decision(1)["medium"], "code");
    assert_eq!(world.station.memory().searches, 0);
}

#[test]
fn where_both_are_asked_for_only_the_riders_own_face_opens_with_his_code() {
    let mut world = World::with("[lane]\ntakes = \"code_with_face\"");
    let (owner, other) = (RiderId::random(), RiderId::random());
    let riders = [(owner, template("person_a_1.jpg")), (other, template("person_b_1.jpg"))];
    world.station.memory().riders.extend(riders);

    world.show(&walk_up("person_a_2.jpg", 9));
    assert_eq!(world.decision(1)["reason"], "code_asked", "a face alone is asked for its code");
    assert_eq!(world.station.memory().searches, 0, "and searched among nobody");
    world.pause();

    let phone = world.phone(owner);
    let (his, anothers) = (walk_up("person_a_2.jpg", 4), walk_up("person_b_2.jpg", 9));
    world.show(&[phone_with(&phone.show(now(), [1; 8]))]);
    world.show(&anothers);
    let decision = world.decision(2);
    assert_eq!(decision["reason"], "face_differs", "somebody else holds his phone: {decision}");
    assert!(world.station.memory().spent.is_empty(), "his code is still good");
    world.pause();

    world.show(&[phone_with(&phone.show(now(), [2; 8]))]);
    world.show(&his);
    let decision = world.decision(3);
    assert_eq!((&decision["kind"], &decision["medium"]), (&"granted".into(), &"code".into()), "{decision}");
    let records = world.wait_delivered(2);
    let granted = &authorisations(&records)[0];
    assert_eq!((granted.rider, granted.evidence.medium()), (owner, Medium::Code));
    let Evidence::Code { nonce, checked_online: true, face: Some(likeness) } = granted.evidence else {
        panic!("{granted:?}")
    };
    assert!(nonce == [2; 8] && likeness.cosine() > 0.4);
    assert_eq!(world.aisle.crossings().len(), 1);
}

#[test]
fn a_code_that_nobody_shows_a_face_with_opens_nothing() {
    let mut world = World::with("[lane]\ntakes = \"code_with_face\"");
    world.show(&[phone_with(&world.phone(RiderId::random()).show(now(), [1; 8]))]);
    assert_eq!(world.decision(1)["reason"], "too_few_frames");
    assert!(world.station.memory().spent.is_empty() && world.aisle.crossings().is_empty());
}

#[test]
fn without_the_station_a_code_alone_does_not_open_where_both_are_asked_for() {
    let mut world = World::with("[lane]\ntakes = \"code_with_face\"");
    let rider = RiderId::random();
    world.station.memory().riders.push((rider, template("person_a_1.jpg")));
    let (phone, face) = (world.phone(rider), walk_up("person_a_2.jpg", 4));
    world.station.stop();
    world.show(&[phone_with(&phone.show(now(), [1; 8]))]);
    world.show(&face);
    assert_eq!(world.decision(1)["reason"], "station_unreachable");
    assert!(world.aisle.crossings().is_empty());
}
