//! Fits weights and thresholds: logistic regression of the cues that speak, with weights that cannot be negative.
//!
//! Each cue's direction is known beforehand, so a cue that points the wrong way on a small set gets no weight instead
//! of a misleading one. A cue that is silent on most captures keeps the weight it had.

use std::collections::BTreeMap;

use anyhow::ensure;
use facegate_models::liveness::{Cue, CueWeight, LivenessCalibration, LivenessPolicy, judge};

use super::Case;
use super::figures::threshold_at;

/// Ridge on the standardised weights, in captures: small sets must not give certain answers.
const RIDGE: f64 = 1.0;
const STEPS: usize = 4000;
/// A cue that the base does not have may say this much, in log-odds.
const LIGHT: f32 = 1.0;
/// Thresholds are set where this share of the training attacks passes, and of the training faces is called an attack.
const ERROR_RATE: f64 = 0.05;

/// A calibration from `training`, the weights of `wanted` cues fitted and all else taken from `base`.
///
/// Errors: captures of one class only, or of which no cue says anything.
pub fn calibration(
    training: &[&Case],
    base: &LivenessCalibration,
    wanted: &[Cue],
) -> anyhow::Result<LivenessCalibration> {
    let seen: Vec<&Case> = training.iter().copied().filter(|case| !case.measured.samples.is_empty()).collect();
    let cues: Vec<Cue> = wanted.iter().copied().filter(|cue| speaks(&seen, *cue)).collect();
    let attacks = seen.iter().filter(|case| case.capture.attack).count();
    ensure!(attacks > 0 && attacks < seen.len(), "captures of both classes are needed, genuine and attack");
    ensure!(!cues.is_empty(), "no cue speaks on most of the captures: are the texture nets there?");

    let scales: Vec<(f64, f64)> = cues.iter().map(|cue| centre_and_spread(&seen, *cue)).collect();
    let rows: Vec<Vec<f64>> = seen
        .iter()
        .map(|case| {
            let standard = |(cue, (centre, spread)): (&Cue, &(f64, f64))| {
                value(case, *cue).map_or(0.0, |value| (value - centre) / spread)
            };
            cues.iter().zip(&scales).map(standard).collect()
        })
        .collect();
    let alive: Vec<bool> = seen.iter().map(|case| !case.capture.attack).collect();
    let (weights, bias) = logistic(&rows, &alive);
    let mut fitted = LivenessCalibration { bias: bias as f32, provenance: provenance(&seen), ..base.clone() };
    for ((cue, weight), (centre, spread)) in cues.iter().zip(weights).zip(scales) {
        let (most_attack, most_live) = base.cues.get(cue).map_or((-LIGHT, LIGHT), |c| (c.most_attack, c.most_live));
        let weight = (weight / spread) as f32;
        fitted.cues.insert(*cue, CueWeight { weight, centre: centre as f32, most_attack, most_live });
    }
    set_thresholds(&mut fitted, &seen);
    Ok(fitted)
}

fn set_thresholds(fitted: &mut LivenessCalibration, seen: &[&Case]) {
    let policy = LivenessPolicy::default().of_a_still();
    let score = |case: &&&Case| f64::from(judge(&case.measured.samples, fitted, &policy).score.get());
    let attacks: Vec<f64> = seen.iter().filter(|case| case.capture.attack).map(|case| score(&case)).collect();
    let faces: Vec<f64> = seen.iter().filter(|case| !case.capture.attack).map(|case| score(&case)).collect();
    let live_from = threshold_at(&attacks, ERROR_RATE).clamp(0.5, 0.995) as f32;
    let mut ascending = faces;
    ascending.sort_by(f64::total_cmp);
    let few = ascending[(ascending.len() as f64 * ERROR_RATE) as usize] as f32;
    (fitted.attack_below, fitted.live_from) = (few.clamp(0.05, 0.5).min(live_from), live_from);
}

