//! Beams that bounce, contradict each other or die, a tailgater, two riders in close succession: with the real journal.

use facegate_domain::ids::RiderId;
use facegate_domain::tap::{PassageOutcome, Remark};

use crate::aisle::Body;
use crate::people::{phone_with, template, walk_up};
use crate::world::{World, authorisations, now, passages};

/// Somebody shows a code; true when the gate has concluded one passage more.
fn ride(world: &mut World, number: u8) {
    ride_of(world, number, u64::from(number));
}

/// The same, when it is the `nth` since the gate's start.
fn ride_of(world: &mut World, number: u8, nth: u64) {
    let code = phone_with(&world.phone(RiderId::random()).show(now(), [number; 8]));
    world.show(&[code]);
    let before = nth - 1;
    world.wait("the passage is concluded", |state| {
        let outcomes = state["passages"]["outcomes"].as_object();
        outcomes.is_some_and(|o| o.values().filter_map(serde_json::Value::as_u64).sum::<u64>() > before)
    });
    world.pause();
}

#[test]
fn a_dead_beam_charges_nobody_until_it_is_found_out_and_then_the_gate_goes_on_without_it() {
    let mut world = World::new();
    world.aisle.kill(Some("mid"));
    ride(&mut world, 1);
    ride(&mut world, 2);
    let state = world.wait("the beam is found out", |state| state["sensors"] == "mid beam silent");
    assert_eq!(state["gate_state"], "idle", "two beams are enough");
    assert_eq!(state["passages"]["code"], 0);
    ride(&mut world, 3);
    assert_eq!(world.state()["passages"]["code"], 1);
    // A gate that has started anew knows it.
    world.crash_gate();
    world.start_gate();
    world.wait("it is ready", |state| state["phase"] == "idle" && state["sensors"] == "mid beam silent");
    ride_of(&mut world, 4, 1);
    assert_eq!(world.state()["passages"]["code"], 1, "it counts from its start");
    world.aisle.kill(None);
    ride_of(&mut world, 5, 2);
    let state = world.wait("the beam is believed again", |state| state["sensors"].is_null());
    assert_eq!(state["passages"]["code"], 2);
    let outcomes: Vec<_> = passages(&world.wait_delivered(10)).iter().map(|p| (p.outcome, p.remarks)).collect();
    assert_eq!(outcomes.iter().filter(|(outcome, _)| *outcome == PassageOutcome::Unknown).count(), 2);
    assert!(outcomes.iter().all(|(o, r)| (*o == PassageOutcome::Unknown) == r.has(Remark::Contradicted)));
}

#[test]
fn a_bouncing_beam_is_named_and_the_gate_goes_on() {
    let mut world = World::new();
    for _ in 0..100 {
        world.aisle.beam("exit", true);
        world.aisle.beam("exit", false);
    }
    world.wait("it is named", |state| state["sensors"] == "exit beam bouncing");
    ride(&mut world, 1);
    assert_eq!(world.state()["passages"]["code"], 1);
    world.wait("it has recovered", |state| state["sensors"].is_null());
}

#[test]
fn a_tailgater_is_an_alarm_and_no_tap() {
    let mut world = World::new();
    world.aisle.body(Body::Hesitates);
    world.show(&[phone_with(&world.phone(RiderId::random()).show(now(), [1; 8]))]);
    world.wait("the door is open", |state| state["gate_state"] == "open");
    let pause = || std::thread::sleep(std::time::Duration::from_millis(300));
    for (beam, broken) in [
        ("entry", true),
        ("mid", true),
        ("entry", false),
        ("entry", true),
        ("exit", true),
        ("mid", false),
        ("mid", true),
        ("entry", false),
        ("exit", false),
        ("exit", true),
        ("mid", false),
        ("exit", false),
    ] {
        world.aisle.beam(beam, broken);
        pause();
    }
    let state = world.wait("the passage is concluded", |state| state["passages"]["code"] == 1);
    assert_eq!(state["alarms"]["tailgated"], 1);
    let records = world.wait_delivered(2);
    assert!(passages(&records)[0].remarks.has(Remark::Tailgated));
    assert!(world.aisle.shown().contains(&"stop/alarm".to_owned()));
    world.wait("the alarm is over", |_| world.aisle.shown().last().is_some_and(|shown| shown == "ready/none"));
}

