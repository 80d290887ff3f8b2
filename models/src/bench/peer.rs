//! OpenCV's pipeline in a Python process of its own, told frame by frame when it is its turn.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, bail};
use serde::Deserialize;

/// By this variable `cargo xtask bench gate --peers` hands over the interpreter.
const PYTHON: &str = "FACEGATE_PEERS_PYTHON";
const SCRIPT: &str = include_str!("../../peers/opencv_gate.py");

/// The running peer.
pub struct Peer {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    pub version: String,
}

/// What it says about one frame: time on the wall and of the processor in milliseconds.
#[derive(Debug, Clone, Deserialize)]
pub struct Answer {
    pub ms: f64,
    pub cpu_ms: f64,
    /// Decoding, detection, and alignment with embedding.
    pub stages_cpu_ms: [f64; 3],
    pub faces: usize,
    /// Of the largest face, of unit length.
    pub embedding: Option<Vec<f32>>,
}

#[derive(Deserialize)]
struct Hello {
    opencv: String,
}

impl Peer {
    /// Starts it with our converted, unrewritten models; none if no interpreter was handed over.
    pub fn start(models_dir: &Path) -> anyhow::Result<Option<Self>> {
        let Some(python) = std::env::var_os(PYTHON).filter(|python| !python.is_empty()) else { return Ok(None) };
        let mut command = Command::new(python);
        command.args(["-c", SCRIPT]).args(["yunet-2023mar.onnx", "sface-2021dec.onnx"].map(|m| models_dir.join(m)));
        command.env("OMP_NUM_THREADS", "1").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().with_context(|| format!("{PYTHON} cannot be started"))?;
        let (Some(orders), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("the peer has no pipes");
        };
        let mut peer = Self { child, orders, answers: BufReader::new(answers), version: String::new() };
        let hello: Hello = peer.answer()?;
        peer.version = hello.opencv;
        Ok(Some(peer))
    }

    /// Runs its pipeline on a file.
    pub fn run(&mut self, frame: &Path) -> anyhow::Result<Answer> {
        writeln!(self.orders, "run {}", frame.display())?;
        self.orders.flush()?;
        self.answer()
    }

    fn answer<T: for<'a> Deserialize<'a>>(&mut self) -> anyhow::Result<T> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            bail!("the peer ended ({}): does `import cv2, numpy` work in {PYTHON}?", self.child.wait()?);
        }
        serde_json::from_str(&line).with_context(|| format!("the peer said {line:?}"))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It ends when told to; if it cannot be told, it is gone already.
        let _ = writeln!(self.orders, "quit");
        let _ = self.child.wait();
    }
}
