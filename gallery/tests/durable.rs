//! Files of a gallery, whole, cut, altered, old and foreign.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

use facegate_domain::face::{Embedding, Template};
use facegate_domain::ids::{ModelId, RiderId, TemplateId};
use facegate_gallery::durable::Durable;
use facegate_gallery::engine::Hit;
use facegate_gallery::{Change, DurableError, Place};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const DIMS: usize = 16;

fn model() -> ModelId {
    ModelId::new("sface-2021dec").unwrap()
}

fn place(dir: &Path) -> Place {
    Place { dir: dir.join("gallery"), newest: dir.join("newest"), key: [3; 32].into(), centre: None }
}

fn open(dir: &Path) -> Result<Durable, DurableError> {
    Durable::open(model(), DIMS, place(dir))
}

fn face(seed: u64) -> Embedding {
    let mut rng = StdRng::seed_from_u64(seed);
    let values = (0..DIMS).map(|_| rng.random_range(-1.0..1.0)).collect();
    Embedding::normalise(model(), values).unwrap()
}

fn template(number: u8) -> Template {
    let embedding = face(u64::from(number));
    let (id, rider) = (TemplateId::from_bytes([number; 16]), RiderId::from_bytes([number; 16]));
    Template { id, rider, embedding, photographs: 1 }
}

/// Puts 1 to 4 and removes 2 and 3 again, one version each.
fn changes() -> Vec<(u64, Change)> {
    let rider = RiderId::from_bytes([2; 16]);
    let mut changes: Vec<Change> = (1..=4).map(|number| Change::Put(template(number))).collect();
    changes.extend([Change::RemoveRider(rider), Change::RemoveTemplate(TemplateId::from_bytes([3; 16]))]);
    (1..).zip(changes).collect()
}

/// Which of the templates 1 to 9 are held.
fn held(durable: &Durable) -> Vec<u8> {
    let held = |number: &u8| {
        let template = template(*number);
        let cosine = durable.index().cosine_to(&template.embedding, template.id).unwrap();
        cosine.inspect(|cosine| assert!(cosine.cosine() > 0.999, "as it was put")).is_some()
    };
    let held: Vec<u8> = (1..=9).filter(held).collect();
    assert_eq!(durable.index().len(), held.len());
    held
}

/// What is held after each version.
const AFTER: [&[u8]; 7] = [&[], &[1], &[1, 2], &[1, 2, 3], &[1, 2, 3, 4], &[1, 3, 4], &[1, 4]];

fn only_log(dir: &Path) -> PathBuf {
    let logs = fs::read_dir(dir.join("gallery")).unwrap().map(|entry| entry.unwrap().path());
    logs.filter(|path| path.to_str().unwrap().contains("changes-")).min().unwrap()
}

/// A directory with a log of all changes, one append each, and its bytes.
fn logged() -> (tempfile::TempDir, PathBuf, Vec<u8>) {
    let dir = tempfile::tempdir().unwrap();
    let durable = open(dir.path()).unwrap();
    changes().iter().for_each(|change| durable.apply(std::slice::from_ref(change)).unwrap());
    drop(durable);
    let log = only_log(dir.path());
    let bytes = fs::read(&log).unwrap();
    (dir, log, bytes)
}

fn forget_newest(dir: &Path) {
    fs::remove_file(dir.join("newest-sface-2021dec")).unwrap();
}

#[test]
fn what_was_applied_is_there_after_every_start() {
    let dir = tempfile::tempdir().unwrap();
    for (version, change) in changes() {
        let durable = open(dir.path()).unwrap();
        durable.apply(&[(version, change)]).unwrap();
        if version == 4 {
            durable.write_snapshot().unwrap();
        }
        drop(durable);
        let again = open(dir.path()).unwrap();
        assert_eq!((again.version(), held(&again).as_slice()), (version, AFTER[usize::try_from(version).unwrap()]));
        again.apply(&changes()[..usize::try_from(version).unwrap()]).unwrap();
        assert_eq!(held(&again), AFTER[usize::try_from(version).unwrap()], "what was applied is not applied again");
    }
}

#[test]
fn a_log_cut_at_any_byte_gives_whole_changes_or_is_refused() {
    let (dir, log, bytes) = logged();
    for length in 0..bytes.len() {
        fs::write(&log, &bytes[..length]).unwrap();
        let error = open(dir.path()).unwrap_err();
        assert!(matches!(error, DurableError::Stale { newest: 6, .. }), "cut at {length}: {error}");
        // Where the newest version was lost with it, what is whole counts, and nothing else.
        fs::write(&log, &bytes[..length]).unwrap();
        fs::rename(dir.path().join("newest-sface-2021dec"), dir.path().join("kept")).unwrap();
        let durable = open(dir.path()).unwrap();
        let version = usize::try_from(durable.version()).unwrap();
        assert_eq!(held(&durable), AFTER[version], "cut at {length}");
        // And it can be written to, and read again.
        durable.apply(&changes()).unwrap();
        drop(durable);
        assert_eq!(held(&open(dir.path()).unwrap()), AFTER[6], "cut at {length}");
        fs::rename(dir.path().join("kept"), dir.path().join("newest-sface-2021dec")).unwrap();
        fs::remove_dir_all(dir.path().join("gallery")).unwrap();
        fs::create_dir(dir.path().join("gallery")).unwrap();
    }
}

