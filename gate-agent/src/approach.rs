//! One approach: frames of one face without a long gap between them, in which somebody comes to the gate. It gathers what the
//! frames showed into evidence; `decide` says what follows.

use std::collections::BTreeMap;
use std::sync::Arc;

use facegate_domain::face::Embedding;
use facegate_domain::policy::Refusal;
use facegate_models::liveness::{LivenessJudge, LivenessJudgement, LivenessSample};
use facegate_models::{Quality, QualityProblem, fuse};

use crate::decide::{Claim, Evidence, Searched};
use crate::vision::{FaceLook, UsableFace};

/// Frames kept of one face: as many as `approach.frames_max` may be, or as liveness judges if those are more.
const FRAMES_KEPT_MAX: usize = 100;

/// What makes frames belong together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ApproachPolicy {
    /// Silence that ends an approach.
    pub gap_ms: u64,
    /// A refusal that the rider can mend (look here, one at a time) is looked at again after this.
    pub second_chance_ms: u64,
    /// Cosine from which two frames of one approach show the same face. Frames of one walk are far more alike than
    /// photographs of different days, so this lies well above what recognition needs.
    pub same_face_cosine_min: f32,
}

/// See the module's description. All times are the gate's monotonic clock.
#[derive(Debug)]
pub struct Approach {
    policy: ApproachPolicy,
    judge: Arc<LivenessJudge>,
    last_seen_ms: Option<u64>,
    first_usable_ms: Option<u64>,
    last_usable_ms: Option<u64>,
    frames_near: u32,
    frames_several: u32,
    problems: BTreeMap<Refusal, u32>,
    /// Whose approach this is. It outlasts the track, so that who stands on after a decision is known to have had it.
    face: Option<Embedding>,
    track: Vec<UsableFace>,
    /// A frame was not to be trusted.
    tainted: bool,
    searched: Option<Searched>,
    conclusion: Option<Conclusion>,
}

#[derive(Debug, Clone, Copy)]
struct Conclusion {
    at_ms: u64,
    /// The rider may do better: worth another look.
    mendable: bool,
}

impl Approach {
    pub fn new(policy: ApproachPolicy, judge: Arc<LivenessJudge>) -> Self {
        Self {
            policy,
            judge,
            last_seen_ms: None,
            first_usable_ms: None,
            last_usable_ms: None,
            frames_near: 0,
            frames_several: 0,
            problems: BTreeMap::new(),
            face: None,
            track: Vec::new(),
            tainted: false,
            searched: None,
            conclusion: None,
        }
    }

    /// Takes in what a frame showed; false if that was nobody who is coming.
    pub fn observe(&mut self, captured_ms: u64, face: FaceLook) -> bool {
        match face {
            FaceLook::NotLookedFor | FaceLook::Nobody | FaceLook::PasserBy => return false,
            // Whether somebody is there is not known; if there is, he goes by code.
            FaceLook::Untrusted => {
                self.tainted = true;
                return false;
            }
            FaceLook::DecidedAbout => {}
            FaceLook::Unavailable => {
                self.frames_near += 1;
                self.problem(Refusal::LivenessUnavailable);
            }
            FaceLook::Several => {
                self.frames_near += 1;
                self.frames_several += 1;
            }
            // Somebody still coming up the aisle: no frame of his is held against him.
            FaceLook::Poor(QualityProblem::TooSmall) => self.problem(Refusal::TooFar),
            FaceLook::Poor(problem) => {
                self.frames_near += 1;
                self.problem(refusal_of(problem));
            }
            FaceLook::Usable(face) => {
                self.follow(face);
                self.frames_near += 1;
                self.first_usable_ms.get_or_insert(captured_ms);
                self.last_usable_ms = Some(captured_ms);
            }
        }
        self.seen(captured_ms);
        true
    }

    /// Somebody is there (showing a code, say): the approach goes on.
    pub fn seen(&mut self, captured_ms: u64) {
        self.last_seen_ms = self.last_seen_ms.max(Some(captured_ms));
    }

    /// Keeps frames of the same face, until it is decided about; another face starts over.
    fn follow(&mut self, face: UsableFace) {
        let same = |known: &Embedding| known.similarity(&face.embedding).cosine() >= self.policy.same_face_cosine_min;
        if self.face.as_ref().is_some_and(|known| !same(known)) {
            self.start_over();
        }
        self.face.get_or_insert_with(|| face.embedding.clone());
        if self.is_concluded() {
            return;
        }
        if self.track.len() >= FRAMES_KEPT_MAX.max(self.judge.policy().frames_max) {
            self.track.remove(0);
        }
        self.track.push(face);
    }

