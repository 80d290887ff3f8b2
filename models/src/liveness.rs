//! Is it a face or a picture of one? Cues score a frame; a policy turns scores into a verdict.

mod border;
pub mod plane;

use facegate_domain::score::LivenessScore;
use serde::Deserialize;

use crate::detect::Detection;
use crate::frame::Frame;

pub use border::BorderCue;

/// One way to tell life from a photograph or a screen.
pub trait Cue: Send + Sync {
    /// Its name in reports.
    fn name(&self) -> &'static str;

    /// 0 certain attack, 1 certain life; none if this frame shows nothing that the cue could judge.
    fn score(&self, frame: &Frame, face: &Detection) -> Option<LivenessScore>;
}

/// The cues in use. One now; fusion of several is by the least live, since each cue knows only its own attacks.
pub(crate) fn cues() -> Vec<Box<dyn Cue>> {
    vec![Box::new(BorderCue)]
}

/// The least live score of those cues that can say something; 0.5, inconclusive, if none can.
pub(crate) fn least_live(cues: &[Box<dyn Cue>], frame: &Frame, face: &Detection) -> LivenessScore {
    let scores = cues.iter().filter_map(|cue| cue.score(frame, face));
    scores.min_by(|a, b| a.get().total_cmp(&b.get())).unwrap_or_else(|| score(0.5))
}

/// Clamps a computed number into a score; what is no number is inconclusive.
pub(crate) fn score(value: f32) -> LivenessScore {
    let bounded = if value.is_nan() { 0.5 } else { value.clamp(0.0, 1.0) };
    LivenessScore::new(bounded).expect("clamped into 0..=1")
}

/// What a score means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LivenessVerdict {
    Live,
    /// Neither: look again, or use the code.
    Inconclusive,
    /// A picture of a face; it never reaches the search.
    Attack,
}

/// Thresholds on the liveness score.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LivenessPolicy {
    /// Scores below are attacks.
    pub attack_below: f32,
    /// Scores from here on are live.
    pub live_from: f32,
}

impl Default for LivenessPolicy {
    fn default() -> Self {
        Self { attack_below: 0.48, live_from: 0.52 }
    }
}

impl LivenessPolicy {
    /// The verdict on one frame.
    pub fn judge(&self, score: LivenessScore) -> LivenessVerdict {
        self.judge_mean(score.get())
    }

    /// The verdict on the frames of one approach: on their mean, since a border is there in every frame, while a
    /// door frame behind a rider comes and goes as he walks. Inconclusive without any frame.
    pub fn judge_approach(&self, scores: &[LivenessScore]) -> LivenessVerdict {
        match scores.len() {
            0 => LivenessVerdict::Inconclusive,
            n => self.judge_mean(scores.iter().map(|s| s.get()).sum::<f32>() / n as f32),
        }
    }

    fn judge_mean(&self, mean: f32) -> LivenessVerdict {
        if mean < self.attack_below {
            LivenessVerdict::Attack
        } else if mean < self.live_from {
            LivenessVerdict::Inconclusive
        } else {
            LivenessVerdict::Live
        }
    }
}

#[cfg(test)]
mod tests {
    use facegate_domain::score::DetectionConfidence;

    use super::*;
    use crate::geometry::{BoundingBox, Point};

    struct Says(Option<f32>);

    impl Cue for Says {
        fn name(&self) -> &'static str {
            "says"
        }
        fn score(&self, _: &Frame, _: &Detection) -> Option<LivenessScore> {
            self.0.map(score)
        }
    }

    fn fused(said: &[Option<f32>]) -> f32 {
        let face = Detection {
            bounds: BoundingBox { left: 0.0, top: 0.0, width: 10.0, height: 10.0 },
            landmarks: [Point { x: 5.0, y: 5.0 }; 5],
            confidence: DetectionConfidence::new(0.9).unwrap(),
        };
        let cues: Vec<Box<dyn Cue>> = said.iter().map(|s| Box::new(Says(*s)) as Box<dyn Cue>).collect();
        least_live(&cues, &Frame::from_rgb(&image::RgbImage::new(10, 10)), &face).get()
    }

    #[test]
    fn the_least_live_cue_decides_and_silence_is_inconclusive() {
        assert_eq!(fused(&[Some(0.9), None, Some(0.2)]), 0.2);
        assert_eq!(fused(&[None]), 0.5);
        assert_eq!(fused(&[Some(f32::NAN)]), 0.5);
        assert_eq!(LivenessPolicy::default().judge(score(0.5)), LivenessVerdict::Inconclusive);
    }

    #[test]
    fn an_approach_is_judged_as_a_whole() {
        let policy = LivenessPolicy::default();
        let judge = |scores: &[f32]| policy.judge_approach(&scores.iter().map(|s| score(*s)).collect::<Vec<_>>());
        assert_eq!(judge(&[0.9, 0.95, 0.3]), LivenessVerdict::Live);
        assert_eq!(judge(&[0.1, 0.2, 0.6]), LivenessVerdict::Attack);
        assert_eq!(judge(&[0.4, 0.6]), LivenessVerdict::Inconclusive);
        assert_eq!(judge(&[]), LivenessVerdict::Inconclusive);
    }
}
