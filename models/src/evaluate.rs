//! `eval`: measures recognition on people's photographs; each command ends with one line of JSON.

#![allow(dead_code, reason = "the commands that use these land one after the other")]

pub mod identities;
pub mod intervals;
pub mod plot;
pub mod walkups;

use clap::Subcommand;
use facegate_models::home::Home;

/// What is measured.
#[derive(Debug, Subcommand)]
pub enum Evaluation {
    /// Walk-ups of heads and of pictures, rendered: does depth show?
    Walkups(walkups::Arguments),
}

pub fn run(home: &Home, evaluation: &Evaluation) -> anyhow::Result<()> {
    match evaluation {
        Evaluation::Walkups(arguments) => walkups::run(home, arguments),
    }
}
