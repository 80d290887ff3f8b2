//! `cargo xtask bench|eval|fuzz`: builds what a measurement runs, makes ready what it needs, then becomes it.

pub mod peers;

use anyhow::{Result, bail};

use crate::phases::Phases;
use crate::setup::needs::{FFMPEG, IPROUTE2, Need, POSTGRESQL, VENV};
use crate::workspace::Workspace;
use crate::{command, models, setup};

/// The three kinds of measurement; each is a chore of its own, named as here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Speed and memory.
    Bench,
    /// Accuracy.
    Eval,
    /// Robustness.
    Fuzz,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Bench => "bench",
            Self::Eval => "eval",
            Self::Fuzz => "fuzz",
        }
    }
}

/// When others are measured in the same run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Peers {
    Never,
    /// With `--peers`.
    IfAsked,
    Always,
}

/// How the binaries are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Profile {
    /// With `--release`, which takes its minutes: something is timed.
    Release,
    /// As the demo and the tests build them: things are counted, not timed.
    Dev,
}

impl Profile {
    /// The folder in `target`.
    const fn folder(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Dev => "debug",
        }
    }
}

/// One measurement that exists.
struct Measurement {
    kind: Kind,
    name: &'static str,
    what: &'static str,
    /// The binaries it runs, of crates of the same name; the first is the driver.
    binaries: &'static [&'static str],
    profile: Profile,
    /// What the driver takes before the caller's arguments.
    driver_args: &'static [&'static str],
    /// Programs beyond those of the build.
    needs: &'static [Need],
    /// Whether it runs the real models.
    models: bool,
    peers: Peers,
}

impl Measurement {
    /// The driver's crate.
    fn folder(&self) -> &'static str {
        self.binaries[0].trim_start_matches("facegate-")
    }
}

