//! From photographs to embeddings with the product's own engine, on every core, failures kept.

#[cfg(test)]
pub mod made_up;

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context;
use facegate_domain::Clock;
use facegate_domain::face::Embedding;
use facegate_domain::ids::ModelId;
use facegate_models::home::Home;
use facegate_models::{EngineOptions, FaceEngine, FaceObservation, Frame, Quality};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::cache::{self, Key};
use super::degrade::Degradation;
use super::identities::IdentitySet;

/// What is done with one photograph's bytes.
type Sight<'a> = dyn Fn(&FaceEngine, &[u8]) -> anyhow::Result<Result<Face, NotAcquired>> + Sync + 'a;

/// How often the progress line is written, in photographs.
const PROGRESS_EVERY: usize = 250;

/// Which photographs, and which model looks at them.
#[derive(Debug, clap::Args)]
pub struct Acquisition {
    /// Photographs in one folder per person: a folder or a tar file
    #[arg(long, default_value = super::LFW_DEFAULT)]
    pub lfw: PathBuf,
    /// Another embedder of the manifest (`cargo xtask models fetch --with NAME` fetches it)
    #[arg(long)]
    pub embedder: Option<String>,
    /// Keep embeddings here between runs, or use those that an earlier run kept
    #[arg(long)]
    pub cache: Option<PathBuf>,
}

/// The face of one photograph.
#[derive(Debug, Clone)]
pub struct Face {
    pub embedding: Embedding,
    pub quality: Quality,
}

/// Why a photograph gave no face: a failure to acquire (ISO/IEC 19795-1), which counts and is never dropped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum NotAcquired {
    /// The file cannot be read or decoded.
    Unreadable(String),
    NoFace,
}

/// A set of photographs and what the engine made of each.
pub struct Population {
    pub set: IdentitySet,
    pub faces: Vec<Result<Face, NotAcquired>>,
    pub engines: Engines,
    /// Subtracted from every vector before it is compared, as the gallery does it.
    pub centre: Option<Vec<f32>>,
}

impl std::fmt::Debug for Population {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Population({} photographs of {} people)", self.faces.len(), self.set.people.len())
    }
}

impl Population {
    pub fn face(&self, photograph: usize) -> Option<&Face> {
        self.faces[photograph].as_ref().ok()
    }

    pub fn failures(&self) -> usize {
        self.faces.iter().filter(|face| face.is_err()).count()
    }
}

/// One engine for each core, since a network serves one call at a time.
#[derive(Debug)]
pub struct Engines(Vec<FaceEngine>);

impl Engines {
    /// With the embedder of this name, or the default one.
    pub fn load(home: &Home, embedder: Option<&str>) -> anyhow::Result<Self> {
        let cores = std::thread::available_parallelism()?.get();
        let mut options = EngineOptions::default();
        if let Some(name) = embedder {
            options.embedder = ModelId::new(name)?;
        }
        let load = |_| FaceEngine::load(&home.models_dir(), options.clone());
        Ok(Self((0..cores).map(load).collect::<Result<_, _>>()?))
    }

    pub fn model(&self) -> &ModelId {
        self.0[0].model_id()
    }

    /// What the networks ran on, for the provenance of figures.
    pub fn provider(&self) -> String {
        self.0[0].provider().to_owned()
    }

    /// Detects and embeds each listed photograph.
    pub fn acquire(
        &self,
        set: &IdentitySet,
        photographs: &[usize],
        clock: &(dyn Clock + Sync),
    ) -> anyhow::Result<Vec<Result<Face, NotAcquired>>> {
        self.each(set, photographs, &look, clock)
    }

    /// The same after each photograph was degraded where its face is.
    pub fn acquire_degraded(
        &self,
        set: &IdentitySet,
        photographs: &[usize],
        degradation: Degradation,
        clock: &(dyn Clock + Sync),
    ) -> anyhow::Result<Vec<Result<Face, NotAcquired>>> {
        let degraded = |engine: &FaceEngine, bytes: &[u8]| {
            let frame = engine.decode(bytes)?;
            let faces = engine.analyse(&frame)?;
            let Some(face) = central(&frame, &faces) else { return Ok(Err(NotAcquired::NoFace)) };
            let picture = image::load_from_memory(bytes)?.into_rgb8();
            look(engine, &degradation.apply(&picture, &face.landmarks)?)
        };
        self.each(set, photographs, &degraded, clock)
    }

    fn each(
        &self,
        set: &IdentitySet,
        photographs: &[usize],
        see: &Sight<'_>,
        clock: &(dyn Clock + Sync),
    ) -> anyhow::Result<Vec<Result<Face, NotAcquired>>> {
        let begun_ms = clock.monotonic_ms();
        let next = AtomicUsize::new(0);
        let done = Mutex::new(vec![None; photographs.len()]);
        let work = |engine: &FaceEngine| -> anyhow::Result<()> {
            loop {
                let turn = next.fetch_add(1, Ordering::Relaxed);
                let Some(index) = photographs.get(turn) else { return Ok(()) };
                let photograph = &set.photographs[*index];
                let found = match set.bytes(photograph) {
                    Ok(bytes) => see(engine, &bytes).with_context(|| set.path(photograph).display().to_string())?,
                    Err(error) => Err(NotAcquired::Unreadable(error.to_string())),
                };
                done.lock().expect("no holder panics")[turn] = Some(found);
                report_progress(turn + 1, photographs.len(), begun_ms, clock);
            }
        };
        std::thread::scope(|scope| {
            let workers: Vec<_> = self.0.iter().map(|engine| scope.spawn(|| work(engine))).collect();
            workers.into_iter().try_for_each(|worker| worker.join().expect("a worker reports errors, it never panics"))
        })?;
        let done = done.into_inner().expect("no holder panics");
        Ok(done.into_iter().map(|face| face.expect("the workers went through the whole list")).collect())
    }
}

