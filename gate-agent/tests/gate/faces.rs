//! Who is let through by face, who is not, and what is on the disk by when.

use std::path::Path;
use std::sync::Arc;

use facegate_domain::ids::RiderId;
use facegate_domain::tap::{Evidence, GateRecord, PassageOutcome, RecordBody};
use facegate_proto::v1;
use facegate_runtime::disk::RealDisk;
use facegate_runtime::journal::{Journal, JournalOptions};
use prost::Message;

use crate::aisle::Body;
use crate::people::{blurred, empty_hall, encoded, far_off, held_up, jpeg, side_by_side, template, walk_up};
use crate::world::{World, authorisations, passages};

/// Records of the first epoch in a copied journal.
fn records_in(copy: &Path) -> Vec<GateRecord> {
    let (journal, _) = Journal::open(Arc::new(RealDisk), &copy.join("epoch-1"), JournalOptions::default()).unwrap();
    let read = journal.read(0, 100).unwrap();
    read.iter().map(|(_, bytes)| v1::GateRecord::decode(bytes.as_slice()).unwrap().try_into().unwrap()).collect()
}

#[test]
fn a_rider_walks_through_by_face_and_every_record_is_on_the_disk_in_time() {
    let mut world = World::new();
    let rider = RiderId::random();
    world.station.memory().riders.push((rider, template("person_a_1.jpg")));
    world.show(&walk_up("person_a_2.jpg", 3));
    let decision = world.decision(1);
    assert_eq!((&decision["kind"], &decision["medium"]), (&"granted".into(), &"face".into()), "{decision}");
    assert!(decision["decision_ms"].as_f64().unwrap() > 0.0);

    let records = world.wait_delivered(2);
    let authorisation = &authorisations(&records)[0];
    assert_eq!(authorisation.rider, rider);
    assert!(matches!(authorisation.evidence, Evidence::Face { frames: 3, .. }), "{authorisation:?}");
    assert_eq!(passages(&records)[0].outcome, PassageOutcome::Passed);
    assert_eq!(world.aisle.crossings(), ["1-0"]);

    let at_opening = records_in(&world.journal_copy("open-1-0"));
    assert_eq!(at_opening, records[..1], "the authorisation is on the disk before the door opens");
    world.wait("the sensors are acknowledged", |_| world.aisle.latched() <= 1);
    let at_acknowledgement = records_in(&world.journal_copy("ack-7"));
    assert_eq!(at_acknowledgement, records, "the passage is on the disk before the sensors may forget it");

    let state = world.wait("the passage is shown", |state| state["passages"]["face"] == 1).to_string();
    assert!(!state.contains(&rider.to_string()), "the screen names nobody");
}

#[test]
fn a_stranger_is_refused_once_and_shown_the_other_way() {
    let mut world = World::new();
    world.station.memory().riders.push((RiderId::random(), template("person_a_1.jpg")));
    let (coming, standing_on) = (walk_up("impostor_1.jpg", 9), walk_up("impostor_1.jpg", 3));
    world.show(&coming);
    let decision = world.decision(1);
    assert_eq!(decision["reason"], "not_recognised", "{decision}");
    let state = world.state();
    assert_eq!(state["phase"], "refused");
    assert_eq!(state["display"]["sign"], "show_code");
    assert!(state["display"]["next"]["en"].as_str().unwrap().contains("ride code"));
    assert!(state["display"]["next"]["zh"].as_str().unwrap().contains("乘车码"));
    world.show(&standing_on);
    world.pause();
    assert_eq!(world.state()["decided"], 1, "standing on brings no second refusal");
    assert!(world.aisle.opened().is_empty());
    assert!(world.station.memory().searches <= 5, "a stranger is searched a few times, not at every frame");
}

#[test]
fn a_rider_close_behind_a_refused_stranger_is_let_through() {
    let mut world = World::new();
    world.station.memory().riders.push((RiderId::random(), template("person_a_1.jpg")));
    world.show(&walk_up("impostor_1.jpg", 9));
    assert_eq!(world.decision(1)["reason"], "not_recognised");
    world.show(&walk_up("person_a_2.jpg", 3));
    assert_eq!(world.decision(2)["kind"], "granted", "{}", world.state());
}

