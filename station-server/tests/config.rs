//! The config file and the binary that reads it.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::process::Command;

use facegate_runtime::config::{self, ConfigError};
use facegate_station_server::config::{Config, EXAMPLE, RawConfig};

/// The config that `--help` shows, with files that exist.
fn example(dir: &Path) -> String {
    for file in ["north.pem", "north-key.pem", "ca.pem"] {
        std::fs::write(dir.join(file), "PEM").unwrap();
    }
    let (_, toml) = EXAMPLE.split_once(":\n\n").unwrap();
    toml.replace("/etc/facegate", dir.to_str().unwrap())
}

fn load(text: &str) -> Result<Config, ConfigError> {
    config::parse::<RawConfig, Config>(Path::new("station.toml"), text)
}

#[test]
fn the_example_of_the_help_is_a_good_config_and_shows_the_defaults() {
    let dir = tempfile::tempdir().unwrap();
    let shown = example(dir.path());
    let whole = load(&shown).unwrap();
    let required = ["station", "listen", "cloud", "data_dir", "gates", "[tls]", "cert", "key ", "ca "];
    let least: Vec<&str> =
        shown.lines().filter(|line| required.iter().any(|key| line.trim().starts_with(key))).collect();
    let least = load(&least.join("\n")).unwrap();
    assert_eq!(format!("{whole:?}"), format!("{least:?}"));
}

#[test]
fn every_problem_is_reported_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let wrong = example(dir.path())
        .replace("station  = \"north\"", "station = \"North\"")
        .replace("https://cloud", "http://cloud")
        .replace("\"north-in\", \"north-out\"", "\"north-in\", \"north-in\"")
        .replace("cameras  = []", "cameras = [\"north-in\"]\ncamera = []")
        .replace("stranger = 0.85", "stranger = 0.9")
        .replace("keep_s = 600", "keep_s = 86400")
        .replace("model = \"sface-2021dec\"", "model = \"arcface\"");
    let ConfigError::Wrong { problems, .. } = load(&wrong).unwrap_err() else { panic!("not a list of problems") };
    let mut paths: Vec<_> = problems.iter().map(|problem| problem.path.as_str()).collect();
    paths.sort_unstable();
    let expected = [
        "camera",
        "cameras[0]",
        "cloud",
        "decision.entry",
        "decision.exit",
        "gates[1]",
        "recognition.model",
        "sightings.keep_s",
        "station",
    ];
    assert_eq!(paths, expected, "{problems}");
}

#[test]
fn the_next_model_is_named_beside_the_one_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let with = |model: &str, dims: usize| {
        let next = format!("[recognition.next]\nmodel = {model:?}\ndims = {dims}\n[decision]");
        load(&example(dir.path()).replace("[decision]", &next))
    };
    let models = with("hse-faceres-2021", 1024).unwrap().models;
    let models: Vec<_> = models.iter().map(|model| (model.calibration.model.as_str(), model.dims)).collect();
    assert_eq!(models, [("sface-2021dec", 128), ("hse-faceres-2021", 1024)]);
    let wrong =
        [("sface-2021dec", 128, "next.model"), ("arcface", 512, "next.model"), ("hse-faceres-2021", 512, "next.dims")];
    for (model, dims, at) in wrong {
        let ConfigError::Wrong { problems, .. } = with(model, dims).unwrap_err() else {
            panic!("not a list of problems")
        };
        let paths: Vec<_> = problems.iter().map(|problem| problem.path.as_str()).collect();
        assert_eq!(paths, [format!("recognition.{at}")], "{problems}");
    }
}

#[test]
fn the_binary_checks_a_config_and_starts_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let check = |text: &str| {
        let path = dir.path().join("station.toml");
        std::fs::write(&path, text).unwrap();
        Command::new(env!("CARGO_BIN_EXE_facegate-station-server"))
            .args(["--check-config", "--config"])
            .arg(&path)
            .output()
            .unwrap()
    };
    let good = check(&example(dir.path()));
    assert!(good.status.success(), "{}", String::from_utf8_lossy(&good.stderr));
    let bad = check("station = \"North\"\nlisen = \"x\"");
    let errors = String::from_utf8_lossy(&bad.stderr).into_owned();
    assert!(!bad.status.success());
    for named in ["did you mean `listen`", "North", "tls", "gates"] {
        assert!(errors.contains(named), "{named}: {errors}");
    }
    assert!(!dir.path().join("data").exists());
}

#[test]
fn a_booth_has_attendants_and_a_name_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let hash = facegate_runtime::sign_in::Password::typed("a long enough one").hash().unwrap();
    let attendant = |hash: &str| format!("[[booth.attendants]]\nname = \"li\"\npassword_hash = \"{hash}\"\n");
    let with = |more: &str| load(&format!("{}\n[booth]\n{more}", example(dir.path())));
    let good = with(&format!("listen = \"127.0.0.1:7446\"\n{}", attendant(&hash))).unwrap();
    assert!(!format!("{good:?}").contains("argon2"), "no hash is printed");
    assert_eq!(good.booth.unwrap().recorder.as_str(), "north-booth");
    let wrong = |more: &str| {
        let ConfigError::Wrong { problems, .. } = with(more).unwrap_err() else { panic!("not a list of problems") };
        problems.iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect::<Vec<_>>()
    };
    let nobody = wrong("listen = \"everywhere\"\n");
    assert!(nobody.len() == 2 && nobody.iter().any(|problem| problem.contains("nobody can sign in")), "{nobody:?}");
    let twice = wrong(&format!("listen = \"127.0.0.1:0\"\n{}{}", attendant(&hash), attendant("hunter2")));
    assert!(twice.iter().any(|problem| problem.contains("hash-password")), "{twice:?}");
    assert!(twice.len() == 2 && twice.iter().all(|problem| !problem.contains("hunter2")), "{twice:?}");
}
