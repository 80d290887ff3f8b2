//! `cargo xtask sim`: builds the seeded simulation and becomes it.

use anyhow::Result;

use crate::phases::Phases;
use crate::workspace::{WITH_SIMULATION, Workspace};
use crate::{command, setup};

pub const HELP: &str = "\
Examples:
  cargo xtask sim --seeds 1000 --check   seeds 0 to 999 on all cores; exit 0 only if every promise was kept
  cargo xtask sim --seed 7               one seed with all its events: the same ones each time
  cargo xtask sim -- --help              what the simulation itself takes

The real gates, stations and cloud run in one process under a simulated clock, network and disks: power cuts between any
two durable steps, torn writes, full disks, failing syncs, lost, doubled and late messages, partitions, wrong clocks,
restarts. The last line of standard output is one JSON object: what was broken, and the faults by kind.";

/// Everything ready, then the simulation in place of this process.
pub fn run(workspace: &Workspace, args: &[String]) -> Result<()> {
    let mut phases = Phases::new();
    let ready = make_ready(workspace, &mut phases);
    phases.print();
    ready?;
    Err(command::become_it(
        workspace.binary("debug", "facegate-sim").args(args),
        "It was built a moment ago: is the target folder still there?",
    ))
}

fn make_ready(workspace: &Workspace, phases: &mut Phases) -> Result<()> {
    phases.run("setup", setup::run)?;
    phases.run("build", || {
        let mut build = workspace.cargo();
        // Not with --release: what is slow in it is dependencies, which are optimised in both, and FAISS takes minutes.
        build.args(["build", "--package", "facegate-loadtest", "--bin", "facegate-sim"]).args(WITH_SIMULATION);
        command::run(&mut build, "The compiler's message above says where.")
    })
}