/// The face nearest the middle of the picture, whom such sets are about; others in the picture are bystanders.
pub fn central<'a>(frame: &Frame, faces: &'a [FaceObservation]) -> Option<&'a FaceObservation> {
    let (x, y) = (f64::from(frame.width()) / 2.0, f64::from(frame.height()) / 2.0);
    let off = |face: &FaceObservation| {
        let centre = face.bounds.centre();
        (f64::from(centre.x) - x).hypot(f64::from(centre.y) - y)
    };
    faces.iter().min_by(|a, b| off(a).total_cmp(&off(b)))
}

fn look(engine: &FaceEngine, bytes: &[u8]) -> anyhow::Result<Result<Face, NotAcquired>> {
    let frame = match engine.decode(bytes) {
        Ok(frame) => frame,
        Err(refusal) => return Ok(Err(NotAcquired::Unreadable(refusal.to_string()))),
    };
    let faces = engine.analyse(&frame)?;
    let Some(face) = central(&frame, &faces) else { return Ok(Err(NotAcquired::NoFace)) };
    Ok(Ok(Face { embedding: engine.embed(&frame, face)?, quality: face.quality }))
}

fn report_progress(done: usize, of: usize, begun_ms: u64, clock: &dyn Clock) {
    if !done.is_multiple_of(PROGRESS_EVERY) && done != of {
        return;
    }
    let seconds = (clock.monotonic_ms() - begun_ms) / 1000;
    let left = seconds * (of - done) as u64 / done.max(1) as u64;
    eprintln!("{done} of {of} photographs, {seconds} s gone, about {left} s to go");
}

/// Loads the engines and acquires a whole set, or takes what an earlier run kept; every `step`-th person alone.
pub fn population(
    home: &Home,
    what: &Acquisition,
    step: usize,
    clock: &(dyn Clock + Sync),
) -> anyhow::Result<Population> {
    let (source, cache) = (what.lfw.as_path(), what.cache.as_deref());
    let set = IdentitySet::open(source)?.thinned(step);
    eprintln!("{} photographs of {} people in {}", set.photographs.len(), set.people.len(), source.display());
    let engines = Engines::load(home, what.embedder.as_deref())?;
    let key = Key {
        model: engines.model().clone(),
        provider: engines.provider(),
        photographs: set.photographs.len(),
        names: names_digest(&set),
    };
    let kept = cache.map(|path| cache::load(path, &key)).transpose()?.flatten();
    let faces = match kept {
        Some(faces) => faces,
        None => {
            let all: Vec<usize> = (0..set.photographs.len()).collect();
            let faces = engines.acquire(&set, &all, clock)?;
            cache.map(|path| cache::store(path, &key, &faces)).transpose()?;
            faces
        }
    };
    for (index, face) in faces.iter().enumerate() {
        if let Err(NotAcquired::Unreadable(reason)) = face {
            eprintln!("{}: {reason}", set.path(&set.photographs[index]).display());
        }
    }
    Ok(Population { set, faces, engines, centre: None })
}

fn names_digest(set: &IdentitySet) -> String {
    let mut digest = Sha256::new();
    for photograph in &set.photographs {
        digest.update(set.path(photograph).as_os_str().as_encoded_bytes());
        digest.update(b"\n");
    }
    hex::encode(digest.finalize())
}

#[cfg(test)]
mod tests {
    use facegate_domain::score::DetectionConfidence;
    use facegate_models::{BoundingBox, Point};
    use image::RgbImage;

    use super::*;

    #[test]
    fn the_face_in_the_middle_is_the_one_a_photograph_is_about_however_large_the_bystanders_are() {
        let frame = Frame::from_rgb(&RgbImage::new(100, 60));
        let face = |x, y, side| FaceObservation {
            bounds: BoundingBox { left: x, top: y, width: side, height: side },
            landmarks: [Point { x: 0.0, y: 0.0 }; 5],
            confidence: DetectionConfidence::new(0.9).unwrap(),
            quality: Quality::default(),
        };
        let faces = [face(0.0, 0.0, 40.0), face(46.0, 24.0, 12.0), face(55.0, 5.0, 45.0)];
        assert_eq!(central(&frame, &faces).unwrap().bounds, faces[1].bounds);
        assert!(central(&frame, &[]).is_none());
    }

    #[test]
    fn a_cache_is_of_the_same_photographs_in_the_same_order() {
        let digest = |photographs: &[usize]| names_digest(&IdentitySet::made_up(photographs));
        assert_eq!(digest(&[2, 1]), digest(&[2, 1]));
        assert_ne!(digest(&[2, 1]), digest(&[1, 2]));
        assert_ne!(digest(&[2, 1]), digest(&[2]));
    }
}
