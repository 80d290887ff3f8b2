//! The verdict on one approach: vetoes first, then the cues' log-odds added up.

use std::collections::BTreeMap;

use facegate_domain::score::LivenessScore;

use crate::error::ModelError;

use super::plane::plane;
use super::{Cue, DepthFinding, InfraredFinding, LivenessCalibration, LivenessPolicy, LivenessSample, SensorUse};

/// Log-odds at which two cues that point apart contradict each other: odds of more than 7 to 1 each way.
const CONTRADICTION: f32 = 2.0;

/// The three outcomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LivenessVerdict {
    Live,
    /// Neither: look again, or use the code.
    Inconclusive,
    /// A picture of a face; it never reaches the search.
    Attack,
}

/// What decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The cues together.
    Cues,
    /// The depth image shows a flat or bent sheet.
    DepthVeto,
    /// The infrared image shows no skin.
    InfraredVeto,
    TooFewFrames,
    /// A sensor that must be there gave nothing usable.
    SensorSilent,
    /// No cue had anything to go by.
    CuesSilent,
    /// One cue is sure of life, another of an attack.
    Contradiction,
    /// The texture nets are there, but saw the face in no frame that counts.
    NotLookedAt,
}

/// A verdict and how it came about.
#[derive(Debug, Clone, PartialEq)]
pub struct LivenessJudgement {
    pub verdict: LivenessVerdict,
    pub cause: Cause,
    /// Probability of life by the cues; 0.5 if they are silent.
    pub score: LivenessScore,
    /// Log-odds that each cue added; silent ones are left out.
    pub cues: BTreeMap<Cue, f32>,
}

/// What verdicts are made with: the calibration in use and the operator's settings.
#[derive(Debug, Clone, PartialEq)]
pub struct LivenessJudge {
    calibration: LivenessCalibration,
    policy: LivenessPolicy,
    has_texture: bool,
}

impl LivenessJudge {
    /// With the policy's own calibration, or the shipped one. Errors: a calibration that cannot be used.
    pub fn load(policy: &LivenessPolicy) -> Result<Self, ModelError> {
        let calibration = match &policy.calibration {
            None => LivenessCalibration::shipped(),
            Some(path) => LivenessCalibration::load(path)
                .map_err(|source| ModelError::LivenessCalibration { path: path.clone(), source })?,
        };
        Ok(Self { calibration, policy: policy.clone(), has_texture: false })
    }

    /// The judge of an engine that has the texture nets, or has not: with them no face is live that they never saw.
    pub(crate) fn with_texture(self, has_texture: bool) -> Self {
        Self { has_texture, ..self }
    }

    pub fn calibration(&self) -> &LivenessCalibration {
        &self.calibration
    }

    pub fn policy(&self) -> &LivenessPolicy {
        &self.policy
    }

    /// The verdict on one approach, its samples oldest first.
    pub fn judge(&self, samples: &[LivenessSample]) -> LivenessJudgement {
        self.demand_texture(judge(samples, &self.calibration, &self.policy))
    }

    /// The verdict on a single photograph, as at enrolment.
    pub fn judge_still(&self, sample: LivenessSample) -> LivenessJudgement {
        self.demand_texture(judge(&[sample], &self.calibration, &self.policy.of_a_still()))
    }

    /// Whoever moves a picture out of the frame whenever the nets would look gains nothing by it.
    fn demand_texture(&self, judgement: LivenessJudgement) -> LivenessJudgement {
        let wanted = self.has_texture && self.calibration.uses(Cue::Texture);
        if judgement.verdict == LivenessVerdict::Live && wanted && !judgement.cues.contains_key(&Cue::Texture) {
            LivenessJudgement { verdict: LivenessVerdict::Inconclusive, cause: Cause::NotLookedAt, ..judgement }
        } else {
            judgement
        }
    }
}

