//! What the cues say about one capture: a still once, a clip at frames spread over its length.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};
use facegate_models::FaceEngine;
use facegate_models::liveness::{Effort, LivenessSample, Sensors};

use super::captures::{Capture, Form};

/// Frames of a clip that are looked at: an approach.
const CLIP_FRAMES: usize = 12;
/// Frames a second that are taken out of a clip; a gate's camera gives as many or more.
const CLIP_FPS: &str = "10";

/// Samples of the largest face, in order; empty if none was found.
#[derive(Debug, Clone, Default)]
pub struct Measured {
    pub samples: Vec<LivenessSample>,
    /// Probability of a real face by the texture pair as published, on the first frame.
    pub published: Option<f32>,
}

pub fn measure(engine: &FaceEngine, capture: &Capture) -> anyhow::Result<Measured> {
    if capture.form != Form::Clip {
        let mut measured = Measured::default();
        look(engine, &std::fs::read(&capture.path)?, Effort::Still, &mut measured)?;
        return Ok(measured);
    }
    let frames = frames_of(&capture.path)?;
    let every = engine.judge().policy().texture_every;
    let mut measured = Measured::default();
    for n in 0..CLIP_FRAMES.min(frames.len()) {
        let effort = if n % every == 0 { Effort::Frame } else { Effort::Light };
        look(engine, &frames[n * frames.len() / CLIP_FRAMES.min(frames.len())], effort, &mut measured)?;
    }
    Ok(measured)
}

fn look(engine: &FaceEngine, bytes: &[u8], effort: Effort, measured: &mut Measured) -> anyhow::Result<()> {
    let frame = engine.decode(bytes)?;
    let faces = engine.analyse(&frame)?;
    let Some(face) = faces.first() else { return Ok(()) };
    if measured.published.is_none() && effort != Effort::Light {
        measured.published = engine.texture(&frame, face, Effort::Frame)?.map(|texture| texture.published);
    }
    measured.samples.push(engine.liveness(&frame, face, &Sensors::default(), effort)?);
    Ok(())
}

/// JPEG frames of a clip, by ffmpeg.
fn frames_of(clip: &Path) -> anyhow::Result<Vec<Vec<u8>>> {
    let folder = tempfile::tempdir()?;
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-nostdin", "-loglevel", "error", "-i"]).arg(clip).args(["-vf", &format!("fps={CLIP_FPS}")]);
    ffmpeg.args(["-q:v", "2"]).arg(folder.path().join("%06d.jpg"));
    let output = ffmpeg.output().context("ffmpeg cannot be started: on Debian `apt install ffmpeg`")?;
    if !output.status.success() {
        bail!("ffmpeg cannot read it: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let mut paths: Vec<_> = std::fs::read_dir(folder.path())?.filter_map(Result::ok).map(|e| e.path()).collect();
    paths.sort();
    Ok(paths.iter().map(std::fs::read).collect::<Result<_, _>>()?)
}
