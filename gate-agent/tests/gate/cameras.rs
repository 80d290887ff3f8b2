//! Cameras that fail in every way: the gate says what it is, stays usable, and recovers by itself.

use std::sync::Arc;
use std::time::Duration;

use facegate_domain::ids::RiderId;
use facegate_models::FaceEngine;
use facegate_models::liveness::LivenessPolicy;
use facegate_runtime::clock::Stopwatch;

use crate::network_camera::{NetworkCamera, Sends};
use crate::people::{crowd, engine, engine_with, grey, large, phone_with, template, turned, walk_up};
use crate::world::{World, now};

fn world(camera: &NetworkCamera, more: &str) -> World {
    with_engine(engine(), camera, more)
}

fn with_engine(engine: Arc<FaceEngine>, camera: &NetworkCamera, more: &str) -> World {
    World::with_camera(engine, &format!("kind = \"mjpeg\"\nurl = \"{}\"\n{more}\n", camera.url))
}

fn camera_is(world: &World, state: &str) {
    world.wait(&format!("the camera is {state}"), |view| view["camera"]["state"] == state);
}

#[test]
fn a_network_camera_that_fails_in_every_way_is_named_and_comes_back() {
    let face = walk_up("person_a_2.jpg", 6);
    let camera = NetworkCamera::start(Sends::Nothing, 8);
    let world = world(&camera, "identical_frames = \"accept\"");
    camera_is(&world, "silent");
    let rider = RiderId::random();
    world.station.memory().riders.push((rider, template("person_a_1.jpg")));

    camera.sends(Sends::HangsUp);
    camera_is(&world, "lost");
    assert!(world.state()["camera"]["words"].as_str().unwrap().contains("tried again"));
    let told = || world.station.memory().statuses.last().map(|status| (status.camera.clone(), status.fault.clone()));
    let watch = Stopwatch::start();
    while told().is_none_or(|(camera, fault)| camera != "lost" || !fault.contains("the camera is lost")) {
        assert!(watch.elapsed() < Duration::from_secs(30), "the station hears of it: {:?}", told());
        std::thread::sleep(Duration::from_millis(50));
    }

    let mut torn = face[0].clone();
    torn.truncate(torn.len() / 2);
    camera.sends(Sends::Pictures(vec![torn, b"no picture".to_vec()]));
    world.wait("bad frames are counted", |view| view["frames"]["bad"].as_u64() > Some(3));
    camera.sends(Sends::Pictures(vec![grey(3)]));
    camera_is(&world, "black");
    camera.sends(Sends::Pictures(vec![grey(254)]));
    camera_is(&world, "overexposed");
    camera.sends(Sends::Pictures(face.iter().map(|picture| turned(picture)).collect()));
    camera_is(&world, "upside_down");
    assert_eq!(world.aisle.opened().len(), 0);

    camera.sends(Sends::Pictures(face));
    world.wait("he is let through", |view| view["passages"]["face"] == 1);
    camera_is(&world, "fine");
}

#[test]
fn a_frozen_picture_of_a_rider_opens_nothing_until_the_camera_moves_again() {
    let camera = NetworkCamera::start(Sends::Nothing, 10);
    let engine = engine_with(LivenessPolicy::default());
    let world = with_engine(engine, &camera, "frozen_after_ms = 500\nframe_age_max_ms = 5000");
    world.station.memory().riders.push((RiderId::random(), template("person_a_1.jpg")));
    camera.sends(Sends::Pictures(walk_up("person_a_2.jpg", 1)));
    camera_is(&world, "frozen");
    world.pause();
    assert!(world.aisle.opened().is_empty(), "{}", world.state());
    let code = phone_with(&world.phone(RiderId::random()).show(now(), [1; 8]));
    camera.sends(Sends::Pictures(vec![code]));
    world.wait("a code opens", |view| view["passages"]["code"] == 1);
}

#[test]
fn four_thousand_pixels_sixty_times_a_second_are_dropped_to_what_is_needed() {
    let camera = NetworkCamera::start(Sends::Nothing, 60);
    let world = world(&camera, "identical_frames = \"accept\"");
    camera.sends(Sends::Pictures(vec![large(&walk_up("impostor_1.jpg", 1)[0])]));
    world.wait("it is looking", |view| view["frames"]["superseded"].as_u64() > Some(20));
    let (before, sent) = (resident_mib(), camera.sent());
    let watch = Stopwatch::start();
    while watch.elapsed() < Duration::from_secs(8) {
        std::thread::sleep(Duration::from_millis(100));
    }
    let grown = resident_mib().saturating_sub(before);
    assert!(camera.sent() > sent + 50 && grown < 200, "{grown} MiB more after {} frames", camera.sent() - sent);
    let code = phone_with(&world.phone(RiderId::random()).show(now(), [1; 8]));
    camera.sends(Sends::Pictures(vec![large(&code)]));
    world.wait("a code in it opens", |view| view["passages"]["code"] == 1);
}

#[test]
fn thirty_faces_in_a_frame_are_several_and_a_code_still_opens() {
    let mut world = World::new();
    world.station.memory().riders.push((RiderId::random(), template("person_a_1.jpg")));
    world.show(&crowd(30, 4));
    assert_eq!(world.decision(1)["reason"], "several_faces", "{}", world.state());
    world.pause();
    world.show(&[phone_with(&world.phone(RiderId::random()).show(now(), [1; 8]))]);
    assert_eq!(world.decision(2)["kind"], "granted");
}

/// Memory of this process, in which the gate runs.
fn resident_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}
