//! Cue: texture, by the MiniFASNet pair (MiniVision, Apache-2.0).
//!
//! Two small nets look at the face and its surroundings, one at 2.7, one at 4 times the face box, shifted and shrunk
//! into the picture where they would stick out, as the original does. Each gives logits of print, real face and replay.
//!
//! Where the surroundings are there, the measurement is the pair's own: the log-odds of the real face. A face that
//! fills its picture has none, and then the print class fires at random (AUC .52 on the crops at hand) while real
//! against replay still separates. So without surroundings only these two are compared, over views with the
//! surroundings mirrored at the picture's edge as well. Measured 2026-11, four sources, 288 crops: BPCER at APCER 5 %
//! .35 against .54 for the pair as published; `cargo xtask eval liveness` prints today's figures.

mod views;

use super::Effort;
use crate::error::ModelError;
use crate::frame::Frame;
use crate::geometry::BoundingBox;
use crate::session::Network;
use views::{Edge, reach, view};

/// Multiples of the face box that the two nets look at.
const SCALES: [f32; 2] = [2.7, 4.0];
/// Share of the wanted surroundings, as a multiple of the face box, below which a net has too little of them.
const REACH_MIN: f32 = 1.5;
/// Side of the nets' input.
pub(super) const SIDE: u32 = 80;
const LOGITS: &str = "logits";

/// Both nets, loaded.
pub struct TexturePair {
    nets: [Network; 2],
}

/// What the pair says about one face.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Texture {
    /// The cue's measurement; larger is more alive.
    pub measured: f32,
    /// The pair as published: the mean probability of a real face, for comparison.
    pub published: f32,
}

impl TexturePair {
    /// The nets for 2.7 and for 4 times the face box.
    pub fn new(nets: [Network; 2]) -> Self {
        Self { nets }
    }

    /// Looks at one face of a frame.
    pub fn look(&self, frame: &Frame, face: &BoundingBox, effort: Effort) -> Result<Texture, ModelError> {
        let starved = SCALES.iter().all(|scale| reach(frame, face, *scale) < REACH_MIN);
        let mut looks = vec![(Edge::Shifted, false)];
        if effort == Effort::Still {
            looks.push((Edge::Shifted, true));
            if starved {
                looks.extend([(Edge::Mirrored, false), (Edge::Mirrored, true)]);
            }
        }
        let (mut measured, mut published) = (0.0, 0.0);
        for (net, scale) in self.nets.iter().zip(SCALES) {
            for (i, (edge, turned)) in looks.iter().enumerate() {
                let input = view(frame, face, scale, *edge, *turned);
                let logits = self.run(net, &input)?;
                let [print, real, replay] = logits;
                let alive = if starved { real - replay } else { real - (print.exp() + replay.exp()).ln() };
                measured += alive / (looks.len() * SCALES.len()) as f32;
                if i == 0 {
                    published += softmax(logits)[1] / SCALES.len() as f32;
                }
            }
        }
        Ok(Texture { measured, published })
    }

    fn run(&self, net: &Network, input: &[f32]) -> Result<[f32; 3], ModelError> {
        let side = SIDE as usize;
        let logits = net.run(input, [1, 3, side, side], &[LOGITS.to_owned()])?.concat();
        logits.try_into().map_err(|got: Vec<f32>| ModelError::Inference {
            name: "the texture pair".into(),
            reason: format!("{} logits instead of 3", got.len()),
        })
    }
}

fn softmax(logits: [f32; 3]) -> [f32; 3] {
    let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers = logits.map(|logit| (logit - most).exp());
    let sum: f32 = powers.iter().sum();
    powers.map(|power| power / sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_add_up_however_large_the_logits() {
        let even = softmax([1e4, 1e4, -1e4]);
        assert!((even[0] - 0.5).abs() < 1e-6 && even[2] == 0.0);
    }
}
