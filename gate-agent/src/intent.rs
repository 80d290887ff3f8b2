//! Who is coming to this gate. Faces are followed over frames, and what each does is evidence: the rider grows, looks
//! ahead and stays in the lane; a passer-by crosses, somebody who has passed recedes, a poster does not move at all, and
//! the neighbouring aisle lies outside of the lane.
//!
//! A face is counted as coming unless that is outweighed, so that who stands at the gate already need not walk up to it
//! once more. Nothing here is remembered of a face but where it was.

use std::collections::VecDeque;

use facegate_models::{BoundingBox, FaceObservation};

/// Over this much time is looked at what a face does.
const WINDOW_MS: u64 = 1500;
/// What a face does is evidence from so many frames and so much time on.
const FRAMES_MIN: usize = 4;
const TIME_MIN_MS: u64 = 250;
/// A face that is not seen for so long is another one when it is.
const GAP_MS: u64 = 1000;
/// Frames of one face, and faces, that are remembered.
const FRAMES_KEPT_MAX: usize = 128;
const FACES_MAX: usize = 32;
/// Frames of a poster before it is one.
const STILL_FRAMES_MIN: usize = 12;
/// How far a poster's face seems to move, in its own widths: the detector's noise. Nobody stands so still.
const STILL_WIDTHS_MAX: f32 = 0.012;

/// Near enough and in the lane speaks for coming as much as this; the rest is weighed against it.
const PRIOR: f32 = 1.0;
/// A tenth more or less between the eyes, in the window.
const GROWTH: f32 = 10.0;
/// A face's width sideways, beyond the half of one that swaying takes.
const CROSSING: f32 = 2.0;
/// Looking ahead, or away, all the time. Alone it decides nothing: that is said to the rider, who can mend it.
const GAZE: f32 = 0.8;
const FRONTAL_YAW_MAX: f32 = 0.6;

/// Where riders of this aisle are seen: a polygon in shares of the frame's width and height. Empty: everywhere.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LaneZone(Vec<(f32, f32)>);

/// Why corners are not a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadZone {
    #[error("has fewer than three corners")]
    TooFew,
    #[error("has more than {CORNERS_MAX} corners")]
    TooMany,
    #[error("has a corner outside of the frame: corners are [x, y], shares of its width and height from 0 to 1")]
    Outside,
}

const CORNERS_MAX: usize = 32;

impl LaneZone {
    pub fn new(corners: Vec<(f32, f32)>) -> Result<Self, BadZone> {
        let inside = |share: f32| (0.0..=1.0).contains(&share);
        match corners.len() {
            1 | 2 => Err(BadZone::TooFew),
            n if n > CORNERS_MAX => Err(BadZone::TooMany),
            _ if corners.iter().any(|(x, y)| !inside(*x) || !inside(*y)) => Err(BadZone::Outside),
            _ => Ok(Self(corners)),
        }
    }

    /// Whether a place lies within, by the number of edges that a line from it to the right crosses.
    pub fn contains(&self, (x, y): (f32, f32)) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let from = self.0.iter();
        let to = self.0.iter().cycle().skip(1);
        let crossed = from
            .zip(to)
            .filter(|((x1, y1), (x2, y2))| (*y1 > y) != (*y2 > y) && x < (x2 - x1) * (y - y1) / (y2 - y1) + x1);
        crossed.count() % 2 == 1
    }
}

/// What the lane asks of a face.
#[derive(Debug, Clone, PartialEq)]
pub struct IntentPolicy {
    pub zone: LaneZone,
    /// A face that has not moved at all for so long is a picture of one.
    pub still_after_ms: u64,
}

/// What a face seems to be up to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intention {
    Coming,
    /// Not in the lane: the neighbouring aisle, people beside it.
    Outside,
    /// A poster, an advertisement's screen that stands still.
    Still,
    /// Crossing, receding, or both while looking elsewhere.
    Passing,
}

impl Intention {
    /// The name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Coming => "coming",
            Self::Outside => "outside",
            Self::Still => "still",
            Self::Passing => "passing",
        }
    }
}

/// The faces before one camera.
#[derive(Debug)]
pub struct Intentions {
    policy: IntentPolicy,
    faces: Vec<Followed>,
}

/// One face over frames.
#[derive(Debug)]
struct Followed {
    seen: VecDeque<Sight>,
    /// Frames since it was compared last; none: it never was.
    not_compared: Option<u32>,
}

#[derive(Debug, Clone, Copy)]
struct Sight {
    at_ms: u64,
    bounds: BoundingBox,
    /// Natural logarithm of the distance between the eyes, in pixels.
    ln_eyes: f32,
    frontal: bool,
}

impl Intentions {
    pub const fn new(policy: IntentPolicy) -> Self {
        Self { policy, faces: Vec::new() }
    }