const MEASUREMENTS: &[Measurement] = &[
    Measurement {
        kind: Kind::Bench,
        name: "station",
        what: "identifications a second and their percentiles: synthetic embeddings against one station, open loop, real gRPC",
        binaries: &["facegate-loadtest", "facegate-station-server"],
        profile: Profile::Release,
        driver_args: &["station"],
        needs: &[],
        models: false,
        peers: Peers::Never,
    },
    Measurement {
        kind: Kind::Bench,
        name: "intake",
        what: "taps taken in durably and exactly once, then a backlog beside live traffic (--store sled|postgres, --quick, --check)",
        binaries: &["facegate-loadtest"],
        driver_args: &["intake"],
        needs: &[POSTGRESQL],
        models: false,
        peers: Peers::Never,
        profile: Profile::Release,
    },
    Measurement {
        kind: Kind::Bench,
        name: "close-of-day",
        what: "a day of 3 million taps matched and closed, planted differences found (--taps, --store sled|postgres, --check)",
        binaries: &["facegate-loadtest"],
        driver_args: &["close-of-day"],
        needs: &[POSTGRESQL],
        models: false,
        peers: Peers::Never,
        profile: Profile::Release,
    },
    Measurement {
        kind: Kind::Bench,
        name: "sync",
        what: "a change and an entry from the cloud to 100 stations, and a snapshot of 3 million templates into one",
        binaries: &["facegate-loadtest", "facegate-station-server"],
        driver_args: &["sync"],
        needs: &[],
        models: false,
        peers: Peers::Never,
        profile: Profile::Release,
    },
    Measurement {
        kind: Kind::Bench,
        name: "fares",
        what: "journeys priced on one core, bills of taps in random order, published fares' examples (--quick, --check)",
        binaries: &["facegate-loadtest"],
        profile: Profile::Release,
        driver_args: &["fares"],
        needs: &[],
        models: false,
        peers: Peers::Never,
    },
    Measurement {
        kind: Kind::Bench,
        name: "search",
        what: "1:N search among millions: time, recall, memory, changes, start, growth, beside FAISS and others (--peers)",
        binaries: &["facegate-gallery"],
        profile: Profile::Release,
        driver_args: &["search"],
        needs: &[],
        models: false,
        peers: Peers::IfAsked,
    },
    Measurement {
        name: "kill",
        what: "kill -9 of any process of a small city, at random moments, while people ride (--store sled|postgres)",
        needs: &[POSTGRESQL],
        ..of_city(&["kill"])
    },
    Measurement {
        name: "acquirer",
        what: "10,000 charges through an acquirer with every fault while the cloud is killed (--charges N, --store, --quick, --check)",
        needs: &[POSTGRESQL],
        ..of_city(&["charges"])
    },
    Measurement {
        name: "aisle",
        what: "people through four gates among 3 million riders in real time, and 100,000 passages of real faces (--minutes, --quick, --check)",
        ..of_city(&["aisle"])
    },
    Measurement {
        name: "soak",
        what: "half an hour of a small city's processes under a crowd: memory by process, gates that get stuck (--minutes, --check)",
        ..of_city(&["soak"])
    },
    Measurement {
        name: "partition",
        what: "the city in network namespaces: wires cut, slow and lossy while people ride (needs root and iproute2)",
        needs: &[IPROUTE2],
        ..of_city(&["partition"])
    },
    Measurement {
        kind: Kind::Bench,
        name: "gate",
        what: "a camera's frame to an embedding, and a whole approach, beside OpenCV's YuNet + SFace (--peers)",
        peers: Peers::IfAsked,
        ..of_models(&["bench", "gate"])
    },
    Measurement {
        kind: Kind::Eval,
        name: "recognition",
        what: "1:1 and open-set 1:N accuracy on any folder-per-identity set, with intervals and an HTML report",
        peers: Peers::Always,
        ..of_models(&["eval", "recognition"])
    },
    Measurement {
        kind: Kind::Eval,
        name: "calibrate",
        what: "writes the score models that the stations decide by (gallery/calibration/*.toml)",
        ..of_models(&["eval", "calibrate"])
    },
    Measurement {
        kind: Kind::Eval,
        name: "quality",
        what: "refusals by reason on a folder-per-identity set, and on faces with masks and glasses painted on",
        ..of_models(&["eval", "quality"])
    },
    Measurement {
        kind: Kind::Eval,
        name: "liveness",
        what: "presentation attack detection on folders of genuine and attack captures, in ISO/IEC 30107-3 terms",
        needs: &[FFMPEG],
        ..of_models(&["eval", "liveness"])
    },
    Measurement {
        kind: Kind::Eval,
        name: "walkups",
        what: "rendered walk-ups: a head against a flat print or screen, told apart by their motion",
        ..of_models(&["eval", "walkups"])
    },
    Measurement {
        kind: Kind::Fuzz,
        name: "decode",
        what: "hostile pictures through decode, detect, align and embed: none may panic",
        ..of_models(&["fuzz", "decode"])
    },
];

/// What the runs of the whole city have in common.
const fn of_city(driver_args: &'static [&'static str]) -> Measurement {
    Measurement {
        kind: Kind::Bench,
        name: "",
        what: "",
        binaries: CITY,
        profile: Profile::Dev,
        driver_args,
        needs: &[],
        models: true,
        peers: Peers::Never,
    }
}

/// The driver, the servers that it starts, and what fetches the models.
const CITY: &[&str] =
    &["facegate-loadtest", "facegate-cloud-sync", "facegate-station-server", "facegate-gate-agent", "facegate-models"];

/// What the measurements of the recognition pipeline have in common.
const fn of_models(driver_args: &'static [&'static str]) -> Measurement {
    Measurement {
        kind: Kind::Eval,
        name: "",
        what: "",
        binaries: &["facegate-models"],
        profile: Profile::Release,
        driver_args,
        needs: &[],
        models: true,
        peers: Peers::Never,
    }
}

/// What exists, and how to ask further.
pub fn help(kind: Kind) -> String {
    let of_kind = MEASUREMENTS.iter().filter(|m| m.kind == kind);
    let list: Vec<String> = of_kind.map(|m| format!("  {:12} {}", m.name, m.what)).collect();
    let chore = kind.name();
    format!(
        "There are:\n{}\n\n`cargo xtask {chore} NAME --help` shows what NAME takes. What is timed is built with --release; the \
         last line of standard output is one JSON object.",
        list.join("\n")
    )
}

