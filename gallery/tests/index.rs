//! Random lives of the index against the oracle, alone and with many threads at it.

#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use facegate_domain::face::{Embedding, InvalidEmbedding, Template};
use facegate_domain::ids::{ModelId, RiderId, TemplateId};
use facegate_domain::score::Tier;
use facegate_gallery::engine::FaissFlat;
use facegate_gallery::engine::{Engine, EngineError};
use facegate_gallery::exact::Exact;
use facegate_gallery::index::{Index, Kernel, Query, Tuning};
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const DIMS: usize = 32;
/// What one byte a coordinate leaves of a cosine.
const ROUNDING: f32 = 0.008;

fn model() -> ModelId {
    ModelId::new("sface-2021dec").unwrap()
}

fn embedding(rng: &mut StdRng) -> Embedding {
    Embedding::normalise(model(), (0..DIMS).map(|_| rng.random_range(-1.0..1.0)).collect()).unwrap()
}

fn template(id: TemplateId, rider: RiderId, rng: &mut StdRng) -> Template {
    Template { id, rider, embedding: embedding(rng), photographs: 1 }
}

fn agree(index: &Index, oracle: &Exact, probe: &Embedding, k: usize) {
    let (found, expected) = (Engine::search(index, probe, k).unwrap(), oracle.search(probe, k).unwrap());
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        // Ids may swap only where the scores are equal to rounding.
        assert!((found.similarity.cosine() - expected.similarity.cosine()).abs() < ROUNDING, "{found:?} {expected:?}");
        let own = oracle.similarity(probe, found.template).unwrap().expect("a found template is held");
        assert!((own.cosine() - found.similarity.cosine()).abs() < ROUNDING);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn any_sequence_of_changes_gives_the_oracles_answers(seed: u64, steps in 1usize..250) {
        let mut rng = StdRng::seed_from_u64(seed);
        let (index, mut oracle) = (Index::new(model(), DIMS), Exact::new(model(), DIMS));
        // Few riders, so that many have several templates.
        let riders: Vec<RiderId> = (0..20).map(|_| RiderId::from_bytes(rng.random())).collect();
        let mut held: Vec<(TemplateId, RiderId)> = vec![];
        let mut inside: Vec<RiderId> = vec![];
        for _ in 0..steps {
            let rider = riders[rng.random_range(0..riders.len())];
            match rng.random_range(0..10) {
                0..4 => {
                    let id = TemplateId::from_bytes(rng.random());
                    let template = template(id, rider, &mut rng);
                    index.put(&template).unwrap();
                    oracle.put(&template).unwrap();
                    held.push((id, rider));
                }
                4 | 5 if !held.is_empty() => {
                    // Replaced, and perhaps another rider's from now on.
                    let pick = rng.random_range(0..held.len());
                    held[pick].1 = rider;
                    let template = template(held[pick].0, rider, &mut rng);
                    index.put(&template).unwrap();
                    oracle.put(&template).unwrap();
                }
                6 | 7 if !held.is_empty() => {
                    let (id, _) = held.swap_remove(rng.random_range(0..held.len()));
                    prop_assert!(index.remove(id) && oracle.remove(id).unwrap());
                    prop_assert!(!index.remove(id));
                }
                8 if inside.contains(&rider) => {
                    inside.retain(|known| *known != rider);
                    index.leave(Tier::InSystem, rider);
                }
                8 => {
                    inside.push(rider);
                    index.join(Tier::InSystem, rider);
                }
                _ => {
                    let gone = held.extract_if(.., |(_, owner)| *owner == rider).collect::<Vec<_>>();
                    gone.iter().for_each(|(id, _)| assert!(oracle.remove(*id).unwrap()));
                    prop_assert_eq!(index.remove_rider(rider), gone.len());
                    inside.retain(|known| *known != rider);
                }
            }
            let probe = embedding(&mut rng);
            agree(&index, &oracle, &probe, rng.random_range(1..9));
            agree(&index, &oracle, &probe, held.len() + 3);
            let answer = &index.search_all(&[Query { probe: &probe, tiers: &[Tier::InSystem] }], 500).unwrap()[0];
            let members: Vec<_> = held.iter().filter(|(_, rider)| inside.contains(rider)).collect();
            prop_assert_eq!(answer.tiers[0].hits.len(), members.len());
            prop_assert!(answer.tiers[0].hits.iter().all(|hit| members.contains(&&(hit.template, hit.rider))));
            let all: std::collections::HashSet<_> = held.iter().map(|(_, rider)| *rider).collect();
            let enrolled_inside = inside.iter().filter(|rider| all.contains(rider)).count();
            prop_assert_eq!((answer.riders, answer.tiers[0].riders), (all.len(), enrolled_inside));
        }
    }
}

