//! `fuzz decode`: hostile pictures through decode, detect, align and embed. Nothing that a picture holds may end a gate.
//!
//! The inputs are made in a process of their own, so that an abort, a fault in a C library or an endless loop is counted
//! like a panic and the run goes on behind it. Input number I of seed S is always the same: `--seed S --only I` shows it.

mod mutate;
mod seeds;
mod worker;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use facegate_models::home::Home;

use crate::fuzz::mutate::Mutator;
use crate::fuzz::worker::Said;

/// What can be fuzzed.
#[derive(Debug, Subcommand)]
pub enum Target {
    /// Decode, detect, align and embed: zero panics, faults or hangs; inputs that failed are kept.
    Decode(Options),
}

#[derive(Debug, Args)]
pub struct Options {
    /// How long to go on.
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// Another seed makes other inputs.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Run this one input in this process, to see how it fails.
    #[arg(long)]
    only: Option<u64>,
    /// Fail if any input did.
    #[arg(long)]
    check: bool,
    /// Where inputs that failed are kept.
    #[arg(long, default_value = "target/fuzz-decode")]
    keep: PathBuf,
    /// Be the process that runs the inputs, from this one on.
    #[arg(long, hide = true)]
    worker_from: Option<u64>,
}

/// An input on which nothing is heard for so long hangs: the slowest takes a second on a busy machine.
const STUCK: Duration = Duration::from_secs(60);

/// Errors if an input failed and `--check` asks for none, or if no worker can be started.
pub fn run(home: &Home, target: &Target) -> anyhow::Result<()> {
    let Target::Decode(options) = target;
    let mutator = Mutator::new(seeds::seeds(home)?, options.seed);
    if let Some(index) = options.only {
        return worker::run_one(home, &mutator, index);
    }
    if let Some(from) = options.worker_from {
        return worker::run_from(home, &mutator, from);
    }
    let tally = supervise(home, options, &mutator)?;
    println!(
        "{}",
        serde_json::json!({
            "executions": tally.executions,
            "crashes": tally.crashes,
            "decoded": tally.decoded,
            "faces": tally.faces,
            "peak_rss_bytes": tally.peak_rss_bytes,
            "seed": options.seed,
        })
    );
    if tally.crashes > 0 && !options.check {
        eprintln!("{} inputs failed; they are kept in {}", tally.crashes, options.keep.display());
    } else if tally.crashes > 0 {
        bail!("{} inputs failed; they are kept in {}", tally.crashes, options.keep.display());
    }
    Ok(())
}

#[derive(Debug, Default)]
struct Tally {
    executions: u64,
    crashes: u64,
    /// Inputs that were pictures after all.
    decoded: u64,
    faces: u64,
    peak_rss_bytes: u64,
}

#[allow(clippy::disallowed_methods, reason = "a chore times itself; no rule depends on it")]
fn supervise(home: &Home, options: &Options, mutator: &Mutator) -> anyhow::Result<Tally> {
    let end = Instant::now() + Duration::from_secs_f64(options.minutes * 60.0);
    let (mut tally, mut next) = (Tally::default(), 0);
    let mut shown = Instant::now();
    while Instant::now() < end {
        let worker = Worker::start(home, options.seed, next)?;
        let mut running = None;
        // Until it ends by itself (it failed), hangs, or time is up.
        let how = loop {
            match worker.said.recv_timeout(STUCK) {
                Ok(Said::Begins(index)) => running = Some(index),
                Ok(Said::Done { decoded, faces, peak_rss_bytes }) => {
                    (running, next) = (None, next + 1);
                    tally.executions += 1;
                    tally.decoded += u64::from(decoded);
                    tally.faces += u64::from(faces);
                    tally.peak_rss_bytes = tally.peak_rss_bytes.max(peak_rss_bytes);
                }
                Err(RecvTimeoutError::Timeout) => break "it hangs",
                Err(RecvTimeoutError::Disconnected) => break "its process ended",
            }
            if Instant::now() >= end {
                return Ok(tally);
            }
            if shown.elapsed() > Duration::from_secs(10) {
                shown = Instant::now();
                let left = end.saturating_duration_since(shown).as_secs();
                eprintln!("{} inputs, {} decoded, {} failed, {left} s left", next, tally.decoded, tally.crashes);
            }
        };
        let Some(index) = running else { bail!("the worker ended between two inputs ({how}); its message is above") };
        eprintln!("input {index} failed: {how}. Again: cargo xtask fuzz decode --seed {} --only {index}", options.seed);
        keep(&options.keep, index, &mutator.input(index))?;
        tally.executions += 1;
        tally.crashes += 1;
        next = index + 1;
    }
    Ok(tally)
}

fn keep(folder: &Path, index: u64, input: &[u8]) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    let path = folder.join(format!("{index}.bin"));
    std::fs::write(&path, input).with_context(|| path.display().to_string())
}

/// A process that runs inputs one after the other; killed when dropped.
struct Worker {
    process: Child,
    said: Receiver<Said>,
}

impl Worker {
    fn start(home: &Home, seed: u64, from: u64) -> anyhow::Result<Self> {
        let program = std::env::current_exe().context("where is this program?")?;
        let mut command = Command::new(program);
        command.arg("--home").arg(home.root()).args(["fuzz", "decode"]);
        command.args(["--seed", &seed.to_string(), "--worker-from", &from.to_string()]);
        let mut process = command.stdout(Stdio::piped()).stdin(Stdio::null()).spawn().context("a worker process")?;
        let lines = process.stdout.take().context("the worker's standard output was asked for as a pipe")?;
        let (tell, said) = mpsc::channel();
        thread::spawn(move || listen(lines, &tell));
        Ok(Self { process, said })
    }
}

fn listen(lines: ChildStdout, tell: &mpsc::Sender<Said>) {
    for line in BufReader::new(lines).lines() {
        let Some(said) = line.ok().and_then(|line| Said::parse(&line)) else { return };
        if tell.send(said).is_err() {
            return;
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is gone and collected afterwards.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