/// Errors if the name is unknown (and says which exist); otherwise makes ready, builds and becomes the driver.
pub fn run(workspace: &Workspace, kind: Kind, args: &[String]) -> Result<()> {
    let (measurement, args) = chosen(kind, args)?;
    let mut phases = Phases::new();
    let ready = make_ready(workspace, measurement, args, &mut phases);
    phases.print();
    let mut driver = workspace.binary(measurement.profile.folder(), measurement.binaries[0]);
    if let Some(python) = ready? {
        driver.env(peers::PYTHON, python);
    }
    Err(command::become_it(
        driver.args(measurement.driver_args).args(args),
        "It was built a moment ago: is the target folder still there?",
    ))
}

/// Gives the peers' Python, if they are to be measured.
fn make_ready(
    workspace: &Workspace,
    measurement: &Measurement,
    args: &[String],
    phases: &mut Phases,
) -> Result<Option<std::path::PathBuf>> {
    let asks = |flag: &str| args.iter().any(|arg| arg == flag);
    let only_help = asks("--help") || asks("-h");
    let peers = !only_help && (measurement.peers == Peers::Always || asks("--peers"));
    phases.run("setup", || {
        setup::run()?;
        setup::ensure(measurement.needs.iter().chain(peers.then_some(&VENV)))
    })?;
    phases.run("build", || build(workspace, measurement))?;
    if measurement.models && !only_help {
        phases.run("models", || models::fetch_with(workspace, measurement.profile.folder()))?;
    }
    if !peers {
        return Ok(None);
    }
    let python = phases.run("peers", || peers::python(workspace, measurement.folder()));
    match (python, asks("--peers")) {
        (Err(error), false) => {
            eprintln!("\nwithout the peers, whose figures will be null: {error:#}\n");
            Ok(None)
        }
        (python, _) => python.map(Some),
    }
}

fn build(workspace: &Workspace, measurement: &Measurement) -> Result<()> {
    let mut build = workspace.cargo();
    build.args(["build", "--bins"]);
    match measurement.profile {
        // All of them, as the demo does: another selection would compile dependencies with other features.
        Profile::Dev => _ = build.arg("--workspace"),
        Profile::Release => {
            build.arg("--release");
            measurement.binaries.iter().for_each(|package| _ = build.args(["--package", package]));
        }
    }
    command::run(&mut build, "The compiler's message above says where.")
}

fn chosen(kind: Kind, args: &[String]) -> Result<(&'static Measurement, &[String])> {
    let Some((name, rest)) = args.split_first() else { bail!("which one?\n{}", help(kind)) };
    match MEASUREMENTS.iter().find(|m| m.kind == kind && m.name == name) {
        Some(measurement) => Ok((measurement, rest)),
        None => bail!("there is no `{} {name}`.\n{}", kind.name(), help(kind)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_measurement_is_told_which_exist() {
        let text = chosen(Kind::Bench, &["statoin".to_owned()]).err().unwrap().to_string();
        assert!(text.contains("statoin") && text.contains("  station ") && !text.contains("recognition"), "{text}");
        assert!(chosen(Kind::Eval, &["station".to_owned()]).is_err(), "a bench is no eval");
    }

    #[test]
    fn who_has_peers_says_what_they_run_on() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for m in MEASUREMENTS.iter().filter(|m| m.peers != Peers::Never) {
            assert!(peers::requirements(&root, m.folder()).is_file(), "{}", m.name);
        }
    }

    #[test]
    fn the_rest_goes_to_the_driver() {
        let args = ["station".to_owned(), "--quick".to_owned()];
        let (measurement, rest) = chosen(Kind::Bench, &args).unwrap();
        assert_eq!((measurement.name, rest), ("station", &args[1..]));
    }

    #[test]
    fn the_drivers_command_is_the_chores_own() {
        for m in MEASUREMENTS.iter().filter(|m| m.binaries == ["facegate-models"]) {
            assert_eq!(m.driver_args, [m.kind.name(), m.name]);
        }
    }
}
