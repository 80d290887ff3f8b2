//! What is refused, and that the example is true.

use std::path::Path;

use facegate_runtime::config::{ConfigError, parse};

use super::*;

/// The example with its identity files put where they exist.
fn example(dir: &Path) -> String {
    let pem = dir.join("x.pem");
    std::fs::write(&pem, "x").unwrap();
    let pem = pem.display();
    EXAMPLE
        .replace("identity/north-in-1.pem", &pem.to_string())
        .replace("identity/north-in-1-key.pem", &pem.to_string())
        .replace("identity/ca.pem", &pem.to_string())
}

fn check(text: &str) -> Result<Config, Vec<String>> {
    match parse::<RawConfig, Config>(Path::new("gate.toml"), text) {
        Ok(config) => Ok(config),
        Err(ConfigError::Wrong { problems, .. }) => {
            Err(problems.into_iter().map(|p| format!("{}: {}", p.path, p.message)).collect())
        }
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn the_example_is_a_valid_configuration_and_its_values_are_the_defaults() {
    let dir = tempfile::tempdir().unwrap();
    let text = example(dir.path());
    let config = check(&text).unwrap();
    assert_eq!(
        (config.role(), config.mode, config.direction()),
        (Role::Gate, Mode::Development, Some(Direction::Entry))
    );
    let (short, _) = text.split_once("[approach]").unwrap();
    let short = check(short).unwrap();
    assert_eq!(format!("{config:?}"), format!("{short:?}"));
}

#[test]
fn production_refuses_the_folder_camera_and_the_simulated_aisle_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let text = example(dir.path()).replace("mode = \"development\"", "mode = \"production\"");
    let problems = check(&text).unwrap_err();
    assert_eq!(problems.len(), 2, "{problems:?}");
    for kind in ["camera.kind: `folder`", "actuator.kind: `simulated`"] {
        let start = format!("{kind} is for mode = \"development\" only");
        assert!(problems.iter().any(|problem| problem.starts_with(&start)), "{problems:?}");
    }
}

/// The example with another camera.
fn with_camera(dir: &Path, camera: &str) -> String {
    let text = example(dir);
    text.replace("kind = \"folder\"  ", &format!("{camera} ")).replace("folder = \"frames/north-in-1\"\n", "")
}

#[test]
fn without_its_gate_an_exit_opens_and_an_entry_closes_unless_it_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let opens = |direction: &str, said: &str| {
        let config = example(dir.path()).replace("direction = \"entry\"", &format!("direction = \"{direction}\""));
        let config = config.replacen("kind = \"simulated\"", &format!("{said}\nkind = \"simulated\""), 1);
        let Duty::Gate(duty) = check(&config).unwrap().duty else { panic!("a gate") };
        duty.opens_without_gate
    };
    assert!(!opens("entry", "") && opens("exit", ""));
    assert!(opens("entry", "without_gate = \"open\"") && !opens("exit", "without_gate = \"close\""));
}

#[test]
fn each_kind_of_camera_has_the_keys_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let camera = |camera: &str| check(&with_camera(dir.path(), camera)).map(|config| config.camera);
    let mjpeg = camera("kind = \"mjpeg\"\nurl = \"http://guard:secret@10.0.0.5:8080/stream\"\n").unwrap();
    assert_eq!(format!("{:?}", mjpeg.source), "mjpeg:http://10.0.0.5:8080/stream", "no password is printed");
    assert_eq!((mjpeg.health.silence_max_ms, mjpeg.health.frozen_after_ms), (Some(2000), Some(5000)));
    let replay = camera("kind = \"replay\"\npath = \"walk.avi\"\nloops = true\n").unwrap();
    assert!(matches!(replay.source, SourceConfig::Replay(replay) if replay.loops));
    let problems = |text: &str| camera(text).unwrap_err();
    let lacking = problems("kind = \"mjpeg\"\npath = \"walk.avi\"\n");
    assert_eq!(
        lacking,
        ["camera.path: is not for kind = \"mjpeg\"", "camera.url: missing; it is needed with kind = \"mjpeg\""]
    );
    let strange = problems("kind = \"mjpeg\"\nurl = \"rtsp://guard:secret@10.0.0.5/\"\n");
    assert_eq!(strange, ["camera.url: is not of the form http://host:port/path"], "and it is not repeated");
    if cfg!(not(feature = "gstreamer")) {
        let without = problems("kind = \"gstreamer\"\npipeline = \"videotestsrc\"\n");
        assert_eq!(without.len(), 1);
        assert!(without[0].contains("`--features gstreamer`"), "{without:?}");
    }
}

