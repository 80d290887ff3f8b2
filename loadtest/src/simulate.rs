//! `facegate-sim`: the seeded simulation.

use anyhow::Result;
use clap::Parser;
use facegate_loadtest::sim::{SimOptions, run};

/// Runs the real gates, stations and cloud in one process under a simulated clock, network and disks that fail, and
/// checks what they know against what simulated bodies did. Every choice is the seed's: a failing seed replays exactly.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    #[command(flatten)]
    options: SimOptions,
}

fn main() -> Result<()> {
    run(&Arguments::parse().options)
}
