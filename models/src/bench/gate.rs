//! `bench gate`: frames to embeddings by us and by OpenCV, by turns on the same frames, one thread each.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use facegate_domain::face::Embedding;
use facegate_models::home::Home;
use facegate_models::{EngineOptions, FaceEngine, Provider};
use image::RgbImage;
use serde_json::{Value, json};

use super::approach::{self, Approach};
use super::clock::{Took, median, quantile, timed};
use super::frames::{CameraFrame, EYES_PX, frame_of, portraits};
use super::peer::{Answer, Peer};
use crate::evaluate::identities::IdentitySet;

#[derive(Debug, Args)]
pub struct Options {
    /// Photographs, one folder per person, as a folder or a tar file; without, the six portraits.
    #[arg(long, default_value = "../shared/data/lfw/lfw-dev.tar")]
    lfw: PathBuf,
    /// How many of them.
    #[arg(long, default_value_t = 500)]
    photographs: usize,
    /// A tenth of them, for a look.
    #[arg(long)]
    quick: bool,
    /// Taken for `cargo xtask bench`: OpenCV is measured too whenever FACEGATE_PEERS_PYTHON names its Python.
    #[arg(long, hide = true)]
    peers: bool,
}

/// Our three ways: the best provider, the plain CPU kernels, and these on the graph as it was converted.
struct Engines {
    best: FaceEngine,
    plain: FaceEngine,
    reference: FaceEngine,
}

/// One frame by one of our engines.
struct Ours {
    took: Took,
    stages_cpu_ms: [f64; 3],
    embedding: Option<Embedding>,
}

/// Everything about one frame.
struct Row {
    eyes_px: u32,
    best: Ours,
    plain: Ours,
    /// Network alone: best, plain and reference.
    embed: Option<[Took; 3]>,
    cosine_to_reference: Option<[f64; 2]>,
    peer: Option<Answer>,
}

pub fn run(home: &Home, options: &Options) -> anyhow::Result<()> {
    let load = |provider| FaceEngine::load(&home.models_dir(), EngineOptions { provider, ..EngineOptions::default() });
    let engines =
        Engines { best: load(Provider::Auto)?, plain: load(Provider::Cpu)?, reference: load(Provider::Reference)? };
    let mut peer = Peer::start(&home.models_dir())?;
    let photographs = photographs(home, options)?;
    let folder = tempfile::tempdir()?;
    let (mut rows, mut without_face) = (Vec::new(), WithoutFace::default());
    let mut index = 0;
    for photograph in &photographs {
        // What our detector does not find in the photograph itself cannot be scaled to so many pixels between the eyes.
        let Some(frame) = frame_of(&engines.plain, photograph, index)? else {
            without_face.count(peer.as_mut(), photograph, folder.path())?;
            continue;
        };
        rows.push(measure(&engines, peer.as_mut(), &frame, &folder.path().join(format!("{index}.jpg")))?);
        index += 1;
    }
    let repeats = if options.quick { 2 } else { 6 };
    let approaches = approach::measure(&engines.best, &portraits(home)?, repeats)?;
    let version = peer.as_ref().map(|peer| peer.version.clone());
    print_tables(&rows, &approaches, version.as_deref());
    let mut keys = summary(&rows, &approaches, &engines);
    keys["photographs_without_face"] = json!(without_face.ours);
    keys["opencv_finds_of_those"] = json!(without_face.of_them_opencv_finds);
    println!("{keys}");
    Ok(())
}

/// Photographs in which our detector finds no face, and which so make no frame.
#[derive(Debug, Default)]
struct WithoutFace {
    ours: usize,
    of_them_opencv_finds: usize,
}

impl WithoutFace {
    fn count(&mut self, peer: Option<&mut Peer>, photograph: &[u8], folder: &Path) -> anyhow::Result<()> {
        self.ours += 1;
        let Some(peer) = peer else { return Ok(()) };
        let file = folder.join("without-face.jpg");
        std::fs::write(&file, photograph)?;
        self.of_them_opencv_finds += usize::from(peer.run(&file)?.faces > 0);
        Ok(())
    }
}

