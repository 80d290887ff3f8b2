//! What to do about an approach: pure, so that a table covers it.

use facegate_domain::policy::Refusal;
use facegate_models::liveness::LivenessVerdict;

/// How many frames a decision takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecisionPolicy {
    /// Usable frames that must show the same face before it is searched.
    pub frames_agreeing_min: u32,
    /// Near frames after which a rider is told what is wrong instead of being looked at any longer.
    pub frames_max: u32,
}

/// Whether a code has to say first who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// The face alone is enough here.
    NotNeeded,
    /// None was shown yet.
    Awaited,
    Made,
}

/// What is known about one approach so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Evidence {
    /// Frames with somebody near enough to be on his way to this gate.
    pub frames_near: u32,
    /// Usable frames that show the same face.
    pub frames_agreeing: u32,
    /// Over the agreeing frames.
    pub liveness: LivenessVerdict,
    /// Among the frames was one that was not to be trusted (stale, replayed, from elsewhere).
    pub tainted: bool,
    /// Frames in which two faces were of similar size.
    pub frames_several: u32,
    /// What was wrong with most of the other frames.
    pub problem: Option<Refusal>,
    /// The last search, if there was one.
    pub searched: Option<Searched>,
    pub claim: Claim,
    /// Nobody has been seen for the length of a gap.
    pub ended: bool,
}

/// A search that recognised nobody; more frames may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Searched {
    /// Agreeing frames that were searched with.
    pub frames: u32,
    pub refusal: Refusal,
}

/// What the gate does next about the approach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GateCommand {
    /// Look at more frames.
    Wait,
    /// Ask the station who this is.
    Search,
    /// Tell the rider why not, and the other way in.
    Refuse(Refusal),
    /// Nobody wanted to pass.
    Forget,
}

/// The next step. An attack is never searched; a stranger gets his answer when the frames are used up.
pub fn decide(evidence: &Evidence, policy: &DecisionPolicy) -> GateCommand {
    let enough = evidence.frames_agreeing >= policy.frames_agreeing_min;
    if enough && evidence.liveness == LivenessVerdict::Attack {
        return GateCommand::Refuse(Refusal::PresentationAttack);
    }
    if evidence.tainted {
        return tainted(evidence, enough);
    }
    if evidence.frames_several >= policy.frames_agreeing_min {
        return GateCommand::Refuse(Refusal::SeveralFaces);
    }
    let is_live = enough && evidence.liveness == LivenessVerdict::Live;
    if is_live && evidence.claim != Claim::Awaited && worth_a_search(evidence, policy) {
        return GateCommand::Search;
    }
    let used_up = evidence.ended || evidence.frames_near >= policy.frames_max;
    match evidence.searched {
        _ if !used_up => GateCommand::Wait,
        Some(searched) => GateCommand::Refuse(searched.refusal),
        None if is_live && evidence.claim == Claim::Awaited => GateCommand::Refuse(Refusal::CodeAsked),
        None => without_a_search(evidence, enough),
    }
}

/// The first search at once, another only with half as many frames again: a fusion of one more changes little.
fn worth_a_search(evidence: &Evidence, policy: &DecisionPolicy) -> bool {
    evidence
        .searched
        .is_none_or(|last| evidence.frames_agreeing >= last.frames + policy.frames_agreeing_min.div_ceil(2))
}

/// Whoever is there goes by code: no face is searched in frames that may be injected.
fn tainted(evidence: &Evidence, enough: bool) -> GateCommand {
    match (enough || evidence.ended, evidence.frames_near) {
        (true, 0) => GateCommand::Forget,
        (true, _) => GateCommand::Refuse(Refusal::LivenessUnavailable),
        (false, _) => GateCommand::Wait,
    }
}