#[test]
fn a_log_with_any_byte_altered_is_refused_and_named() {
    let (dir, log, bytes) = logged();
    let newest = fs::read(dir.path().join("newest-sface-2021dec")).unwrap();
    // Whether the newest version is known or was lost with it.
    for newest in [newest, Vec::new()] {
        fs::write(dir.path().join("newest-sface-2021dec"), newest).unwrap();
        for at in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[at] ^= 0x40;
            fs::write(&log, &altered).unwrap();
            let error = open(dir.path()).unwrap_err();
            assert!(error.to_string().contains("gallery"), "{error}");
            let useless = matches!(error, DurableError::Damaged { .. } | DurableError::Newer { .. });
            assert!(useless, "byte {at}: {error}");
        }
    }
    fs::write(&log, &bytes).unwrap();
    assert_eq!(held(&open(dir.path()).unwrap()), AFTER[6]);
}

#[test]
fn a_log_that_takes_the_place_of_another_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let mut logs = Vec::new();
    for (version, change) in changes() {
        open(dir.path()).unwrap().apply(&[(version, change)]).unwrap();
        logs.push(dir.path().join(format!("gallery/changes-{:016x}", version - 1)));
    }
    // The fifth holds a removal.
    fs::remove_file(&logs[4]).unwrap();
    forget_newest(dir.path());
    let error = open(dir.path()).unwrap_err();
    assert!(matches!(error, DurableError::Damaged { .. }) && error.to_string().contains("missing"), "{error}");
    fs::rename(&logs[5], &logs[4]).unwrap();
    let error = open(dir.path()).unwrap_err();
    assert!(matches!(error, DurableError::Damaged { .. }) && error.to_string().contains("renamed"), "{error}");
}

#[test]
fn a_snapshot_cut_or_altered_anywhere_is_refused_and_named() {
    let (dir, _, _) = logged();
    open(dir.path()).unwrap().write_snapshot().unwrap();
    forget_newest(dir.path());
    let snapshot = dir.path().join("gallery/snapshot");
    let bytes = fs::read(&snapshot).unwrap();
    let refused = |bytes: &[u8]| {
        fs::write(&snapshot, bytes).unwrap();
        let error = open(dir.path()).unwrap_err();
        assert!(error.to_string().contains("snapshot"), "{error}");
        error
    };
    for at in 0..bytes.len() {
        assert!(matches!(refused(&bytes[..at]), DurableError::Damaged { .. }));
        let mut altered = bytes.clone();
        altered[at] ^= 0x01;
        let error = refused(&altered);
        assert!(error.wants_rebuild() || matches!(error, DurableError::Newer { .. }), "byte {at}: {error}");
    }
    refused(&[bytes.as_slice(), b"more"].concat());
    let mut newer = bytes.clone();
    newer[8] += 1;
    let error = refused(&newer);
    assert!(matches!(error, DurableError::Newer { format: 3, .. }) && !error.wants_rebuild(), "{error}");
    fs::write(&snapshot, &bytes).unwrap();
    assert_eq!(held(&open(dir.path()).unwrap()), AFTER[6]);
}

#[test]
fn a_crash_at_any_step_of_a_snapshot_loses_nothing() {
    let (dir, log, old_log) = logged();
    let durable = open(dir.path()).unwrap();
    durable.write_snapshot().unwrap();
    durable.apply(&[(7, Change::Put(template(7)))]).unwrap();
    drop(durable);
    let (new_log, gallery) = (only_log(dir.path()), dir.path().join("gallery"));
    let (snapshot, new_bytes) = (fs::read(gallery.join("snapshot")).unwrap(), fs::read(&new_log).unwrap());
    assert_ne!(new_log, log);
    // Before the rename, with the snapshot half-written; after it, with the old log still there.
    for (file, content) in [("snapshot.new", &snapshot[..40]), ("snapshot", &snapshot)] {
        fs::remove_dir_all(&gallery).unwrap();
        fs::create_dir(&gallery).unwrap();
        fs::write(&log, &old_log).unwrap();
        fs::write(&new_log, &new_bytes).unwrap();
        fs::write(gallery.join(file), content).unwrap();
        let again = open(dir.path()).unwrap();
        assert_eq!((again.version(), held(&again)), (7, vec![1, 4, 7]), "{file}");
        again.write_snapshot().unwrap();
        drop(again);
        assert_eq!(held(&open(dir.path()).unwrap()), [1, 4, 7]);
    }
}