/// Evenly spread over the set, or the portraits again and again.
fn photographs(home: &Home, options: &Options) -> anyhow::Result<Vec<Vec<u8>>> {
    let count = if options.quick { options.photographs.div_ceil(10) } else { options.photographs };
    if !options.lfw.exists() {
        println!("{} is not there: the six portraits stand in for it", options.lfw.display());
        return Ok(portraits(home)?.into_iter().cycle().take(count.max(12)).collect());
    }
    let set = IdentitySet::open(&options.lfw)?;
    let step = (set.photographs.len() / count.max(1)).max(1);
    let chosen = set.photographs.iter().step_by(step).take(count);
    chosen.map(|photograph| set.bytes(photograph).context("a photograph cannot be read")).collect()
}

fn measure(engines: &Engines, peer: Option<&mut Peer>, frame: &CameraFrame, file: &Path) -> anyhow::Result<Row> {
    std::fs::write(file, &frame.jpeg)?;
    let best = ours(&engines.best, &frame.jpeg)?;
    let peer = peer.map(|peer| peer.run(file)).transpose()?;
    let plain = ours(&engines.plain, &frame.jpeg)?;
    std::fs::remove_file(file)?;
    let mut row =
        Row { eyes_px: frame.eyes_px, best: best.0, plain: plain.0, embed: None, cosine_to_reference: None, peer };
    if let Some(cut) = plain.1 {
        let timed_by = |engine: &FaceEngine| timed(|| Ok(engine.embed_cut(&cut)?));
        let (a, b, c) = (timed_by(&engines.best)?, timed_by(&engines.plain)?, timed_by(&engines.reference)?);
        row.embed = Some([a.1, b.1, c.1]);
        row.cosine_to_reference = Some([&a.0, &b.0].map(|e| f64::from(e.similarity(&c.0).cosine())));
    }
    Ok(row)
}

/// Decode, detect, align and embed the largest face; with what the embedder was fed.
fn ours(engine: &FaceEngine, jpeg: &[u8]) -> anyhow::Result<(Ours, Option<RgbImage>)> {
    let mut stages_cpu_ms = [0.0; 3];
    let mut cut = None;
    let (embedding, took) = timed(|| {
        let (frame, decode) = timed(|| Ok(engine.decode(jpeg)?))?;
        let (faces, detect) = timed(|| Ok(engine.detect(&frame)?))?;
        let (embedding, embed) = timed(|| match faces.first() {
            Some(face) => {
                let pixels = engine.cut(&frame, face.bounds, &face.landmarks);
                let embedding = engine.embed_cut(&pixels)?;
                cut = Some(pixels);
                Ok(Some(embedding))
            }
            None => Ok(None),
        })?;
        stages_cpu_ms = [decode, detect, embed].map(|took| took.cpu_ms);
        Ok(embedding)
    })?;
    Ok((Ours { took, stages_cpu_ms, embedding }, cut))
}

impl Row {
    fn cosine_to_peer(&self, ours: &Ours) -> Option<f64> {
        let theirs = self.peer.as_ref()?.embedding.as_ref()?;
        let ours = ours.embedding.as_ref()?.values();
        Some(ours.iter().zip(theirs).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum())
    }
}

