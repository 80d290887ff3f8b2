//! The seeded simulation keeps its promises, and replays.
#![allow(clippy::unwrap_used)]

use facegate_loadtest::sim::{Broken, Sabotage, one, sabotaged};

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

/// In a world in which something lies these seeds break this promise, each time in the same way.
fn is_caught(sabotage: Sabotage, promise: Broken, seeds: &[u64]) {
    for seed in seeds {
        let (first, second) = (sabotaged(*seed, sabotage).unwrap(), sabotaged(*seed, sabotage).unwrap());
        let caught = first.findings.iter().any(|(broken, _)| *broken == promise);
        assert!(caught, "{sabotage:?}, seed {seed}: {:#?}", first.findings);
        let differs = first.lines.iter().zip(&second.lines).find(|(a, b)| a != b);
        assert_eq!(differs, None, "{sabotage:?}, seed {seed}");
        assert_eq!(first.hash, second.hash, "{sabotage:?}, seed {seed}");
    }
}

#[test]
fn taps_that_a_gates_disk_only_promised_to_keep_are_missed() {
    is_caught(Sabotage::GateDisksLie, Broken::TapLost, &[3, 7]);
}

#[test]
fn taps_that_a_stations_disk_only_promised_to_keep_are_missed() {
    is_caught(Sabotage::StationDisksLie, Broken::TapLost, &[7, 9]);
}

/// It loses no tap: stations hand theirs in once more. What it cannot read it does not start on.
#[test]
fn a_cloud_whose_disk_only_promised_to_keep_is_missed() {
    is_caught(Sabotage::CloudDiskLies, Broken::Diverged, &[1, 7]);
}

#[test]
fn an_acquirer_that_takes_the_same_key_twice_is_found_out() {
    is_caught(Sabotage::AcquirerForgets, Broken::DoubleCharge, &[2, 4]);
}

#[test]
fn a_station_that_keeps_the_face_of_who_has_left_is_found_out() {
    is_caught(Sabotage::StationKeepsErased, Broken::Resurrected, &[0, 1]);
}

#[test]
fn a_station_that_skips_changes_is_found_out() {
    is_caught(Sabotage::StationSkipsChanges, Broken::Diverged, &[0, 1]);
}
