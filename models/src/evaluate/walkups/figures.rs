//! What the cue makes of the presentations, in the terms of ISO/IEC 30107-3.

use std::collections::BTreeMap;

use facegate_models::liveness::plane::{motion, plane};
use serde_json::{Map, Value, json};

use super::presentation::{Kind, Track};
use crate::evaluate::intervals::{Estimate, quantile, wilson};

/// Attacks that a flat picture makes; the threshold keeps the worst of them to 5 %.
const FLAT: [Kind; 3] = [Kind::Print, Kind::ScreenWithBezel, Kind::BorderlessScreen];
const APCER: f64 = 0.05;

/// One presentation's outcome.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scored {
    pub kind: Kind,
    pub person: usize,
    /// Degrees by which a head must have turned; none: no answer (too few frames with a face).
    pub relief: Option<f64>,
    /// The cue as the product uses it says nothing: no answer, or too little turn.
    pub inconclusive: bool,
}

pub fn score(track: &Track) -> Scored {
    let meshes: Vec<_> = track.meshes.iter().collect();
    Scored {
        kind: track.kind,
        person: track.person,
        relief: motion(&meshes).map(|evidence| f64::from(evidence.relief_degrees)),
        inconclusive: plane(&meshes).is_none(),
    }
}

/// Errors counted at thresholds that people of the other half fixed.
#[derive(Debug, Default)]
struct Counts {
    errors: BTreeMap<Kind, (usize, usize)>,
    thresholds: Vec<f64>,
}

/// Every figure under its key.
pub fn figures(scored: &[Scored]) -> Map<String, Value> {
    let mut counts = Counts::default();
    for half in [0, 1] {
        let (fixing, judged): (Vec<Scored>, Vec<Scored>) = scored.iter().partition(|s| s.person % 2 == half);
        count(&mut counts, &fixing, &judged);
    }
    let rate = |kind: Kind| {
        let (errors, trials) = counts.errors.get(&kind).copied().unwrap_or((0, 0));
        wilson(errors, trials)
    };
    let share = |kinds: &[Kind], of: &dyn Fn(&Scored) -> bool| {
        let those: Vec<&Scored> = scored.iter().filter(|s| kinds.contains(&s.kind)).collect();
        wilson(those.iter().filter(|s| of(s)).count(), those.len()).value
    };
    let mut figures = Map::new();
    let bpcer = rate(Kind::Genuine);
    put(&mut figures, "bpcer_at_apcer_5", &bpcer);
    figures.insert("auc".into(), json!(auc(scored)));
    for kind in Kind::ATTACKS {
        put(&mut figures, &format!("apcer_{}", kind.name()), &rate(kind));
    }
    let worst = FLAT.iter().map(|kind| rate(*kind).value).fold(0.0, f64::max);
    figures.insert("apcer_worst".into(), json!(worst));
    figures.insert("threshold_degrees".into(), json!(counts.thresholds));
    figures.insert("no_answer_genuine".into(), json!(share(&[Kind::Genuine], &|s| s.relief.is_none())));
    figures.insert("no_answer_attack".into(), json!(share(&FLAT, &|s| s.relief.is_none())));
    figures.insert("inconclusive_genuine".into(), json!(share(&[Kind::Genuine], &|s| s.inconclusive)));
    figures.insert("inconclusive_attack".into(), json!(share(&FLAT, &|s| s.inconclusive)));
    figures
}

fn put(figures: &mut Map<String, Value>, key: &str, estimate: &Estimate) {
    figures.insert(key.to_owned(), json!(estimate.value));
    figures.insert(format!("{key}_low"), json!(estimate.low));
    figures.insert(format!("{key}_high"), json!(estimate.high));
}

/// A genuine presentation without an answer is an error; an attack without one gets nowhere, and is none.
fn count(counts: &mut Counts, fixing: &[Scored], judged: &[Scored]) {
    let Some(threshold) = threshold(fixing) else { return };
    counts.thresholds.push(threshold);
    for one in judged {
        let live = one.relief.is_some_and(|relief| relief > threshold);
        let (errors, trials) = counts.errors.entry(one.kind).or_default();
        *errors += usize::from(live != (one.kind == Kind::Genuine));
        *trials += 1;
    }
}

