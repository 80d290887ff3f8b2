//! The process that runs the inputs. It says when each begins and ends, so that its parent knows which one it died of.

use std::io::Write as _;

use facegate_models::home::Home;
use facegate_models::liveness::{Effort, Sensors};
use facegate_models::{BoundingBox, EngineOptions, FaceEngine, FaceObservation, Frame, ImageError, Point, Track, fuse};
use rand::Rng;
use rand::rngs::StdRng;

use crate::fuzz::mutate::Mutator;

/// One line of a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    Begins(u64),
    Done { decoded: bool, faces: u32, peak_rss_bytes: u64 },
}

impl Said {
    /// `begins I` or `done DECODED FACES BYTES`.
    pub fn parse(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["begins", index] => Some(Self::Begins(index.parse().ok()?)),
            ["done", decoded, faces, bytes] => Some(Self::Done {
                decoded: decoded.parse().ok()?,
                faces: faces.parse().ok()?,
                peak_rss_bytes: bytes.parse().ok()?,
            }),
            _ => None,
        }
    }

    fn line(self) -> String {
        match self {
            Self::Begins(index) => format!("begins {index}\n"),
            Self::Done { decoded, faces, peak_rss_bytes } => format!("done {decoded} {faces} {peak_rss_bytes}\n"),
        }
    }
}

/// Runs every input from `from` on, until the parent ends this process. Errors: the engine does not load.
pub fn run_from(home: &Home, mutator: &Mutator, from: u64) -> anyhow::Result<()> {
    let engine = FaceEngine::load(&home.models_dir(), EngineOptions::default())?;
    let mut out = std::io::stdout().lock();
    for index in from.. {
        out.write_all(Said::Begins(index).line().as_bytes())?;
        out.flush()?;
        let faces = execute(&engine, mutator, index);
        let done = Said::Done {
            decoded: faces.is_ok(),
            faces: u32::try_from(faces.unwrap_or(0)).unwrap_or(u32::MAX),
            peak_rss_bytes: peak_rss_bytes(),
        };
        out.write_all(done.line().as_bytes())?;
        out.flush()?;
    }
    Ok(())
}

/// Runs one input here and says what came of it.
pub fn run_one(home: &Home, mutator: &Mutator, index: u64) -> anyhow::Result<()> {
    let engine = FaceEngine::load(&home.models_dir(), EngineOptions::default())?;
    match execute(&engine, mutator, index) {
        Ok(faces) => println!("input {index}: a picture with {faces} faces"),
        Err(refusal) => println!("input {index}: {refusal}"),
    }
    Ok(())
}

/// The number of faces found. A panic in here ends the process, and that is what is looked for.
fn execute(engine: &FaceEngine, mutator: &Mutator, index: u64) -> Result<usize, ImageError> {
    let frame = engine.decode(&mutator.input(index))?;
    let faces = look(engine, &frame);
    let mut random = mutator.random(index);
    if let Some(face) = faces.first() {
        let misplaced = misplaced(*face, &frame, &mut random);
        let _ = engine.embed(&frame, &misplaced);
        let _ = engine.mesh(&frame, &misplaced);
        let _ = engine.liveness(&frame, &misplaced, &Sensors::default(), Effort::Still);
    }
    Ok(faces.len())
}

/// Everything that a gate does with a frame. What a network refuses is an error, and no failure.
fn look(engine: &FaceEngine, frame: &Frame) -> Vec<FaceObservation> {
    let faces = engine.analyse(frame).unwrap_or_default();
    let sample = |face: &FaceObservation| engine.liveness(frame, face, &Sensors::default(), Effort::Still).ok();
    if let Some(sample) = faces.first().and_then(sample) {
        engine.judge().judge_still(sample);
    }
    let _ = engine.follow(&mut Track::default(), frame);
    let embed = |face: &FaceObservation| Some((engine.embed(frame, face).ok()?, face.quality));
    let parts: Vec<_> = faces.iter().take(3).filter_map(embed).collect();
    let _ = fuse(&parts);
    faces
}

/// The face with landmarks where no detector would see any: outside, on one spot, no numbers.
fn misplaced(face: FaceObservation, frame: &Frame, random: &mut StdRng) -> FaceObservation {
    let (width, height) = (frame.width() as f32, frame.height() as f32);
    let anywhere = |random: &mut StdRng, side: f32| match random.random_range(0..8) {
        0 => f32::NAN,
        1 => f32::INFINITY,
        2 => -1e30,
        3 => 0.0,
        _ => random.random_range(-side..2.0 * side),
    };
    let mut point = || Point { x: anywhere(random, width), y: anywhere(random, height) };
    let (corner, size) = (point(), point());
    let bounds = BoundingBox { left: corner.x, top: corner.y, width: size.x, height: size.y };
    FaceObservation { bounds, landmarks: std::array::from_fn(|_| point()), ..face }
}

/// `VmHWM`, the most memory that this process ever held; 0 where the system does not tell.
fn peak_rss_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_worker_says_is_understood() {
        for said in [Said::Begins(7), Said::Done { decoded: true, faces: 3, peak_rss_bytes: 1 << 40 }] {
            assert_eq!(Said::parse(said.line().trim_end()), Some(said));
        }
        assert_eq!(Said::parse("thread panicked"), None);
    }
}