fn without_a_search(evidence: &Evidence, enough: bool) -> GateCommand {
    match evidence.problem {
        _ if enough => GateCommand::Refuse(Refusal::LivenessInconclusive),
        _ if evidence.frames_several > evidence.frames_agreeing => GateCommand::Refuse(Refusal::SeveralFaces),
        Some(problem) => GateCommand::Refuse(problem),
        // With a code, but he was never seen.
        None if evidence.frames_near > 0 || evidence.claim == Claim::Made => GateCommand::Refuse(Refusal::TooFewFrames),
        None => GateCommand::Forget,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use GateCommand::{Forget, Refuse, Search, Wait};
    use LivenessVerdict::{Attack, Inconclusive, Live};

    const POLICY: DecisionPolicy = DecisionPolicy { frames_agreeing_min: 3, frames_max: 9 };
    const NOTHING: Evidence = Evidence {
        frames_near: 0,
        frames_agreeing: 0,
        liveness: Inconclusive,
        tainted: false,
        frames_several: 0,
        problem: None,
        searched: None,
        claim: Claim::NotNeeded,
        ended: false,
    };

    fn face(frames: u32, liveness: LivenessVerdict) -> Evidence {
        Evidence { frames_near: frames, frames_agreeing: frames, liveness, ..NOTHING }
    }

    fn tainted(frames: u32, liveness: LivenessVerdict) -> Evidence {
        Evidence { tainted: true, ..face(frames, liveness) }
    }

    fn searched(frames: u32, at: u32) -> Evidence {
        let last = Searched { frames: at, refusal: Refusal::NotRecognised };
        Evidence { searched: Some(last), ..face(frames, Live) }
    }

    fn ended(evidence: Evidence) -> Evidence {
        Evidence { ended: true, ..evidence }
    }

    fn awaiting(evidence: Evidence) -> Evidence {
        Evidence { claim: Claim::Awaited, ..evidence }
    }

    fn claimed(evidence: Evidence) -> Evidence {
        Evidence { claim: Claim::Made, ..evidence }
    }

    fn poor(frames_near: u32) -> Evidence {
        Evidence { frames_near, problem: Some(Refusal::Blurred), ..NOTHING }
    }

    fn several(frames: u32) -> Evidence {
        Evidence { frames_near: frames, frames_several: frames, ..NOTHING }
    }

    #[test]
    fn the_table() {
        let table = [
            ("nobody", NOTHING, Wait),
            ("nobody came", ended(NOTHING), Forget),
            ("two frames are too few to search", face(2, Live), Wait),
            ("and too few when the rider is gone", ended(face(2, Live)), Refuse(Refusal::TooFewFrames)),
            ("three live ones are searched", face(3, Live), Search),
            ("three and gone are searched still", ended(face(3, Live)), Search),
            ("an attack is refused, never searched", face(3, Attack), Refuse(Refusal::PresentationAttack)),
            ("one attacking frame is not a verdict", face(1, Attack), Wait),
            (
                "an attack after a search is refused",
                Evidence { liveness: Attack, ..searched(5, 3) },
                Refuse(Refusal::PresentationAttack),
            ),
            ("unclear liveness gets more frames", face(3, Inconclusive), Wait),
            ("but not for ever", face(9, Inconclusive), Refuse(Refusal::LivenessInconclusive)),
            ("a stranger gets a second look", searched(3, 3), Wait),
            ("with half as many frames again", searched(5, 3), Search),
            ("until the frames are used up", searched(9, 9), Refuse(Refusal::NotRecognised)),
            ("or he is gone", ended(searched(4, 3)), Refuse(Refusal::NotRecognised)),
            ("a frame not to be trusted: no search", tainted(3, Live), Refuse(Refusal::LivenessUnavailable)),
            ("an attack in such frames is one", tainted(3, Attack), Refuse(Refusal::PresentationAttack)),
            ("somebody may come yet", tainted(1, Live), Wait),
            ("and be gone", ended(tainted(1, Live)), Refuse(Refusal::LivenessUnavailable)),
            ("nobody came", ended(tainted(0, Live)), Forget),
            ("poor frames get time", poor(8), Wait),
            ("and then a reason", poor(9), Refuse(Refusal::Blurred)),
            ("at the latest when gone", ended(poor(1)), Refuse(Refusal::Blurred)),
            (
                "somebody far off who never came near",
                ended(Evidence { problem: Some(Refusal::TooFar), ..NOTHING }),
                Refuse(Refusal::TooFar),
            ),
            ("two faces in one frame may pass by", several(2), Wait),
            ("two faces that stay are told", several(3), Refuse(Refusal::SeveralFaces)),
            ("or when they are gone", ended(several(2)), Refuse(Refusal::SeveralFaces)),
            ("one pair among good frames does not matter", Evidence { frames_several: 1, ..face(3, Live) }, Search),
            ("where a code has to say who he is, his face waits", awaiting(face(3, Live)), Wait),
            ("until he has to be told", awaiting(face(9, Live)), Refuse(Refusal::CodeAsked)),
            ("or has walked by", ended(awaiting(face(3, Live))), Refuse(Refusal::CodeAsked)),
            ("an attack is refused before", awaiting(face(3, Attack)), Refuse(Refusal::PresentationAttack)),
            ("with the code it is compared", claimed(face(3, Live)), Search),
            ("a code without anybody is no face", ended(claimed(NOTHING)), Refuse(Refusal::TooFewFrames)),
        ];
        for (what, evidence, expected) in table {
            assert_eq!(decide(&evidence, &POLICY), expected, "{what}");
        }
    }

    #[test]
    fn nothing_but_a_live_agreeing_face_is_ever_searched() {
        for liveness in [Live, Inconclusive, Attack] {
            for frames_agreeing in 0..12 {
                for frames_several in 0..4 {
                    for ended in [false, true] {
                        let evidence = Evidence { frames_several, ended, ..face(frames_agreeing, liveness) };
                        let may = liveness == Live && frames_agreeing >= 3 && frames_several < 3;
                        assert_eq!(decide(&evidence, &POLICY) == Search, may, "{evidence:?}");
                    }
                }
            }
        }
    }
}