    /// Takes in the faces of a frame of this size; what each is up to, in their order.
    #[expect(clippy::cast_precision_loss, reason = "pixels")]
    pub fn observe(&mut self, at_ms: u64, size: (u32, u32), faces: &[FaceObservation]) -> Vec<Intention> {
        self.faces.retain(|face| at_ms.saturating_sub(face.last().at_ms) <= GAP_MS);
        let mut taken = vec![false; self.faces.len()];
        let intention = |face: &FaceObservation| {
            let sight = Sight {
                at_ms,
                bounds: face.bounds,
                ln_eyes: face.quality.inter_eye_px.max(1.0).ln(),
                frontal: face.quality.yaw.abs() <= FRONTAL_YAW_MAX,
            };
            let centre = face.bounds.centre();
            let share = (centre.x / size.0.max(1) as f32, centre.y / size.1.max(1) as f32);
            let followed = match self.nearest(&sight, &taken) {
                Some(index) => {
                    taken[index] = true;
                    &mut self.faces[index]
                }
                None if self.faces.len() < FACES_MAX => {
                    taken.push(true);
                    self.faces.push(Followed { seen: VecDeque::new(), not_compared: None });
                    self.faces.last_mut().expect("pushed just now")
                }
                // A crowd: what the further ones do is not known, so they are there.
                None => return if self.policy.zone.contains(share) { Intention::Coming } else { Intention::Outside },
            };
            followed.see(sight);
            followed.intention(&self.policy, share)
        };
        faces.iter().map(intention).collect()
    }

    /// Whether a face of the frame just taken in was compared in none of the `frames` before; if so it is to be now.
    pub fn is_due(&mut self, face: &FaceObservation, frames: u32) -> bool {
        let Some(followed) = self.faces.iter_mut().find(|followed| followed.last().bounds == face.bounds) else {
            return true;
        };
        let since = followed.not_compared.map_or(frames, |since| since + 1);
        let due = since >= frames;
        followed.not_compared = Some(if due { 0 } else { since });
        due
    }

    /// The face, not taken yet, of which this is most likely the next sight.
    fn nearest(&self, sight: &Sight, taken: &[bool]) -> Option<usize> {
        let free = self.faces.iter().enumerate().filter(|(index, _)| !taken[*index]);
        let apart = free.filter_map(|(index, face)| Some((index, face.last().widths_to(sight)?)));
        apart.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(index, _)| index)
    }
}

impl Sight {
    /// How far the other face is, in widths of this one; none if it cannot be the same.
    fn widths_to(&self, other: &Self) -> Option<f32> {
        let (here, there) = (self.bounds.centre(), other.bounds.centre());
        let widths = (here.x - there.x).hypot(here.y - there.y) / self.bounds.width.max(1.0);
        let resized = (self.ln_eyes - other.ln_eyes).abs();
        (widths <= 1.0 && resized <= 0.5).then_some(widths + resized)
    }
}

impl Followed {
    fn last(&self) -> &Sight {
        self.seen.back().expect("a face is followed from its first sight on")
    }

    fn see(&mut self, sight: Sight) {
        if self.seen.len() == FRAMES_KEPT_MAX {
            self.seen.pop_front();
        }
        self.seen.push_back(sight);
    }

    fn intention(&self, policy: &IntentPolicy, share: (f32, f32)) -> Intention {
        match () {
            () if !policy.zone.contains(share) => Intention::Outside,
            () if self.is_still(policy.still_after_ms) => Intention::Still,
            () if self.weight() < 0.0 => Intention::Passing,
            () => Intention::Coming,
        }
    }

    /// What speaks for coming, less what speaks against it.
    #[expect(clippy::cast_precision_loss, reason = "frames in a window")]
    fn weight(&self) -> f32 {
        let last = self.last();
        let window = self.seen.iter().filter(|sight| last.at_ms.saturating_sub(sight.at_ms) <= WINDOW_MS);
        let window: Vec<&Sight> = window.collect();
        let first = window[0];
        if window.len() < FRAMES_MIN || last.at_ms - first.at_ms < TIME_MIN_MS {
            return PRIOR;
        }
        let sideways = (last.bounds.centre().x - first.bounds.centre().x).abs() / first.bounds.width.max(1.0);
        let frontal = window.iter().filter(|sight| sight.frontal).count() as f32 / window.len() as f32;
        PRIOR + GROWTH * (last.ln_eyes - first.ln_eyes) - CROSSING * (sideways - 0.5).max(0.0)
            + GAZE * (2.0 * frontal - 1.0)
    }

    fn is_still(&self, after_ms: u64) -> bool {
        let last = self.last();
        let long = self.seen.iter().rev().take_while(|sight| sight.has_not_moved(last));
        let (mut frames, mut since_ms) = (0, last.at_ms);
        for sight in long {
            (frames, since_ms) = (frames + 1, sight.at_ms);
        }
        frames >= STILL_FRAMES_MIN && last.at_ms - since_ms >= after_ms
    }
}

impl Sight {
    fn has_not_moved(&self, other: &Self) -> bool {
        let (here, there) = (self.bounds.centre(), other.bounds.centre());
        let moved = (here.x - there.x).abs().max((here.y - there.y).abs());
        let least = STILL_WIDTHS_MAX * self.bounds.width;
        moved <= least.max(0.5) && (self.ln_eyes - other.ln_eyes).abs() <= 2.0 * STILL_WIDTHS_MAX
    }
}

#[cfg(test)]
mod tests;
