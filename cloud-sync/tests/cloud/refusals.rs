//! Configs and fare tables that are refused before anything starts.

use std::path::Path;

use facegate_cloud_sync::config::{Config, RawConfig};
use facegate_runtime::config::{ConfigError, parse};

use crate::harness::FARES;

fn problems(text: &str) -> Vec<(String, String)> {
    let error = parse::<RawConfig, Config>(Path::new("cloud.toml"), text).unwrap_err();
    let ConfigError::Wrong { problems, .. } = error else { panic!("{error}") };
    problems.into_iter().map(|problem| (problem.path, problem.message)).collect()
}

#[test]
fn every_problem_of_a_config_and_of_its_fare_table_is_told_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let fares = dir.path().join("fares.toml");
    let holed = FARES.replace("from_m = 6000", "from_m = 6500").replace("to = \"south\"", "to = \"sauth\"");
    std::fs::write(&fares, holed).unwrap();
    let text = format!(
        r#"
        listen = "nowhere"
        data_dir = "/tmp/x"
        model_dir = "/tmp/m"
        models_dir = "/tmp/m"
        fares = "{}"
        [tls]
        cert = "/no/cert.pem"
        key = "/no/key.pem"
        ca = "/no/ca.pem"
        [journeys]
        give_up_after_s = 1
        [enrolment]
        same_person_from = 7.0
        [[charging.acquirer]]
        name = "cards"
        kind = "sandbox"
        address = "http://acquirer.example"
        "#,
        fares.display()
    );
    let found = problems(&text);
    let at = |path: &str| found.iter().filter(|(p, _)| p == path).map(|(_, m)| m.as_str()).collect::<Vec<_>>();
    for path in [
        "listen",
        "model_dir",
        "tls.cert",
        "tls.key",
        "tls.ca",
        "journeys.give_up_after_s",
        "enrolment.same_person_from",
        "charging.acquirer[0].address",
    ] {
        assert_eq!(at(path).len(), 1, "{path}: {found:#?}");
    }
    assert!(at("model_dir")[0].contains("models_dir"), "{found:#?}");
    let fares = at("fares");
    assert!(fares.iter().any(|m| m.contains("sauth")) && fares.iter().any(|m| m.contains("6500")), "{fares:#?}");
}

#[test]
fn the_example_of_the_help_text_names_every_key_as_it_is() {
    let text: String = facegate_cloud_sync::config::EXAMPLE.lines().skip(2).map(|line| format!("{line}\n")).collect();
    let table: toml::Table = text.parse().expect("the example is TOML");
    let raw: Result<RawConfig, _> = table.try_into();
    assert!(raw.is_ok(), "{raw:?}");
}
