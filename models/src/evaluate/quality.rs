//! `eval quality`: what the quality policy refuses, by reason, of photographs as they are and degraded on purpose.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use facegate_domain::Clock;
use facegate_models::home::Home;
use facegate_models::{QualityPolicy, QualityProblem};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use serde_json::{Value, json};

use super::LFW_DEFAULT;
use super::acquire::{Engines, Face, NotAcquired};
use super::degrade::Degradation;
use super::identities::IdentitySet;

/// What a rider may wear and how he may be lit; what else degrades a picture is in `eval recognition`.
const DEGRADATIONS: [Degradation; 7] = [
    Degradation::Mask,
    Degradation::DarkMask,
    Degradation::Sunglasses,
    Degradation::Spectacles,
    Degradation::SideLight(2.5),
    Degradation::EyesApart(32.0),
    Degradation::Motion(0.25),
];

#[derive(Debug, Args)]
pub struct Arguments {
    /// Photographs in one folder per person: a folder or a tar file
    #[arg(long, default_value = LFW_DEFAULT)]
    pub lfw: PathBuf,
    /// How many people, one photograph each
    #[arg(long, default_value_t = 300)]
    pub people: usize,
}

pub fn run(arguments: &Arguments, home: &Home, clock: &(dyn Clock + Sync)) -> anyhow::Result<()> {
    let set = IdentitySet::open(&arguments.lfw)?;
    let mut photographs: Vec<usize> = set.by_person().into_iter().filter_map(|own| own.first().copied()).collect();
    photographs.shuffle(&mut StdRng::seed_from_u64(9));
    photographs.truncate(arguments.people);
    let engines = Engines::load(home, None)?;
    let mut rows = vec![row("as they are", &engines.acquire(&set, &photographs, clock)?)];
    for degradation in DEGRADATIONS {
        rows.push(row(&degradation.name(), &engines.acquire_degraded(&set, &photographs, degradation, clock)?));
    }
    println!("{}", json!({ "photographs": photographs.len(), "quality": rows }));
    Ok(())
}

/// Counts by reason; faces whose reason is hidden by an earlier one count there alone.
fn row(name: &str, faces: &[Result<Face, NotAcquired>]) -> Value {
    let policy = QualityPolicy::default();
    let acquired: Vec<&Face> = faces.iter().flatten().collect();
    let mut refused: BTreeMap<QualityProblem, usize> = BTreeMap::new();
    for problem in acquired.iter().filter_map(|face| face.quality.verdict(&policy).err()) {
        *refused.entry(problem).or_default() += 1;
    }
    let reasons: Vec<String> = refused.iter().map(|(problem, count)| format!("{count} {problem:?}")).collect();
    println!("{name}: of {} faces refused {}", acquired.len(), reasons.join(", "));
    let by_reason: BTreeMap<String, usize> = refused.iter().map(|(p, count)| (format!("{p:?}"), *count)).collect();
    json!({ "name": name, "acquired": acquired.len(), "refused": by_reason })
}
