//! Random lives of an index, checked step by step against the oracle.

#![allow(clippy::unwrap_used)]

use facegate_domain::face::{Embedding, InvalidEmbedding, Template};
use facegate_domain::ids::{ModelId, RiderId, TemplateId};
use facegate_gallery::Engine;
use facegate_gallery::engine::{EngineError, FaissFlat};
use facegate_gallery::exact::Exact;
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const DIMS: usize = 16;

fn model() -> ModelId {
    ModelId::new("sface-2021dec").unwrap()
}

fn embedding(rng: &mut StdRng) -> Embedding {
    Embedding::normalise(model(), (0..DIMS).map(|_| rng.random_range(-1.0..1.0)).collect()).unwrap()
}

fn template(id: TemplateId, rng: &mut StdRng) -> Template {
    Template { id, rider: RiderId::random(), embedding: embedding(rng), photographs: 1 }
}

fn agree(index: &FaissFlat, oracle: &Exact, probe: &Embedding, k: usize) {
    let (found, expected) = (index.search(probe, k).unwrap(), oracle.search(probe, k).unwrap());
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        // Two sums of the same products in another order: ids may swap only where the scores are equal to rounding.
        assert!((found.similarity.cosine() - expected.similarity.cosine()).abs() < 1e-5, "{found:?} {expected:?}");
        let own = oracle.similarity(probe, found.template).unwrap().expect("a found template is held");
        assert!((own.cosine() - found.similarity.cosine()).abs() < 1e-5);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn any_sequence_of_changes_gives_the_oracles_answers(seed: u64, block_rows in 1usize..7, steps in 1usize..120) {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut index = FaissFlat::with_block_rows(model(), DIMS, block_rows);
        let mut oracle = Exact::new(model(), DIMS);
        let mut held: Vec<TemplateId> = vec![];
        let mut gone: Vec<TemplateId> = vec![];
        for _ in 0..steps {
            let known = !held.is_empty() && rng.random_bool(0.6);
            let pick = if held.is_empty() { 0 } else { rng.random_range(0..held.len()) };
            if known && rng.random_bool(0.6) {
                let id = held.swap_remove(pick);
                gone.push(id);
                prop_assert!(index.remove(id).unwrap() && oracle.remove(id).unwrap());
                prop_assert!(!index.remove(id).unwrap());
            } else {
                let id = if known { held[pick] } else { TemplateId::from_bytes(rng.random()) };
                if !known {
                    held.push(id);
                }
                let template = template(id, &mut rng);
                index.put(&template).unwrap();
                oracle.put(&template).unwrap();
                prop_assert_eq!(index.search(&template.embedding, 1).unwrap()[0].template, id);
            }
            let probe = embedding(&mut rng);
            let k = rng.random_range(1..9);
            agree(&index, &oracle, &probe, k);
            prop_assert_eq!((index.len(), index.blocks()), (held.len(), held.len().div_ceil(block_rows)));
            let all = index.search(&probe, held.len() + 3).unwrap();
            prop_assert!(all.iter().all(|hit| !gone.contains(&hit.template)), "a removed template came back");
            for id in &held {
                let (found, expected) = (index.similarity(&probe, *id).unwrap(), oracle.similarity(&probe, *id).unwrap());
                prop_assert!((found.unwrap().cosine() - expected.unwrap().cosine()).abs() < 1e-5);
            }
        }
    }
}

#[test]
fn blocks_of_the_real_size_agree_too() {
    let mut rng = StdRng::seed_from_u64(7);
    let mut index = FaissFlat::new(model(), DIMS);
    let mut oracle = Exact::new(model(), DIMS);
    let templates: Vec<_> = (0..4096 + 500).map(|_| template(TemplateId::random(), &mut rng)).collect();
    for template in &templates {
        index.put(template).unwrap();
        oracle.put(template).unwrap();
    }
    for template in templates.iter().step_by(9) {
        assert!(index.remove(template.id).unwrap() && oracle.remove(template.id).unwrap());
    }
    for _ in 0..20 {
        agree(&index, &oracle, &embedding(&mut rng), 10);
    }
}

#[test]
fn a_foreign_embedding_is_refused_and_the_index_stays_as_it_was() {
    let mut rng = StdRng::seed_from_u64(1);
    let mut index = FaissFlat::new(model(), DIMS);
    let good = template(TemplateId::random(), &mut rng);
    index.put(&good).unwrap();
    let other = ModelId::new("arcface").unwrap();
    let foreign = Embedding::normalise(other, good.embedding.values().to_vec()).unwrap();
    let short = Embedding::normalise(model(), vec![1.0; DIMS - 1]).unwrap();
    let refused = |e: EngineError| matches!(e, EngineError::Embedding(_));
    for bad in [foreign, short] {
        assert!(refused(index.search(&bad, 1).unwrap_err()));
        assert!(refused(index.similarity(&bad, good.id).unwrap_err()));
        let replacement = Template { embedding: bad, ..good.clone() };
        assert!(refused(index.put(&replacement).unwrap_err()));
    }
    let found = index.search(&good.embedding, 5).unwrap();
    assert_eq!(found.len(), 1);
    assert!(found[0].template == good.id && found[0].similarity.cosine() > 0.999);
    let wrong = index.search(&Embedding::normalise(model(), vec![1.0; 3]).unwrap(), 1).unwrap_err();
    assert!(matches!(wrong, EngineError::Embedding(InvalidEmbedding::WrongDimension { expected: DIMS, got: 3, .. })));
}

#[test]
fn asking_for_nothing_or_of_nobody_finds_nothing() {
    let mut rng = StdRng::seed_from_u64(2);
    let mut index = FaissFlat::new(model(), DIMS);
    assert_eq!(index.search(&embedding(&mut rng), 3).unwrap(), []);
    index.put(&template(TemplateId::random(), &mut rng)).unwrap();
    assert_eq!(index.search(&embedding(&mut rng), 0).unwrap(), []);
}
