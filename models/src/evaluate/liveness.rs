//! `eval liveness` and `calibrate-liveness`: presentation attack detection in the terms of ISO/IEC 30107-3.
//!
//! Stills of several sources are judged leave-one-source-out: weights and thresholds come from the other sources alone.
//! The texture pair as published is scored on the same faces in the same run. Clips and single full frames are too few
//! for rates; they are judged with the calibration in use, right or wrong. A face that is not found is a non-response;
//! where one threshold is swept it counts as rejected, for the pair as for us.

mod captures;
mod figures;
mod fit;
mod measure;
mod report;
mod results;
mod summary;

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use clap::Args;
use facegate_models::home::Home;
use facegate_models::liveness::{Cue, LivenessCalibration, LivenessPolicy, LivenessVerdict, judge};
use facegate_models::{EngineOptions, FaceEngine};

use captures::{Capture, Form, captures};
use figures::Scored;
use measure::{Measured, measure};
use results::Results;

#[derive(Debug, Args)]
pub struct Options {
    /// Folders `*/genuine` and `*/attack` of images or clips; a folder below `attack` names the kind of attack.
    #[arg(long)]
    data: PathBuf,
    /// Judge clips and full frames with this calibration instead of the shipped one.
    #[arg(long)]
    calibration: Option<PathBuf>,
    /// Fit the moiré cue, too.
    #[arg(long)]
    moire: bool,
    /// The HTML report to write
    #[arg(long, default_value = "target/liveness.html")]
    report: PathBuf,
}

#[derive(Debug, Args)]
pub struct Calibrate {
    /// As for `eval liveness`: captures of this operator's own cameras, gates and attacks.
    #[arg(long)]
    data: PathBuf,
    /// The file to write; name it in `recognition.liveness.calibration`.
    #[arg(long)]
    out: PathBuf,
    /// Fit the moiré cue, too: compare `eval liveness` with and without first.
    #[arg(long)]
    moire: bool,
}

/// One capture with everything that was measured on it.
pub struct Case {
    pub capture: Capture,
    pub measured: Measured,
}

pub fn run(home: &Home, options: &Options) -> anyhow::Result<()> {
    let engine = engine(home, options.calibration.clone())?;
    let cases = cases(&engine, &options.data)?;
    let (stills, smoke): (Vec<Case>, Vec<Case>) = cases.into_iter().partition(|case| case.capture.form == Form::Still);
    let shipped = engine.judge().calibration().clone();
    let scored = leave_one_source_out(&stills, &shipped, fitted_cues(options.moire))?;
    let smoke = smoke.iter().map(|case| (case, judged(&engine, case))).collect::<Vec<_>>();
    let results = Results::of(&stills, &scored, smoke, engine.liveness_is_reduced());
    summary::print(&results);
    report::write(&options.report, &results)?;
    println!("{}", summary::line(&results, &options.report));
    Ok(())
}

pub fn calibrate(home: &Home, options: &Calibrate) -> anyhow::Result<()> {
    let engine = engine(home, None)?;
    ensure!(!engine.liveness_is_reduced(), "the texture nets are missing: run `cargo xtask models --from DIR` first");
    let cases = cases(&engine, &options.data)?;
    let training: Vec<&Case> = cases.iter().filter(|case| case.capture.form != Form::FullFrame).collect();
    let fitted = fit::calibration(&training, engine.judge().calibration(), fitted_cues(options.moire))?;
    let text = toml::to_string(&fitted)?;
    std::fs::write(&options.out, text).with_context(|| options.out.display().to_string())?;
    println!("{}: attacks below {:.3}, live from {:.3}", options.out.display(), fitted.attack_below, fitted.live_from);
    for (cue, weight) in &fitted.cues {
        println!("  {}: weight {:.3}, centre {:.3}", cue.name(), weight.weight, weight.centre);
    }
    Ok(())
}

fn fitted_cues(moire: bool) -> &'static [Cue] {
    if moire { &[Cue::Texture, Cue::Border, Cue::Moire] } else { &[Cue::Texture, Cue::Border] }
}

fn engine(home: &Home, calibration: Option<PathBuf>) -> anyhow::Result<FaceEngine> {
    // Crops of small public sets are below what a gate would look at.
    let liveness = LivenessPolicy { calibration, ..LivenessPolicy::default() };
    let options = EngineOptions { confidence_min: 0.5, liveness, ..EngineOptions::default() };
    Ok(FaceEngine::load(&home.models_dir(), options)?)
}

fn cases(engine: &FaceEngine, data: &Path) -> anyhow::Result<Vec<Case>> {
    let captures = captures(data)?;
    println!("{} captures below {}", captures.len(), data.display());
    let case = |capture: Capture| {
        let measured = measure(engine, &capture).with_context(|| capture.path.display().to_string())?;
        Ok(Case { capture, measured })
    };
    captures.into_iter().map(case).collect()
}

/// Scores every still with a calibration that has not seen its source; with one source only, with the one in use.
fn leave_one_source_out(stills: &[Case], shipped: &LivenessCalibration, cues: &[Cue]) -> anyhow::Result<Vec<Scored>> {
    let mut sources: Vec<&str> = stills.iter().map(|case| case.capture.source.as_str()).collect();
    sources.dedup();
    let mut scored = Vec::new();
    for source in &sources {
        let (held, training): (Vec<&Case>, Vec<&Case>) = stills.iter().partition(|case| case.capture.source == *source);
        let calibration =
            if training.is_empty() { shipped.clone() } else { fit::calibration(&training, shipped, cues)? };
        scored.extend(held.into_iter().map(|case| score(case, &calibration)));
    }
    Ok(scored)
}

fn score(case: &Case, calibration: &LivenessCalibration) -> Scored {
    let samples = &case.measured.samples;
    let policy = LivenessPolicy::default().of_a_still();
    let judgement = judge(samples, calibration, &policy);
    Scored {
        attack: case.capture.attack,
        kind: case.capture.kind.clone(),
        score: if samples.is_empty() { f64::NEG_INFINITY } else { f64::from(judgement.score.get()) },
        published: case.measured.published.map_or(f64::NEG_INFINITY, f64::from),
        verdict: judgement.verdict,
    }
}

/// A clip as an approach, a full frame as a still.
fn judged(engine: &FaceEngine, case: &Case) -> (LivenessVerdict, f32) {
    let samples = &case.measured.samples;
    let judgement = match (case.capture.form, samples.first()) {
        (Form::FullFrame, Some(sample)) => engine.judge().judge_still(sample.clone()),
        _ => engine.judge().judge(samples),
    };
    (judgement.verdict, judgement.score.get())
}