#[test]
fn frames_that_show_no_single_good_face_open_nothing_and_say_why() {
    let mut world = World::new();
    world.station.memory().riders.push((RiderId::random(), template("person_a_1.jpg")));
    world.station.memory().riders.push((RiderId::random(), template("person_b_1.jpg")));

    world.show(&[empty_hall(), empty_hall(), empty_hall()]);
    world.show(&far_off("person_a_2.jpg", 9.0));
    world.pause();
    assert_eq!(world.state()["decided"], 0, "nobody, and a passer-by far off, are told nothing");

    world.show(&side_by_side("person_a_2.jpg", "person_b_2.jpg"));
    assert_eq!(world.decision(1)["reason"], "several_faces");
    world.pause();
    world.show(&far_off("person_a_2.jpg", 18.0));
    assert_eq!(world.decision(2)["reason"], "too_far");
    world.show(&blurred("person_a_2.jpg"));
    assert_eq!(world.decision(3)["reason"], "blurred");
    world.pause();
    world.show(&walk_up("person_a_2.jpg", 2));
    assert_eq!(world.decision(4)["reason"], "too_few_frames");

    assert!(world.aisle.opened().is_empty());
    assert_eq!(world.station.memory().searches, 0, "none of it reached the station");
}

#[test]
fn a_photograph_held_up_is_refused_and_never_searched() {
    let mut world = World::new();
    world.station.memory().riders.push((RiderId::random(), template("person_b_1.jpg")));
    world.show(&held_up("person_b_2.jpg"));
    let decision = world.decision(1);
    let liveness = ["presentation_attack", "liveness_inconclusive"];
    assert!(liveness.contains(&decision["reason"].as_str().unwrap()), "{}", world.state());
    assert_eq!(world.station.memory().searches, 0);
    assert!(world.aisle.opened().is_empty());
}

#[test]
fn bad_pictures_are_dropped_and_counted_and_the_gate_goes_on() {
    let mut world = World::new();
    world.station.memory().riders.push((RiderId::random(), template("person_a_1.jpg")));
    let good = walk_up("person_a_2.jpg", 3);
    let whole = encoded(&image::RgbImage::new(1280, 720), image::ImageFormat::Png);
    let corrupt = whole[..whole.len() / 2].to_vec();
    let wrong_type = b"GIF89a and so on".to_vec();
    let huge_file = vec![0xff; 10_000_001];
    let huge_picture = jpeg(&image::RgbImage::new(5000, 5000));
    let tiny_picture = jpeg(&image::RgbImage::new(8, 8));
    world.show(&[corrupt, wrong_type, huge_file, huge_picture, tiny_picture, vec![]]);
    assert_eq!(world.state()["frames"]["bad"], 6, "{}", world.state()["frames"]);
    assert_eq!(world.state()["decided"], 0);
    world.show(&good);
    assert_eq!(world.decision(1)["kind"], "granted");
}

#[test]
fn a_flood_of_frames_is_bounded_and_the_newest_win() {
    let mut world = World::new();
    let rider = RiderId::random();
    world.station.memory().riders.push((rider, template("person_b_1.jpg")));
    let stale = walk_up("impostor_2.jpg", 1).remove(0);
    (0..60).for_each(|_| world.put(&stale));
    let frames = world.wait("all are taken", |state| state["frames"]["received"] == 60)["frames"].clone();
    assert!(frames["superseded"].as_u64().unwrap() > 30, "{frames}");
    world.pause();
    world.pause();
    let before = world.state()["decided"].as_u64().unwrap();
    world.show(&walk_up("person_b_2.jpg", 3));
    assert_eq!(world.decision(before + 1)["kind"], "granted");
}

#[test]
fn turning_back_is_no_tap_and_the_next_try_is_a_new_one() {
    let mut world = World::new();
    world.station.memory().riders.push((RiderId::random(), template("person_b_1.jpg")));
    world.aisle.body(Body::TurnsBack);
    world.show(&walk_up("person_b_2.jpg", 3));
    world.wait("it is concluded", |state| state["passages"]["outcomes"]["turned_back"] == 1);
    world.aisle.body(Body::Crosses);
    world.show(&walk_up("person_b_2.jpg", 3));
    let records = world.wait_delivered(4);
    let outcomes: Vec<_> = passages(&records).iter().map(|p| (p.authorisation, p.outcome)).collect();
    assert_eq!(outcomes, [(0, PassageOutcome::TurnedBack), (2, PassageOutcome::Passed)]);
    assert!(matches!(records[2].body, RecordBody::Authorisation(_)));
}
