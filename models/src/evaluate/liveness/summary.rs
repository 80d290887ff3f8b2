//! What `eval liveness` prints: tables, what they do not show, and one line of JSON.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::figures::Kind;
use super::results::{Results, is_right};
use crate::evaluate::intervals::Estimate;

/// The APCERs at which the table gives the BPCER.
pub const APCERS: [f64; 5] = [0.01, 0.02, 0.05, 0.1, 0.2];

/// Everything but the last line.
pub fn print(results: &Results<'_>) {
    let (ours, pair) = (&results.ours, &results.pair);
    if results.reduced {
        println!(
            "LIVENESS IS REDUCED: the texture nets are missing; `cargo xtask models --from DIR` takes them from a folder"
        );
    }
    println!(
        "\n{} presentations of {} sources; each source judged by a calibration from the others",
        results.presentations,
        results.sources.len()
    );
    println!("{:>10}  {:>8}  {:>8}", "APCER", "BPCER", "pair's");
    for apcer in APCERS {
        let [ours, pair] = [ours, pair].map(|system| 100.0 * system.bpcer_at(apcer));
        println!("{:>9.0}%  {ours:>7.1}%  {pair:>7.1}%", 100.0 * apcer);
    }
    println!(
        "BPCER at APCER 5 %: {}; the texture pair as published: {}; lower by {}",
        ours.bpcer_at_apcer_5, pair.bpcer_at_apcer_5, results.gain
    );
    println!("AUC {:.3}, the pair's {:.3}", ours.auc, pair.auc);
    println!(
        "The intervals are over presentations; these are of few people, so the truth about others may lie outside. The\n\
         form of the texture cue was chosen with all sources in view, so the gain over the pair is optimistic."
    );

    println!("\nWith the thresholds fixed on the training sources:");
    results.attacks.iter().for_each(|(kind, found)| println!("  APCER {kind}: {}", found.errors));
    println!("  BPCER (called an attack): {}", results.bpcer);
    results.genuine.iter().for_each(|(source, found)| println!("    of {source}: {}", found.errors));
    let [genuine, attacks] = results.non_response;
    println!("  inconclusive, face not found included: genuine {genuine}, attacks {attacks}");
    println!(
        "Crops show no surroundings and no motion: border and plane motion are silent on them and are not measured here."
    );
    for one in &results.smoke {
        let (case, (verdict, score)) = one;
        let (path, mark) = (&case.capture.path, if is_right(one) { "right" } else { "WRONG" });
        println!("  {mark}: {} {verdict:?} {score:.2}, {} frames", path.display(), case.measured.samples.len());
    }
}

/// The last line.
pub fn line(results: &Results<'_>, report: &Path) -> Value {
    let worst = results.worst().map(|(_, apcer)| apcer);
    let errors =
        |kinds: &BTreeMap<String, Kind>| json!(kinds.iter().map(|(n, k)| (n, k.errors)).collect::<BTreeMap<_, _>>());
    let mut line = Map::new();
    let mut put = |key: &str, value: Value| line.insert(key.to_owned(), value);
    put("presentations", json!(results.presentations));
    put("people_or_sources", json!(results.sources.len()));
    put("apcer_worst", json!(worst.map(|worst| worst.value)));
    put("apcer_worst_high", json!(worst.map(|worst| worst.high)));
    put("apcer_by_kind", errors(&results.attacks));
    put("bpcer", json!(results.bpcer.value));
    put("bpcer_by_source", errors(&results.genuine));
    for (key, Estimate { value, low, high }) in [
        ("bpcer_at_apcer_5", results.ours.bpcer_at_apcer_5),
        ("minifasnet_bpcer_at_apcer_5", results.pair.bpcer_at_apcer_5),
        ("bpcer_gain_at_apcer_5", results.gain),
        ("inconclusive_genuine", results.non_response[0]),
        ("inconclusive_attack", results.non_response[1]),
    ] {
        put(key, json!(value));
        put(&format!("{key}_low"), json!(low));
        put(&format!("{key}_high"), json!(high));
    }
    put("auc", json!(results.ours.auc));
    put("minifasnet_auc", json!(results.pair.auc));
    put("smoke", json!(results.smoke.len()));
    put("smoke_right", json!(results.smoke_right()));
    put("reduced", json!(results.reduced));
    put("report", json!(report));
    Value::Object(line)
}