fn print_tables(rows: &[Row], approaches: &[Approach], opencv: Option<&str>) {
    println!("{} frames of 1280x720, one thread each; medians in ms of processor time, and on the wall", rows.len());
    println!("{:34} {:>7} {:>7} {:>7} {:>7} {:>7}", "", "decode", "detect", "embed", "all", "wall");
    let line = |name: &str, stages: [f64; 3], wall: f64, cpu: f64| {
        let [decode, detect, embed] = stages;
        println!("{name:34} {decode:7.2} {detect:7.2} {embed:7.2} {cpu:7.2} {wall:7.2}");
    };
    for eyes in EYES_PX {
        let of = || rows.iter().filter(move |row| row.eyes_px == eyes);
        for (name, ours) in [("best", (|r| &r.best) as fn(&Row) -> &Ours), ("plain cpu", |r| &r.plain)] {
            let stages = std::array::from_fn(|i| median(of().map(|r| ours(r).stages_cpu_ms[i])));
            let (all, cpu) = (of().map(|r| ours(r).took.wall_ms), of().map(|r| ours(r).took.cpu_ms));
            line(&format!("{eyes} px between the eyes, {name}"), stages, median(all), median(cpu));
        }
        let peers = || of().filter_map(|row| row.peer.as_ref());
        if let Some(version) = opencv {
            let stages = std::array::from_fn(|i| median(peers().map(|p| p.stages_cpu_ms[i])));
            let (all, cpu) = (median(peers().map(|p| p.ms)), median(peers().map(|p| p.cpu_ms)));
            line(&format!("{eyes} px between the eyes, OpenCV {version}"), stages, all, cpu);
        }
    }
    println!("cosine of embeddings: {:>27} {:>8} {:>8}", "min", "1 %", "median");
    let cosines = |name: &str, values: Vec<f64>| {
        let [min, low, middle] = [0.0, 0.01, 0.5].map(|share| quantile(values.iter().copied(), share));
        println!("{name:38} {min:10.5} {low:8.5} {middle:8.5}   ({} faces)", values.len());
    };
    cosines(
        "best provider to float32, same face",
        rows.iter().filter_map(|r| Some(r.cosine_to_reference?[0])).collect(),
    );
    cosines(
        "rewritten graph to float32, same face",
        rows.iter().filter_map(|r| Some(r.cosine_to_reference?[1])).collect(),
    );
    if opencv.is_some() {
        cosines(
            "best provider's pipeline to OpenCV's",
            rows.iter().filter_map(|r| r.cosine_to_peer(&r.best)).collect(),
        );
        cosines("plain cpu's pipeline to OpenCV's", rows.iter().filter_map(|r| r.cosine_to_peer(&r.plain)).collect());
    }
    let [decode, follow, liveness, embed] =
        std::array::from_fn(|stage| median(approaches.iter().map(|a| a.stages_cpu_ms[stage])));
    println!(
        "a whole approach: {:.1} ms of processor time, {:.1} ms; decode {decode:.1}, follow {follow:.1}, liveness \
         {liveness:.1}, embed and fuse {embed:.1}",
        median(approaches.iter().map(|a| a.took.cpu_ms)),
        median(approaches.iter().map(|a| a.took.wall_ms))
    );
}

fn summary(rows: &[Row], approaches: &[Approach], engines: &Engines) -> Value {
    let all = |value: fn(&Row) -> Option<f64>| {
        let values: Vec<f64> = rows.iter().filter_map(value).collect();
        if values.is_empty() { None } else { Some(median(values)) }
    };
    let eyes = |px: u32, value: fn(&Row) -> f64| median(rows.iter().filter(|r| r.eyes_px == px).map(value));
    let (best, plain) = (all(|r| Some(r.best.took.wall_ms)), all(|r| Some(r.plain.took.wall_ms)));
    let opencv = all(|r| Some(r.peer.as_ref()?.ms));
    let (embed, reference) = (all(|r| Some(r.embed?[0].wall_ms)), all(|r| Some(r.embed?[2].wall_ms)));
    let cosine = rows.iter().filter_map(|r| r.cosine_to_peer(&r.best)).reduce(f64::min);
    let ratio = |a: Option<f64>, b: Option<f64>| Some(a? / b?);
    json!({
        "ours_ms_p50": best,
        "ours_ms_p50_80px": eyes(80, |r| r.best.took.wall_ms),
        "ours_ms_p50_40px": eyes(40, |r| r.best.took.wall_ms),
        "ours_cpu_only_ms_p50": plain,
        "opencv_ms_p50": opencv,
        "opencv_ratio": ratio(best, opencv),
        "opencv_ratio_cpu_only": ratio(plain, opencv),
        "detected_ours": rows.iter().filter(|r| r.best.embedding.is_some()).count(),
        "detected_opencv": opencv.map(|_| rows.iter().filter(|r| r.peer.as_ref().is_some_and(|p| p.faces > 0)).count()),
        "cosine_to_opencv_min": cosine,
        "embed_ms_p50": embed,
        "embed_cpu_only_ms_p50": all(|r| Some(r.embed?[1].wall_ms)),
        "embed_plain_ort_ms_p50": reference,
        "embed_ratio": ratio(embed, reference),
        "approach_ms_p50": median(approaches.iter().map(|a| a.took.cpu_ms)),
        "frames": rows.len(),
        "provider": engines.best.provider(),
        "threads": engines.best.options().threads,
        // Processor time, which other work on the machine disturbs less.
        "ours_cpu_time_ms_p50": all(|r| Some(r.best.took.cpu_ms)),
        "ours_cpu_only_cpu_time_ms_p50": all(|r| Some(r.plain.took.cpu_ms)),
        "opencv_cpu_time_ms_p50": all(|r| Some(r.peer.as_ref()?.cpu_ms)),
    })
}
