//! The journal against a model, with the power cut between any two changes of the disk. A failure names its seed.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use facegate_runtime::disk::SimDisk;
use facegate_runtime::journal::{Journal, JournalOptions};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

const OPTIONS: JournalOptions = JournalOptions { segment_bytes_max: 4 << 10, total_bytes_max: 16 << 10 };

/// What must hold, whatever happened.
#[derive(Default)]
struct Model {
    /// Acknowledged, or read by somebody: must never change or vanish.
    seen: BTreeMap<u64, Vec<u8>>,
    /// Everything that was ever handed in.
    attempted: BTreeSet<Vec<u8>>,
    released_before: u64,
}

impl Model {
    fn check(&mut self, journal: &Journal, seed: u64) {
        let first = journal.first_index();
        assert!(first <= self.released_before, "seed {seed}: {first} kept first, released {}", self.released_before);
        let mut expected = first;
        while expected < journal.next_index() {
            for (index, record) in journal.read(expected, 7).unwrap() {
                assert_eq!(index, expected, "seed {seed}: a gap");
                assert!(self.attempted.contains(&record), "seed {seed}: record {index} was never written");
                let known = self.seen.entry(index).or_insert_with(|| record.clone());
                assert_eq!(*known, record, "seed {seed}: record {index} changed");
                expected += 1;
            }
        }
        let newest = self.seen.keys().next_back().map_or(0, |index| index + 1);
        assert_eq!(expected, newest.max(first), "seed {seed}: acknowledged records are lost");
    }
}

async fn life(journal: &Journal, model: &mut Model, rng: &mut SmallRng) {
    for _ in 0..rng.random_range(1..12) {
        let mut appends = Vec::new();
        for _ in 0..rng.random_range(1..6) {
            let records: Vec<Vec<u8>> = (0..rng.random_range(1..4))
                .map(|_| {
                    let mut record = rng.random::<u64>().to_le_bytes().to_vec();
                    record.resize(rng.random_range(8..700), 0xEE);
                    record
                })
                .collect();
            model.attempted.extend(records.iter().cloned());
            let journal = journal.clone();
            appends.push(tokio::spawn(async move { (journal.append_all(records.clone()).await, records) }));
        }
        for append in appends {
            if let (Ok(range), records) = append.await.unwrap() {
                assert_eq!(range.end - range.start, records.len() as u64);
                model.seen.extend(range.zip(records));
            }
        }
        if rng.random_ratio(1, 3) {
            let upto = rng.random_range(0..=journal.next_index());
            model.released_before = model.released_before.max(upto);
            // With the power off it fails, which is all right: release only ever may drop.
            let _ = journal.release_before(upto);
        }
    }
}

async fn run(seed: u64) -> u64 {
    let mut rng = SmallRng::seed_from_u64(seed);
    let disk = SimDisk::new();
    let mut model = Model::default();
    let mut torn = 0;
    for _ in 0..12 {
        // Opening too is cut short sometimes: recovery must survive a crash of its own.
        disk.cut_power_after(rng.random_range(0..80), rng.random());
        if rng.random_ratio(1, 6) {
            disk.fail_syncs(1);
        }
        if let Ok((journal, recovery)) = Journal::open(Arc::new(disk.clone()), Path::new("j"), OPTIONS) {
            torn += u64::from(recovery.torn.is_some());
            life(&journal, &mut model, &mut rng).await;
        }
        if rng.random() {
            disk.cut_power(rng.random());
        }
        disk.fail_syncs(0);
        disk.restore_power();
        let (journal, recovery) = Journal::open(Arc::new(disk.clone()), Path::new("j"), OPTIONS)
            .unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        torn += u64::from(recovery.torn.is_some());
        model.check(&journal, seed);
    }
    torn
}

#[tokio::test]
async fn acknowledged_records_survive_whatever_the_power_does() {
    let mut torn = 0;
    for seed in 0..300 {
        torn += run(seed).await;
    }
    assert!(torn > 20, "only {torn} torn tails: the power was not cut where it hurts");
}
