//! Galleries on disk as a station has them: two models, one place after another, and what the device has seen.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;
use std::time::Duration;

use facegate_domain::Timestamp;
use facegate_domain::face::{Embedding, Template};
use facegate_domain::ids::{ModelId, RiderId, TemplateId};
use facegate_domain::score::Calibration;
use facegate_gallery::calibration::shipped;
use facegate_gallery::durable::Durable;
use facegate_gallery::{Change, DecisionSettings, DurableError, Gallery, GalleryError, Model, Place};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const DIMS: usize = 16;
const OLD: &str = "sface-2021dec";
const NEW: &str = "next-2027";

fn id(name: &str) -> ModelId {
    ModelId::new(name).unwrap()
}

fn place(dir: &Path, name: &str) -> Place {
    Place { dir: dir.join(name), newest: dir.join("newest"), key: [3; 32].into(), centre: None }
}

/// Galleries of one model, the first of two places that share what the device has seen.
fn open_one(dir: &Path, name: &str) -> Result<Durable, DurableError> {
    Durable::open(id(OLD), DIMS, place(dir, name))
}

fn open_two(dir: &Path) -> Result<Gallery, DurableError> {
    let model = |name| Model {
        dims: DIMS,
        calibration: Calibration { model: id(name), centre: None, ..shipped(&id(OLD)).unwrap() },
        place: Some(place(dir, name)),
        searches_max: 1,
    };
    Gallery::open(vec![model(OLD), model(NEW)], DecisionSettings::default())
}

fn template(model: &str, number: u8) -> Template {
    let mut rng = StdRng::seed_from_u64(u64::from(number));
    let values = (0..DIMS).map(|_| rng.random_range(-1.0..1.0)).collect();
    let embedding = Embedding::normalise(id(model), values).unwrap();
    let (id, rider) = (TemplateId::from_bytes([number; 16]), RiderId::from_bytes([number; 16]));
    Template { id, rider, embedding, photographs: 1 }
}

fn put(version: u64, model: &str, number: u8) -> (u64, Change) {
    (version, Change::Put(template(model, number)))
}

fn remove(version: u64, number: u8) -> (u64, Change) {
    (version, Change::RemoveRider(RiderId::from_bytes([number; 16])))
}

fn is_behind(gallery: &Gallery, probe: &Embedding) -> bool {
    matches!(gallery.nearest(probe, 9), Err(GalleryError::Behind))
}

#[test]
fn a_gallery_of_two_models_opens_whole_or_not_at_all_and_is_as_far_as_the_one_behind() {
    let dir = tempfile::tempdir().unwrap();
    let gallery = open_two(dir.path()).unwrap();
    gallery.apply(&[put(1, OLD, 1), put(2, NEW, 2), put(3, OLD, 3), put(4, NEW, 4), remove(5, 3)]).unwrap();
    assert_eq!((gallery.version(), gallery.templates(), gallery.is_behind()), (Some(5), 3, false));
    drop(gallery);
    // The files of one are altered: it is named.
    let log = fs::read_dir(dir.path().join(NEW)).unwrap().map(|entry| entry.unwrap().path());
    let log = log.filter(|path| path.to_str().unwrap().contains("changes-")).max().unwrap();
    let bytes = fs::read(&log).unwrap();
    let altered: Vec<u8> = bytes.iter().enumerate().map(|(i, byte)| byte ^ u8::from(i == 100)).collect();
    fs::write(&log, altered).unwrap();
    let error = open_two(dir.path()).unwrap_err();
    assert!(error.wants_rebuild() && error.to_string().contains(NEW), "{error}");
    // Begun anew, it is behind, and the other is not.
    fs::remove_dir_all(dir.path().join(NEW)).unwrap();
    let gallery = open_two(dir.path()).unwrap();
    assert_eq!((gallery.version(), gallery.templates(), gallery.is_behind()), (Some(0), 1, true));
    let (old, new) = (template(OLD, 1).embedding, template(NEW, 4).embedding);
    assert_eq!(gallery.nearest(&old, 9).unwrap().len(), 1);
    assert!(is_behind(&gallery, &new));
    gallery.apply(&[put(1, OLD, 1), put(2, NEW, 2), put(3, OLD, 3)]).unwrap();
    assert!(is_behind(&gallery, &new));
    assert_eq!(gallery.nearest(&old, 9).unwrap().len(), 1, "what it had applied is not applied again");
    drop(gallery);
    // Half-way there, it is an old copy like any other.
    let error = open_two(dir.path()).unwrap_err();
    assert!(matches!(error, DurableError::Stale { found: 3, newest: 5, .. }), "{error}");
    fs::remove_dir_all(dir.path().join(NEW)).unwrap();
    let gallery = open_two(dir.path()).unwrap();
    gallery.apply(&[put(2, NEW, 2), put(4, NEW, 4), remove(5, 3)]).unwrap();
    assert_eq!((gallery.version(), gallery.templates(), gallery.is_behind()), (Some(5), 3, false));
    assert_eq!(gallery.nearest(&new, 9).unwrap().len(), 2);
}

