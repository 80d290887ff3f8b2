//! Disks that fail at each step, and crashes there.

use std::collections::BTreeMap;

use facegate_domain::face::Embedding;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tempfile::TempDir;

use super::disk::faults;
use super::*;
use crate::index::Layout;

pub const DIMS: usize = 16;

pub fn model() -> ModelId {
    ModelId::new("sface-2021dec").unwrap()
}

pub fn format() -> Format {
    Format::new(&model(), DIMS, None, Key::new(&[3; 32]))
}

pub fn template(number: u32) -> Template {
    let mut rng = StdRng::seed_from_u64(u64::from(number));
    let values = (0..DIMS).map(|_| rng.random_range(-1.0..1.0)).collect();
    let embedding = Embedding::normalise(model(), values).unwrap();
    let id: [u8; 16] = [number.to_be_bytes(); 4].concat().try_into().unwrap();
    Template { id: TemplateId::from_bytes(id), rider: RiderId::from_bytes(id), embedding, photographs: 1 }
}

/// By id, the row as it would be stored.
pub fn contents(index: &Index) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut bytes = Vec::new();
    index.copy_rows(0, usize::MAX / 2, &mut bytes);
    bytes.chunks(index.row_bytes(Layout::Sealed)).map(|row| (row[..16].to_vec(), row[16..].to_vec())).collect()
}

fn place(dir: &TempDir) -> Place {
    Place { dir: dir.path().join("gallery"), newest: dir.path().join("newest"), key: [3; 32].into(), centre: None }
}

fn open(dir: &TempDir) -> Result<Durable, DurableError> {
    Durable::open(model(), DIMS, place(dir))
}

fn put(version: u64, number: u32) -> (u64, Change) {
    (version, Change::Put(template(number)))
}

fn remove(version: u64, number: u32) -> (u64, Change) {
    (version, Change::RemoveRider(template(number).rider))
}

fn held(durable: &Durable) -> Vec<u32> {
    let held: Vec<u32> = (1..=9).filter(|number| durable.index().holds(template(*number).id)).collect();
    assert_eq!(durable.index().len(), held.len());
    held
}

/// A log as a version of before wrote it, whose rows have no seal.
fn former_log(dir: &TempDir, numbers: std::ops::RangeInclusive<u32>) {
    use std::io::Write;
    use zeroize::Zeroizing;

    std::fs::create_dir_all(place(dir).dir).unwrap();
    let index = Index::new(model(), DIMS);
    let mut file = std::fs::File::create(place(dir).dir.join(format!("changes-{:016x}", 0))).unwrap();
    let mut pieces = format().begin_former(format::Kind::Log, 0, &mut file).unwrap();
    for number in numbers {
        let mut row = Vec::new();
        index.row(&template(number)).unwrap().put_into(&mut row);
        row.drain(Layout::Former.head_bytes()..Layout::Sealed.head_bytes());
        let mut plain = Zeroizing::new([u64::from(number).to_le_bytes().as_slice(), &[1], &row].concat());
        let mut sealed = Vec::new();
        pieces.write(&mut plain, &mut sealed).unwrap();
        file.write_all(&sealed).unwrap();
    }
}

#[test]
fn templates_of_a_version_before_are_read_and_known_again_one_by_one() {
    let dir = tempfile::tempdir().unwrap();
    former_log(&dir, 1..=3);
    let durable = open(&dir).unwrap();
    assert_eq!((held(&durable), durable.version(), durable.index().unknown()), (vec![1, 2, 3], 3, 3));
    for number in 1..=3 {
        let found = durable.index().cosine_to(&template(number).embedding, template(number).id).unwrap();
        assert!(found.unwrap().cosine() > 0.999, "as it was put");
    }
    assert!(durable.index().bucket_of_unknown().is_some());
    durable.repair(&(1..=3).map(|number| Change::Put(template(number))).collect::<Vec<_>>()).unwrap();
    assert_eq!((durable.index().unknown(), durable.index().bucket_of_unknown()), (0, None));
    let as_put = Index::new(model(), DIMS);
    (1..=3).for_each(|number| as_put.put(&template(number)).unwrap());
    assert_eq!(durable.index().contents_fingerprint(), as_put.contents_fingerprint());
    durable.write_snapshot().unwrap();
    drop(durable);
    let again = open(&dir).unwrap();
    assert_eq!(again.index().contents_fingerprint(), as_put.contents_fingerprint(), "in the present format");
}

/// Of two logs and no snapshot: 1 and 3 are held, at version 4.
fn filled() -> (TempDir, Durable) {
    let dir = tempfile::tempdir().unwrap();
    open(&dir).unwrap().apply(&[put(1, 1), put(2, 2)]).unwrap();
    let durable = open(&dir).unwrap();
    durable.apply(&[put(3, 3), remove(4, 2)]).unwrap();
    (dir, durable)
}

/// How a disk fails at a step: once, or from then on, as if the process were gone.
const FAULTS: [fn(u64) -> std::ops::Range<u64>; 2] = [|step| step..step + 1, |step| step..u64::MAX];

#[test]
fn an_append_that_fails_at_any_step_is_whole_or_not_there() {
    for fault in FAULTS {
        for step in 0.. {
            let (dir, durable) = filled();
            faults::fail(fault(step));
            let applied = durable.apply(&[put(5, 5), remove(6, 1)]);
            let came_to = durable.version();
            let expected = if came_to == 6 { vec![3, 5] } else { vec![1, 3] };
            assert_eq!(held(&durable), expected, "step {step}: {applied:?}");
            if fault(step).end == u64::MAX {
                drop(durable);
                faults::none();
                let again = open(&dir).unwrap();
                let expected = if again.version() == 6 { vec![3, 5] } else { vec![1, 3] };
                assert_eq!(held(&again), expected, "crash at step {step}");
                assert!(again.version() >= came_to, "what is in force stays");
            } else {
                faults::none();
                durable.apply(&[put(5, 5), remove(6, 1)]).unwrap();
                durable.apply(&[put(7, 7)]).unwrap();
                drop(durable);
                assert_eq!(held(&open(&dir).unwrap()), [3, 5, 7], "retried after step {step}");
            }
            if applied.is_ok() {
                assert!(step > 1);
                break;
            }
        }
    }
}

