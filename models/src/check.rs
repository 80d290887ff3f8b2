//! `check`: what the pipeline sees in pictures, in words and scores, never an embedding's values.

use std::path::{Path, PathBuf};

use anyhow::Context;
use facegate_domain::Clock;
use facegate_domain::face::Embedding;
use facegate_models::home::Home;
use facegate_models::liveness::{Effort, Sensors};
use facegate_models::{EngineOptions, FaceEngine, FaceObservation, Frame, QualityPolicy};

pub fn check(home: &Home, images: &[PathBuf], clock: &dyn Clock) -> anyhow::Result<()> {
    let engine = FaceEngine::load(&home.models_dir(), EngineOptions::default())?;
    println!("engine loaded in {} ms", clock.monotonic_ms());
    let mut seen: Vec<(String, Embedding)> = Vec::new();
    for path in images {
        seen.extend(examine(&engine, path, clock)?);
    }
    for (i, (name, embedding)) in seen.iter().enumerate() {
        for (other_name, other) in &seen[i + 1..] {
            println!("{name} ~ {other_name}: cosine {:.3}", embedding.similarity(other).cosine());
        }
    }
    Ok(())
}

fn examine(engine: &FaceEngine, path: &Path, clock: &dyn Clock) -> anyhow::Result<Vec<(String, Embedding)>> {
    let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let frame = match engine.decode(&bytes) {
        Ok(frame) => frame,
        Err(refusal) => {
            println!("{name}: {refusal}");
            return Ok(Vec::new());
        }
    };
    let before = clock.monotonic_ms();
    let faces = engine.analyse(&frame)?;
    let analysed = clock.monotonic_ms();
    println!("{name}: {}x{}, {} faces", frame.width(), frame.height(), faces.len());
    let mut seen = Vec::new();
    for (number, face) in faces.iter().enumerate() {
        describe(engine, &frame, face)?;
        seen.push((format!("{name}#{number}"), engine.embed(&frame, face)?));
    }
    println!("  analysed in {} ms, embedded in {} ms", analysed - before, clock.monotonic_ms() - analysed);
    Ok(seen)
}

fn describe(engine: &FaceEngine, frame: &Frame, face: &FaceObservation) -> anyhow::Result<()> {
    let (bounds, quality) = (face.bounds, face.quality);
    let verdict = quality.verdict(&QualityPolicy::default()).map_or_else(|p| p.to_string(), |()| "good".to_owned());
    println!(
        "  face {:.0}x{:.0} at {:.0},{:.0}, confidence {:.2}; eyes {:.0} px apart, sharpness {:.2}, exposure {:.2}, yaw {:+.2}: {verdict}",
        bounds.width,
        bounds.height,
        bounds.left,
        bounds.top,
        face.confidence.get(),
        quality.inter_eye_px,
        quality.sharpness,
        quality.exposure,
        quality.yaw
    );
    let sample = engine.liveness(frame, face, &Sensors::default(), Effort::Still)?;
    let judgement = engine.judge().judge_still(sample);
    let reduced = if engine.liveness_is_reduced() { " (REDUCED: the texture nets are not there)" } else { "" };
    println!(
        "  liveness {:.2}: {:?}, log-odds {:.1?}{reduced}",
        judgement.score.get(),
        judgement.verdict,
        judgement.cues
    );
    Ok(())
}
