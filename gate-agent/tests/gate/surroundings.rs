//! The screen, the entrance camera, and the program's own words.

use std::process::Command;
use std::thread;
use std::time::Duration;

use facegate_models::liveness::LivenessPolicy;
use facegate_runtime::clock::Stopwatch;

use crate::people::{engine_with, held_up, walk_up};
use crate::world::World;

#[test]
fn the_screen_says_that_this_is_development_and_answers_only_its_own_host() {
    let world = World::new();
    let (status, page) = world.get("/", "127.0.0.1");
    assert!(status.contains("200") && page.contains("开发模式 · development"));
    for path in ["/", "/display.js", "/display.css"] {
        let (status, text) = world.get(path, "127.0.0.1");
        let text = text.replace("http://www.w3.org/2000/svg", "");
        assert!(
            status.contains("200") && !text.contains("http://") && !text.contains("https://"),
            "{path} works without internet"
        );
    }
    assert_eq!(world.state()["mode"], "development");
    assert!(world.get("/state.json", "attacker.example").0.contains("421"));
    assert!(world.get("/metrics", "127.0.0.1").0.contains("404"), "metrics are not for the screen");
}

#[test]
fn the_station_hears_from_the_gate_every_second() {
    let world = World::new();
    let watch = Stopwatch::start();
    while world.station.memory().statuses.len() < 3 {
        assert!(watch.elapsed() < Duration::from_secs(30));
        thread::sleep(Duration::from_millis(50));
    }
    let status = world.station.memory().statuses[2].clone();
    assert_eq!((status.mode.as_str(), status.kind.as_str(), status.direction), ("development", "gate", 1));
}

#[test]
fn an_entrance_camera_tells_the_station_of_the_living_and_nobody_else() {
    let mut world = World::entrance_camera(engine_with(LivenessPolicy::default()));
    for frame in held_up("person_b_2.jpg") {
        world.put(&frame);
        thread::sleep(Duration::from_millis(300));
    }
    world.pause();
    assert_eq!(world.station.memory().sightings, 0, "a print was held up");
    let frames = walk_up("person_a_2.jpg", 6);
    let watch = Stopwatch::start();
    for frame in frames.iter().cycle() {
        if world.station.memory().sightings > 0 {
            break;
        }
        assert!(watch.elapsed() < Duration::from_secs(60), "no sighting");
        world.put(frame);
        thread::sleep(Duration::from_millis(300));
    }
    assert!(world.station.records().is_empty());
    assert_eq!(world.station.memory().searches, 0);
}

#[test]
fn the_program_reports_all_that_is_wrong_with_its_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("gate.toml");
    let text = facegate_gate_agent::config::EXAMPLE
        .replace("\"development\"", "\"production\"")
        .replace("frames_max", "frames_mux")
        .replace("127.0.0.1:7700", "0.0.0.0:7700");
    std::fs::write(&path, text).unwrap();
    let program = || Command::new(env!("CARGO_BIN_EXE_facegate-gate-agent"));
    let output = program().arg("--config").arg(&path).arg("--check-config").output().unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    for problem in [
        "camera.kind: `folder` is for mode",
        "actuator.kind: `simulated` is for mode",
        "approach.frames_mux: unknown key",
        "screen.listen: 0.0.0.0:7700",
        "tls.cert: there is no file",
    ] {
        assert!(said.contains(problem), "{problem} is not in {said}");
    }
    let help = String::from_utf8(program().arg("--help").output().unwrap().stdout).unwrap();
    assert!(help.contains("frames_agreeing_min = 3") && help.contains("/state.json"));
}