#[test]
fn changes_that_go_on_while_a_snapshot_is_written_are_in_it_or_in_the_log() {
    for seed in 0..4 {
        let dir = tempfile::tempdir().unwrap();
        let durable = open(dir.path()).unwrap();
        let id = |number: u16| TemplateId::from_bytes([number.to_be_bytes(); 8].concat().try_into().unwrap());
        // Each version has a face of its own.
        let put = |version: u64, number: u16| {
            let face = face(u64::from(number) << 32 | version);
            (version, Change::Put(Template { id: id(number), embedding: face, ..template(1) }))
        };
        let remove = |version, number: u16| (version, Change::RemoveTemplate(id(number)));
        let many: Vec<_> = (1..=9000).map(|version| put(version, u16::try_from(version).unwrap())).collect();
        durable.apply(&many).unwrap();
        std::thread::scope(|scope| {
            let write = || (0..3).for_each(|_| durable.write_snapshot().unwrap());
            let writers = [scope.spawn(write), scope.spawn(write)];
            let mut rng = StdRng::seed_from_u64(seed);
            let mut version = 9000;
            while !writers.iter().all(std::thread::ScopedJoinHandle::is_finished) {
                let many = [1, 300][rng.random_range(0..2)];
                let mut change = |version| {
                    let number = rng.random_range(1..=9000);
                    if rng.random_bool(0.5) { put(version, number) } else { remove(version, number) }
                };
                let changes: Vec<_> = (version + 1..=version + many).map(&mut change).collect();
                durable.apply(&changes).unwrap();
                version += many;
            }
        });
        let probe = face(0);
        let found = |durable: &Durable| {
            let hits = durable.index().search_exhaustively(&probe, 10_000).unwrap();
            let of_hit = |hit: Hit| (hit.template, hit.similarity.cosine().to_bits());
            hits.into_iter().map(of_hit).collect::<std::collections::BTreeSet<_>>()
        };
        let (before, version) = (found(&durable), durable.version());
        drop(durable);
        let again = open(dir.path()).unwrap();
        assert!((found(&again), again.version()) == (before, version), "seed {seed}: every row with its latest face");
    }
}

#[test]
fn an_old_copy_is_refused_though_it_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let durable = open(dir.path()).unwrap();
    durable.apply(&changes()[..4]).unwrap();
    durable.write_snapshot().unwrap();
    let old = fs::read(dir.path().join("gallery/snapshot")).unwrap();
    durable.apply(&changes()[4..]).unwrap();
    drop(durable);
    Durable::discard(&place(dir.path())).unwrap();
    fs::create_dir(dir.path().join("gallery")).unwrap();
    fs::write(dir.path().join("gallery/snapshot"), old).unwrap();
    let error = open(dir.path()).unwrap_err();
    assert!(matches!(error, DurableError::Stale { found: 4, newest: 6, .. }) && error.wants_rebuild(), "{error}");
    // Emptied, the place can be filled anew.
    Durable::discard(&place(dir.path())).unwrap();
    let anew = open(dir.path()).unwrap();
    anew.apply(&changes()[..5]).unwrap();
    assert!(anew.is_behind(), "it still holds whom the feed removes next");
    anew.apply(&changes()).unwrap();
    assert!(!anew.is_behind());
    drop(anew);
    Durable::discard(&place(dir.path())).unwrap();
    let anew = open(dir.path()).unwrap();
    anew.index().put(&template(1)).unwrap();
    assert!(anew.is_behind());
    anew.adopt(9).unwrap();
    assert!(!anew.is_behind());
    drop(anew);
    let again = open(dir.path()).unwrap();
    assert_eq!((again.version(), held(&again)), (9, vec![1]));
}

#[test]
fn another_key_model_size_or_centre_is_told_apart() {
    let (dir, _, _) = logged();
    let here = place(dir.path());
    let with_key = Place { key: [4; 32].into(), ..here.clone() };
    let error = Durable::open(model(), DIMS, with_key).unwrap_err();
    assert!(matches!(error, DurableError::Damaged { .. }) && error.to_string().contains("another key"), "{error}");
    let centred = Place { centre: Some(vec![0.1; DIMS]), ..here.clone() };
    let others = [
        Durable::open(model(), DIMS, centred),
        Durable::open(model(), DIMS + 1, here.clone()),
        Durable::open(ModelId::new("arcface").unwrap(), DIMS, here),
    ];
    for opened in others {
        assert!(matches!(opened.unwrap_err(), DurableError::Foreign { .. }));
    }
    assert_eq!(held(&open(dir.path()).unwrap()), AFTER[6], "nothing was touched");
}

