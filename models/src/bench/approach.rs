//! A whole approach: ten frames decoded and followed, liveness judged, the three best faces embedded and fused.

use facegate_models::liveness::{Effort, Sensors};
use facegate_models::{FaceEngine, FaceObservation, Frame, Track, fuse};

use super::clock::{Took, timed};
use super::frames::walk_up;

/// Frames of one approach, and how many of its faces are embedded.
const FRAMES: u32 = 10;
const EMBEDDED: usize = 3;

/// What each approach took; photographs without a face are left out.
pub fn measure(engine: &FaceEngine, photographs: &[Vec<u8>], repeats: usize) -> anyhow::Result<Vec<Took>> {
    let mut took = Vec::new();
    for photograph in photographs {
        let Some(frames) = walk_up(engine, photograph, FRAMES)? else { continue };
        for _ in 0..repeats {
            took.push(timed(|| approach(engine, &frames))?.1);
        }
    }
    Ok(took)
}

/// As a gate does it: every frame is looked at as it comes, and the best are embedded.
fn approach(engine: &FaceEngine, jpegs: &[Vec<u8>]) -> anyhow::Result<()> {
    let mut track = Track::default();
    let mut seen: Vec<(Frame, FaceObservation)> = Vec::new();
    let mut samples = Vec::new();
    for jpeg in jpegs {
        let frame = engine.decode(jpeg)?;
        if let Some(face) = engine.follow(&mut track, &frame)?.into_iter().next() {
            let heavy = samples.len().is_multiple_of(engine.judge().policy().texture_every.max(1));
            let effort = if heavy { Effort::Frame } else { Effort::Light };
            samples.push(engine.liveness(&frame, &face, &Sensors::default(), effort)?);
            seen.push((frame, face));
        }
    }
    engine.judge().judge(&samples);
    seen.sort_by(|(_, a), (_, b)| b.quality.weight().total_cmp(&a.quality.weight()));
    let mut parts = Vec::new();
    for (frame, face) in seen.iter().take(EMBEDDED) {
        parts.push((engine.embed(frame, face)?, face.quality));
    }
    fuse(&parts)?;
    Ok(())
}