#[test]
fn the_second_of_two_in_close_succession_has_a_tap_of_his_own() {
    let mut world = World::new();
    world.aisle.body(Body::Hesitates);
    world.show(&[phone_with(&world.phone(RiderId::random()).show(now(), [1; 8]))]);
    world.wait("the door is open", |state| state["gate_state"] == "open");
    world.aisle.beam("entry", true);
    world.aisle.beam("mid", true);
    std::thread::sleep(std::time::Duration::from_millis(100));
    world.aisle.beam("entry", false);
    world.wait("the first is passing", |state| state["gate_state"] == "passing");
    world.show(&[phone_with(&world.phone(RiderId::random()).show(now(), [2; 8]))]);
    world.wait("the second is authorised", |state| state["gate_state"] == "queued");
    let step = |beam: &str, broken| {
        world.aisle.beam(beam, broken);
        std::thread::sleep(std::time::Duration::from_millis(100));
    };
    for (beam, broken) in [("exit", true), ("mid", false), ("exit", false)] {
        step(beam, broken);
    }
    world.wait("the first is through", |state| state["passages"]["code"] == 1 && state["gate_state"] == "open");
    for (beam, broken) in
        [("entry", true), ("mid", true), ("entry", false), ("exit", true), ("mid", false), ("exit", false)]
    {
        step(beam, broken);
    }
    world.wait("the second is through", |state| state["passages"]["code"] == 2 && state["gate_state"] == "idle");
    let records = world.wait_delivered(4);
    assert!(passages(&records).iter().all(|passage| passage.outcome == PassageOutcome::Passed));
    assert_eq!(world.aisle.opened(), ["1-0", "1-1"]);
}

#[test]
fn what_was_seen_of_who_follows_counts_when_the_one_before_him_is_through() {
    let mut world = World::new();
    world.station.memory().riders.push((RiderId::random(), template("person_a_1.jpg")));
    world.aisle.body(Body::Hesitates);
    world.show(&[phone_with(&world.phone(RiderId::random()).show(now(), [1; 8]))]);
    world.wait("the door is open", |state| state["gate_state"] == "open");
    let step = |world: &World, beam: &str, broken| {
        world.aisle.beam(beam, broken);
        std::thread::sleep(std::time::Duration::from_millis(100));
    };
    for (beam, broken) in [("entry", true), ("mid", true), ("entry", false)] {
        step(&world, beam, broken);
    }
    world.wait("the first is passing", |state| state["gate_state"] == "passing");
    let follows = walk_up("person_a_2.jpg", 3);
    world.show(&follows[..2]);
    world.wait("he is looked at", |state| state["frames"]["usable"] == 2);
    for (beam, broken) in [("exit", true), ("mid", false), ("exit", false)] {
        step(&world, beam, broken);
    }
    world.wait("the first is through", |state| state["passages"]["code"] == 1);
    world.show(&follows[2..]);
    let decision = world.decision(2);
    assert_eq!((&decision["kind"], &decision["medium"]), (&"granted".into(), &"face".into()), "{decision}");
}

#[test]
fn the_hardware_is_told_what_to_do_without_its_gate() {
    let world = World::new();
    world.wait("it is told", |_| world.aisle.opens_without_gate() == Some(false));
}

#[test]
fn who_steps_back_is_not_taken_for_the_next_one() {
    let mut world = World::new();
    world.aisle.body(Body::Hesitates);
    let [steps_back, next] = [RiderId::random(), RiderId::random()];
    world.show(&[phone_with(&world.phone(steps_back).show(now(), [1; 8]))]);
    world.wait("the door is open", |state| state["gate_state"] == "open");
    world.aisle.beam("entry", true);
    world.wait("he steps in", |state| state["gate_state"] == "passing");
    let code = phone_with(&world.phone(next).show(now(), [2; 8]));
    world.show(std::slice::from_ref(&code));
    world.pause();
    assert_eq!(world.state()["decided"], 1, "the next one waits until it is known who goes on");
    world.aisle.beam("entry", false);
    world.wait("he is known to be back", |state| state["passages"]["outcomes"]["turned_back"] == 1);
    world.aisle.body(Body::Crosses);
    world.show(&[code]);
    world.wait("the next one is through", |state| state["passages"]["code"] == 1);
    let records = world.wait_delivered(4);
    let passages: Vec<_> = passages(&records).iter().map(|passage| passage.outcome).collect();
    assert_eq!(passages, [PassageOutcome::TurnedBack, PassageOutcome::Passed]);
    let riders: Vec<_> = authorisations(&records).iter().map(|granted| granted.rider).collect();
    assert_eq!(riders, [steps_back, next]);
}
