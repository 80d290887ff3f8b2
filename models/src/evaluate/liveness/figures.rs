//! Error rates of presentation attack detection.

use std::collections::BTreeMap;

use facegate_models::liveness::LivenessVerdict;

use crate::evaluate::intervals::{Estimate, bootstrap, wilson};

/// Replicates of the bootstrap over presentations.
const REPLICATES: usize = 2000;
const SEED: u64 = 30_107;

/// One presentation, scored by a calibration that has not seen its source.
#[derive(Debug, Clone)]
pub struct Scored {
    pub attack: bool,
    pub kind: String,
    /// Ours; −∞ if no face was found.
    pub score: f64,
    /// The texture pair's as published; −∞ likewise.
    pub published: f64,
    pub verdict: LivenessVerdict,
}

/// Share of the presentations of one class that got a verdict.
pub fn share(scored: &[Scored], attack: bool, verdict: LivenessVerdict) -> Estimate {
    let of: Vec<&Scored> = scored.iter().filter(|s| s.attack == attack).collect();
    wilson(of.iter().filter(|s| s.verdict == verdict).count(), of.len())
}

/// Presentations of one kind: attacks of one instrument, or what one source has of faces.
#[derive(Debug, Clone, Copy)]
pub struct Kind {
    pub presentations: usize,
    /// Attacks called live (APCER), or faces called an attack (BPCER).
    pub errors: Estimate,
    /// Neither: the judge could not say, or no face was found (APNRR, BPNRR).
    pub non_response: Estimate,
}

/// The presentations of one class by kind. ISO/IEC 30107-3 asks for the worst of the attacks'.
pub fn by_kind(scored: &[Scored], attack: bool) -> BTreeMap<String, Kind> {
    let wrong = if attack { LivenessVerdict::Live } else { LivenessVerdict::Attack };
    let mut kinds: BTreeMap<&str, Vec<LivenessVerdict>> = BTreeMap::new();
    for one in scored.iter().filter(|s| s.attack == attack) {
        kinds.entry(&one.kind).or_default().push(one.verdict);
    }
    let kind = |verdicts: Vec<LivenessVerdict>| {
        let share = |wanted| wilson(verdicts.iter().filter(|v| **v == wanted).count(), verdicts.len());
        let non_response = share(LivenessVerdict::Inconclusive);
        Kind { presentations: verdicts.len(), errors: share(wrong), non_response }
    };
    kinds.into_iter().map(|(name, verdicts)| (name.to_owned(), kind(verdicts))).collect()
}

/// Scores of one system: genuine ones and those of attacks.
pub fn classes(scored: &[Scored], score: fn(&Scored) -> f64) -> (Vec<f64>, Vec<f64>) {
    let of = |attack| scored.iter().filter(|s| s.attack == attack).map(score).collect();
    (of(false), of(true))
}

/// The lowest threshold above which at most `apcer` of the attacks lie.
pub fn threshold_at(attacks: &[f64], apcer: f64) -> f64 {
    threshold_after(attacks, (apcer * attacks.len() as f64).floor() as usize)
}

/// The lowest threshold that lets at most so many attacks pass.
fn threshold_after(attacks: &[f64], allowed: usize) -> f64 {
    let mut descending = attacks.to_vec();
    descending.sort_by(|a, b| b.total_cmp(a));
    // Strictly above the first attack that must not pass.
    descending.get(allowed).map_or(f64::NEG_INFINITY, |score| score.next_up())
}

/// BPCER at that threshold.
pub fn bpcer_at(genuine: &[f64], attacks: &[f64], apcer: f64) -> f64 {
    rejected(genuine, threshold_at(attacks, apcer))
}

fn rejected(genuine: &[f64], threshold: f64) -> f64 {
    let rejected = genuine.iter().filter(|score| **score < threshold || **score == f64::NEG_INFINITY).count();
    rejected as f64 / genuine.len().max(1) as f64
}

/// The detection error trade-off: for each number of attacks that may pass, APCER and BPCER.
pub fn trade_off(genuine: &[f64], attacks: &[f64]) -> Vec<(f64, f64)> {
    let at = |allowed| rejected(genuine, threshold_after(attacks, allowed));
    (0..=attacks.len()).map(|allowed| (allowed as f64 / attacks.len().max(1) as f64, at(allowed))).collect()
}

