//! One gate of the city as a passer-by meets it: its aisle, its screen, and the folder that plays its camera.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use facegate_domain::policy::Refusal;
use serde::Deserialize;

use crate::aisle::{Aisle, Walk};

/// Time between two frames: a camera of about 15 frames a second.
const FRAME_INTERVAL: Duration = Duration::from_millis(66);
const SCREEN_ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// A gate or, with `aisle` and `screen` unused, an entrance camera. Clones are the same gate.
#[derive(Debug, Clone)]
pub struct Gate {
    pub id: String,
    /// Where its process logs to.
    pub log: PathBuf,
    pub aisle: Aisle,
    /// Where the gate's own screen can be reached.
    pub screen_address: SocketAddr,
    camera: PathBuf,
    frames_shown: Arc<AtomicU64>,
}

/// What the gate's screen says about one decision.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Decision {
    /// Counts up from 1 with every decision of this process.
    pub number: u64,
    /// `granted`, `refused`, `merged` or `sighted`.
    pub kind: String,
    pub medium: Option<String>,
    /// With `refused`: a name of `domain::policy::Refusal`.
    pub reason: Option<String>,
    /// Last usable frame captured → decision.
    pub decision_ms: Option<f64>,
    /// With a face: first usable frame captured → decision.
    pub first_usable_ms: Option<f64>,
}

impl Decision {
    pub fn refusal(&self) -> Option<Refusal> {
        self.reason.as_deref().and_then(Refusal::from_name)
    }
}

/// The part of `/state.json` that the demo and the tests look at.
#[derive(Debug, Clone, Deserialize)]
pub struct Screen {
    pub mode: String,
    /// `starting`, `idle`, `looking`, `open` or `refused`.
    pub phase: String,
    pub aisle_online: bool,
    pub decisions: Vec<Decision>,
}

impl Gate {
    pub fn new(id: &str, log: PathBuf, aisle: Aisle, screen_address: SocketAddr, camera: PathBuf) -> Self {
        Self { id: id.to_owned(), log, aisle, screen_address, camera, frames_shown: Arc::default() }
    }

    /// Plays frames to the gate's camera, at a camera's pace.
    pub async fn show(&self, frames: &[Vec<u8>]) -> Result<()> {
        for frame in frames {
            self.show_one(frame)?;
            tokio::time::sleep(FRAME_INTERVAL).await;
        }
        Ok(())
    }

    /// The camera sees this now.
    pub fn show_one(&self, frame: &[u8]) -> Result<()> {
        place(&self.camera, self.frames_shown.fetch_add(1, Ordering::Relaxed), frame)
    }

    /// A body walks up showing `frames` and waits for the door.
    pub async fn walk(&self, frames: &[Vec<u8>], patience: Duration) -> Result<Walk> {
        let (walk, shown) = tokio::join!(self.aisle.walk(patience), self.show(frames));
        shown?;
        Ok(walk)
    }

    /// The same, and what the body shows goes with it: a gate that was dead meanwhile finds nothing of it.
    pub async fn visit(&self, frames: &[Vec<u8>], patience: Duration) -> Result<Walk> {
        let showing = async {
            match self.show(frames).await {
                Ok(()) => std::future::pending().await,
                Err(error) => error,
            }
        };
        let walk = tokio::select! {
            walk = self.aisle.walk(patience) => Ok(walk),
            error = showing => Err(error),
        };
        self.clear()?;
        walk
    }

    /// Somebody walks by an entrance camera, where there is no door.
    pub async fn walk_by(&self, frames: &[Vec<u8>]) -> Result<()> {
        let shown = self.show(frames).await;
        self.clear()?;
        shown
    }

    /// Takes away every frame that the camera has not taken yet.
    fn clear(&self) -> Result<()> {
        for entry in std::fs::read_dir(&self.camera)? {
            match std::fs::remove_file(entry?.path()) {
                // The gate was faster.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                other => other?,
            }
        }
        Ok(())
    }

    /// `http://host:port` of the gate's own screen.
    pub fn screen_url(&self) -> String {
        format!("http://{}", self.screen_address)
    }

    pub async fn screen(&self) -> Result<Screen> {
        let request = reqwest::Client::builder().no_proxy().timeout(SCREEN_ANSWERS_WITHIN).build()?;
        let request = request.get(format!("{}/state.json", self.screen_url()));
        // The screen answers to loopback names only, also where its address is relayed.
        let host = format!("127.0.0.1:{}", self.screen_address.port());
        let response = request.header(reqwest::header::HOST, host).send().await;
        let response = response.with_context(|| format!("the screen of {} does not answer", self.id))?;
        Ok(response.error_for_status()?.json().await?)
    }
}

/// Written under another name and renamed, so that the camera never sees half a picture.
fn place(folder: &Path, number: u64, bytes: &[u8]) -> Result<()> {
    let part = folder.join(format!("frame-{number:08}.part"));
    std::fs::write(&part, bytes)?;
    Ok(std::fs::rename(&part, folder.join(format!("frame-{number:08}.jpg")))?)
}

impl Screen {
    /// The number of the newest decision; 0 before the first.
    pub fn decided(&self) -> u64 {
        self.decisions.iter().map(|d| d.number).max().unwrap_or(0)
    }

    /// The first decision after number `before` that lets somebody in or turns somebody away.
    pub fn verdict_after(&self, before: u64) -> Option<Decision> {
        let verdicts =
            self.decisions.iter().filter(|d| d.number > before && (d.kind == "granted" || d.kind == "refused"));
        verdicts.min_by_key(|d| d.number).cloned()
    }
}
