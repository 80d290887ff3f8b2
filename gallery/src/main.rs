//! Measures the gallery; `cargo xtask bench search` runs it.

mod bench;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "facegate-gallery", about = "Measures Facegate's 1:N search")]
struct Arguments {
    #[command(subcommand)]
    measurement: Measurement,
}

#[derive(Debug, Subcommand)]
enum Measurement {
    /// Search among N: time, recall, memory, changes, start, growth; beside peers if asked. Ends with one line of JSON.
    Search(bench::Options),
}

fn main() -> anyhow::Result<()> {
    let Measurement::Search(options) = Arguments::parse().measurement;
    bench::run(&options)
}