/// So small that a few hundred templates are many tiles, many candidates and many changes.
fn small(kernel: Kernel) -> Tuning {
    Tuning { kernel, tile_rows: 64, compared: 16, compared_in_tier: 16, remembered: 512 }
}

/// A probe at about this cosine.
fn near(embedding: &Embedding, cosine: f32, rng: &mut StdRng) -> Embedding {
    let noise: Vec<f32> = embedding.values().iter().map(|_| rng.random_range(-1.0f32..1.0)).collect();
    let length = noise.iter().map(|v| v * v).sum::<f32>().sqrt();
    let other = (1.0 - cosine * cosine).sqrt() / length;
    let values = embedding.values().iter().zip(&noise).map(|(e, n)| cosine * e + other * n).collect();
    Embedding::normalise(model(), values).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]
    /// With so few candidates that the scan decides who is compared, mates are found first, in the city and in the tier,
    /// on every kernel, whatever came and went before.
    #[test]
    fn the_scan_finds_mates_on_every_kernel(seed: u64, steps in 300usize..1500) {
        for kernel in Kernel::available() {
            let mut rng = StdRng::seed_from_u64(seed);
            let index = Index::tuned(model(), 128, small(kernel));
            let face = |rng: &mut StdRng| {
                Embedding::normalise(model(), (0..128).map(|_| rng.random_range(-1.0..1.0)).collect()).unwrap()
            };
            let mut held: Vec<Template> = vec![];
            for _ in 0..steps {
                match rng.random_range(0..4) {
                    0 if !held.is_empty() => {
                        let gone = held.swap_remove(rng.random_range(0..held.len()));
                        prop_assert!(index.remove(gone.id));
                    }
                    1 if !held.is_empty() => {
                        let pick = rng.random_range(0..held.len());
                        held[pick].embedding = face(&mut rng);
                        index.put(&held[pick]).unwrap();
                    }
                    _ => {
                        let (id, rider) = (TemplateId::from_bytes(rng.random()), RiderId::from_bytes(rng.random()));
                        let template = Template { id, rider, embedding: face(&mut rng), photographs: 1 };
                        index.put(&template).unwrap();
                        if rng.random_bool(0.5) {
                            index.join(Tier::Regulars, rider);
                        }
                        held.push(template);
                    }
                }
            }
            for mate in held.iter().take(40) {
                let probe = near(&mate.embedding, 0.8, &mut rng);
                let queries = [Query { probe: &probe, tiers: &[Tier::Regulars] }];
                let answer = index.search_all(&queries, 2).unwrap().remove(0);
                prop_assert_eq!(answer.hits[0].template, mate.id, "{:?}, seed {}", kernel, seed);
                if answer.tiers[0].among_hits.contains(&mate.rider) {
                    prop_assert_eq!(answer.tiers[0].hits[0].template, mate.id, "{:?}, seed {}", kernel, seed);
                }
                let exact = index.search_exhaustively(&probe, 2).unwrap();
                prop_assert_eq!(answer.hits[0], exact[0]);
                prop_assert!((exact[0].similarity.cosine() - probe.similarity(&mate.embedding).cosine()).abs() < ROUNDING);
            }
        }
    }
}

#[test]
fn faiss_finds_the_same_mates() {
    let mut rng = StdRng::seed_from_u64(6);
    let (index, mut faiss) = (Index::new(model(), 128), FaissFlat::new(model(), 128));
    let faces: Vec<Template> = (0..20_000)
        .map(|number| {
            let values = (0..128).map(|_| rng.random_range(-1.0..1.0)).collect();
            let (id, rider) = (id_of(number), RiderId::from_bytes(*id_of(number).as_bytes()));
            Template { id, rider, embedding: Embedding::normalise(model(), values).unwrap(), photographs: 1 }
        })
        .collect();
    for template in &faces {
        index.put(template).unwrap();
        Engine::put(&mut faiss, template).unwrap();
    }
    for template in faces.iter().step_by(100) {
        let probe = near(&template.embedding, 0.65, &mut rng);
        let (ours, theirs) = (Engine::search(&index, &probe, 1).unwrap()[0], faiss.search(&probe, 1).unwrap()[0]);
        assert_eq!(ours.template, theirs.template);
        assert!((ours.similarity.cosine() - theirs.similarity.cosine()).abs() < ROUNDING);
    }
}

/// The vector of a template in its n-th life.
fn life(id: usize, life: u64) -> Embedding {
    embedding(&mut StdRng::seed_from_u64(id as u64 * 1_000_003 + life))
}

