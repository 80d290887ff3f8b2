//! What a gallery answers when riders come, go, enter and look alike.

#![allow(clippy::unwrap_used)]

mod evidence;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use facegate_domain::Timestamp;
use facegate_domain::face::{Embedding, InvalidEmbedding, Template};
use facegate_domain::ids::{GateId, ModelId, RecordId, RiderId, TemplateId};
use facegate_domain::score::{Calibration, Recognition, Tier, Verdict};
use facegate_domain::tap::Direction;
use facegate_gallery::calibration::shipped;
use facegate_gallery::{Change, DecisionSettings, Gallery, GalleryError, Model};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const DIMS: usize = 128;
const FRAMES: u32 = 3;
const NOW: Timestamp = Timestamp::from_unix_ms(1_790_000_000_000);

fn model() -> ModelId {
    ModelId::new("sface-2021dec").unwrap()
}

/// The shipped one without its centre: these faces are random directions, and have nothing in common.
fn calibration() -> Calibration {
    Calibration { centre: None, ..shipped(&model()).unwrap() }
}

fn gallery() -> Gallery {
    Gallery::new(DIMS, calibration(), DecisionSettings::default())
}

fn face(rng: &mut StdRng) -> Embedding {
    Embedding::normalise(model(), (0..DIMS).map(|_| rng.random_range(-1.0..1.0)).collect()).unwrap()
}

/// Another look at `of`, at exactly this cosine.
fn look(of: &Embedding, cosine: f32, rng: &mut StdRng) -> Embedding {
    let noise = face(rng);
    let along = noise.similarity(of).cosine();
    let across: Vec<f32> = noise.values().iter().zip(of.values()).map(|(n, o)| n - along * o).collect();
    let across = Embedding::normalise(model(), across).unwrap();
    let side = (1.0 - cosine * cosine).sqrt();
    let mix = of.values().iter().zip(across.values()).map(|(o, a)| cosine * o + side * a).collect();
    Embedding::normalise(model(), mix).unwrap()
}

fn enrol_fused(gallery: &Gallery, embedding: &Embedding, photographs: u32) -> Template {
    let (id, rider) = (TemplateId::random(), RiderId::random());
    let template = Template { id, rider, embedding: embedding.clone(), photographs };
    gallery.put(&template).unwrap();
    template
}

fn risk_of(verdict: &Verdict) -> f64 {
    match verdict {
        Verdict::Recognised(recognition) => recognition.risk,
        Verdict::Unknown { risk } | Verdict::Ambiguous { risk } => *risk,
    }
}

fn enrol(gallery: &Gallery, embedding: &Embedding) -> Template {
    enrol_fused(gallery, embedding, 1)
}

fn entry() -> RecordId {
    RecordId { gate: GateId::new("north-in").unwrap(), epoch: 1, sequence: 4 }
}

fn recognised(verdict: Verdict) -> Recognition {
    match verdict {
        Verdict::Recognised(recognition) => recognition,
        other => panic!("expected a recognition, got {other:?}"),
    }
}

#[test]
fn a_mate_is_recognised_and_a_stranger_is_not() {
    let (gallery, mut rng) = (gallery(), StdRng::seed_from_u64(1));
    let mate = face(&mut rng);
    let template = enrol(&gallery, &mate);
    for _ in 0..20 {
        enrol(&gallery, &face(&mut rng));
    }
    let seen = recognised(gallery.identify(&look(&mate, 0.72, &mut rng), FRAMES, Direction::Entry, NOW).unwrap());
    assert_eq!((seen.rider, seen.tier), (template.rider, Tier::City));
    let stranger = gallery.identify(&face(&mut rng), FRAMES, Direction::Entry, NOW).unwrap();
    assert!(matches!(stranger, Verdict::Unknown { .. }));
}

