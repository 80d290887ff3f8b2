//! A whole approach: ten frames decoded and followed, liveness judged, the three best faces embedded and fused.

use facegate_models::liveness::{Effort, Sensors};
use facegate_models::{FaceEngine, FaceObservation, Frame, Track, fuse};

use super::clock::{Took, timed};
use super::frames::walk_up;

/// Frames of one approach, and how many of its faces are embedded.
const FRAMES: u32 = 10;
const EMBEDDED: usize = 3;

/// What one approach took, all in all and by stage.
pub struct Approach {
    pub took: Took,
    /// Of decoding, following with quality, liveness, and embedding with fusion; processor time.
    pub stages_cpu_ms: [f64; 4],
}

/// What each approach took; photographs without a face are left out.
pub fn measure(engine: &FaceEngine, photographs: &[Vec<u8>], repeats: usize) -> anyhow::Result<Vec<Approach>> {
    let mut took = Vec::new();
    for photograph in photographs {
        let Some(frames) = walk_up(engine, photograph, FRAMES)? else { continue };
        for _ in 0..repeats {
            let (stages_cpu_ms, whole) = timed(|| approach(engine, &frames))?;
            took.push(Approach { took: whole, stages_cpu_ms });
        }
    }
    Ok(took)
}

/// Every frame is looked at as it comes, and the best are embedded. A gate embeds every frame that is good enough, to
/// see whether they agree: what that adds is `embed_ms_p50` for each further one.
fn approach(engine: &FaceEngine, jpegs: &[Vec<u8>]) -> anyhow::Result<[f64; 4]> {
    let mut stages_cpu_ms = [0.0; 4];
    let mut track = Track::default();
    let mut seen: Vec<(Frame, FaceObservation)> = Vec::new();
    let mut samples = Vec::new();
    for jpeg in jpegs {
        let (frame, decode) = timed(|| Ok(engine.decode(jpeg)?))?;
        let (faces, follow) = timed(|| Ok(engine.follow(&mut track, &frame)?))?;
        stages_cpu_ms[0] += decode.cpu_ms;
        stages_cpu_ms[1] += follow.cpu_ms;
        if let Some(face) = faces.into_iter().next() {
            let heavy = samples.len().is_multiple_of(engine.judge().policy().texture_every.max(1));
            let effort = if heavy { Effort::Frame } else { Effort::Light };
            let (sample, liveness) = timed(|| Ok(engine.liveness(&frame, &face, &Sensors::default(), effort)?))?;
            stages_cpu_ms[2] += liveness.cpu_ms;
            samples.push(sample);
            seen.push((frame, face));
        }
    }
    stages_cpu_ms[2] += timed(|| Ok(engine.judge().judge(&samples)))?.1.cpu_ms;
    seen.sort_by(|(_, a), (_, b)| b.quality.weight().total_cmp(&a.quality.weight()));
    let embed = |(frame, face): &(Frame, FaceObservation)| Ok((engine.embed(frame, face)?, face.quality));
    let fused = || Ok(fuse(&seen.iter().take(EMBEDDED).map(embed).collect::<anyhow::Result<Vec<_>>>()?)?);
    stages_cpu_ms[3] = timed(fused)?.1.cpu_ms;
    Ok(stages_cpu_ms)
}
