//! The peers: a Python process with faiss-cpu, usearch and hnswlib, told when it is their turn.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{Value, json};

/// By this variable `cargo xtask bench search --peers` hands over the interpreter.
const PYTHON: &str = "FACEGATE_PEERS_PYTHON";
const SCRIPT: &str = include_str!("../../peers/search_peers.py");
/// The exact one, which the others are tuned to agree with.
pub const FLAT: &str = "flat";

/// The running process.
pub struct Peers {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    pub names: Vec<String>,
}

/// Times of searches in milliseconds, and what each probe found first.
#[derive(Debug, Clone, Deserialize)]
pub struct Found {
    pub ms: Vec<f64>,
    /// Negative: nothing.
    pub ids: Vec<i64>,
}

/// How a peer was tuned.
#[derive(Debug, Clone, Deserialize)]
pub struct Tuned {
    pub setting: Value,
    pub recall: f64,
}

#[derive(Deserialize)]
struct Hello {
    faiss: String,
    options: String,
    peers: Vec<String>,
}

#[derive(Deserialize)]
struct Built {
    seconds: f64,
}

impl Peers {
    /// Files of float32 rows of `dims`.
    pub fn start(vectors: &Path, probes: &Path, dims: usize) -> Result<Self> {
        let python = std::env::var_os(PYTHON).filter(|python| !python.is_empty());
        let python =
            python.with_context(|| format!("{PYTHON} names no interpreter; run `cargo xtask bench search --peers`"))?;
        let mut command = Command::new(python);
        command.args(["-c", SCRIPT]).args([vectors, probes]).arg(dims.to_string());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("{PYTHON} cannot be started"))?;
        let (Some(orders), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("the peers have no pipes");
        };
        let mut peers = Self { child, orders, answers: BufReader::new(answers), names: vec![] };
        let hello: Hello = peers.answer()?;
        eprintln!("peers: faiss-cpu {} ({})", hello.faiss, hello.options.trim());
        peers.names = hello.peers;
        Ok(peers)
    }

    /// Builds an index over all vectors; gives the seconds it took.
    pub fn build(&mut self, name: &str) -> Result<f64> {
        Ok(self.ask::<Built>(&json!({"build": name}))?.seconds)
    }

    /// Sets it so that the first probes find these, at the least cost.
    pub fn tune(&mut self, name: &str, truth: &[i64]) -> Result<Tuned> {
        self.ask(&json!({"tune": name, "truth": truth}))
    }

    /// One search after another, on one thread.
    pub fn single(&mut self, name: &str, from: usize, count: usize) -> Result<Found> {
        self.ask(&json!({"single": name, "from": from, "count": count}))
    }

    /// All in one call.
    pub fn batch(&mut self, name: &str, from: usize, count: usize, threads: usize) -> Result<Found> {
        self.ask(&json!({"batch": name, "from": from, "count": count, "threads": threads}))
    }

    pub fn drop_index(&mut self, name: &str) -> Result<()> {
        self.ask::<Value>(&json!({"drop": name})).map(drop)
    }

    fn ask<T: for<'a> Deserialize<'a>>(&mut self, order: &Value) -> Result<T> {
        writeln!(self.orders, "{order}")?;
        self.orders.flush()?;
        self.answer()
    }

    fn answer<T: for<'a> Deserialize<'a>>(&mut self) -> Result<T> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            bail!("the peers ended ({}): does `import faiss, numpy` work in {PYTHON}?", self.child.wait()?);
        }
        let reply: Value = serde_json::from_str(&line).with_context(|| format!("the peers said {line:?}"))?;
        if let Some(error) = reply.get("error") {
            bail!("{error}");
        }
        Ok(serde_json::from_value(reply)?)
    }
}

impl Drop for Peers {
    fn drop(&mut self) {
        // It ends when there are no more orders; whether it could be waited for changes nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