#[test]
fn depth_and_infrared_streams_are_cameras_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let sensor = |text: &str| {
        let config = example(dir.path());
        config.replacen("[actuator]", &format!("{text}\n[actuator]"), 1)
    };
    let depth = sensor("[camera.depth]\nkind = \"mjpeg\"\nurl = \"http://10.0.0.6/depth\"");
    let config = check(&depth).unwrap().camera;
    assert!(config.depth.is_some() && config.infrared.is_none());
    let folder = check(&sensor("[camera.infrared]\nkind = \"folder\"")).unwrap_err();
    assert!(folder[0].starts_with("camera.infrared.kind: a folder's images lie beside their pictures"), "{folder:?}");
    let replayed = depth.replace("\"mjpeg\"\nurl = \"http://10.0.0.6/depth\"", "\"replay\"\npath = \"d\"");
    let production = check(&replayed.replace("mode = \"development\"", "mode = \"production\"")).unwrap_err();
    assert!(production.iter().any(|p| p.starts_with("camera.depth.kind: `replay` is for mode")), "{production:?}");
}

#[test]
fn every_problem_is_reported_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let text = example(dir.path())
        .replace("127.0.0.1:7700", "0.0.0.0:7700")
        .replace("127.0.0.1:7443", "the-station")
        .replace("id = \"north-in-1\"", "id = \"North 1\"")
        .replacen("frames_max = 15", "frames_max = 2\nframes_mx = 3", 1)
        .replace("offline_codes = \"accept\"", "offline_codes = \"maybe\"")
        .replace("identify_deadline_ms = 800", "identify_deadline_ms = 1");
    let problems = check(&text).unwrap_err();
    let expected = [
        "approach.frames_max: is below frames_agreeing_min",
        "approach.frames_max: is below recognition.liveness.frames_min",
        "approach.frames_mx: unknown key; did you mean `frames_max`?",
        "codes.offline_codes: unknown variant",
        "id: gate \"North 1\" is not a valid name",
        "screen.listen: 0.0.0.0:7700 can be reached",
        "station.address: `the-station` is not",
        "station.identify_deadline_ms: 1 is not between",
    ];
    for start in expected {
        assert!(problems.iter().any(|p| p.starts_with(start)), "{start} is not among {problems:#?}");
    }
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
}

#[test]
fn an_entrance_camera_has_no_door_and_a_gate_needs_one() {
    let dir = tempfile::tempdir().unwrap();
    let text = example(dir.path());
    let problems = check(&text.replace("role = \"gate\"", "role = \"camera\"")).unwrap_err();
    assert_eq!(problems.iter().filter(|p| p.ends_with("leave it out")).count(), 3, "{problems:?}");
    let (head, rest) = text.split_once("[actuator]").unwrap();
    let (_, tail) = rest.split_once("[screen]").unwrap();
    let problems = check(&format!("{head}[screen]{tail}")).unwrap_err();
    assert_eq!(problems, ["actuator: missing; a gate needs it"]);
}

#[test]
fn the_screen_has_languages_a_volume_and_attendants_with_hashes() {
    let dir = tempfile::tempdir().unwrap();
    let screen = |with: &str| {
        let text = example(dir.path());
        let (before, after) = text.split_once("languages = [\"zh\", \"en\"] ").unwrap();
        let (_, after) = after.split_once("\n\n").unwrap();
        let checked = check(&format!("{before}{with}\n\n{after}"))?;
        let Duty::Gate(duty) = checked.duty else { panic!("the example is of a gate") };
        Ok(duty.screen)
    };
    let hash = facegate_runtime::sign_in::Password::typed("a long enough one").hash().unwrap();
    let attendant =
        |name: &str, hash: &str| format!("[[screen.attendants]]\nname = \"{name}\"\npassword_hash = \"{hash}\"\n");
    let good = screen(&format!("languages = [\"en\"]\nvolume = 0.0\n{}", attendant("li", &hash))).unwrap();
    assert_eq!((good.languages.len(), good.attendants.len()), (1, 1));
    assert!(!format!("{good:?}").contains("argon2"), "no hash is printed");
    let twice =
        format!("languages = [\"en\", \"en\"]\nvolume = 1.5\n{}{}", attendant("li", &hash), attendant("li", "secret"));
    let problems: Vec<String> = screen(&twice).unwrap_err();
    let of = |key: &str| problems.iter().any(|problem| problem.starts_with(key));
    assert_eq!(problems.len(), 4, "{problems:?}");
    assert!(of("screen.languages") && of("screen.volume") && of("screen.attendants[1].name"), "{problems:?}");
    assert!(problems.iter().any(|p| p.contains("hash-password") && !p.contains("secret")), "{problems:?}");
}