#[test]
fn the_best_of_a_riders_templates_counts() {
    let (gallery, mut rng) = (gallery(), StdRng::seed_from_u64(2));
    let mate = face(&mut rng);
    let first = enrol(&gallery, &look(&mate, 0.3, &mut rng));
    gallery.put(&Template { id: TemplateId::random(), embedding: mate.clone(), ..first.clone() }).unwrap();
    gallery.entered(first.rider, entry(), NOW);
    let probe = look(&mate, 0.7, &mut rng);
    let seen = recognised(gallery.identify(&probe, FRAMES, Direction::Exit, NOW).unwrap());
    assert!((seen.similarity.cosine() - 0.7).abs() < 1e-3 && seen.tier == Tier::InSystem);
    assert_eq!((gallery.templates(), gallery.tier_len(Tier::City, NOW)), (2, 1));
}

#[test]
fn a_member_of_a_tier_is_scored_though_the_city_search_misses_him() {
    let mut rng = StdRng::seed_from_u64(3);
    let settings = DecisionSettings { candidates_max: 2, ..DecisionSettings::default() };
    let gallery = Gallery::new(DIMS, calibration(), settings);
    let mate = face(&mut rng);
    let template = enrol(&gallery, &mate);
    let probe = look(&mate, 0.61, &mut rng);
    for _ in 0..2 {
        let twin = look(&probe, 0.63, &mut rng);
        enrol(&gallery, &twin);
    }
    let two_alike = gallery.identify(&probe, FRAMES, Direction::Exit, NOW).unwrap();
    assert!(matches!(two_alike, Verdict::Ambiguous { .. }), "{two_alike:?}");
    let outvoted = match two_alike {
        Verdict::Ambiguous { risk } => risk,
        _ => 1.0,
    };
    gallery.entered(template.rider, entry(), NOW);
    match gallery.identify(&probe, FRAMES, Direction::Exit, NOW).unwrap() {
        // Inside is where the third one is, and the only one: he carries most of the posterior now.
        Verdict::Ambiguous { risk } => assert!(risk < 0.45 && outvoted > 0.45, "{risk} after {outvoted}"),
        other => panic!("two lookalikes remain possible, but {other:?}"),
    }
}

#[test]
fn in_system_ends_with_the_exit_and_never_refuses_one() {
    let (gallery, mut rng) = (gallery(), StdRng::seed_from_u64(4));
    let mate = face(&mut rng);
    let template = enrol(&gallery, &mate);
    let probe = look(&mate, 0.8, &mut rng);
    let tier = || recognised(gallery.identify(&probe, FRAMES, Direction::Exit, NOW).unwrap()).tier;
    gallery.entered(template.rider, entry(), NOW);
    assert_eq!(tier(), Tier::InSystem);
    gallery.left(template.rider, &entry());
    assert_eq!(tier(), Tier::City);
}

#[test]
fn what_a_tier_adds_is_told_by_what_the_city_alone_would_have_said() {
    let (gallery, mut rng) = (gallery(), StdRng::seed_from_u64(14));
    let mate = face(&mut rng);
    let template = enrol(&gallery, &mate);
    for _ in 0..500 {
        enrol(&gallery, &face(&mut rng));
    }
    let (mut added, mut not_needed) = (0, 0);
    for cosine in 30..90_u8 {
        let probe = look(&mate, f32::from(cosine) / 100.0, &mut rng);
        gallery.entered(template.rider, entry(), NOW);
        let inside = gallery.identify_and_compare(&probe, FRAMES, Direction::Exit, NOW).unwrap();
        gallery.left(template.rider, &entry());
        let outside = gallery.identify_and_compare(&probe, FRAMES, Direction::Exit, NOW).unwrap();
        assert!(!outside.needs_its_tier, "the city is no tier to be in need of");
        let recognised = |verdict: &Verdict| matches!(verdict, Verdict::Recognised(_));
        let needed = recognised(&inside.verdict) && !recognised(&outside.verdict);
        assert_eq!(inside.needs_its_tier, needed, "at a cosine of {cosine} hundredths");
        added += u32::from(needed);
        not_needed += u32::from(recognised(&outside.verdict));
    }
    assert!(added > 0 && not_needed > 0, "{added} and {not_needed}");
}

