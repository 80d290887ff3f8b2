//! The seeded simulation keeps its promises, and replays.
#![allow(clippy::unwrap_used)]

use facegate_loadtest::sim::one;

#[test]
fn twenty_seeds_break_no_promise() {
    for seed in 0..20 {
        let finished = one(seed).unwrap();
        assert!(finished.findings.is_empty(), "seed {seed}: {:#?}", finished.findings);
        assert!(!finished.faults.is_empty(), "seed {seed}: nothing went wrong, so nothing was shown");
    }
}

#[test]
fn a_seed_runs_the_same_each_time() {
    for seed in [3, 11] {
        let (first, second) = (one(seed).unwrap(), one(seed).unwrap());
        let differs = first.lines.iter().zip(&second.lines).find(|(a, b)| a != b);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(first.hash, second.hash, "seed {seed}");
    }
}
