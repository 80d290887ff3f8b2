//! `eval`: measures recognition on people's photographs; each command ends with one line of JSON.

mod acquire;
mod cache;
mod calibrate;
mod centring;
mod comparable;
mod degrade;
mod extrapolated;
mod groups;
pub mod identities;
pub mod intervals;
mod levels;
pub mod liveness;
mod open_set;
mod page;
mod peer;
pub mod plot;
mod quality;
mod ratio;
mod recognition;
mod report;
mod robustness;
mod scores;
mod sighting;
mod tail;
mod verification;
pub mod walkups;

use clap::Subcommand;
use facegate_domain::Clock;
use facegate_models::home::Home;

/// Where the development half of Labeled Faces in the Wild lies for those who have it.
const LFW_DEFAULT: &str = "../shared/data/lfw/lfw-dev.tar";

/// What can be measured.
#[derive(Debug, Subcommand)]
pub enum Evaluation {
    /// 1:1 and open-set 1:N accuracy on photographs in one folder per person, with an HTML report
    Recognition(recognition::Arguments),
    /// Measure the score models that stations decide by, and write them to a calibration file
    Calibrate(calibrate::Arguments),
    /// Which photographs the quality policy refuses and why, as they are and degraded on purpose
    Quality(quality::Arguments),
    /// Walk-ups of heads and of pictures, rendered: does depth show?
    Walkups(walkups::Arguments),
    /// Presentation attack detection on folders of genuine and attack captures.
    Liveness(liveness::Options),
}

pub fn run(home: &Home, evaluation: &Evaluation, clock: &(dyn Clock + Sync)) -> anyhow::Result<()> {
    match evaluation {
        Evaluation::Recognition(arguments) => recognition::run(arguments, home, clock),
        Evaluation::Calibrate(arguments) => calibrate::run(arguments, home, clock),
        Evaluation::Quality(arguments) => quality::run(arguments, home, clock),
        Evaluation::Walkups(arguments) => walkups::run(home, arguments),
        Evaluation::Liveness(options) => liveness::run(home, options),
    }
}
