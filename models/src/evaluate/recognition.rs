//! `eval recognition`: how well faces are told apart, one against one and one against many, on photographs of people.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use facegate_domain::Clock;
use facegate_domain::score::Calibration;
use facegate_models::home::Home;
use serde_json::json;

use super::acquire::{Acquisition, Population, population};
use super::calibrate::shipped_path;
use super::comparable::Comparable;
use super::extrapolated::Extrapolated;
use super::groups::{self, Group};
use super::intervals::Estimate;
use super::open_set::{self, Level, OpenSet};
use super::robustness::{self, Row};
use super::scores::{Distribution, cosine};
use super::verification::{Accuracy, Folds};
use super::{peer, report};

const PAIRS_DEFAULT: &str = "../shared/data/lfw/pairs-dev.txt";
/// The gallery size and the false-positive rate of the headline.
const N: usize = 1000;
const FPIR: f64 = 0.01;
const SIZES: [usize; 4] = [100, 300, N, 2000];
pub const FPIRS: [f64; 6] = [0.003, FPIR, 0.02, 0.05, 0.1, 0.2];
/// The false match rate at which groups and degradations are compared.
pub const FMR: f64 = 1e-4;

#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    pub set: Acquisition,
    /// Pairs in the format of LFW's View 2, with any number of folds
    #[arg(long, default_value = PAIRS_DEFAULT)]
    pub pairs: PathBuf,
    /// The report to write
    #[arg(long, default_value = "target/recognition.html")]
    pub report: PathBuf,
    /// Calibration whose centre is used, as the gallery does [default: the one that ships for the model]
    #[arg(long)]
    pub calibration: Option<PathBuf>,
    /// Random galleries per figure
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u64).range(1..))]
    pub splits: u64,
    /// People whose photographs are degraded, each in every way; at most ten with `--quick`
    #[arg(long, default_value_t = 120)]
    pub degraded: usize,
    /// Every fourth person alone, and few splits
    #[arg(long)]
    pub quick: bool,
    /// Fail if pairs went missing or a figure is no share
    #[arg(long)]
    pub check: bool,
    /// Taken for `cargo xtask eval`: OpenCV is measured too whenever FACEGATE_PEERS_PYTHON names its Python
    #[arg(long, hide = true)]
    pub peers: bool,
}

/// All that was measured.
#[derive(Debug)]
pub struct Measured {
    pub ours: Accuracy,
    pub opencv: Option<Accuracy>,
    pub pairs: usize,
    pub pairs_missing: usize,
    pub mated: Distribution,
    pub impostor: Distribution,
    pub tar: Vec<(f64, Estimate)>,
    pub open_set: Vec<OpenSet>,
    pub far: Vec<Extrapolated>,
    pub groups: Vec<Group>,
    pub degraded: Vec<Row>,
    pub calibrated: bool,
}

pub fn run(arguments: &Arguments, home: &Home, clock: &(dyn Clock + Sync)) -> anyhow::Result<()> {
    let step = if arguments.quick { 4 } else { 1 };
    let mut population = population(home, &arguments.set, step, clock)?;
    let model = population.engines.model().as_str();
    let path = arguments.calibration.clone().unwrap_or_else(|| shipped_path(model));
    let calibrated = path.is_file();
    if calibrated {
        population.centre = Calibration::parse(&std::fs::read_to_string(&path)?)?.centre;
    }
    let mut measured = measure(arguments, &population, home, clock)?;
    measured.calibrated = calibrated;
    print_tables(&population, &measured);
    report::write(&arguments.report, &population, &measured)?;
    println!("{}", summary(arguments, &population, &measured));
    if arguments.check {
        check(&population, &measured)?;
    }
    Ok(())
}

fn measure(
    arguments: &Arguments,
    population: &Population,
    home: &Home,
    clock: &(dyn Clock + Sync),
) -> anyhow::Result<Measured> {
    let folds = Folds::read(&arguments.pairs, &population.set)?;
    let vectors = Comparable::of(population);
    let ours = folds.accuracy(|pair| vectors.score(pair.a, pair.b));
    let opencv = peer::python().map(|python| opencv_accuracy(&python, home, population, &folds)).transpose()?;
    let (mated, impostor) = vectors.all_pairs(|_| true);
    let tar = [1e-3, 1e-4].map(|far| (far, vectors.tar_at(impostor.threshold(far), |_| true))).to_vec();
    let splits = if arguments.quick { arguments.splits.min(10) } else { arguments.splits };
    let mut open_set = Vec::new();
    for level in Level::ALL {
        for n in SIZES {
            let dealt = open_set::deal_all(population, level, n, splits);
            open_set.extend(FPIRS.iter().filter_map(|fpir| open_set::figure(&dealt, level, *fpir, 50)));
        }
    }
    let people = if arguments.quick { arguments.degraded.min(10) } else { arguments.degraded };
    Ok(Measured {
        ours,
        opencv,
        pairs: folds.pairs().count(),
        pairs_missing: folds.missing,
        tar,
        open_set,
        far: Level::ALL.into_iter().filter_map(|level| Extrapolated::measure(population, level)).collect(),
        groups: groups::measure(population, &vectors, impostor.threshold(FMR)),
        degraded: robustness::table(population, people, impostor.threshold(FMR), clock)?,
        mated,
        impostor,
        calibrated: false,
    })
}

