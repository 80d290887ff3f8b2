//! `bench search`: our engine among N synthetic riders, and the peers on the same vectors, by turns.

#![allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "counts and milliseconds")]

mod batched;
mod churn;
mod growth;
mod machine;
mod peers;
mod population;
mod probes;
mod single;
mod start;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use facegate_domain::score::Tier;
use facegate_gallery::durable::Durable;
use facegate_gallery::{Index, Place};
use serde_json::{Map, Value, json};

use machine::{l3_bytes, quantile, resident_bytes, timed};
use peers::Peers;
use population::{DIMS, Population, Vectors, ks_distance, rider_id};
use probes::Probes;

/// Members of the tier that is measured.
const TIER_RIDERS: usize = 2000;

#[derive(Debug, clap::Args)]
pub struct Options {
    /// Enrolled riders, one template each.
    #[arg(long, default_value_t = 3_000_000)]
    n: usize,
    /// How the riders' faces lie.
    #[arg(long, value_enum, default_value_t = Vectors::Realistic)]
    vectors: Vectors,
    /// Of riders and probes.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A tenth of the riders and probes, for a look.
    #[arg(long)]
    quick: bool,
    /// faiss-cpu, usearch and hnswlib in the same run.
    #[arg(long)]
    peers: bool,
    /// Where the growth plot goes, and while it runs the peers' vectors and our files.
    #[arg(long, default_value = "target/bench-search")]
    output: PathBuf,
}

/// Everything that a part of the measurement needs.
struct Setting {
    population: Population,
    n: usize,
    probes: Probes,
    report: Map<String, Value>,
}

impl Setting {
    fn note(&mut self, key: &str, value: impl Into<Value>) {
        self.report.insert(key.to_owned(), value.into());
    }
}

/// Prints the figures and, last, one line of JSON. Errors if a peer that was asked for does not answer.
pub fn run(options: &Options) -> Result<()> {
    std::fs::create_dir_all(&options.output).with_context(|| options.output.display().to_string())?;
    let n = if options.quick { options.n / 10 } else { options.n }.max(1000);
    let population = Population::new(options.vectors, options.seed)?;
    let probes = Probes::make(&population, n, if options.quick { 100 } else { 1000 }, options.seed)?;
    let mut setting = Setting { population, n, probes, report: Map::new() };
    let kernel = Index::new(setting.probes.model(), DIMS).kernel();
    println!("{n} riders, {:?} vectors, kernel {kernel}, last-level cache {} MiB", options.vectors, l3_bytes() >> 20);
    setting.note("n", n);
    setting.note("vectors", format!("{:?}", options.vectors).to_lowercase());
    setting.note("kernel", kernel);
    setting.note("l3_bytes", l3_bytes());
    if options.vectors == Vectors::Realistic {
        compare_distributions(&mut setting)?;
    } else {
        ["ks_mated", "ks_impostor"].into_iter().for_each(|key| setting.note(key, Value::Null));
    }

    let scratch = tempfile::Builder::new().prefix("scratch-").tempdir_in(&options.output)?;
    let mut peers = options.peers.then(|| start_peers(&setting, scratch.path())).transpose()?;
    let durable = fill(&mut setting, start::place(scratch.path()))?;
    let index = durable.index();
    single::measure(&mut setting, index, peers.as_mut())?;
    batched::measure(&mut setting, &durable, peers.as_mut())?;
    drop(peers);
    measure_tier(&mut setting, index)?;
    churn::measure(&mut setting, index, options.quick)?;
    start::measure(&mut setting, durable, scratch.path())?;
    drop(scratch);
    growth::measure(&mut setting, &options.output, options.quick)?;
    println!("{}", Value::Object(setting.report));
    Ok(())
}

fn compare_distributions(setting: &mut Setting) -> Result<()> {
    let impostor = setting.probes.impostor_scores(&setting.population);
    let impostor = ks_distance(impostor, &setting.population.measured.impostor);
    let mated = ks_distance(setting.probes.mated_scores(&setting.population)?, &setting.population.measured.mated);
    println!("Kolmogorov–Smirnov distance to the measured scores: mated {mated:.3}, impostor {impostor:.3}");
    setting.note("ks_mated", mated);
    setting.note("ks_impostor", impostor);
    Ok(())
}

fn fill(setting: &mut Setting, place: Place) -> Result<Durable> {
    let before = resident_bytes();
    let durable = Durable::open(setting.probes.model(), DIMS, place)?;
    let fill = || (0..setting.n).try_for_each(|i| anyhow::Ok(durable.put(&setting.population.template(i)?)?));
    let (filled, ms) = timed(fill);
    filled?;
    let bytes = resident_bytes().saturating_sub(before) as f64 / setting.n as f64;
    println!("filled in {:.1} s, made riders included; {bytes:.1} bytes a template", ms / 1e3);
    setting.note("bytes_per_template", bytes);
    durable.adopt(1)?;
    durable.take_over()?;
    Ok(durable)
}

fn measure_tier(setting: &mut Setting, index: &Index) -> Result<()> {
    let stride = (setting.n / TIER_RIDERS).max(1);
    (0..TIER_RIDERS).for_each(|i| index.join(Tier::InSystem, rider_id(i * stride % setting.n)));
    let mut took = Vec::new();
    for (i, probe) in setting.probes.strict.iter().take(300).enumerate() {
        if i % 10 == 0 {
            // As at a gate: the city is searched too, and takes the caches.
            index.search_all(&[facegate_gallery::index::Query { probe: &probe.embedding, tiers: &[] }], 1)?;
        }
        let (found, ms) = timed(|| index.search_tier(&probe.embedding, Tier::InSystem, 10));
        found?;
        took.push(ms);
    }
    let (p50, p99) = (quantile(&took, 0.5), quantile(&took, 0.99));
    println!("tier of {TIER_RIDERS}: {p50:.4} ms, p99 {p99:.4}");
    setting.note("tier_2000_ms_p50", p50);
    setting.note("tier_2000_ms_p99", p99);
    Ok(())
}

/// Writes what the peers read, and starts them.
fn start_peers(setting: &Setting, scratch: &Path) -> Result<Peers> {
    let (vectors, probes) = (scratch.join("vectors.f32"), scratch.join("probes.f32"));
    println!("writing {} MiB of vectors for the peers…", (setting.n * DIMS * 4) >> 20);
    write_rows(&vectors, (0..setting.n).map(|i| setting.population.face(i)))?;
    write_rows(&probes, setting.probes.all().map(|probe| probe.embedding.values().to_vec()))?;
    Peers::start(&vectors, &probes, DIMS)
}

fn write_rows(path: &Path, rows: impl Iterator<Item = Vec<f32>>) -> Result<()> {
    let file = File::create(path).with_context(|| path.display().to_string())?;
    let mut file = BufWriter::with_capacity(1 << 20, file);
    for row in rows {
        row.iter().try_for_each(|value| file.write_all(&value.to_le_bytes()))?;
    }
    Ok(file.flush()?)
}

/// A number as JSON; null if it is none.
fn number(value: f64) -> Value {
    if value.is_finite() { json!(value) } else { Value::Null }
}
