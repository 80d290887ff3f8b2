//! `cargo xtask demo`: makes everything ready, shows what that cost, and becomes the driver.

use std::time::Duration;

use anyhow::Result;

use crate::phases::Phases;
use crate::workspace::{WITH_SIMULATION, Workspace};
use crate::{command, models, setup};

pub const HELP: &str = "\
Examples:
  cargo xtask demo             runs until Ctrl-C; prints the addresses of the ops and rider pages and how to sign in
  cargo xtask demo --check     verifies everything, stops by itself; the last line is one JSON object, exit 0 only if all holds
  cargo xtask demo -- --help   what the driver itself takes

Order: setup, build, models, then `facegate-loadtest demo`, which starts every other process on free loopback ports.";

/// Longer than this and something was installed, compiled or fetched.
const WARM: Duration = Duration::from_secs(20);

/// Everything ready, then the driver in place of this process: Ctrl-C and the exit code are its own.
pub fn run(workspace: &Workspace, args: &[String]) -> Result<()> {
    let mut phases = Phases::new();
    let ready = make_ready(workspace, &mut phases);
    phases.print();
    ready?;
    if phases.total() > WARM {
        eprintln!("That was a cold start; the next one has nothing to install, compile or fetch.\n");
    } else {
        eprintln!("A warm start.\n");
    }
    Err(command::become_it(
        &mut driver(workspace, args),
        "It was built a moment ago: is the target folder still there?",
    ))
}

/// The driver as a child, for CI, which has something to say afterwards.
pub fn run_inside(workspace: &Workspace, args: &[String], phases: &mut Phases) -> Result<()> {
    make_ready(workspace, phases)?;
    phases.run("demo", || {
        command::run(
            &mut driver(workspace, args),
            "Its last lines say what did not hold; run `cargo xtask demo --check` alone to see it again.",
        )
    })
}

fn make_ready(workspace: &Workspace, phases: &mut Phases) -> Result<()> {
    phases.run("setup", setup::run)?;
    phases.run("build", || {
        let mut build = workspace.cargo();
        build.args(["build", "--workspace", "--bins"]).args(WITH_SIMULATION);
        command::run(&mut build, "The compiler's message above says where.")
    })?;
    phases.run("models", || models::fetch_with_built(workspace))
}

fn driver(workspace: &Workspace, args: &[String]) -> std::process::Command {
    let mut driver = workspace.binary("debug", "facegate-loadtest");
    driver.arg("demo").args(args);
    driver
}