fn opencv_accuracy(
    python: &std::ffi::OsString,
    home: &Home,
    population: &Population,
    folds: &Folds,
) -> anyhow::Result<Accuracy> {
    let wanted: BTreeSet<usize> = folds.pairs().flat_map(|pair| [pair.a, pair.b]).collect();
    let wanted: Vec<usize> = wanted.into_iter().collect();
    let seen = peer::embeddings(python, home, &population.set, &wanted)?;
    Ok(folds.accuracy(|pair| Some(cosine(seen[&pair.a].as_ref()?, seen[&pair.b].as_ref()?))))
}

fn print_tables(population: &Population, measured: &Measured) {
    let percent =
        |accuracy: &Accuracy| format!("{:.2} ± {:.2} %", 100.0 * accuracy.mean, 100.0 * accuracy.standard_error);
    println!(
        "{} photographs, {} people, {} failures to acquire",
        population.faces.len(),
        population.set.people.len(),
        population.failures()
    );
    println!(
        "1:1 over {} pairs in {} folds ({} left out: photographs missing)",
        measured.pairs,
        measured.ours.folds.len(),
        measured.pairs_missing
    );
    println!("  Facegate {}", percent(&measured.ours));
    if let Some(opencv) = &measured.opencv {
        println!("  OpenCV   {}", percent(opencv));
    }
    println!(
        "impostor {:.4} ± {:.4} over {} pairs; mated {:.4} ± {:.4} over {}",
        measured.impostor.mean(),
        measured.impostor.sigma(),
        measured.impostor.count,
        measured.mated.mean(),
        measured.mated.sigma(),
        measured.mated.count
    );
    for (far, tar) in &measured.tar {
        println!("  TAR at FAR {far}: {tar}");
    }
    for far in &measured.far {
        println!(
            "{:>7} N=3000000, 1 false charge per million passages, 90 % strangers: FNIR {} (extrapolated), threshold {:.3}",
            far.level.to_string(),
            far.fnir,
            far.threshold
        );
    }
    for group in &measured.groups {
        println!("group {}: {} people, FMR {:.1e}, FNMR {}", group.name, group.people, group.fmr, group.fnmr);
    }
    for row in &measured.degraded {
        println!(
            "{}: not acquired {}, refused {}, FNMR {}, of the accepted {}",
            row.name, row.not_acquired, row.refused, row.fnmr, row.fnmr_of_accepted
        );
    }
    for figure in &measured.open_set {
        println!(
            "{:>7} N={:<5} FPIR {:<6} FNIR {} threshold {:.3} ({} mates, {} strangers, {} splits)",
            figure.level.to_string(),
            figure.n,
            figure.fpir,
            figure.fnir,
            figure.threshold,
            figure.mates,
            figure.strangers,
            figure.splits
        );
    }
}

fn summary(arguments: &Arguments, population: &Population, measured: &Measured) -> serde_json::Value {
    let mut keys = json!({
        "images": population.faces.len(),
        "people": population.set.people.len(),
        "failures_to_acquire": population.failures(),
        "provider": population.engines.provider(),
        "centred": population.centre.is_some(),
        "lfw_accuracy": measured.ours.mean,
        "opencv_accuracy": measured.opencv.as_ref().map(|accuracy| accuracy.mean),
        "tar_at_far_1e3": measured.tar[0].1.value,
        "tar_at_far_1e4": measured.tar[1].1.value,
        "report": arguments.report,
    });
    let mut set = |key: String, figure: Option<Estimate>| {
        keys[format!("{key}_low")] = json!(figure.map(|f| f.low));
        keys[format!("{key}_high")] = json!(figure.map(|f| f.high));
        keys[key] = json!(figure.map(|f| f.value));
    };
    for (level, name) in Level::ALL.into_iter().zip(["single", "31", "33"]) {
        let figure = measured.open_set.iter().find(|f| f.level == level && f.n == N && f.fpir == FPIR);
        set(format!("fnir_n1000_fpir_1e2_{name}"), figure.map(|figure| figure.fnir));
        let far = measured.far.iter().find(|far| far.level == level);
        set(format!("fnir_n3m_extrapolated_{name}"), far.map(|far| far.fnir));
        // The headline: three enrolled and one probe, since frames of one walk are no three photographs.
        if name == "31" {
            set("fnir_n3m_extrapolated".into(), far.map(|far| far.fnir));
        }
    }
    keys
}

fn check(population: &Population, measured: &Measured) -> anyhow::Result<()> {
    let n = (population.faces.len() - population.failures()) as u64;
    if measured.mated.count + measured.impostor.count != n * (n - 1) / 2 {
        bail!("pairs went missing: {} + {} of {n} faces", measured.mated.count, measured.impostor.count);
    }
    let wrong = measured.open_set.iter().find(|f| !(0.0..=1.0).contains(&f.fnir.value) || f.fnir.low > f.fnir.high);
    if let Some(figure) = wrong {
        bail!("a figure is no share: {figure:?}");
    }
    measured
        .ours
        .folds
        .iter()
        .all(|share| (0.0..=1.0).contains(share))
        .then_some(())
        .context("a fold's accuracy is no share")
}
