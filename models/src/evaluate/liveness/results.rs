//! What `eval liveness` found, in figures: told on the terminal, in the JSON line and in the HTML report alike.

use std::collections::BTreeMap;

use facegate_models::liveness::LivenessVerdict;

use super::Case;
use super::figures::{Kind, Scored, auc, bpcer_at, bpcer_interval, by_kind, classes, gain_interval, share, trade_off};
use crate::evaluate::intervals::Estimate;

/// A capture beside the stills, with its verdict and score.
pub type Smoke<'a> = (&'a Case, (LivenessVerdict, f32));

/// One way of scoring, swept over its thresholds.
#[derive(Debug, Clone)]
pub struct System {
    pub auc: f64,
    pub bpcer_at_apcer_5: Estimate,
    /// (APCER, BPCER)
    pub trade_off: Vec<(f64, f64)>,
    genuine: Vec<f64>,
    attacks: Vec<f64>,
}

impl System {
    fn of(scored: &[Scored], score: fn(&Scored) -> f64) -> Self {
        let (genuine, attacks) = classes(scored, score);
        Self {
            auc: auc(&genuine, &attacks),
            bpcer_at_apcer_5: bpcer_interval(scored, score, 0.05),
            trade_off: trade_off(&genuine, &attacks),
            genuine,
            attacks,
        }
    }

    pub fn bpcer_at(&self, apcer: f64) -> f64 {
        bpcer_at(&self.genuine, &self.attacks, apcer)
    }
}

/// All that was found.
pub struct Results<'a> {
    pub presentations: usize,
    /// By source: genuine presentations and attacks.
    pub sources: BTreeMap<String, [usize; 2]>,
    /// Our cues fused, and the texture pair as published.
    pub ours: System,
    pub pair: System,
    /// How much lower our BPCER is at APCER 5 %.
    pub gain: Estimate,
    /// With the thresholds fixed on the other sources.
    pub attacks: BTreeMap<String, Kind>,
    pub genuine: BTreeMap<String, Kind>,
    pub bpcer: Estimate,
    /// Of genuine presentations and of attacks: inconclusive, face not found included.
    pub non_response: [Estimate; 2],
    /// Of genuine presentations and of attacks: those in which no face was found.
    pub not_found: [usize; 2],
    pub smoke: Vec<Smoke<'a>>,
    /// The texture nets are missing.
    pub reduced: bool,
}

impl<'a> Results<'a> {
    pub fn of(stills: &[Case], scored: &[Scored], smoke: Vec<Smoke<'a>>, reduced: bool) -> Self {
        let mut sources: BTreeMap<String, [usize; 2]> = BTreeMap::new();
        for case in stills {
            sources.entry(case.capture.source.clone()).or_default()[usize::from(case.capture.attack)] += 1;
        }
        let not_found = |attack| scored.iter().filter(|s| s.attack == attack && s.score == f64::NEG_INFINITY).count();
        Self {
            presentations: scored.len(),
            sources,
            ours: System::of(scored, |s| s.score),
            pair: System::of(scored, |s| s.published),
            gain: gain_interval(scored, 0.05),
            attacks: by_kind(scored, true),
            genuine: by_kind(scored, false),
            bpcer: share(scored, false, LivenessVerdict::Attack),
            non_response: [false, true].map(|attack| share(scored, attack, LivenessVerdict::Inconclusive)),
            not_found: [false, true].map(not_found),
            smoke,
            reduced,
        }
    }

    /// The kind of attack that is called live most often: the headline that ISO/IEC 30107-3 asks for.
    pub fn worst(&self) -> Option<(&str, Estimate)> {
        worst(&self.attacks)
    }

    /// The source whose faces are called an attack most often: over all sources it would not show.
    pub fn worst_faces(&self) -> Option<(&str, Estimate)> {
        worst(&self.genuine)
    }

    pub fn smoke_right(&self) -> usize {
        self.smoke.iter().filter(|one| is_right(one)).count()
    }
}

fn worst(kinds: &BTreeMap<String, Kind>) -> Option<(&str, Estimate)> {
    let errors = kinds.iter().map(|(name, kind)| (name.as_str(), kind.errors));
    errors.max_by(|a, b| a.1.value.total_cmp(&b.1.value))
}

/// Whether a capture got the verdict that it should.
pub fn is_right((case, (verdict, _)): &Smoke<'_>) -> bool {
    let wanted = if case.capture.attack { LivenessVerdict::Attack } else { LivenessVerdict::Live };
    *verdict == wanted
}
