//! `eval calibrate`: measures on photographs of people what a score is worth, and writes it down for the stations.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use facegate_domain::Clock;
use facegate_domain::score::{
    Calibration, FusionLevel, Priors, RiskBudget, SightingModel, Tier, TierPrior, risk_limit, threshold,
};
use facegate_models::home::Home;
use serde_json::json;

use super::acquire::{Acquisition, Population, population};
use super::centring::{FMRS, Gain, centre};
use super::levels::LevelScores;
use super::ratio::score_model;
use super::sighting::Sighting;
use super::tail::Tail;

/// Templates of one photograph or of three, probes likewise.
const LEVELS: [FusionLevel; 4] = [
    FusionLevel::SINGLE,
    FusionLevel { template: 1, probe: 3 },
    FusionLevel { template: 3, probe: 1 },
    FusionLevel { template: 3, probe: 3 },
];
/// Two people are taken for one under two names if the fitted tail expects less than this many pairs as alike.
const IMPLAUSIBLE: f64 = 0.01;

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    pub set: Acquisition,
    /// The calibration file to write [default: gallery/calibration/MODEL.toml in the workspace]
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Fail if the file written is not read back as it was measured
    #[arg(long)]
    pub check: bool,
}

pub fn run(arguments: &Arguments, home: &Home, clock: &(dyn Clock + Sync)) -> anyhow::Result<()> {
    let mut population = population(home, &arguments.set, 1, clock)?;
    let gain = Gain::measure(&population);
    print_gain(&gain);
    if gain.is_worth_it() {
        let everybody: Vec<usize> = (0..population.set.people.len()).collect();
        population.centre = Some(centre(&population, &everybody));
    }
    let levels: Vec<LevelScores> =
        LEVELS.iter().filter_map(|level| LevelScores::measure(&population, *level)).collect();
    let single = levels.first().filter(|scores| scores.level == FusionLevel::SINGLE);
    let single = single.context("too few people have two photographs")?;
    let sighting = Sighting::measure(&population).context("too few people have six photographs")?;
    let noise = label_noise(&population, single);
    let mut calibration = Calibration {
        model: population.engines.model().clone(),
        provenance: provenance(&population, &gain, &levels, &sighting, &noise),
        provisional: false,
        centre: population.centre.clone(),
        sighting: SightingModel { correlation: 0.0, expected_rider_max: 1.0 },
        levels: levels.iter().map(score_model).collect(),
    };
    calibration.sighting = sighting.model(&calibration)?;
    print_thresholds(&calibration, &levels)?;
    println!("names that are likely one person, or one picture: {}", noise.names.join("; "));
    let path = arguments.out.clone().unwrap_or_else(|| shipped_path(calibration.model.as_str()));
    write(&path, &calibration)?;
    if arguments.check && Calibration::parse(&std::fs::read_to_string(&path)?)? != calibration {
        bail!("{} does not read back as it was measured", path.display());
    }
    let keys = json!({
        "model": calibration.model,
        "mated_pairs": single.mated_pairs(),
        "impostor_pairs": single.impostor.count,
        "tail_index": single.tail.best.index(),
        "tail_index_upper": single.tail.upper().index(),
        "file": path,
        "sighting_gate_correlation": sighting.fused.value,
        "sighting_gate_correlation_single": sighting.single.value,
        "expected_rider_max": calibration.sighting.expected_rider_max,
        "centring_miss_ratio": gain.ratio(),
        "centred": calibration.centre.is_some(),
    });
    println!("{keys}");
    Ok(())
}

/// Where the calibrations that ship lie in the source tree.
pub fn shipped_path(model: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../gallery/calibration/{model}.toml"))
}