/// Judges the frames of one tracked face, oldest first; the newest `policy.frames_max` count, those that show only
/// part of the face do not.
pub fn judge(
    samples: &[LivenessSample],
    calibration: &LivenessCalibration,
    policy: &LivenessPolicy,
) -> LivenessJudgement {
    let whole: Vec<&LivenessSample> = samples.iter().filter(|sample| !sample.clipped).collect();
    let whole = &whole[whole.len().saturating_sub(policy.frames_max)..];
    let cues = leans(whole, calibration);
    let odds = calibration.bias + cues.values().sum::<f32>();
    let score = if cues.is_empty() { probability(0.0) } else { probability(odds) };
    let (verdict, cause) = verdict(whole, &cues, score.get(), calibration, policy);
    LivenessJudgement { verdict, cause, score, cues }
}

fn verdict(
    whole: &[&LivenessSample],
    cues: &BTreeMap<Cue, f32>,
    score: f32,
    calibration: &LivenessCalibration,
    policy: &LivenessPolicy,
) -> (LivenessVerdict, Cause) {
    use LivenessVerdict::{Attack, Inconclusive, Live};
    let depth = |finding: DepthFinding| share(whole, |sample| sample.depth == Some(finding));
    let infrared = |finding: InfraredFinding| share(whole, |sample| sample.infrared == Some(finding));
    if policy.depth == SensorUse::Required && depth(DepthFinding::Flat) > 0.5 {
        return (Attack, Cause::DepthVeto);
    }
    if policy.infrared == SensorUse::Required && infrared(InfraredFinding::NotSkin) > 0.5 {
        return (Attack, Cause::InfraredVeto);
    }
    if whole.len() < policy.frames_min {
        return (Inconclusive, Cause::TooFewFrames);
    }
    let silent = policy.depth == SensorUse::Required && depth(DepthFinding::Solid) <= 0.5
        || policy.infrared == SensorUse::Required && infrared(InfraredFinding::Skin) <= 0.5;
    let contradicting =
        cues.values().any(|lean| *lean >= CONTRADICTION) && cues.values().any(|lean| *lean <= -CONTRADICTION);
    match score {
        _ if silent => (Inconclusive, Cause::SensorSilent),
        _ if cues.is_empty() => (Inconclusive, Cause::CuesSilent),
        _ if contradicting => (Inconclusive, Cause::Contradiction),
        score if score < calibration.attack_below => (Attack, Cause::Cues),
        score if score < calibration.live_from => (Inconclusive, Cause::Cues),
        _ => (Live, Cause::Cues),
    }
}

/// The median over the frames, since a passing reflection is not there in most of them.
fn leans(whole: &[&LivenessSample], calibration: &LivenessCalibration) -> BTreeMap<Cue, f32> {
    let measured = |cue: Cue| match cue {
        Cue::Plane => motion(whole),
        _ => median(whole.iter().filter_map(|sample| sample.measured(cue)).collect()),
    };
    let lean = |(cue, weight): (&Cue, &super::CueWeight)| {
        let value = measured(*cue).filter(|value| value.is_finite() && weight.weight > 0.0)?;
        Some((*cue, weight.lean(value)))
    };
    calibration.cues.iter().filter_map(lean).collect()
}

/// What the face's points did over the frames; none if it hardly turned.
fn motion(whole: &[&LivenessSample]) -> Option<f32> {
    let meshes: Vec<_> = whole.iter().filter_map(|sample| sample.mesh.as_ref()).collect();
    plane(&meshes).map(|evidence| evidence.relief_degrees)
}

fn median(mut values: Vec<f32>) -> Option<f32> {
    values.sort_by(f32::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        n if n % 2 == 1 => Some(values[middle]),
        _ => Some(values[middle - 1].midpoint(values[middle])),
    }
}

fn share(whole: &[&LivenessSample], holds: impl Fn(&LivenessSample) -> bool) -> f32 {
    whole.iter().filter(|sample| holds(sample)).count() as f32 / whole.len().max(1) as f32
}

fn probability(log_odds: f32) -> LivenessScore {
    LivenessScore::new(bounded(1.0 / (1.0 + (-log_odds).exp()))).expect("clamped into 0..=1")
}

/// Between 0 and 1; what is no number says nothing.
pub(super) fn bounded(value: f32) -> f32 {
    if value.is_nan() { 0.5 } else { value.clamp(0.0, 1.0) }
}

#[cfg(test)]
mod tests;
