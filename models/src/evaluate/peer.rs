//! OpenCV's YuNet and SFace beside ours: the same photographs through `models/peers/opencv_recognition.py`.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail};
use facegate_models::EngineOptions;
use facegate_models::home::Home;

use super::identities::IdentitySet;

/// The peer's program.
const SCRIPT: &str = include_str!("../../peers/opencv_recognition.py");

/// The Python that the peers run in, which `cargo xtask eval` makes ready; `None`: no peers.
pub fn python() -> Option<OsString> {
    std::env::var_os("FACEGATE_PEERS_PYTHON").filter(|path| !path.is_empty())
}

/// OpenCV's embedding of each listed photograph, or `None` where it saw no face.
pub fn embeddings(
    python: &OsString,
    home: &Home,
    set: &IdentitySet,
    photographs: &[usize],
) -> anyhow::Result<HashMap<usize, Option<Vec<f32>>>> {
    let models = |name: &str| -> PathBuf { home.models_dir().join(name) };
    let mut peer = Command::new(python)
        .args(["-c", SCRIPT])
        .arg("--detector")
        .arg(models("yunet-2023mar.onnx"))
        .arg("--recogniser")
        .arg(models("sface-2021dec.onnx"))
        .arg("--confidence")
        .arg(EngineOptions::default().confidence_min.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run the peer with {}", Path::new(python).display()))?;
    let mut input = peer.stdin.take().context("the peer has no standard input")?;
    let output = BufReader::new(peer.stdout.take().context("the peer has no standard output")?);
    let mut answers = output.lines();
    let mut embeddings = HashMap::new();
    for (done, index) in photographs.iter().enumerate() {
        let bytes = set.bytes(&set.photographs[*index])?;
        input.write_all(&u32::try_from(bytes.len())?.to_le_bytes())?;
        input.write_all(&bytes)?;
        input.flush()?;
        let answer = answers.next().context("the peer ended early: see its message above")??;
        embeddings.insert(*index, serde_json::from_str(&answer).context("the peer's answer is no embedding")?);
        if (done + 1) % 500 == 0 {
            eprintln!("OpenCV: {} of {} photographs", done + 1, photographs.len());
        }
    }
    drop(input);
    if !peer.wait()?.success() {
        bail!("the peer failed: see its message above");
    }
    Ok(embeddings)
}
