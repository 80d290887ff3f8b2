//! Random lives of the index against the oracle, alone and with many threads at it.

#![allow(clippy::unwrap_used)]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use facegate_domain::face::{Embedding, InvalidEmbedding, Template};
use facegate_domain::ids::{ModelId, RiderId, TemplateId};
use facegate_domain::score::Tier;
use facegate_gallery::engine::{Engine, EngineError};
use facegate_gallery::exact::Exact;
use facegate_gallery::index::{Index, Query};
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
/// between two ticks of it knows whether it must be found.
#[test]
fn searches_that_run_with_changes_find_what_is_held_and_never_what_was_removed() {
    const TEMPLATES: usize = 600;
    for seed in 0..3 {
        let index = Index::new(model(), DIMS);
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
                            let (id, rider) = (id_of(number), RiderId::from_bytes(*id_of(number).as_bytes()));
                            let embedding = life(number, before / 4);
                            index.put(&Template { id, rider, embedding, photographs: 1 }).unwrap();
                        } else {
                            assert!(index.remove(id_of(number)));
                        }
                        clock.fetch_add(1, Ordering::SeqCst);
                    }
                });
            }
            let mut rng = StdRng::seed_from_u64(seed);
            for _ in 0..60 {
                let probes = [embedding(&mut rng), embedding(&mut rng)];
                let before: Vec<u64> = clocks.iter().map(|clock| clock.load(Ordering::SeqCst)).collect();
                let queries: Vec<_> = probes.iter().map(|probe| Query { probe, tiers: &[] }).collect();
                let answers = index.search_all(&queries, TEMPLATES).unwrap();
                for (probe, answer) in probes.iter().zip(answers) {
                    let mut found = vec![None; TEMPLATES];
                    for hit in answer.hits {
                        let twice = found[number_of(hit.template)].replace(hit.similarity.cosine());
                        assert_eq!(twice, None, "seed {seed}: a template is found once");
                    }
                    for number in 0..TEMPLATES {
                        if clocks[number].load(Ordering::SeqCst) != before[number] {
                            continue;
                        }
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
    let count = (1 << 17) + 300;
    let mut some = vec![];
    for number in 0..count {
        let embedding = put(number, face(&mut rng));
        if number % 4001 == 0 {
            some.push((number, embedding));
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