fn id_of(number: usize) -> TemplateId {
    TemplateId::from_bytes((number as u128 + 1).to_be_bytes())
}

fn number_of(id: TemplateId) -> usize {
    usize::try_from(u128::from_be_bytes(*id.as_bytes())).unwrap() - 1
}

/// Each template's clock ticks four times a life: gone, about to be put, held, about to be removed. Whoever searches
/// between two ticks of it knows whether it must be found. Every third rider is a member of a tier.
#[test]
fn searches_that_run_with_changes_find_what_is_held_and_never_what_was_removed() {
    const TEMPLATES: usize = 600;
    for (seed, kernel) in (0..2).flat_map(|seed| Kernel::available().into_iter().map(move |kernel| (seed, kernel))) {
        let index = Index::tuned(model(), DIMS, small(kernel));
        let rider = |number| RiderId::from_bytes(*id_of(number).as_bytes());
        (0..TEMPLATES).step_by(3).for_each(|number| index.join(Tier::InSystem, rider(number)));
        let clocks: Vec<AtomicU64> = (0..TEMPLATES).map(|_| AtomicU64::new(0)).collect();
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for writer in 0..2 {
                let (index, clocks, stop) = (&index, &clocks, &stop);
                scope.spawn(move || {
                    let mut rng = StdRng::seed_from_u64(seed * 10 + writer);
                    while !stop.load(Ordering::Relaxed) {
                        let number = rng.random_range(0..TEMPLATES / 2) * 2 + usize::try_from(writer).unwrap();
                        let clock = &clocks[number];
                        let before = clock.fetch_add(1, Ordering::SeqCst);
                        if before % 4 == 0 {
                            let embedding = life(number, before / 4);
                            let template =
                                Template { id: id_of(number), rider: rider(number), embedding, photographs: 1 };
                            index.put(&template).unwrap();
                        } else {
                            assert!(index.remove(id_of(number)));
                        }
                        clock.fetch_add(1, Ordering::SeqCst);
                        // Now and then a pause, so that searches come to an end between two floods.
                        if rng.random_ratio(1, 64) {
                            std::thread::sleep(std::time::Duration::from_millis(2));
                        }
                    }
                });
            }
            let mut rng = StdRng::seed_from_u64(seed);
            for _ in 0..40 {
                let probes = [embedding(&mut rng), embedding(&mut rng)];
                let before: Vec<u64> = clocks.iter().map(|clock| clock.load(Ordering::SeqCst)).collect();
                let queries: Vec<_> = probes.iter().map(|probe| Query { probe, tiers: &[Tier::InSystem] }).collect();
                let answers = index.search_all(&queries, TEMPLATES).unwrap();
                let exhaustive = index.search_exhaustively(&probes[0], TEMPLATES).unwrap();
                let after: Vec<u64> = clocks.iter().map(|clock| clock.load(Ordering::SeqCst)).collect();
                let lists = answers.into_iter().zip(&probes).flat_map(|(answer, probe)| {
                    let members = answer.tiers.into_iter().map(move |tier| (probe, tier.hits, 3));
                    std::iter::once((probe, answer.hits, 1)).chain(members)
                });
                for (probe, hits, every) in lists.chain([(&probes[0], exhaustive, 1)]) {
                    let mut found = vec![None; TEMPLATES];
                    for hit in hits {
                        let number = number_of(hit.template);
                        assert_eq!(number % every, 0, "seed {seed}: no member of the tier");
                        let twice = found[number].replace(hit.similarity.cosine());
                        assert_eq!(twice, None, "seed {seed}: a template is found once");
                    }
                    for number in (0..TEMPLATES).step_by(every).filter(|number| after[*number] == before[*number]) {
                        match (before[number] % 4, found[number]) {
                            (0, found) => assert_eq!(found, None, "seed {seed}: a removed template came back"),
                            (2, None) => panic!("seed {seed}: a held template was missed"),
                            (2, Some(cosine)) => {
                                let exact = probe.similarity(&life(number, before[number] / 4)).cosine();
                                assert!((cosine - exact).abs() < ROUNDING, "seed {seed}: {cosine} {exact}");
                            }
                            _ => (),
                        }
                    }
                }
            }
            stop.store(true, Ordering::Relaxed);
        });
    }
}