    /// Nothing that was counted, found out or decided about the one before holds for the next, who may follow closely.
    /// Frames that were not to be trusted do: whoever puts them there can show any face.
    fn start_over(&mut self) {
        let next = Self::new(self.policy, Arc::clone(&self.judge));
        let (last_seen_ms, last_usable_ms) = (self.last_seen_ms, self.last_usable_ms);
        *self = Self { last_seen_ms, last_usable_ms, tainted: self.tainted, ..next };
    }

    fn problem(&mut self, refusal: Refusal) {
        *self.problems.entry(refusal).or_default() += 1;
    }

    pub fn is_active(&self) -> bool {
        self.last_seen_ms.is_some()
    }

    pub fn is_concluded(&self) -> bool {
        self.conclusion.is_some()
    }

    /// Whether nobody has been seen for a gap, at `now_ms`.
    pub fn has_ended(&self, now_ms: u64) -> bool {
        self.last_seen_ms.is_some_and(|seen| now_ms.saturating_sub(seen) > self.policy.gap_ms)
    }

    /// Whether a rider who was told what to mend has had the time to.
    pub fn deserves_second_chance(&self, now_ms: u64) -> bool {
        self.conclusion.is_some_and(|c| c.mendable && now_ms.saturating_sub(c.at_ms) > self.policy.second_chance_ms)
    }

    /// Whether the agreeing frames show somebody alive, and by what.
    pub fn judgement(&self) -> LivenessJudgement {
        let samples: Vec<LivenessSample> = self.track.iter().map(|face| face.liveness.clone()).collect();
        self.judge.judge(&samples)
    }

    pub fn evidence(&self, ended: bool) -> Evidence {
        Evidence {
            frames_near: self.frames_near,
            frames_agreeing: self.frames(),
            liveness: self.judgement().verdict,
            tainted: self.tainted,
            frames_several: self.frames_several,
            problem: self.problems.iter().max_by_key(|(_, count)| **count).map(|(problem, _)| *problem),
            searched: self.searched,
            claim: Claim::NotNeeded,
            ended,
        }
    }

    /// The agreeing frames as one probe, with their number; `None` if they cannot be fused.
    pub fn probe(&self) -> Option<(Embedding, u32)> {
        let parts: Vec<(Embedding, Quality)> =
            self.track.iter().map(|face| (face.embedding.clone(), face.quality)).collect();
        fuse(&parts).ok().map(|probe| (probe, self.frames()))
    }

    /// When the first and the last usable frame of this face were captured: what decision latency is measured from.
    pub fn usable_ms(&self) -> (Option<u64>, Option<u64>) {
        (self.first_usable_ms, self.last_usable_ms)
    }

    /// The station did not recognise the probe; more frames may help.
    pub fn searched_in_vain(&mut self, refusal: Refusal) {
        self.searched = Some(Searched { frames: self.frames(), refusal });
    }

    /// A decision was made: no more of this face is searched until the approach ends or, if mendable, after a while.
    pub fn conclude(&mut self, now_ms: u64, mendable: bool) {
        self.conclusion = Some(Conclusion { at_ms: now_ms, mendable });
        // All frames together tell better than the first one who stands on.
        self.face = self.probe().map(|(probe, _)| probe).or(self.face.take());
        self.track.clear();
    }

    fn frames(&self) -> u32 {
        u32::try_from(self.track.len()).unwrap_or(u32::MAX)
    }
}

fn refusal_of(problem: QualityProblem) -> Refusal {
    match problem {
        QualityProblem::TooSmall => Refusal::TooFar,
        QualityProblem::TurnedAway => Refusal::TurnedAway,
        QualityProblem::Tilted => Refusal::Tilted,
        QualityProblem::UnevenLight => Refusal::UnevenLight,
        QualityProblem::EyesCovered => Refusal::EyesCovered,
        QualityProblem::Masked => Refusal::Masked,
        QualityProblem::TooDark => Refusal::TooDark,
        QualityProblem::TooBright => Refusal::TooBright,
        QualityProblem::Blurred => Refusal::Blurred,
    }
}

/// Whether the rider can do something about it right here.
pub fn is_mendable(refusal: Refusal) -> bool {
    matches!(
        refusal,
        Refusal::TooFar
            | Refusal::Blurred
            | Refusal::TooDark
            | Refusal::TooBright
            | Refusal::TurnedAway
            | Refusal::Tilted
            | Refusal::UnevenLight
            | Refusal::EyesCovered
            | Refusal::Masked
            | Refusal::SeveralFaces
            | Refusal::LivenessInconclusive
            | Refusal::TooFewFrames
    )
}

#[cfg(test)]
mod tests;