#[test]
fn a_sighting_expects_the_rider_for_its_time_and_keeps_nobody_else() {
    let (gallery, mut rng) = (gallery(), StdRng::seed_from_u64(5));
    let mate = face(&mut rng);
    let template = enrol(&gallery, &mate);
    let until = NOW.plus(Duration::from_secs(300));
    assert!(!gallery.sight(&face(&mut rng), FRAMES, until, NOW).unwrap());
    assert_eq!(gallery.tier_len(Tier::Expected, NOW), 0);
    assert!(gallery.sight(&look(&mate, 0.75, &mut rng), FRAMES, until, NOW).unwrap());
    let seen = |now| {
        recognised(
            gallery.identify(&look(&mate, 0.7, &mut StdRng::seed_from_u64(6)), FRAMES, Direction::Entry, now).unwrap(),
        )
    };
    assert_eq!((seen(NOW).rider, seen(NOW).tier), (template.rider, Tier::Expected));
    assert_eq!(seen(until).tier, Tier::City);
}

/// Fused templates are nearer to strangers too, so the same score is worth no more against one.
#[test]
fn a_score_against_a_fused_template_is_believed_no_more_than_against_a_single_one() {
    let mut rng = StdRng::seed_from_u64(11);
    let mate = face(&mut rng);
    // The same looks each time: the index rounds each a little differently.
    let risks = |photographs: u32| -> Vec<f64> {
        let rng = &mut StdRng::seed_from_u64(12);
        let gallery = gallery();
        enrol_fused(&gallery, &mate, photographs);
        let risk = |step: u8| {
            let probe = look(&mate, f32::from(step) / 100.0, rng);
            risk_of(&gallery.identify(&probe, FRAMES, Direction::Entry, NOW).unwrap())
        };
        (20..90).map(risk).collect()
    };
    let (uncounted, single, fused) = (risks(0), risks(1), risks(3));
    assert!(single.iter().zip(&uncounted).all(|(a, b)| (a - b).abs() < 1e-6));
    assert!(fused.iter().zip(&single).all(|(fused, single)| *fused > single - 1e-6));
    assert!(fused.iter().zip(&single).any(|(fused, single)| *fused > 2.0 * single));
}

/// Erasures by the feed and by hand, while an entrance camera keeps recognising the same face.
#[test]
fn a_sighting_never_brings_an_erased_rider_back() {
    let (gallery, mut rng) = (gallery(), StdRng::seed_from_u64(20));
    let mate = face(&mut rng);
    let until = NOW.plus(Duration::from_secs(300));
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    gallery.sight(&mate, FRAMES, until, NOW).unwrap();
                }
            });
        }
        for version in 1..2000 {
            let template = enrol(&gallery, &mate);
            if version % 2 == 0 {
                gallery.remove_rider(template.rider).unwrap();
            } else {
                gallery.apply(&[(version, Change::RemoveRider(template.rider))]).unwrap();
            }
            assert_eq!(gallery.tier_len(Tier::Expected, NOW), 0, "after removal {version}");
        }
        stop.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_removed_rider_is_gone_from_every_answer() {
    let (gallery, mut rng) = (gallery(), StdRng::seed_from_u64(7));
    let mate = face(&mut rng);
    let template = enrol(&gallery, &mate);
    gallery.put(&Template { id: TemplateId::random(), ..template.clone() }).unwrap();
    gallery.entered(template.rider, entry(), NOW);
    assert_eq!(gallery.remove_rider(template.rider).unwrap(), 2);
    assert_eq!(gallery.identify(&mate, FRAMES, Direction::Exit, NOW).unwrap(), Verdict::Unknown { risk: 1.0 });
    assert_eq!(gallery.nearest(&mate, 5).unwrap(), []);
    assert_eq!((gallery.templates(), gallery.tier_len(Tier::InSystem, NOW)), (0, 0));
    assert_eq!(gallery.remove_rider(template.rider).unwrap(), 0);
    assert!(!gallery.remove_template(template.id).unwrap());
}