fn speaks(seen: &[&Case], cue: Cue) -> bool {
    2 * seen.iter().filter(|case| value(case, cue).is_some()).count() > seen.len()
}

/// The median over the capture's frames, as the judge takes it.
fn value(case: &Case, cue: Cue) -> Option<f64> {
    let mut values: Vec<f32> = case.measured.samples.iter().filter_map(|sample| sample.measured(cue)).collect();
    values.sort_by(f32::total_cmp);
    values.get(values.len() / 2).map(|value| f64::from(*value))
}

/// Midway between the classes, and the standard deviation of all.
fn centre_and_spread(seen: &[&Case], cue: Cue) -> (f64, f64) {
    let of = |attack: bool| -> Vec<f64> {
        seen.iter().filter(|case| case.capture.attack == attack).filter_map(|case| value(case, cue)).collect()
    };
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
    let (faces, attacks) = (of(false), of(true));
    let all: Vec<f64> = faces.iter().chain(&attacks).copied().collect();
    let middle = mean(&all);
    let variance = mean(&all.iter().map(|v| (v - middle).powi(2)).collect::<Vec<_>>());
    (mean(&faces).midpoint(mean(&attacks)), variance.sqrt().max(1e-6))
}

/// Non-negative weights and a bias that minimise the class-balanced logistic loss, by projected gradient descent.
fn logistic(rows: &[Vec<f64>], alive: &[bool]) -> (Vec<f64>, f64) {
    let count = |class: bool| alive.iter().filter(|a| **a == class).count().max(1) as f64;
    let share = [rows.len() as f64 / 2.0 / count(false), rows.len() as f64 / 2.0 / count(true)];
    let width = rows.first().map_or(0, Vec::len);
    let (mut weights, mut bias) = (vec![0.0; width], 0.0);
    // The loss curves by at most a quarter of Σ|x|² and the ridge.
    let curve: f64 = rows.iter().map(|row| 1.0 + row.iter().map(|x| x * x).sum::<f64>()).sum::<f64>() / 2.0 + RIDGE;
    for _ in 0..STEPS {
        let mut slope: Vec<f64> = weights.iter().map(|w| RIDGE * w).collect();
        let mut bias_slope = 0.0;
        for (row, alive) in rows.iter().zip(alive) {
            let odds = bias + row.iter().zip(&weights).map(|(x, w)| x * w).sum::<f64>();
            let wanted = f64::from(u8::from(*alive));
            let error = share[usize::from(*alive)] * (1.0 / (1.0 + (-odds).exp()) - wanted);
            slope.iter_mut().zip(row).for_each(|(s, x)| *s += error * x);
            bias_slope += error;
        }
        weights.iter_mut().zip(slope).for_each(|(w, s)| *w = (*w - s / curve).max(0.0));
        bias -= bias_slope / curve;
    }
    (weights, bias)
}

fn provenance(seen: &[&Case]) -> String {
    let mut sources: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
    for case in seen {
        sources.entry(&case.capture.source).or_default()[usize::from(case.capture.attack)] += 1;
    }
    let told: Vec<String> = sources.iter().map(|(name, [g, a])| format!("{name} ({g} genuine, {a} attacks)")).collect();
    format!(
        "Fitted by facegate-models calibrate-liveness on {}. Cues that were silent there keep their weights.",
        told.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_separates_gets_weight_and_what_misleads_gets_none() {
        let row = |i: usize| {
            let alive = i.is_multiple_of(2);
            let noise = ((i * 37 % 17) as f64 - 8.0) / 8.0;
            let sign = if alive { 1.0 } else { -1.0 };
            (vec![sign + noise, -sign, noise], alive)
        };
        let (rows, alive): (Vec<_>, Vec<_>) = (0..200).map(row).unzip();
        let (weights, bias) = logistic(&rows, &alive);
        assert!(weights[0] > 1.0 && weights[1] == 0.0 && weights[2] < weights[0], "{weights:?}");
        assert!(bias.abs() < 0.5);
    }
}
