//! placeholder
use facegate_domain::score::LivenessScore;

use super::{Cue, score};
use crate::detect::Detection;
use crate::frame::Frame;

#[derive(Debug, Clone, Copy)]
pub struct BorderCue;

impl Cue for BorderCue {
    fn name(&self) -> &'static str {
        "border"
    }

    fn score(&self, _frame: &Frame, _face: &Detection) -> Option<LivenessScore> {
        Some(score(1.0))
    }
}
