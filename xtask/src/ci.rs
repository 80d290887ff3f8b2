//! `cargo xtask ci`: everything that must hold before a change is taken, in the order that wastes least.

mod cargo_deny;

use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};

use crate::phases::Phases;
use crate::setup::needs::IPROUTE2;
use crate::workspace::{WITH_GSTREAMER, WITH_SIMULATION, Workspace};
use crate::{command, demo, setup, test, tidy};

pub const HELP: &str = "\
Format, tidy, `cargo deny check licenses bans sources`, every test, clippy with warnings as errors,
a minute of `fuzz decode`, a quick `eval recognition` where real photographs are, `demo --check`,
a hundred seeds of `sim`, then `bench intake` over either store, a dozen kills of a city with two replicas of the cloud
before one PostgreSQL (`bench kill`), short cuts of the wires (`bench partition`, where network namespaces are allowed),
and some hundred charges through an acquirer with every fault (`bench acquirer`).
All of them run even if one fails, so that one run tells everything; it exits 0 only if all passed.
cargo-deny is taken from the PATH if it is there in the right version, else compiled once into .facegate/tools.";

/// Runs every check. Errors: setup failed (nothing else would run), or any check did.
pub fn run(workspace: &Workspace) -> Result<()> {
    let mut phases = Phases::new();
    let mut checks = Checks { failed: Vec::new() };
    // The quick ones first: they need nothing installed.
    checks.note("format", phases.run("format", || format(workspace)));
    checks.note("tidy", phases.run("tidy", || tidy::run(workspace)));
    if let Err(error) = phases.run("setup", setup::run) {
        phases.print();
        return Err(error);
    }
    checks.note("deny", phases.run("deny", || cargo_deny::check(workspace)));
    let tested = test::run_inside(workspace, &[], &mut phases);
    let count = tested.as_ref().ok().map(|outcome| outcome.count);
    checks.note("test", tested.and_then(|outcome| outcome.finished));
    if let Some(count) = count {
        println!("{count}");
    }
    // Clippy after the build: the build scripts (FAISS above all) have run, and it shares them.
    checks.note("clippy", phases.run("clippy", || clippy(workspace)));
    checks.note("fuzz", phases.run("fuzz", || fuzz(workspace)));
    checks.note("evaluation", phases.run("evaluation", || evaluation(workspace)));
    checks.note("demo", demo::run_inside(workspace, &["--check".to_owned()], &mut phases));
    checks.note("sim", phases.run("sim", || sim(workspace)));
    for store in ["sled", "postgres"] {
        checks.note("intake", phases.run("intake", || intake(workspace, store)));
    }
    // Two replicas before one PostgreSQL: the default store's cloud is killed by a test.
    checks.note("kill", phases.run("kill", || city(workspace, "kill", &["--store", "postgres"])));
    checks.note("partition", phases.run("partition", || partition(workspace)));
    checks.note("acquirer", phases.run("acquirer", || acquirer(workspace)));
    phases.print();
    checks.finish()
}

/// Remembers what failed, and says so at once.
struct Checks {
    failed: Vec<&'static str>,
}

impl Checks {
    fn note(&mut self, name: &'static str, result: Result<()>) {
        if let Err(error) = result {
            eprintln!("\n{name} FAILED: {error:#}\n");
            self.failed.push(name);
        }
    }

    fn finish(self) -> Result<()> {
        if !self.failed.is_empty() {
            bail!("not ready: {} failed; each said why above.", self.failed.join(", "));
        }
        eprintln!("\nall checks passed");
        Ok(())
    }
}

fn format(workspace: &Workspace) -> Result<()> {
    component(workspace, "fmt", "rustfmt")?;
    command::run(workspace.cargo().args(["fmt", "--all", "--check"]), "`cargo fmt --all` puts it right.")
}

fn clippy(workspace: &Workspace) -> Result<()> {
    component(workspace, "clippy", "clippy")?;
    let mut clippy = workspace.cargo();
    clippy.args(["clippy", "--workspace", "--all-targets"]).args(WITH_SIMULATION).args(WITH_GSTREAMER);
    clippy.args(["--", "--deny", "warnings"]);
    command::run(&mut clippy, "Mend what it names; an `#[expect(…, reason = \"…\")]` needs a reason that convinces.")
}