#[test]
fn a_snapshot_that_fails_at_any_step_leaves_what_was_and_is_written_later() {
    let now = Timestamp::from_unix_ms(1_790_000_000_000);
    for fault in FAULTS {
        for step in 0.. {
            let (dir, durable) = filled();
            durable.wants_snapshot(now);
            let tomorrow = now.plus(std::time::Duration::from_secs(24 * 60 * 60));
            let logs = durable.log_bytes();
            faults::fail(fault(step));
            let written = durable.write_snapshot();
            assert_eq!((held(&durable), durable.version()), (vec![1, 3], 4), "step {step}");
            if written.is_err() {
                assert!(durable.wants_snapshot(tomorrow), "step {step}: the removal is still in the files");
            }
            if fault(step).end == u64::MAX {
                drop(durable);
                faults::none();
            } else {
                faults::none();
                // Whatever a start has to replay counts.
                let on_disk: u64 = log::list(&place(&dir).dir).unwrap().iter().map(|log| log.bytes).sum();
                assert!(durable.log_bytes() >= on_disk, "step {step}");
                assert!(durable.log_bytes() < logs || written.is_err());
                durable.apply(&[put(5, 5)]).unwrap();
                durable.write_snapshot().unwrap();
                assert!(!durable.wants_snapshot(tomorrow));
                assert_eq!(log::list(&place(&dir).dir).unwrap().len(), 1, "step {step}");
                durable.apply(&[put(6, 6)]).unwrap();
                drop(durable);
                assert_eq!(held(&open(&dir).unwrap()), [1, 3, 5, 6], "retried after step {step}");
                open(&dir).unwrap().apply(&[remove(7, 5), remove(8, 6)]).unwrap();
            }
            let again = open(&dir).unwrap();
            assert_eq!(held(&again), [1, 3], "step {step}");
            assert!(!place(&dir).dir.join("snapshot.new").exists(), "it may hold who was removed since");
            if written.is_ok() {
                assert!(step > 5);
                break;
            }
        }
    }
}

#[test]
fn an_adoption_that_fails_at_any_step_is_repeated_or_found_useless() {
    for fault in FAULTS {
        for step in 0.. {
            let dir = tempfile::tempdir().unwrap();
            let durable = open(&dir).unwrap();
            [1, 3].iter().for_each(|number| durable.put(&template(*number)).unwrap());
            faults::fail(fault(step));
            let adopted = durable.adopt(9);
            if fault(step).end == u64::MAX {
                drop(durable);
                faults::none();
                match open(&dir) {
                    Ok(again) if again.version() == 9 => assert_eq!(held(&again), [1, 3]),
                    Ok(again) => assert_eq!((again.version(), held(&again)), (0, vec![]), "step {step}"),
                    Err(why) => assert!(why.wants_rebuild(), "step {step}: {why}"),
                }
            } else {
                faults::none();
                if adopted.is_err() {
                    durable.put(&template(4)).unwrap();
                    durable.adopt(9).unwrap();
                    durable.apply(&[remove(10, 4)]).unwrap();
                }
                assert!(matches!(durable.put(&template(5)), Err(DurableError::InUse { .. })));
                drop(durable);
                assert_eq!(held(&open(&dir).unwrap()), [1, 3], "step {step}");
            }
            if adopted.is_ok() {
                assert!(step > 5);
                break;
            }
        }
    }
}

#[test]
fn a_full_index_takes_removals_and_replacements_and_later_what_has_room_again() {
    let (dir, mut durable) = filled();
    durable.templates_max = 2;
    let replaced = Template { embedding: template(8).embedding, ..template(3) };
    let batch = [put(5, 5), remove(6, 1), (7, Change::Put(replaced.clone())), put(8, 6)];
    let refused = durable.apply(&batch).unwrap_err();
    assert!(matches!(refused, DurableError::Engine(EngineError::Full(_))) && !refused.wants_rebuild(), "{refused}");
    assert_eq!((held(&durable), durable.version()), (vec![3], 8), "the feed goes on");
    durable.apply(&batch).unwrap();
    durable.apply(&[put(9, 7)]).unwrap();
    let cosine = durable.index().cosine_to(&replaced.embedding, replaced.id).unwrap().unwrap();
    assert!(cosine.cosine() > 0.999);
    let before = contents(durable.index());
    drop(durable);
    let again = open(&dir).unwrap();
    assert!(contents(again.index()) == before);
    assert_eq!((held(&again), again.version()), (vec![3, 7], 9));
}

#[test]
fn what_a_start_replays_is_counted_over_starts() {
    let (dir, durable) = filled();
    let before = durable.log_bytes();
    drop(durable);
    let now = Timestamp::from_unix_ms(1_790_000_000_000);
    let again = open(&dir).unwrap();
    assert!(again.log_bytes() > before && again.wants_snapshot(now), "a log told of a removal");
    again.write_snapshot().unwrap();
    assert!(again.log_bytes() < 100 && !again.wants_snapshot(now));
    drop(again);
    let again = open(&dir).unwrap();
    assert!(again.log_bytes() < 100 && !again.wants_snapshot(now));
    again.write_snapshot().unwrap();
    assert!(again.log_bytes() < 100, "a log that is empty goes on");
}