/// Probability that a face scores above an attack, ties counting half.
pub fn auc(genuine: &[f64], attacks: &[f64]) -> f64 {
    let wins: f64 = genuine
        .iter()
        .flat_map(|g| attacks.iter().map(move |a| if g > a { 1.0 } else { f64::from(u8::from(g == a)) / 2.0 }))
        .sum();
    wins / (genuine.len() * attacks.len()).max(1) as f64
}

/// BPCER at an APCER with its interval over presentations. They are of few people, so it is too narrow.
pub fn bpcer_interval(scored: &[Scored], score: fn(&Scored) -> f64, apcer: f64) -> Estimate {
    bootstrap(scored.len(), REPLICATES, SEED, |times| {
        let (genuine, attacks) = classes(&drawn(scored, times), score);
        bpcer_at(&genuine, &attacks, apcer)
    })
}

/// How much lower our BPCER is than the pair's, on the same draws.
pub fn gain_interval(scored: &[Scored], apcer: f64) -> Estimate {
    bootstrap(scored.len(), REPLICATES, SEED, |times| {
        let drawn = drawn(scored, times);
        let at = |score| {
            let (genuine, attacks) = classes(&drawn, score);
            bpcer_at(&genuine, &attacks, apcer)
        };
        at(|s| s.published) - at(|s| s.score)
    })
}

fn drawn(scored: &[Scored], times: &[u32]) -> Vec<Scored> {
    scored.iter().zip(times).flat_map(|(s, n)| (0..*n).map(move |_| s.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_on_a_set_counted_by_hand() {
        let genuine = [0.9, 0.8, 0.7, 0.2, f64::NEG_INFINITY];
        let attacks: Vec<f64> = (0..20).map(|i| f64::from(i) / 40.0).collect();
        // One of twenty may pass: 0.475; the threshold lies just above 0.45.
        assert!((threshold_at(&attacks, 0.05) - 0.45).abs() < 1e-9 && threshold_at(&attacks, 0.05) > 0.45);
        assert_eq!(bpcer_at(&genuine, &attacks, 0.05), 0.4);
        assert_eq!(bpcer_at(&genuine, &attacks, 1.0), 0.2, "who was not found is rejected at any threshold");
        assert_eq!(auc(&[1.0, 0.5], &[0.5, 0.0]), 0.875);
    }

    #[test]
    fn errors_and_silence_are_told_by_kind() {
        use LivenessVerdict::{Attack, Inconclusive, Live};
        let one =
            |attack, kind: &str, verdict| Scored { attack, kind: kind.into(), score: 0.0, published: 0.0, verdict };
        let scored = [
            one(true, "phone", Live),
            one(true, "phone", Attack),
            one(true, "print", Inconclusive),
            one(false, "office", Live),
            one(false, "office", Attack),
            one(false, "office", Inconclusive),
            one(false, "office", Live),
        ];
        let told = |attack| {
            let kinds = by_kind(&scored, attack).into_iter();
            kinds.map(|(name, k)| (name, k.presentations, k.errors.value, k.non_response.value)).collect::<Vec<_>>()
        };
        assert_eq!(told(true), [("phone".to_owned(), 2, 0.5, 0.0), ("print".to_owned(), 1, 0.0, 1.0)]);
        assert_eq!(told(false), [("office".to_owned(), 4, 0.25, 0.25)]);
        assert!((share(&scored, true, Inconclusive).value - 1.0 / 3.0).abs() < 1e-9);
    }

    #[test]
    fn the_trade_off_goes_from_no_attack_to_all_and_never_rises() {
        let (genuine, attacks) = ([0.9, 0.5, 0.35, f64::NEG_INFINITY], [0.8, 0.4, 0.3]);
        let expected = [(0.0, 0.75), (1.0 / 3.0, 0.5), (2.0 / 3.0, 0.25), (1.0, 0.25)];
        assert_eq!(trade_off(&genuine, &attacks), expected);
        for (apcer, bpcer) in expected {
            assert_eq!(bpcer_at(&genuine, &attacks, apcer + 1e-9), bpcer);
        }
    }
}