#[test]
fn mates_are_found_among_many_and_memory_is_given_back() {
    let mut rng = StdRng::seed_from_u64(4);
    let index = Index::new(model(), 128);
    let face = |rng: &mut StdRng| (0..128).map(|_| rng.random_range(-1.0f32..1.0)).collect::<Vec<_>>();
    let put = |number: usize, values: Vec<f32>| {
        let (id, rider) = (id_of(number), RiderId::from_bytes(*id_of(number).as_bytes()));
        let embedding = Embedding::normalise(model(), values).unwrap();
        index.put(&Template { id, rider, embedding: embedding.clone(), photographs: 1 }).unwrap();
        embedding
    };
    // One segment and a little: removals move rows across the border.
    let (mut count, mut some) = (0, vec![]);
    let mut last = usize::MAX;
    let mut segment = 0;
    while count < last {
        let embedding = put(count, face(&mut rng));
        if count % 4001 == 0 {
            some.push((count, embedding));
        }
        count += 1;
        segment = if count == 1 { index.allocated_bytes() } else { segment };
        if last == usize::MAX && index.allocated_bytes() > segment {
            last = count + 300;
        }
    }
    let full = index.allocated_bytes();
    (0..600).filter(|number| number % 4001 != 0).for_each(|number| assert!(index.remove(id_of(number))));
    assert_eq!((index.len(), index.allocated_bytes()), (count - 599, full / 2));
    for (number, embedding) in &some {
        // At a cosine of about .65.
        let noise = face(&mut rng);
        let length = noise.iter().map(|v| v * v).sum::<f32>().sqrt();
        let values = embedding.values().iter().zip(&noise).map(|(e, n)| 0.65 * e + 0.76 * n / length).collect();
        let probe = Embedding::normalise(model(), values).unwrap();
        let hits = Engine::search(&index, &probe, 3).unwrap();
        assert_eq!(hits[0].template, id_of(*number));
        let exhaustive = index.search_exhaustively(&probe, 3).unwrap();
        assert_eq!(hits[0], exhaustive[0]);
    }
}

#[test]
fn many_equal_templates_are_no_trouble() {
    let mut rng = StdRng::seed_from_u64(8);
    let index = Index::new(model(), DIMS);
    let same = embedding(&mut rng);
    for number in 0..9000 {
        let (id, rider) = (id_of(number), RiderId::from_bytes(*id_of(number).as_bytes()));
        index.put(&Template { id, rider, embedding: same.clone(), photographs: 1 }).unwrap();
    }
    let hits = Engine::search(&index, &same, 5).unwrap();
    assert_eq!(hits.len(), 5);
    assert!(hits.iter().all(|hit| (hit.similarity.cosine() - 1.0).abs() < 1e-3));
}

#[test]
fn what_does_not_fit_is_refused_and_the_index_stays_as_it_was() {
    let mut rng = StdRng::seed_from_u64(1);
    let index = Index::new(model(), DIMS);
    let good = template(TemplateId::random(), RiderId::random(), &mut rng);
    index.put(&good).unwrap();
    let foreign = Embedding::normalise(ModelId::new("arcface").unwrap(), good.embedding.values().to_vec()).unwrap();
    let short = Embedding::normalise(model(), vec![1.0; DIMS - 1]).unwrap();
    for bad in [foreign, short] {
        let refused = |e: EngineError| matches!(e, EngineError::Embedding(_));
        assert!(refused(Engine::search(&index, &bad, 1).unwrap_err()));
        assert!(refused(index.search_exhaustively(&bad, 1).unwrap_err()));
        assert!(refused(index.cosine_to(&bad, good.id).unwrap_err()));
        assert!(refused(index.search_tier(&bad, Tier::InSystem, 1).unwrap_err()));
        assert!(refused(index.put(&Template { embedding: bad, ..good.clone() }).unwrap_err()));
    }
    // A vector with NaN, or of zeros only, is no embedding and gets no further than this.
    assert!(matches!(
        Embedding::normalise(model(), vec![f32::NAN; DIMS]),
        Err(InvalidEmbedding::NotFinite { position: 0 })
    ));
    assert_eq!(Embedding::normalise(model(), vec![0.0; DIMS]), Err(InvalidEmbedding::Zero));
    assert!(!index.remove(TemplateId::random()), "an unknown id is no error");
    assert_eq!(index.remove_rider(RiderId::random()), 0);
    let found = Engine::search(&index, &good.embedding, 5).unwrap();
    assert!(found.len() == 1 && found[0].template == good.id && found[0].similarity.cosine() > 0.999);
    assert_eq!(Engine::search(&index, &good.embedding, 0).unwrap(), []);
    assert_eq!(Engine::search(&Index::new(model(), DIMS), &good.embedding, 3).unwrap(), []);
    assert_eq!(format!("{index:?}"), "Index(model=sface-2021dec, dims=32, templates=1)");
}