#[test]
fn what_is_kept_on_disk_is_changed_by_hand_only_before_it_is_adopted() {
    let dir = tempfile::tempdir().unwrap();
    let gallery = open_two(dir.path()).unwrap();
    [template(OLD, 1), template(NEW, 2)].iter().for_each(|template| gallery.put(template).unwrap());
    gallery.adopt(5).unwrap();
    gallery.take_over().unwrap();
    let in_use = |error: GalleryError| matches!(error, GalleryError::Durable(DurableError::InUse { .. }));
    assert!(in_use(gallery.put(&template(OLD, 3)).unwrap_err()));
    assert!(in_use(gallery.remove_rider(RiderId::from_bytes([1; 16])).unwrap_err()));
    assert!(in_use(gallery.remove_template(TemplateId::from_bytes([2; 16])).unwrap_err()));
    assert!(matches!(gallery.adopt(6), Err(DurableError::InUse { .. })));
    assert_eq!((gallery.templates(), gallery.version()), (2, Some(5)));
    gallery.apply(&[remove(6, 1)]).unwrap();
    drop(gallery);
    let gallery = open_two(dir.path()).unwrap();
    assert_eq!((gallery.templates(), gallery.version()), (1, Some(6)));
    assert!(in_use(gallery.put(&template(OLD, 3)).unwrap_err()), "nor after a start");
}

#[test]
fn the_place_of_before_can_be_opened_until_the_new_one_takes_over() {
    // A snapshot of a later version, and one of a cloud that lost its latest days.
    for version in [9, 3] {
        let dir = tempfile::tempdir().unwrap();
        let before = open_one(dir.path(), "a").unwrap();
        before.apply(&[put(5, OLD, 1)]).unwrap();
        let after = open_one(dir.path(), "b").unwrap();
        after.put(&template(OLD, 2)).unwrap();
        after.adopt(version).unwrap();
        assert!(!after.is_behind());
        drop((before, after));
        // A crash before the caller's pointer says which counts.
        let before = open_one(dir.path(), "a").unwrap();
        assert_eq!((before.version(), before.is_behind()), (5, false), "{version}");
        // And one behind it: newer files are used, older ones fetched anew once more.
        match open_one(dir.path(), "b") {
            Ok(after) => assert_eq!((after.version(), version), (9, 9)),
            Err(error) => assert!(matches!(error, DurableError::Stale { found: 3, newest: 5, .. }), "{error}"),
        }
        Durable::discard(&place(dir.path(), "b")).unwrap();
        let after = open_one(dir.path(), "b").unwrap();
        after.adopt(version).unwrap();
        after.take_over().unwrap();
        drop((before, after));
        let after = open_one(dir.path(), "b").unwrap();
        assert_eq!((after.version(), after.is_behind()), (version, false));
    }
}

#[test]
fn a_device_that_lost_what_it_had_seen_is_told_and_learns_it_from_what_it_finds() {
    let dir = tempfile::tempdir().unwrap();
    let newest = dir.path().join(format!("newest-{OLD}"));
    open_one(dir.path(), "a").unwrap().apply(&[put(1, OLD, 1), remove(2, 1)]).unwrap();
    fs::remove_file(&newest).unwrap();
    // Found again in the files themselves.
    drop(open_one(dir.path(), "a").unwrap());
    Durable::discard(&place(dir.path(), "a")).unwrap();
    assert!(open_one(dir.path(), "a").unwrap().is_behind());
    // All is lost, and somebody else remembers.
    Durable::discard(&place(dir.path(), "a")).unwrap();
    fs::remove_file(&newest).unwrap();
    let anew = open_one(dir.path(), "a").unwrap();
    assert!(!anew.is_behind());
    anew.has_been_at(2).unwrap();
    assert!(anew.is_behind());
    anew.apply(&[put(1, OLD, 1)]).unwrap();
    drop(anew);
    let error = open_one(dir.path(), "a").unwrap_err();
    assert!(matches!(error, DurableError::Stale { found: 1, newest: 2, .. }), "a start does not forget it: {error}");
    Durable::discard(&place(dir.path(), "a")).unwrap();
    let anew = open_one(dir.path(), "a").unwrap();
    anew.apply(&[put(1, OLD, 1)]).unwrap();
    assert!(anew.is_behind());
    anew.apply(&[remove(2, 1)]).unwrap();
    assert!(!anew.is_behind() && anew.index().is_empty());
}

#[test]
fn a_removed_face_leaves_the_disk_within_a_day() {
    let (dir, now) = (tempfile::tempdir().unwrap(), Timestamp::from_unix_ms(1_790_000_000_000));
    let snapshot = dir.path().join(OLD).join("snapshot");
    let gallery = open_two(dir.path()).unwrap();
    gallery.apply(&[put(1, OLD, 1), put(2, OLD, 2)]).unwrap();
    gallery.write_snapshots(now.plus(Duration::from_secs(90_000))).unwrap();
    assert!(!snapshot.exists(), "nothing was removed, and the log is short");
    gallery.apply(&[remove(3, 1)]).unwrap();
    gallery.write_snapshots(now).unwrap();
    gallery.write_snapshots(now.plus(Duration::from_secs(80_000))).unwrap();
    assert!(!snapshot.exists());
    gallery.write_snapshots(now.plus(Duration::from_secs(90_000))).unwrap();
    assert!(snapshot.exists());
    assert!(!dir.path().join(NEW).join("snapshot").exists(), "of the other model nothing was removed");
}

#[test]
fn a_place_has_one_user() {
    let dir = tempfile::tempdir().unwrap();
    let first = open_one(dir.path(), "a").unwrap();
    let error = open_one(dir.path(), "a").unwrap_err();
    let DurableError::File { source, .. } = &error else { panic!("{error}") };
    assert_eq!(source.kind(), std::io::ErrorKind::WouldBlock);
    drop(first);
    open_one(dir.path(), "a").unwrap();
}
