//! The seam: both databases keep to the same rules, and the simulated one loses exactly what it may.
#![allow(clippy::unwrap_used)]

use std::ops::Bound;
use std::path::Path;

use facegate_runtime::disk::{Disk, RealDisk, SimDisk};
use facegate_runtime::journal::{Journal, JournalOptions};
use facegate_runtime::kv::{Batch, Database, KvOptions, Pair, Tree};

const OPTIONS: KvOptions = KvOptions { cache_bytes: 1 << 20, flush_every_ms: None, syncs: true };
const DIR: &str = "state";

fn keys(pairs: impl Iterator<Item = Result<Pair, facegate_runtime::kv::KvError>>) -> Vec<String> {
    pairs.map(|pair| String::from_utf8(pair.unwrap().0).unwrap()).collect()
}

/// What every engine has to do.
fn conforms(database: &Database) {
    let tree = database.tree("t").unwrap();
    let mut batch = Batch::default();
    ["a/1", "a/2", "a/3", "b/1"].iter().for_each(|key| batch.insert(key, key.to_uppercase()));
    batch.remove("a/2");
    tree.apply(batch).unwrap();
    assert_eq!(tree.get("a/1").unwrap().unwrap(), b"A/1");
    assert!(!tree.contains("a/2").unwrap() && tree.contains("b/1").unwrap());
    assert!(database.tree("u").unwrap().is_empty() && database.root().is_empty(), "trees are apart");
    assert_eq!(keys(tree.iter()), ["a/1", "a/3", "b/1"]);
    assert_eq!(keys(tree.iter().rev()), ["b/1", "a/3", "a/1"]);
    assert_eq!(keys(tree.scan("a/")), ["a/1", "a/3"]);
    assert_eq!(keys(tree.range((Bound::Excluded(b"a/1".to_vec()), Bound::Included(b"b/1".to_vec())))), ["a/3", "b/1"]);
    let mut ends = tree.iter();
    let both = [ends.next(), ends.next_back(), ends.next(), ends.next(), ends.next_back()];
    assert_eq!(keys(both.into_iter().flatten()), ["a/1", "b/1", "a/3"]);
    assert!(!tree.compare_and_swap("a/1", None, Some(b"x")).unwrap());
    assert!(tree.compare_and_swap("a/1", Some(b"A/1"), None).unwrap());
    assert!(tree.compare_and_swap("n", None, Some(b"1")).unwrap());
    tree.update("n", |old| Some([old.unwrap(), b"2"].concat())).unwrap();
    assert_eq!(tree.get("n").unwrap().unwrap(), b"12");
    tree.insert("n", b"3").unwrap();
    tree.remove("b/1").unwrap();
    assert_eq!((tree.len(), keys(tree.iter())), (2, vec!["a/3".to_owned(), "n".to_owned()]));
    tree.clear().unwrap();
    assert!(tree.is_empty());
}

#[tokio::test]
async fn sled_and_the_simulation_conform() {
    let dir = tempfile::tempdir().unwrap();
    let sled = RealDisk.database(&dir.path().join("deep/state"), OPTIONS).unwrap();
    let simulated = SimDisk::new().database(Path::new(DIR), OPTIONS).unwrap();
    for database in [&sled, &simulated] {
        conforms(database);
        database.root().insert("kept", b"1").unwrap();
        database.commit().await.unwrap();
    }
    drop(sled);
    let again = RealDisk.database(&dir.path().join("deep/state"), OPTIONS).unwrap();
    assert_eq!(again.root().get("kept").unwrap().unwrap(), b"1");
}

fn open(disk: &SimDisk) -> Tree {
    disk.database(Path::new(DIR), OPTIONS).unwrap().tree("t").unwrap()
}

/// A pair of keys in each of ten batches; the first three batches are committed.
async fn thirteen_changes(disk: &SimDisk) -> Tree {
    let database = disk.database(Path::new(DIR), OPTIONS).unwrap();
    let tree = database.tree("t").unwrap();
    for number in 0..10_u8 {
        let mut batch = Batch::default();
        batch.insert([number, 0], []);
        batch.insert([number, 1], []);
        tree.apply(batch).unwrap();
        if number == 2 {
            database.commit().await.unwrap();
        }
    }
    tree
}

