//! `cargo xtask bench`: builds with optimisation, then becomes the measurement.

use anyhow::{Result, bail};

use crate::phases::Phases;
use crate::workspace::Workspace;
use crate::{command, setup};

/// One measurement that exists.
struct Bench {
    name: &'static str,
    what: &'static str,
    /// The binaries it runs, of crates of the same name; the first is the driver.
    binaries: &'static [&'static str],
}

const BENCHES: &[Bench] = &[Bench {
    name: "station",
    what: "identifications a second and their percentiles: synthetic embeddings against one station, open loop, real gRPC",
    binaries: &["facegate-loadtest", "facegate-station-server"],
}];

/// What exists, and how to ask further.
pub fn help() -> String {
    let list: Vec<String> = BENCHES.iter().map(|bench| format!("  {:10} {}", bench.name, bench.what)).collect();
    format!(
        "Measurements:\n{}\n\n`cargo xtask bench NAME --help` shows what NAME takes. Built with --release.",
        list.join("\n")
    )
}

/// Errors if the name is unknown (and says which exist); otherwise builds and becomes the driver.
pub fn run(workspace: &Workspace, args: &[String]) -> Result<()> {
    let (bench, args) = chosen(args)?;
    let mut phases = Phases::new();
    let ready = phases.run("setup", setup::run).and_then(|()| {
        phases.run("build", || {
            let mut build = workspace.cargo();
            build.args(["build", "--release", "--bins"]);
            for package in bench.binaries {
                build.args(["--package", package]);
            }
            command::run(&mut build, "The compiler's message above says where.")
        })
    });
    phases.print();
    ready?;
    let mut driver = workspace.binary("release", bench.binaries[0]);
    Err(command::become_it(
        driver.arg(bench.name).args(args),
        "It was built a moment ago: is the target folder still there?",
    ))
}

fn chosen(args: &[String]) -> Result<(&'static Bench, &[String])> {
    let Some((name, rest)) = args.split_first() else { bail!("which measurement?\n{}", help()) };
    match BENCHES.iter().find(|bench| bench.name == name) {
        Some(bench) => Ok((bench, rest)),
        None => bail!("there is no measurement {name:?}.\n{}", help()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_measurement_is_told_which_exist() {
        let text = chosen(&["statoin".to_owned()]).err().unwrap().to_string();
        assert!(text.contains("\"statoin\"") && text.contains("  station "), "{text}");
    }

    #[test]
    fn the_rest_goes_to_the_driver() {
        let args = ["station".to_owned(), "--quick".to_owned()];
        let (bench, rest) = chosen(&args).unwrap();
        assert_eq!((bench.name, rest), ("station", &args[1..]));
    }
}