#[test]
fn a_disk_that_fills_during_a_snapshot_leaves_everything_as_it_was() {
    let (dir, _, _) = logged();
    let durable = open(dir.path()).unwrap();
    std::os::unix::fs::symlink("/dev/full", dir.path().join("gallery/snapshot.new")).unwrap();
    let error = durable.write_snapshot().unwrap_err();
    assert!(matches!(&error, DurableError::File { source, .. } if source.kind() == std::io::ErrorKind::StorageFull));
    assert_eq!(held(&durable), AFTER[6]);
    durable.apply(&[(7, Change::Put(template(7)))]).unwrap();
    drop(durable);
    let again = open(dir.path()).unwrap();
    assert_eq!(held(&again), [1, 4, 7]);
    again.write_snapshot().unwrap();
}

#[test]
fn a_template_of_another_model_changes_neither_disk_nor_memory() {
    let (dir, _, bytes) = logged();
    let durable = open(dir.path()).unwrap();
    let foreign = Embedding::normalise(ModelId::new("arcface").unwrap(), vec![1.0; DIMS]).unwrap();
    let change = Change::Put(Template { embedding: foreign, ..template(8) });
    assert!(matches!(durable.apply(&[(7, change)]), Err(DurableError::Engine(_))));
    assert_eq!((durable.version(), held(&durable)), (6, vec![1, 4]));
    drop(durable);
    assert_eq!(held(&open(dir.path()).unwrap()), [1, 4]);
    let face: Vec<u8> = template(1).embedding.values()[..2].iter().flat_map(|v| v.to_le_bytes()).collect();
    assert!(!bytes.windows(8).any(|window| window == face), "no value of a face lies open");
    assert!(!bytes.windows(16).any(|window| window == [1; 16]), "nor an id");
}

fn staged_files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir.join("gallery")).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("staged-")).collect()
}

#[test]
fn filling_by_hand_goes_on_from_what_was_kept_until_the_new_templates_count() {
    let dir = tempfile::tempdir().unwrap();
    let resume = || Durable::resume(model(), DIMS, place(dir.path()));
    let filled = open(dir.path()).unwrap();
    filled.has_been_at(7).unwrap();
    (1..=3).for_each(|number| filled.put(&template(number)).unwrap());
    filled.keep_staged().unwrap();
    filled.put(&template(4)).unwrap();
    drop(filled);
    let filled = resume().unwrap();
    assert_eq!(held(&filled), [1, 2, 3]);
    assert!(filled.is_behind(), "nobody searches it yet");
    filled.put(&template(5)).unwrap();
    filled.keep_staged().unwrap();
    filled.adopt(9).unwrap();
    drop(filled);
    // Adopted, but nobody was told that it counts: all the same it goes on.
    let filled = resume().unwrap();
    assert_eq!((held(&filled), filled.version()), (vec![1, 2, 3, 5], 0));
    filled.adopt(9).unwrap();
    filled.take_over().unwrap();
    assert_eq!(staged_files(dir.path()), Vec::<PathBuf>::new());
    drop(filled);
    let counts = open(dir.path()).unwrap();
    assert_eq!((held(&counts), counts.version(), counts.is_behind()), (vec![1, 2, 3, 5], 9, false));
}

#[test]
fn what_was_staged_is_sealed_cut_where_it_tore_and_refused_where_it_was_altered() {
    let dir = tempfile::tempdir().unwrap();
    let filled = open(dir.path()).unwrap();
    (1..=2).for_each(|number| {
        filled.put(&template(number)).unwrap();
        filled.keep_staged().unwrap();
    });
    drop(filled);
    let [file] = staged_files(dir.path()).try_into().unwrap();
    let whole = fs::read(&file).unwrap();
    assert!(!whole.windows(16).any(|bytes| bytes == [1; 16]), "not even an id can be read");
    fs::write(&file, &whole[..whole.len() - 5]).unwrap();
    let resumed = Durable::resume(model(), DIMS, place(dir.path())).unwrap();
    assert_eq!(held(&resumed), [1]);
    drop(resumed);
    let mut altered = whole;
    *altered.last_mut().unwrap() ^= 1;
    fs::write(&file, altered).unwrap();
    let error = Durable::resume(model(), DIMS, place(dir.path())).unwrap_err();
    assert!(error.wants_rebuild(), "{error}");
    // Whoever opens it as it was gets none of it.
    assert_eq!(held(&open(dir.path()).unwrap()), Vec::<u8>::new());
    assert_eq!(staged_files(dir.path()), Vec::<PathBuf>::new());
}
