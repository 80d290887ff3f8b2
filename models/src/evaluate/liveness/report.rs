//! What `eval liveness` prints: tables, what they do not show, and one line of JSON.

use std::collections::BTreeSet;

use facegate_models::liveness::LivenessVerdict;
use serde_json::{Map, Value, json};

use super::Case;
use super::figures::{Scored, apcer_by_kind, auc, bpcer_at, bpcer_interval, classes, gain_interval, share};
use crate::evaluate::intervals::Estimate;

/// A capture beside the stills, with its verdict and score.
pub type Smoke<'a> = (&'a Case, (LivenessVerdict, f32));

pub fn print(stills: &[Case], scored: &[Scored], smoke: &[Smoke<'_>], reduced: bool) {
    if reduced {
        println!(
            "LIVENESS IS REDUCED: the texture nets are missing; `cargo xtask models --from DIR` takes them from a folder"
        );
    }
    let sources: BTreeSet<&str> = stills.iter().map(|case| case.capture.source.as_str()).collect();
    let ours = classes(scored, |s| s.score);
    let pair = classes(scored, |s| s.published);
    let (gain, ours_5, pair_5) = (
        gain_interval(scored, 0.05),
        bpcer_interval(scored, |s| s.score, 0.05),
        bpcer_interval(scored, |s| s.published, 0.05),
    );
    println!(
        "\n{} presentations of {} sources; each source judged by a calibration from the others",
        scored.len(),
        sources.len()
    );
    println!("{:>10}  {:>8}  {:>8}", "APCER", "BPCER", "pair's");
    for apcer in [0.01, 0.02, 0.05, 0.1, 0.2] {
        let [ours, pair] = [&ours, &pair].map(|(genuine, attacks)| 100.0 * bpcer_at(genuine, attacks, apcer));
        println!("{:>9.0}%  {ours:>7.1}%  {pair:>7.1}%", 100.0 * apcer);
    }
    println!("BPCER at APCER 5 %: {ours_5}; the texture pair as published: {pair_5}; lower by {gain}");
    println!("AUC {:.3}, the pair's {:.3}", auc(&ours.0, &ours.1), auc(&pair.0, &pair.1));
    println!(
        "The intervals are over presentations; these are of few people, so the truth about others may lie outside. The\n\
         form of the texture cue was chosen with all sources in view, so the gain over the pair is optimistic."
    );

    println!("\nWith the thresholds fixed on the training sources:");
    let kinds = apcer_by_kind(scored);
    kinds.iter().for_each(|(kind, apcer)| println!("  APCER {kind}: {apcer}"));
    let bpcer = share(scored, false, LivenessVerdict::Attack);
    let no_answer = [false, true].map(|attack| share(scored, attack, LivenessVerdict::Inconclusive));
    println!("  BPCER (called an attack): {bpcer}");
    println!("  inconclusive, face not found included: genuine {}, attacks {}", no_answer[0], no_answer[1]);
    println!(
        "Crops show no surroundings and no motion: border and plane motion are silent on them and are not measured here."
    );

    let right = print_smoke(smoke);
    let worst = kinds.values().copied().max_by(|a, b| a.value.total_cmp(&b.value));
    let mut line = Map::new();
    let mut put = |key: &str, value: Value| line.insert(key.to_owned(), value);
    put("presentations", json!(scored.len()));
    put("people_or_sources", json!(sources.len()));
    put("apcer_worst", json!(worst.map(|worst| worst.value)));
    put("apcer_worst_high", json!(worst.map(|worst| worst.high)));
    put("apcer_by_kind", json!(kinds));
    put("bpcer", json!(bpcer.value));
    for (key, Estimate { value, low, high }) in [
        ("bpcer_at_apcer_5", ours_5),
        ("minifasnet_bpcer_at_apcer_5", pair_5),
        ("bpcer_gain_at_apcer_5", gain),
        ("inconclusive_genuine", no_answer[0]),
        ("inconclusive_attack", no_answer[1]),
    ] {
        put(key, json!(value));
        put(&format!("{key}_low"), json!(low));
        put(&format!("{key}_high"), json!(high));
    }
    put("auc", json!(auc(&ours.0, &ours.1)));
    put("minifasnet_auc", json!(auc(&pair.0, &pair.1)));
    put("smoke", json!(smoke.len()));
    put("smoke_right", json!(right));
    put("reduced", json!(reduced));
    println!("{}", Value::Object(line));
}

/// Each capture beside the stills; gives how many were judged right.
fn print_smoke(smoke: &[Smoke<'_>]) -> usize {
    for (case, (verdict, score)) in smoke {
        let (path, mark) = (&case.capture.path, if is_right(&(case, (*verdict, *score))) { "right" } else { "WRONG" });
        println!("  {mark}: {} {verdict:?} {score:.2}, {} frames", path.display(), case.measured.samples.len());
    }
    smoke.iter().filter(|one| is_right(one)).count()
}

fn is_right((case, (verdict, _)): &Smoke<'_>) -> bool {
    let wanted = if case.capture.attack { LivenessVerdict::Attack } else { LivenessVerdict::Live };
    *verdict == wanted
}