fn write(path: &PathBuf, calibration: &Calibration) -> anyhow::Result<()> {
    let text = format!(
        "# Score distributions of {}, measured by `cargo xtask eval calibrate`; how is said in `provenance`.\n{}",
        calibration.model,
        toml::to_string(calibration)?
    );
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Pairs of names whose photographs are more alike than two people's can be, given how the tail falls without them.
fn label_noise(population: &Population, single: &LevelScores) -> Noise {
    let expected = |tail: &Tail, score: f64| tail.exceedance(score) * single.impostor.count as f64;
    let implausible = |score: f64| expected(&single.tail.best, score) < IMPLAUSIBLE;
    let pairs: BTreeSet<[usize; 2]> = single
        .highest
        .iter()
        .filter(|e| implausible(e.score))
        .map(|e| [e.people[0].min(e.people[1]), e.people[0].max(e.people[1])])
        .collect();
    let clean: Vec<_> = single
        .highest
        .iter()
        .filter(|e| !pairs.contains(&[e.people[0].min(e.people[1]), e.people[0].max(e.people[1])]))
        .copied()
        .collect();
    let from = single.tail.best.from;
    let without = super::tail::TailFit::of(&clean, from, single.impostor.count as f64, population.set.people.len(), 1);
    let name = |person: usize| population.set.people[person].as_str();
    Noise {
        names: pairs.iter().map(|[a, b]| format!("{} and {}", name(*a), name(*b))).collect(),
        without: without.best,
    }
}

struct Noise {
    names: Vec<String>,
    without: Tail,
}

fn provenance(
    population: &Population,
    gain: &Gain,
    levels: &[LevelScores],
    sighting: &Sighting,
    noise: &Noise,
) -> String {
    let file = population.set.source.file_name().unwrap_or_default().to_string_lossy();
    let mut text = format!(
        "{} photographs of {} people in {file}, {} failures to acquire; provider {}.\n",
        population.faces.len(),
        population.set.people.len(),
        population.failures(),
        population.engines.provider()
    );
    text += &format!(
        "Centring: {}; on people it was not fitted to, {:.0} % of the misses at FMR 1e-3, 1e-4 and 1e-5 remain.\n",
        if population.centre.is_some() { "by the mean embedding, each person counting once" } else { "none" },
        100.0 * gain.ratio()
    );
    text += "Mated density: kernel estimate, each person counting once, lower end of the 95 % bootstrap interval over \
             people. Impostor density: counted; from `extrapolated_from` on a generalised Pareto tail with its end \
             point at cosine 1, upper end of the interval. Everything beyond about one pair in a million is \
             extrapolated. The ratio is made monotone downwards and held beyond the 99th percentile of mated scores.\n";
    for scores in levels {
        let (best, upper) = (scores.tail.best, scores.tail.upper());
        text += &format!(
            "Level {}+{}: {} mated pairs of {} people, {} impostor pairs of mean {:.4} and sigma {:.4}; tail from {:.4}, \
             index {:.4}, upper {:.4}; FMR 1e-9 at {:.3}, upper {:.3}.\n",
            scores.level.template,
            scores.level.probe,
            scores.mated_pairs(),
            scores.mated.len(),
            scores.impostor.count,
            scores.impostor.mean(),
            scores.impostor.sigma(),
            best.from,
            best.index(),
            upper.index(),
            best.score_of(1e-9),
            upper.score_of(1e-9)
        );
    }
    text += &format!(
        "Label noise: {} pairs of names are likely one person or the same picture (`eval calibrate` prints them). \
         They are kept, which is the conservative choice: without them the index is {:.4}.\n",
        noise.names.len(),
        noise.without.index()
    );
    text += &format!(
        "Sighting: two sets of three photographs of one stranger against one template correlate by {:.3} [{:.3}, {:.3}] \
         ({} strangers), single photographs by {:.3}. expected_rider_max: the prior with which the gate asks for the \
         score that half of the strangers reach whom an entrance camera just took for the rider (3 million riders, 90 % \
         strangers, 10 false charges per million).\n",
        sighting.fused.value, sighting.fused.low, sighting.fused.high, sighting.strangers, sighting.single.value
    );
    text += "Not measured here: frames of one walk (less independent than these photographs: the station takes the \
             least of the levels that a probe reaches), identical twins and relatives (no budget covers a twin who \
             is not enrolled), and any group by itself.";
    text
}

fn print_gain(gain: &Gain) {
    println!("centring, on people it was not fitted to: FNMR before → after at FMR {FMRS:?}");
    for half in &gain.halves {
        let shown: Vec<String> = half.iter().map(|(b, a)| format!("{:.2} % → {:.2} %", 100.0 * b, 100.0 * a)).collect();
        println!("  {}", shown.join("  "));
    }
    println!(
        "  {:.0} % of the misses remain: {}",
        100.0 * gain.ratio(),
        if gain.is_worth_it() { "used" } else { "not used" }
    );
}

/// What the posterior rule asks for at the default budget, and what it costs the riders: the city by its size, then the
/// narrow tiers beside a city of three million.
fn print_thresholds(calibration: &Calibration, levels: &[LevelScores]) -> anyhow::Result<()> {
    let budget = RiskBudget::false_charges_per_million(10.0)?;
    println!("threshold cosine (FNIR) at 10 false charges per million, 85 % strangers; * extrapolated");
    for scores in levels {
        let evidence = calibration.at(scores.level);
        let cell = |tiers: Vec<TierPrior>| -> anyhow::Result<String> {
            let (mass, riders) = (tiers[0].mass, tiers[0].riders);
            let priors = Priors::new(0.85, tiers)?;
            let limit = risk_limit(&priors, std::slice::from_ref(&evidence), budget);
            let accepted = threshold(0.85, mass / riders as f64, &evidence, limit).map(|s| f64::from(s.cosine()));
            Ok(accepted.map_or("never".to_owned(), |cosine| {
                let star = if cosine > scores.tail.best.from { "*" } else { "" };
                format!("{cosine:.3}{star} ({:.1} %)", 100.0 * scores.fnmr(cosine))
            }))
        };
        let city = |mass, riders| TierPrior { tier: Tier::City, mass, riders };
        println!("  templates of {}, probes of {}:", scores.level.template, scores.level.probe);
        for n in [1_000, 10_000, 100_000, 1_000_000, 3_000_000] {
            println!("    city of {n}: {}", cell(vec![city(0.15, n)])?);
        }
        let expected = calibration.sighting.expected_rider_max.min(0.06 / 50.0) * 50.0;
        for (tier, mass, riders) in
            [(Tier::InSystem, 0.12, 2_000), (Tier::Regulars, 0.05, 5_000), (Tier::Expected, expected, 50)]
        {
            let narrow = TierPrior { tier, mass, riders };
            println!("    {} of {riders}: {}", tier.name(), cell(vec![narrow, city(0.15 - mass, 3_000_000)])?);
        }
    }
    Ok(())
}
