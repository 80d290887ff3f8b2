//! What still works when something fails: the station, the gate itself, the aisle.

use facegate_domain::ids::RiderId;
use facegate_domain::tap::{Evidence, PassageOutcome};

use crate::aisle::Body;
use crate::people::{phone_with, template, walk_up};
use crate::world::{World, authorisations, now, passages};

#[test]
fn without_the_station_faces_wait_and_codes_go_by_the_offline_rule() {
    let mut world = World::new();
    world.station.memory().riders.push((RiderId::random(), template("person_a_1.jpg")));
    world.station.stop();
    world.show(&walk_up("person_a_2.jpg", 3));
    assert_eq!(world.decision(1)["reason"], "station_unreachable");
    world.pause();

    let rider = RiderId::random();
    let code = phone_with(&world.phone(rider).show(now(), [1; 8]));
    world.show(std::slice::from_ref(&code));
    assert_eq!(world.decision(2)["kind"], "granted");
    world.wait("he has passed", |state| state["passages"]["code"] == 1);
    world.pause();
    std::thread::sleep(std::time::Duration::from_secs(2));
    world.show(&[code]);
    assert_eq!(world.decision(3)["reason"], "code_replayed", "the gate remembers what opened it");

    assert_eq!(world.state()["backlog"], 2);
    world.station.start_again();
    let records = world.wait_delivered(2);
    let evidence = &authorisations(&records)[0].evidence;
    assert_eq!(*evidence, Evidence::Code { nonce: [1; 8], checked_online: false, face: None });
}

#[test]
fn a_gate_restarted_without_its_station_still_verifies_codes_and_remembers_them() {
    let mut world = World::new();
    let (first, second) = (RiderId::random(), RiderId::random());
    let used = phone_with(&world.phone(first).show(now(), [1; 8]));
    world.show(std::slice::from_ref(&used));
    world.wait("he has passed", |state| state["passages"]["code"] == 1);
    world.wait_delivered(2);
    world.station.stop();
    world.crash_gate();
    world.start_gate();
    world.wait("it is ready", |state| state["phase"] == "idle");
    world.show(&[used]);
    assert_eq!(world.decision(1)["reason"], "code_replayed");
    world.pause();
    world.show(&[phone_with(&world.phone(second).show(now(), [2; 8]))]);
    assert_eq!(world.decision(2)["kind"], "granted");
    world.wait("he has passed", |state| state["passages"]["code"] == 1);
}

#[test]
fn the_offline_rule_may_refuse() {
    let mut world = World::with("[codes]\noffline_codes = \"refuse\"");
    world.station.stop();
    world.show(&[phone_with(&world.phone(RiderId::random()).show(now(), [1; 8]))]);
    assert_eq!(world.decision(1)["reason"], "station_unreachable");
    assert!(world.aisle.opened().is_empty());
}

#[test]
fn the_offline_rule_ends_when_the_station_has_been_away_for_too_long() {
    let mut world = World::with("[codes]\noffline_max_s = 3600");
    // An epoch without any record is not gone on with, and a new one comes from the station.
    world.show(&[phone_with(&world.phone(RiderId::random()).show(now(), [3; 8]))]);
    assert_eq!(world.decision(1)["kind"], "granted");
    world.wait_delivered(2);
    world.station.stop();
    world.crash_gate();
    world.set_last_contact(now().minus(std::time::Duration::from_secs(3700)));
    world.start_gate();
    world.wait("it is ready", |state| state["phase"] == "idle");
    world.show(&[phone_with(&world.phone(RiderId::random()).show(now(), [1; 8]))]);
    assert_eq!(world.decision(1)["reason"], "offline_too_long");
    assert_eq!(world.aisle.opened().len(), 1, "the one of before");
    world.station.start_again();
    world.wait("the station is back", |state| state["station_reachable"] == true);
    world.pause();
    world.show(&[phone_with(&world.phone(RiderId::random()).show(now(), [2; 8]))]);
    assert_eq!(world.decision(2)["kind"], "granted");
}

#[test]
fn a_passage_in_flight_when_the_gate_dies_is_told_by_the_hardware() {
    let mut world = World::new();
    world.station.memory().riders.push((RiderId::random(), template("person_a_1.jpg")));
    world.aisle.body(Body::Hesitates);
    world.show(&walk_up("person_a_2.jpg", 3));
    assert_eq!(world.decision(1)["kind"], "granted");
    world.crash_gate();
    world.aisle.finish("crossed");
    assert!(world.aisle.latched() >= 6);
    world.start_gate();
    let records = world.wait_delivered(2);
    assert_eq!(authorisations(&records).len(), 1);
    assert_eq!(passages(&records)[0].outcome, PassageOutcome::Passed);
    world.wait("the sensors are acknowledged", |_| world.aisle.latched() == 0);
    assert_eq!(world.aisle.crossings(), ["1-0"]);
}

#[test]
fn a_door_still_open_after_a_restart_is_waited_for() {
    let mut world = World::new();
    world.station.memory().riders.push((RiderId::random(), template("person_a_1.jpg")));
    world.aisle.body(Body::Hesitates);
    world.show(&walk_up("person_a_2.jpg", 3));
    assert_eq!(world.decision(1)["kind"], "granted");
    world.crash_gate();
    world.start_gate();
    world.wait("it has asked the aisle", |state| state["aisle_online"] == true);
    assert_eq!(world.state()["next_sequence"], 1, "nothing is concluded while he stands there");
    world.aisle.finish("turned_back");
    let records = world.wait_delivered(2);
    assert_eq!(passages(&records)[0].outcome, PassageOutcome::TurnedBack);
}

#[test]
fn only_hardware_that_forgot_makes_a_passage_unknown() {
    let mut world = World::new();
    world.station.memory().riders.push((RiderId::random(), template("person_b_1.jpg")));
    world.aisle.body(Body::Hesitates);
    world.show(&walk_up("person_b_2.jpg", 3));
    assert_eq!(world.decision(1)["kind"], "granted");
    world.aisle.lose_memory();
    let records = world.wait_delivered(2);
    assert_eq!(passages(&records)[0].outcome, PassageOutcome::Unknown);
    world.aisle.body(Body::Crosses);
    world.pause();
    world.show(&walk_up("person_b_2.jpg", 3));
    world.wait("the gate is of use again", |state| state["passages"]["face"] == 1);
}

#[test]
fn a_lost_journal_gets_a_new_epoch() {
    let mut world = World::new();
    let rider = RiderId::random();
    world.station.memory().riders.push((rider, template("person_a_1.jpg")));
    world.show(&walk_up("person_a_2.jpg", 3));
    world.wait_delivered(2);
    world.crash_gate();
    world.lose_journal();
    world.start_gate();
    let state = world.wait("it is registered anew", |state| state["epoch"] == 2 && state["phase"] == "idle");
    assert_eq!(state["next_sequence"], 0);
    world.show(&walk_up("person_a_2.jpg", 3));
    let records = world.wait_delivered(2);
    let ids: Vec<_> = records.iter().map(|r| (r.id.epoch, r.id.sequence)).collect();
    assert_eq!(ids, [(1, 0), (1, 1), (2, 0), (2, 1)]);
}
