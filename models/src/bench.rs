//! `bench`: measures speed; each command ends with one line of JSON.

#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "pixels and places in short lists")]

mod approach;
mod clock;
mod frames;
mod gate;
mod peer;

use clap::Subcommand;
use facegate_models::home::Home;

/// What can be measured.
#[derive(Debug, Subcommand)]
pub enum Measurement {
    /// A camera's frame to an embedding, and a whole approach, beside OpenCV's YuNet + SFace.
    Gate(gate::Options),
}

/// Errors if the models are missing, a picture cannot be read, or the peer does not answer.
pub fn run(home: &Home, measurement: &Measurement) -> anyhow::Result<()> {
    let Measurement::Gate(options) = measurement;
    gate::run(home, options)
}