#[test]
fn a_template_put_again_moves_to_its_new_rider() {
    let (gallery, mut rng) = (gallery(), StdRng::seed_from_u64(8));
    let first = enrol(&gallery, &face(&mut rng));
    let second = Template { rider: RiderId::random(), embedding: face(&mut rng), ..first.clone() };
    gallery.put(&second).unwrap();
    let nearest = gallery.nearest(&second.embedding, 3).unwrap();
    assert_eq!(nearest.iter().map(|n| n.rider).collect::<Vec<_>>(), [second.rider]);
    assert_eq!(gallery.remove_rider(first.rider).unwrap(), 0);
    assert!(gallery.remove_template(second.id).unwrap());
    assert_eq!(gallery.tier_len(Tier::City, NOW), 0);
}

#[test]
fn foreign_probes_and_templates_are_refused_and_nothing_changes() {
    let (gallery, mut rng) = (gallery(), StdRng::seed_from_u64(9));
    let template = enrol(&gallery, &face(&mut rng));
    let other = ModelId::new("arcface").unwrap();
    let foreign = Embedding::normalise(other, template.embedding.values().to_vec()).unwrap();
    let short = Embedding::normalise(model(), vec![1.0; 64]).unwrap();
    let is_model = |e: GalleryError| matches!(e, GalleryError::Embedding(InvalidEmbedding::WrongModel { .. }));
    let is_size =
        |e| matches!(e, GalleryError::Embedding(InvalidEmbedding::WrongDimension { expected: DIMS, got: 64, .. }));
    assert!(is_model(gallery.identify(&foreign, FRAMES, Direction::Entry, NOW).unwrap_err()));
    assert!(is_model(gallery.sight(&foreign, FRAMES, NOW, NOW).unwrap_err()));
    assert!(is_model(gallery.put(&Template { embedding: foreign, ..template.clone() }).unwrap_err()));
    assert!(is_size(gallery.identify(&short, FRAMES, Direction::Entry, NOW).unwrap_err()));
    assert!(is_size(gallery.nearest(&short, 1).unwrap_err()));
    assert!(is_size(gallery.put(&Template { embedding: short, ..template.clone() }).unwrap_err()));
    let nearest = gallery.nearest(&template.embedding, 9).unwrap();
    assert!(nearest.len() == 1 && nearest[0].template == template.id);
}

#[test]
fn a_removed_face_is_never_found_while_others_come_and_go() {
    let gallery = Arc::new(gallery());
    let mut rng = StdRng::seed_from_u64(10);
    for _ in 0..300 {
        enrol(&gallery, &face(&mut rng));
    }
    let stop = Arc::new(AtomicBool::new(false));
    let churn = {
        let (gallery, stop) = (Arc::clone(&gallery), Arc::clone(&stop));
        std::thread::spawn(move || {
            let mut rng = StdRng::seed_from_u64(11);
            while !stop.load(Ordering::Relaxed) {
                let passing = enrol(&gallery, &face(&mut rng));
                gallery.remove_rider(passing.rider).unwrap();
            }
        })
    };
    for _ in 0..200 {
        let template = enrol(&gallery, &face(&mut rng));
        assert_eq!(gallery.nearest(&template.embedding, 1).unwrap()[0].template, template.id);
        gallery.remove_rider(template.rider).unwrap();
        let after = gallery.nearest(&template.embedding, 1000).unwrap();
        assert!(after.iter().all(|n| n.template != template.id));
    }
    stop.store(true, Ordering::Relaxed);
    churn.join().unwrap();
    assert_eq!(gallery.templates(), 300);
}

