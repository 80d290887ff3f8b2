//! `eval walkups`: heads and pictures of heads, rendered as they walk up to a gate, seen by the
//! product's own detector, mesh and cue.
//!
//! What this is not: evidence about real people. The heads' shapes come from the same mesh network that the cue looks
//! through, so they are the faces that it expects, and their depth is the canonical face's of the same authors within a
//! tenth: an assumption about people. Head shapes of other origin were not tried, though some are free to use (ICT-FaceKit
//! under MIT, MakeHuman's under CC0). Heads are rigid (no blinking, no speech), light is even, and a picture is still: a film of a moving head on a
//! borderless screen moves as a head does and is for depth, infrared or a challenge to find. It measures one thing:
//! whether depth shows, against the noise of detector, mesh, sensor and JPEG, when the head turns.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "pixel arithmetic: sizes are those of one frame"
)]

mod camera;
mod figures;
mod linear;
mod presentation;
mod surface;
mod triangles;
mod walk;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::Args;
use facegate_models::home::Home;
use facegate_models::{EngineOptions, FaceEngine};
use image::RgbImage;

use serde_json::{Value, json};

use crate::evaluate::identities::IdentitySet;
use crate::evaluate::intervals::quantile;
use figures::{Scored, figures, score};
use presentation::{Kind, Track, present};
use surface::Sitter;

/// Said beside the figures, since they travel without this page.
const EVIDENCE: &str = "rendered heads whose shape comes from the mesh network itself, rigid, without a body, in even \
                        light, against still pictures of them: no evidence about real people, nor about films on screens";

#[derive(Debug, Args)]
pub struct Arguments {
    /// People's photographs, one folder each (or a tar of that); without it the six demo portraits.
    #[arg(long)]
    lfw: Option<PathBuf>,
    /// How many people to take at most.
    #[arg(long, default_value_t = 100)]
    people: usize,
    /// Walk-ups of each kind per person [default: 1, of the demo portraits 12]
    #[arg(long)]
    walks: Option<usize>,
    /// Change of tilt in degrees that every walk-up has at least.
    #[arg(long, default_value_t = 8.0)]
    tilt: f64,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Few people and walk-ups: a rough answer.
    #[arg(long)]
    quick: bool,
    /// Also write the mesh points of every presentation to this file, one JSON object a line.
    #[arg(long)]
    tracks: Option<PathBuf>,
    /// Also write the first and last frame of every presentation into this folder.
    #[arg(long)]
    pictures: Option<PathBuf>,
}

pub fn run(home: &Home, arguments: &Arguments) -> anyhow::Result<()> {
    let engine = FaceEngine::load(&home.models_dir(), EngineOptions::default())?;
    let people = if arguments.quick { arguments.people.min(12) } else { arguments.people };
    let walks = arguments.walks.unwrap_or(match (&arguments.lfw, arguments.quick) {
        (Some(_), _) => 1,
        (None, true) => 3,
        (None, false) => 12,
    });
    let (sitters, turned_away) = sitters(&engine, home, arguments, people)?;
    println!("{} people; {turned_away} photographs show no face from the front", sitters.len());
    ensure!(sitters.len() > 1, "of one person no half can fix the threshold for the other: give more photographs");
    let tracks = present_all(&engine, &sitters, walks, arguments)?;
    if let Some(path) = &arguments.tracks {
        write_tracks(path, &tracks)?;
    }
    let scored: Vec<Scored> = tracks.iter().map(score).collect();
    print_by_kind(&scored);
    let mut report = figures(&scored);
    report.insert("rendered".into(), json!(tracks.len()));
    report.insert("frames".into(), json!(tracks.iter().map(|t| t.frames).sum::<usize>()));
    report.insert("people".into(), json!(sitters.len()));
    report.insert("photographs_turned_away".into(), json!(turned_away));
    report.insert("tilt_min_degrees".into(), json!(arguments.tilt));
    report.insert("seed".into(), json!(arguments.seed));
    report.insert("evidence".into(), json!(EVIDENCE));
    println!("{EVIDENCE}");
    println!("{}", Value::Object(report));
    Ok(())
}