/// A minute, with a seed of the day, so that every run tries other inputs and a failure can be had again.
#[expect(clippy::disallowed_methods, reason = "a chore's choice of seed; no rule depends on it, and it is printed")]
fn fuzz(workspace: &Workspace) -> Result<()> {
    let days = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs() / 86_400);
    let mut fuzz = workspace.binary("debug", "facegate-models");
    fuzz.args(["fuzz", "decode", "--minutes", "1", "--check", "--seed", &days.to_string()]);
    command::run(&mut fuzz, "Its lines above say how to run a failed input again; the files are in target/fuzz-decode.")
}

/// A quarter of the people once, where the photographs are: that the figures come out, not what they are.
fn evaluation(workspace: &Workspace) -> Result<()> {
    let Some(lfw) = workspace.data().map(|data| data.join("lfw")).filter(|lfw| lfw.is_dir()) else {
        println!("no photographs beside the checkout: left out");
        return Ok(());
    };
    let mut eval = workspace.binary("debug", "facegate-models");
    eval.args(["eval", "recognition", "--quick", "--check", "--lfw"]).arg(lfw.join("lfw-dev.tar"));
    eval.arg("--pairs").arg(lfw.join("pairs-dev.txt"));
    command::run(&mut eval, "Its lines above say which figure is missing.")
}

/// The first hundred seeds of the simulation, with the binary that the tests were built with.
fn sim(workspace: &Workspace) -> Result<()> {
    let mut sim = workspace.binary("debug", "facegate-sim");
    sim.args(["--seeds", "100", "--check"]);
    command::run(&mut sim, "`cargo xtask sim --seed N` shows every event of a seed that failed.")
}

/// A short run of the whole city under faults, with the binaries that the demo has just used.
fn city(workspace: &Workspace, bench: &str, options: &[&str]) -> Result<()> {
    let mut driver = workspace.binary("debug", "facegate-loadtest");
    driver.args([bench, "--quick", "--check"]).args(options);
    let again = [&[bench, "--quick", "--check", "--seed N"], options].concat().join(" ");
    command::run(&mut driver, &format!("`cargo xtask bench {again}`, with its seed, does it again."))
}

/// Some hundred charges under every fault of the acquirer.
fn acquirer(workspace: &Workspace) -> Result<()> {
    let mut driver = workspace.binary("debug", "facegate-loadtest");
    driver.args(["charges", "--quick", "--check"]);
    command::run(&mut driver, "`cargo xtask bench acquirer --quick --check --seed N`, with its seed, does it again.")
}

/// Only where this user may make network namespaces: many containers do not let him.
fn partition(workspace: &Workspace) -> Result<()> {
    setup::ensure([&IPROUTE2])?;
    let probe = format!("facegate-ci-{}", std::process::id());
    if !command::answers(Command::new("ip").args(["netns", "add", &probe])) {
        println!("no network namespaces for this user: left out");
        return Ok(());
    }
    command::run(Command::new("ip").args(["netns", "delete", &probe]), "Delete it by hand.")?;
    city(workspace, "partition", &[])
}

/// That no tap is lost or counted twice and none refused; how fast they are taken says the release build alone.
fn intake(workspace: &Workspace, store: &str) -> Result<()> {
    let mut intake = workspace.binary("debug", "facegate-loadtest");
    intake.args(["intake", "--quick", "--check", "--store", store]);
    command::run(&mut intake, "Its lines above say what was lost, doubled or refused.")
}

/// Adds a toolchain component that a minimal installation of Rust leaves out.
fn component(workspace: &Workspace, subcommand: &str, component: &str) -> Result<()> {
    if command::answers(workspace.cargo().args([subcommand, "--version"])) {
        return Ok(());
    }
    eprintln!("   missing: {component} (a component of the Rust toolchain)");
    let next = format!("Install {component} for this toolchain by hand, then start again.");
    command::run(Command::new("rustup").args(["component", "add", component]), &next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failed_check_fails_the_whole_and_is_named() {
        let mut checks = Checks { failed: Vec::new() };
        checks.note("tidy", Ok(()));
        checks.note("clippy", Err(anyhow::anyhow!("a warning")));
        assert!(checks.finish().unwrap_err().to_string().contains("clippy failed"));
    }
}