#[test]
fn what_all_faces_share_is_subtracted_from_templates_and_probes_alike() {
    let mut rng = StdRng::seed_from_u64(12);
    let shared = face(&mut rng);
    let centre: Vec<f32> = shared.values().iter().map(|v| 0.3 * v).collect();
    let gallery =
        Gallery::new(DIMS, Calibration { centre: Some(centre), ..calibration() }, DecisionSettings::default());
    let mate = look(&shared, 0.3, &mut rng);
    let template = enrol(&gallery, &mate);
    let nearest = gallery.nearest(&mate, 1).unwrap()[0];
    assert!(nearest.template == template.id && (nearest.similarity.cosine() - 1.0).abs() < 1e-3);
    // Another face that has just as much of what is shared is no nearer for it.
    let stranger = look(&shared, 0.3, &mut rng);
    let raw = mate.similarity(&stranger).cosine();
    let centred = gallery.nearest(&stranger, 1).unwrap()[0].similarity.cosine();
    assert!(centred < raw - 0.05, "{centred} after {raw}");
}

#[test]
fn a_gallery_prints_its_size_only() {
    assert_eq!(format!("{:?}", gallery()), "Gallery(model=sface-2021dec, dims=128, templates=0)");
}

/// During a migration: riders whose template of the new model has not come yet are found by the old one.
#[test]
fn a_probe_meets_templates_of_its_own_model_only() {
    let mut rng = StdRng::seed_from_u64(13);
    let new = ModelId::new("next-model").unwrap();
    let of = |calibration| Model { dims: DIMS, calibration, place: None, searches_max: 1 };
    let models = vec![of(calibration()), of(Calibration { model: new.clone(), ..calibration() })];
    let gallery = Gallery::open(models, DecisionSettings::default()).unwrap();
    let (mate, other) = (face(&mut rng), face(&mut rng));
    let as_new = |face: &Embedding| Embedding::normalise(new.clone(), face.values().to_vec()).unwrap();
    let (both, only_old) = (enrol(&gallery, &mate), enrol(&gallery, &other));
    gallery.put(&Template { id: TemplateId::random(), embedding: as_new(&mate), ..both.clone() }).unwrap();
    gallery.entered(both.rider, entry(), NOW);
    for probe in [mate.clone(), as_new(&mate)] {
        let seen = recognised(gallery.identify(&probe, FRAMES, Direction::Exit, NOW).unwrap());
        assert_eq!((seen.rider, seen.tier), (both.rider, Tier::InSystem));
    }
    assert_eq!(recognised(gallery.identify(&other, FRAMES, Direction::Entry, NOW).unwrap()).rider, only_old.rider);
    let unknown = gallery.identify(&as_new(&other), FRAMES, Direction::Entry, NOW).unwrap();
    assert!(matches!(unknown, Verdict::Unknown { .. }));
    assert_eq!(gallery.nearest(&as_new(&other), 5).unwrap().len(), 1);
    assert_eq!(gallery.remove_rider(both.rider).unwrap(), 2, "a removal is of every model");
    assert_eq!(gallery.nearest(&as_new(&mate), 5).unwrap(), []);
    let third = Embedding::normalise(ModelId::new("third").unwrap(), mate.values().to_vec()).unwrap();
    assert!(matches!(gallery.nearest(&third, 1), Err(GalleryError::Embedding(InvalidEmbedding::WrongModel { .. }))));
}

#[test]
fn what_the_feed_brings_is_applied_once_and_what_fits_no_model_is_told() {
    let (gallery, mut rng) = (gallery(), StdRng::seed_from_u64(14));
    let (mate, rider) = (face(&mut rng), RiderId::random());
    let template = |embedding| Template { id: TemplateId::random(), rider, embedding, photographs: 1 };
    let short = Embedding::normalise(model(), vec![1.0; 3]).unwrap();
    let changes = [(1, Change::Put(template(mate.clone()))), (2, Change::Put(template(short)))];
    let refused = gallery.apply(&changes).unwrap();
    assert!(matches!(refused[..], [(2, InvalidEmbedding::WrongDimension { .. })]));
    assert_eq!((gallery.templates(), gallery.version()), (1, None));
    assert_eq!(gallery.apply(&[(3, Change::RemoveRider(rider))]).unwrap(), []);
    assert_eq!(gallery.templates(), 0);
}
