//! Every chore of Facegate, one command each: `cargo xtask --help` lists them.
//!
//! It depends on a handful of small crates only, because it has to compile in seconds on a machine
//! that has nothing but a Rust toolchain; what the rest of the workspace needs, it then installs.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod ci;
mod command;
mod demo;
mod measure;
mod models;
mod pages;
mod phases;
mod postgres;
mod setup;
mod sim;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::measure::Kind;
use crate::workspace::Workspace;

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    version,
    about = "Every chore of Facegate, one command each.",
    disable_help_subcommand = true,
    after_help = "New here?
  cargo xtask demo     a whole metro line on this machine: cloud, acquirer, two stations, four gates, real faces
  cargo xtask test     every test, with all that they need

Both install what is missing, say what and why, and show where the time went. The first run builds FAISS and
takes minutes; the second starts in seconds. What they fetch lies in .facegate/ (or $FACEGATE_HOME) and target/."
)]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Check this machine and install what the build needs (Debian and Ubuntu; elsewhere it names it)
    #[command(after_help = setup::HELP)]
    Setup,
    /// Fetch, verify and convert the models, ONNX Runtime and the demo's portraits
    #[command(after_help = models::HELP)]
    Models {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
        args: Vec<String>,
    },
    /// Run everything as separate processes on loopback and walk real people through the gates
    #[command(after_help = demo::HELP)]
    Demo {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
        args: Vec<String>,
    },
    /// Set up what the tests need, then run them all
    #[command(after_help = test::HELP)]
    Test {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
        args: Vec<String>,
    },
    /// Measure speed and memory, peers beside us
    #[command(after_help = measure::help(Kind::Bench))]
    Bench {
        /// Which measurement, and its own arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "NAME [ARGS]")]
        args: Vec<String>,
    },
    /// Measure accuracy on real pictures, and calibrate by them
    #[command(after_help = measure::help(Kind::Eval))]
    Eval {
        /// Which measurement, and its own arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "NAME [ARGS]")]
        args: Vec<String>,
    },
    /// Run gates, stations and cloud under simulated time, network and faults, seed by seed
    #[command(after_help = sim::HELP)]
    Sim {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
        args: Vec<String>,
    },
    /// Throw hostile input at a part for some minutes
    #[command(after_help = measure::help(Kind::Fuzz))]
    Fuzz {
        /// Which target, and its own arguments
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "NAME [ARGS]")]
        args: Vec<String>,
    },
    /// Check the style rules that no compiler knows, each with its reason
    #[command(after_help = tidy::HELP)]
    Tidy,
    /// Everything that must hold before a change is taken (what .ci/run calls)
    #[command(after_help = ci::HELP)]
    Ci,
}

fn main() -> ExitCode {
    let chore = Cli::parse().chore;
    match run(chore) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(chore: Chore) -> anyhow::Result<()> {
    let workspace = Workspace::find()?;
    match chore {
        Chore::Setup => setup::run(),
        Chore::Models { args } => models::run(&workspace, &without_dashes(args)),
        Chore::Demo { args } => demo::run(&workspace, &without_dashes(args)),
        Chore::Test { .. } => test::run(&workspace, &test_args()),
        Chore::Bench { args } => measure::run(&workspace, Kind::Bench, &without_dashes(args)),
        Chore::Eval { args } => measure::run(&workspace, Kind::Eval, &without_dashes(args)),
        Chore::Sim { args } => sim::run(&workspace, &without_dashes(args)),
        Chore::Fuzz { args } => measure::run(&workspace, Kind::Fuzz, &without_dashes(args)),
        Chore::Tidy => tidy::run(&workspace),
        Chore::Ci => ci::run(&workspace),
    }
}

/// A `--` at the front only says that what follows is not for us.
fn without_dashes(mut args: Vec<String>) -> Vec<String> {
    if args.first().is_some_and(|first| first == "--") {
        args.remove(0);
    }
    args
}

/// Everything after `test` as typed: to cargo a `--` has a meaning, and clap would take the first one away.
fn test_args() -> Vec<String> {
    std::env::args().skip(2).collect()
}
