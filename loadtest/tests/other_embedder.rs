//! Another embedder from its entry in the manifest to the decision: its templates in a gallery of its size, under its
//! calibration. Nothing but names says which one it is.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::OnceLock;

use facegate_domain::Timestamp;
use facegate_domain::face::{Embedding, Template};
use facegate_domain::ids::{ModelId, RiderId, TemplateId};
use facegate_domain::score::{Calibration, RiskBudget, Verdict};
use facegate_domain::tap::Direction;
use facegate_gallery::{DecisionSettings, Gallery, GalleryError, calibration};
use facegate_models::fetch::fetch;
use facegate_models::home::Home;
use facegate_models::manifest::{Manifest, Model, Selection};
use facegate_models::{EngineOptions, FaceEngine};
use facegate_runtime::clock::SystemClock;

const NAME: &str = "hse-faceres-2021";
/// The largest components of `person_b_2`'s embedding, as ONNX Runtime's Python package gives them in float32 for the
/// same 224×224 pixels, blue first, less the mean of the model's training (103.939, 116.779, 123.68).
const REFERENCE: [(usize, f32); 12] = [
    (535, 0.1360),
    (201, 0.1311),
    (735, 0.1193),
    (875, 0.1184),
    (560, 0.1097),
    (294, 0.1045),
    (344, 0.1017),
    (894, 0.1013),
    (841, 0.1013),
    (644, 0.1001),
    (826, 0.0998),
    (310, 0.0997),
];
/// OpenVINO's bfloat16 is off by up to 0.007; red first or no mean by 0.04.
const COMPONENT_ERROR_MAX: f32 = 0.015;

/// As an operator changes the model: its entry, fetched by name unless it is there already (`cargo xtask test` has seen
/// to that), and its calibration.
fn entry_and_calibration() -> &'static (Model, Calibration) {
    static FOUND: OnceLock<(Model, Calibration)> = OnceLock::new();
    FOUND.get_or_init(|| {
        let (manifest, home, name) = (Manifest::built_in(), Home::from_env(), ModelId::new(NAME).unwrap());
        let entry = manifest.embedder(&name).unwrap();
        if !home.root().join(&entry.to).is_file() {
            let selection = Selection::With(vec![NAME.to_owned()]);
            fetch(&manifest, &home, &selection, None, &SystemClock::new(), &mut |line| eprintln!("{line}")).unwrap();
        }
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../gallery/calibration");
        let file = shipped.join(entry.calibration.as_ref().unwrap());
        (entry.clone(), calibration::load(&file, &name).unwrap_or_else(|e| panic!("{e}")))
    })
}

fn engine(name: &str) -> FaceEngine {
    let options = EngineOptions { embedder: ModelId::new(name).unwrap(), ..EngineOptions::default() };
    FaceEngine::load(&Home::from_env().models_dir(), options).unwrap_or_else(|e| panic!("{e}"))
}

fn embedded(engine: &FaceEngine, name: &str) -> Embedding {
    let path = Home::from_env().people_dir().join(format!("{name}.jpg"));
    let frame = engine.decode(&std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))).unwrap();
    engine.embed(&frame, &engine.analyse(&frame).unwrap()[0]).unwrap()
}

/// The model forgives much: fed with red first or without its mean it still tells these few people apart, on scores
/// that no calibration was measured on.
#[test]
fn it_is_fed_as_its_entry_says_and_as_it_was_trained() {
    entry_and_calibration();
    let embedding = embedded(&engine(NAME), "person_b_2");
    for (index, expected) in REFERENCE {
        let got = embedding.values()[index];
        assert!((got - expected).abs() < COMPONENT_ERROR_MAX, "component {index}: {got}, not {expected}");
    }
}

/// The centre takes away what all faces share, so of people who do not resemble each other nothing is left in common.
#[test]
fn its_calibration_is_of_its_own_scores() {
    let (entry, calibration) = entry_and_calibration();
    assert!(!calibration.provisional, "it was measured");
    let (other, centre) = (engine(NAME), calibration.centre.as_ref().unwrap());
    assert_eq!(Some(centre.len()), entry.output.dims);
    let people = ["person_a_1", "person_b_1", "impostor_1", "impostor_2"];
    let embeddings = people.map(|name| embedded(&other, name));
    let (mut plain, mut centred) = (Vec::new(), Vec::new());
    for (i, a) in embeddings.iter().enumerate() {
        for b in &embeddings[i + 1..] {
            plain.push(a.similarity(b).cosine());
            centred.push(a.centred(centre).unwrap().similarity(&b.centred(centre).unwrap()).cosine());
        }
    }
    let mean = |scores: &[f32]| scores.iter().sum::<f32>() / scores.len() as f32;
    assert!(mean(&plain) > 0.3, "{plain:?}");
    // The file says: 0.001 ± 0.098 over LFW.
    assert!(mean(&centred).abs() < 0.1 && centred.iter().all(|score| score.abs() < 0.3), "{centred:?}");
}

#[test]
fn a_gallery_of_another_model_recognises_its_rider_refuses_strangers_and_takes_no_foreign_probe() {
    let (entry, calibration) = entry_and_calibration();
    let other = engine(NAME);
    // It separates less well than the default model: one photograph is enough for the laxest budget alone.
    let risk_budget = RiskBudget::false_charges_per_million(1000.0).unwrap();
    let settings = DecisionSettings { risk_budget, ..DecisionSettings::default() };
    let gallery = Gallery::new(entry.output.dims.unwrap(), calibration.clone(), settings);
    let enrol = |name: &str| {
        let (id, rider) = (TemplateId::random(), RiderId::random());
        gallery.put(&Template { id, rider, embedding: embedded(&other, name), photographs: 1 }).unwrap();
        rider
    };
    let (_, rider) = (enrol("person_a_1"), enrol("person_b_1"));
    let identify = |name: &str| gallery.identify(&embedded(&other, name), 1, Direction::Exit, Timestamp::default());
    match identify("person_b_2").unwrap() {
        Verdict::Recognised(recognition) => assert_eq!(recognition.rider, rider),
        verdict => panic!("{verdict:?}"),
    }
    for stranger in ["impostor_1", "impostor_2"] {
        let verdict = identify(stranger).unwrap();
        assert!(matches!(verdict, Verdict::Unknown { .. }), "{stranger}: {verdict:?}");
    }
    let foreign = embedded(&engine("sface-2021dec"), "person_b_2");
    let refused = gallery.identify(&foreign, 1, Direction::Exit, Timestamp::default());
    assert!(matches!(refused, Err(GalleryError::Embedding(_))), "{refused:?}");
}
