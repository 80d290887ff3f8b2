//! Config files: TOML → raw (what serde reads) → checked (what the server runs on), with **every** problem of the
//! file in one error.
//!
//! A server defines `RawConfig` with `#[serde(deny_unknown_fields)]` and
//! `impl TryFrom<RawConfig> for Config { type Error = Problems; … }`, then calls [`load`].

use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

mod problems;
mod raw;
mod read;

pub use problems::{Problem, Problems};
pub use raw::{RawKeys, RawTelemetry, RawTls};

#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read the config file {}: {source}; give its path with --config", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{} is not TOML, nothing was started: {message}", path.display())]
    NotToml { path: PathBuf, message: String },
    #[error("{} cannot be used, nothing was started; please correct:{problems}", path.display())]
    Wrong { path: PathBuf, problems: Problems },
}

/// Reads, checks and returns the config at `path`.
///
/// # Errors
/// [`ConfigError::Wrong`] holds every unknown key (with the nearest known one), every missing or mistyped value and
/// everything that `C::try_from` refused.
pub fn load<R, C>(path: &Path) -> Result<C, ConfigError>
where
    R: DeserializeOwned,
    C: TryFrom<R, Error = Problems>,
{
    let text =
        std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
    parse(path, &text)
}

/// [`load`] for text that is already here; `path` only names it in errors.
pub fn parse<R, C>(path: &Path, text: &str) -> Result<C, ConfigError>
where
    R: DeserializeOwned,
    C: TryFrom<R, Error = Problems>,
{
    let table = text
        .parse::<toml::Table>()
        .map_err(|error| ConfigError::NotToml { path: path.to_owned(), message: error.to_string() })?;
    let reading = read::read::<R>(table);
    let mut problems = reading.problems;
    let config = reading.raw.and_then(|raw| match C::try_from(raw) {
        Ok(config) => Some(config),
        Err(found) => {
            // A stand-in was not the operator's doing: what is wrong with it was reported already.
            problems.extend(found.into_iter().filter(|p| !covered(&p.path, &reading.repaired)));
            None
        }
    });
    problems.into_result(config).map_err(|problems| ConfigError::Wrong { path: path.to_owned(), problems })
}

fn covered(path: &str, repaired: &[String]) -> bool {
    repaired.iter().any(|repaired| {
        path.strip_prefix(repaired.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    })
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::time::Duration;

    use serde::Deserialize;

    use super::*;

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Raw {
        listen: String,
        deadline_ms: u64,
        mode: RawMode,
        tls: RawTls,
        #[serde(default)]
        gates: Vec<RawGate>,
        #[serde(default)]
        telemetry: RawTelemetry,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum RawMode {
        Development,
        Production,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct RawGate {
        id: String,
    }

    #[derive(Debug)]
    struct Checked {
        listen: SocketAddr,
        deadline: Duration,
        production: bool,
        gates: Vec<String>,
    }

    impl TryFrom<Raw> for Checked {
        type Error = Problems;

        fn try_from(raw: Raw) -> Result<Self, Problems> {
            let mut problems = Problems::new();
            let listen = problems.address("listen", &raw.listen);
            let deadline = problems.duration_ms("deadline_ms", raw.deadline_ms, 10..=5_000);
            raw.tls.check("tls", &mut problems);
            raw.telemetry.check("telemetry", &mut problems);
            let production = matches!(raw.mode, RawMode::Production);
            let gates = raw.gates.into_iter().map(|gate| gate.id).collect();
            let checked = (|| Some(Self { listen: listen?, deadline: deadline?, production, gates }))();
            problems.into_result(checked)
        }
    }

    fn found(text: &str) -> Vec<(String, String)> {
        let error = parse::<Raw, Checked>(Path::new("x.toml"), text).unwrap_err();
        let ConfigError::Wrong { problems, .. } = error else { panic!("{error}") };
        let mut found: Vec<_> = problems.into_iter().map(|p| (p.path, p.message)).collect();
        found.sort();
        found
    }

    #[test]
    fn every_problem_of_a_file_is_in_one_error() {
        let found = found(
            r#"
            lisen = "127.0.0.1:1"
            listen = "nowhere"
            deadline_ms = 6000
            mode = "prodution"
            zzzzzzzzzz = 1
            gates = [{ id = "a" }, { id = 7 }, { id = "c", idd = "d" }]
            [tls]
            cert = "no/such/cert.pem"
            kay = "k.pem"
            ca = 12
            [telemetry]
            format = "xml"
            metrics_listen = "0.0.0.0"
            "#,
        );
        let paths: Vec<_> = found.iter().map(|(path, _)| path.as_str()).collect();
        let expected = [
            "deadline_ms",
            "gates[1].id",
            "gates[2].idd",
            "lisen",
            "listen",
            "mode",
            "telemetry.format",
            "telemetry.metrics_listen",
            "tls.ca",
            "tls.cert",
            "tls.kay",
            "tls.key",
            "zzzzzzzzzz",
        ];
        assert_eq!(paths, expected, "{found:#?}");
        let message = |path: &str| found.iter().find(|(p, _)| p == path).unwrap().1.clone();
        assert_eq!(message("lisen"), "unknown key; did you mean `listen`?");
        assert_eq!(message("tls.kay"), "unknown key; did you mean `key`?");
        assert_eq!(message("tls.key"), "missing");
        assert_eq!(message("deadline_ms"), "6000 is not between 10 and 5000");
        assert!(message("zzzzzzzzzz").starts_with("unknown key; known here: listen,"));
        assert!(message("mode").contains("`production`"));
    }

    #[test]
    fn a_missing_section_is_one_problem_and_an_empty_file_names_what_it_lacks() {
        let found = found("");
        let paths: Vec<_> = found.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(paths, ["deadline_ms", "listen", "mode", "tls"]);
    }

    #[test]
    fn a_good_file_loads() {
        let dir = tempfile::tempdir().unwrap();
        let pem = dir.path().join("x.pem");
        std::fs::write(&pem, "x").unwrap();
        let text = format!(
            "listen = \"127.0.0.1:7443\"\ndeadline_ms = 300\nmode = \"production\"\ngates = [{{ id = \"g1\" }}]\n\
             [tls]\ncert = {pem:?}\nkey = {pem:?}\nca = {pem:?}\n"
        );
        let path = dir.path().join("c.toml");
        std::fs::write(&path, text).unwrap();
        let config: Checked = load::<Raw, Checked>(&path).unwrap();
        assert_eq!(
            (config.listen.port(), config.deadline, config.production),
            (7443, Duration::from_millis(300), true)
        );
        assert_eq!(config.gates, ["g1"]);
    }

    #[test]
    fn what_is_not_toml_or_not_there_says_so() {
        let broken = parse::<Raw, Checked>(Path::new("x.toml"), "listen = ").unwrap_err();
        assert!(matches!(broken, ConfigError::NotToml { .. }));
        let absent = load::<Raw, Checked>(Path::new("no/such/file.toml")).unwrap_err();
        assert!(absent.to_string().contains("--config"));
    }
}