#[tokio::test]
async fn a_power_cut_keeps_what_was_committed_and_a_prefix_of_whole_batches() {
    let mut found = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let disk = SimDisk::new();
        let before = thirteen_changes(&disk).await;
        disk.cut_power(seed);
        assert!(before.get([0, 0]).is_err() && before.insert([0, 0], []).is_err(), "a handle from before is dead");
        disk.restore_power();
        let keys: Vec<_> = open(&disk).iter().map(|pair| pair.unwrap().0).collect();
        let expected: Vec<_> = (0..10).flat_map(|n| [vec![n, 0], vec![n, 1]]).take(keys.len()).collect();
        assert_eq!((keys.len() % 2, keys), (0, expected), "seed {seed}");
        found.insert(expected_len(&disk));
    }
    assert_eq!(found, (3..=10).collect());
}

fn expected_len(disk: &SimDisk) -> usize {
    open(disk).len() / 2
}

#[tokio::test]
async fn a_killed_process_loses_what_it_had_buffered_and_no_file() {
    let mut found = std::collections::BTreeSet::new();
    for seed in 0..100 {
        let disk = SimDisk::new();
        let before = thirteen_changes(&disk).await;
        disk.create(Path::new("dir/file")).unwrap().write_at(0, b"never synced").unwrap();
        disk.kill_process(seed);
        assert!(before.get([0, 0]).is_err());
        assert_eq!(disk.content(Path::new("dir/file")).unwrap(), b"never synced");
        found.insert(expected_len(&disk));
    }
    assert_eq!(found, (3..=10).collect());
}

#[tokio::test]
async fn the_power_can_go_between_any_two_changes_and_a_full_disk_refuses_the_commit() {
    let disk = SimDisk::new();
    let database = disk.database(Path::new(DIR), OPTIONS).unwrap();
    let tree = database.tree("t").unwrap();
    disk.cut_power_after(2, 7);
    assert!(tree.insert("a", b"1").is_ok() && database.commit().await.is_ok());
    assert!(tree.insert("b", b"1").is_err() && disk.is_off());
    disk.restore_power();
    let database = disk.database(Path::new(DIR), OPTIONS).unwrap();
    let tree = database.tree("t").unwrap();
    assert_eq!(keys(tree.iter()), ["a"]);
    disk.set_capacity(Some(10));
    tree.insert("b", [0; 20]).unwrap();
    assert!(database.commit().await.is_err());
    disk.set_capacity(None);
    database.commit().await.unwrap();
    disk.fail_syncs(1);
    tree.insert("c", b"1").unwrap();
    assert!(database.commit().await.is_err());
    assert!(database.commit().await.is_err(), "once failed, never trusted again");
    disk.cut_power(1);
    disk.restore_power();
    assert_eq!(keys(open(&disk).iter()), ["a", "b"]);
}

#[tokio::test]
async fn a_journal_on_an_instant_disk_needs_no_thread_and_keeps_what_it_acknowledged() {
    for seed in 0..50 {
        let disk = SimDisk::instant();
        let options = JournalOptions { segment_bytes_max: 4096, total_bytes_max: 1 << 20 };
        let (journal, _) = Journal::open(std::sync::Arc::new(disk.clone()), Path::new("j"), options).unwrap();
        disk.cut_power_after(seed * 3, seed);
        let mut acknowledged = 0;
        while journal.append(vec![7; 100]).await.is_ok() {
            acknowledged += 1;
        }
        disk.restore_power();
        let (again, _) = Journal::open(std::sync::Arc::new(disk), Path::new("j"), options).unwrap();
        assert!(again.next_index() >= acknowledged, "seed {seed}");
        assert!(again.next_index() <= acknowledged + 1, "seed {seed}");
    }
}