fn present_all(
    engine: &FaceEngine,
    sitters: &[Sitter],
    walks: usize,
    arguments: &Arguments,
) -> anyhow::Result<Vec<Track>> {
    let mut tracks: Vec<Track> = Vec::new();
    for (person, sitter) in sitters.iter().enumerate() {
        let behind = &sitters[(person + 1) % sitters.len()].photograph;
        for walk in 0..walks {
            for (n, kind) in std::iter::once(Kind::Genuine).chain(Kind::ATTACKS).enumerate() {
                let seed = arguments.seed * 1_000_000 + ((person * walks + walk) * 8 + n) as u64;
                let mut track = present(engine, sitter, behind, (kind, person), arguments.tilt, seed)?;
                if let Some(folder) = &arguments.pictures {
                    write_pictures(folder, &track, seed)?;
                }
                track.ends = Default::default();
                tracks.push(track);
            }
        }
        println!("{} of {} people, {} presentations", person + 1, sitters.len(), tracks.len());
    }
    Ok(tracks)
}

fn print_by_kind(scored: &[Scored]) {
    println!("relief in degrees: 5th, 50th and 95th percentile");
    for kind in std::iter::once(Kind::Genuine).chain(Kind::ATTACKS) {
        let mut reliefs: Vec<f64> = scored.iter().filter(|s| s.kind == kind).filter_map(|s| s.relief).collect();
        reliefs.sort_by(f64::total_cmp);
        let [low, middle, high] = [0.05, 0.5, 0.95].map(|q| quantile(&reliefs, q));
        println!("  {:18} {:4} presentations  {low:5.1} {middle:5.1} {high:5.1}", kind.name(), reliefs.len());
    }
}

/// One photograph from the front for each of the first people who have one, and how many were turned away.
fn sitters(
    engine: &FaceEngine,
    home: &Home,
    arguments: &Arguments,
    people: usize,
) -> anyhow::Result<(Vec<Sitter>, usize)> {
    let mut turned_away = 0;
    let mut of = |bytes: &[u8]| {
        let sitter = sitter(engine, bytes);
        turned_away += usize::from(sitter.is_none());
        sitter
    };
    let mut sitters = Vec::new();
    if let Some(source) = &arguments.lfw {
        let set = IdentitySet::open(source)?;
        for photographs in set.by_person() {
            if sitters.len() == people {
                break;
            }
            let bytes = set.bytes(&set.photographs[photographs[0]])?;
            sitters.extend(of(&bytes));
        }
    } else {
        for name in ["person_a_2", "person_b_1", "impostor_1", "impostor_2"] {
            let path = home.people_dir().join(format!("{name}.jpg"));
            let bytes =
                std::fs::read(&path).with_context(|| format!("{}: run `cargo xtask models`", path.display()))?;
            sitters.extend(of(&bytes));
        }
    }
    Ok((sitters, turned_away))
}

fn sitter(engine: &FaceEngine, bytes: &[u8]) -> Option<Sitter> {
    let frame = engine.decode(bytes).ok()?;
    let face = *engine.analyse(&frame).ok()?.first()?;
    let photograph: RgbImage = image::load_from_memory(bytes).ok()?.into_rgb8();
    Sitter::new(&photograph, &engine.mesh(&frame, &face).ok()?).ok()
}

fn write_pictures(folder: &Path, track: &Track, seed: u64) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    for (when, jpeg) in ["first", "last"].iter().zip(&track.ends) {
        let path = folder.join(format!("{seed:05}_{}_{when}.jpg", track.kind.name()));
        std::fs::write(&path, jpeg).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

fn write_tracks(path: &Path, tracks: &[Track]) -> anyhow::Result<()> {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
    for track in tracks {
        let places = |mesh: &facegate_models::MeshPoints| mesh.places.iter().map(|p| [p.x, p.y]).collect::<Vec<_>>();
        let line = serde_json::json!({
            "kind": track.kind, "person": track.person, "tilt_degrees": track.tilt_degrees, "frames": track.frames,
            "meshes": track.meshes.iter().map(places).collect::<Vec<_>>(),
            "depths": track.meshes.iter().map(|m| m.depths.clone()).collect::<Vec<_>>(),
        });
        writeln!(file, "{line}")?;
    }
    file.flush().with_context(|| path.display().to_string())
}