/// The lowest threshold at which of no flat kind more than 5 % pass.
fn threshold(fixing: &[Scored]) -> Option<f64> {
    let of_kind = |kind: &Kind| {
        let mut reliefs: Vec<f64> = fixing.iter().filter(|s| s.kind == *kind).filter_map(|s| s.relief).collect();
        reliefs.sort_by(f64::total_cmp);
        (!reliefs.is_empty()).then(|| quantile(&reliefs, 1.0 - APCER))
    };
    FLAT.iter().filter_map(of_kind).reduce(f64::max)
}

/// The chance that a head shows more relief than a flat picture; no answer is the least.
fn auc(scored: &[Scored]) -> f64 {
    let of = |flat: bool| {
        let those = scored.iter().filter(move |s| if flat { FLAT.contains(&s.kind) } else { s.kind == Kind::Genuine });
        those.map(|s| s.relief.unwrap_or(-1.0)).collect::<Vec<f64>>()
    };
    let (heads, flat) = (of(false), of(true));
    let won = |head: &f64| {
        flat.iter()
            .map(|f| {
                if head > f {
                    1.0
                } else if head < f {
                    0.0
                } else {
                    0.5
                }
            })
            .sum::<f64>()
    };
    heads.iter().map(won).sum::<f64>() / (heads.len() * flat.len()) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scored(kind: Kind, person: usize, relief: Option<f64>) -> Scored {
        Scored { kind, person, relief, inconclusive: false }
    }

    #[test]
    fn the_threshold_comes_from_the_other_half_and_keeps_the_worst_kind_to_a_twentieth() {
        let mut all = Vec::new();
        for n in 0..40 {
            let level = f64::from(n) / 10.0;
            for person in [0, 1] {
                // The second half's screens show more: a threshold from the first half lets some of them pass.
                let more = if person == 1 { 1.0 } else { 0.0 };
                all.push(scored(Kind::Print, person, Some(level)));
                all.push(scored(Kind::BorderlessScreen, person, Some(level + more)));
                all.push(scored(Kind::Genuine, person, Some(level + 4.2)));
            }
        }
        let figures = figures(&all);
        let number = |key: &str| figures[key].as_f64().unwrap();
        let thresholds: Vec<f64> =
            figures["threshold_degrees"].as_array().unwrap().iter().filter_map(Value::as_f64).collect();
        assert!((thresholds[0] - 3.705).abs() < 1e-9 && (thresholds[1] - 4.705).abs() < 1e-9, "{thresholds:?}");
        // Six of forty genuine of the first half lie below 4.705, none of the second below 3.705.
        assert!((number("bpcer_at_apcer_5") - 6.0 / 80.0).abs() < 1e-9, "{}", number("bpcer_at_apcer_5"));
        assert!((number("apcer_borderless_screen") - 12.0 / 80.0).abs() < 1e-9);
        assert!((number("apcer_worst") - 12.0 / 80.0).abs() < 1e-9 && number("auc") > 0.99);
    }

    #[test]
    fn no_answer_counts_against_the_genuine_and_not_for_the_attacker() {
        let mut all = vec![scored(Kind::Genuine, 0, None), scored(Kind::Genuine, 1, Some(9.0))];
        all.extend([0, 1].map(|person| scored(Kind::Print, person, Some(1.0))));
        all.extend([0, 1].map(|person| scored(Kind::Print, person, None)));
        let figures = figures(&all);
        assert_eq!(figures["bpcer_at_apcer_5"], json!(0.5));
        assert_eq!(figures["apcer_print"], json!(0.0));
        assert_eq!((&figures["no_answer_genuine"], &figures["no_answer_attack"]), (&json!(0.5), &json!(0.5)));
    }
}
