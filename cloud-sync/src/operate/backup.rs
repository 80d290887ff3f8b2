//! `backup`: a verified copy of the embedded store, taken while nothing writes.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use facegate_domain::Clock;
use facegate_runtime::clock::SystemClock;

use super::manifest::copy_folder;
use super::{Manifest, Target};
use crate::store::sled::at_rest::{DATABASES, StoreAtRest};

/// What `backup --help` teaches.
pub const HELP: &str = "\
The cloud must be stopped: its store is locked while it runs. Gates and stations go on alone meanwhile and hand on their
journals when it is back, so stop, back up, start; what takes time is the copying.

DIR must not exist. It gets the three databases and manifest.json (version, feed head, keys needed, sha256 of every
file), which is written last: a folder without it is no backup. Values in it stay sealed; keys are NOT in it, so keep
the key files (or the HSM's own backup) somewhere else. The register of erasures is not in it either, on purpose: a
restored backup learns from the register, as it is now, whom to forget.

A key that is retired later makes this backup unreadable; `manifest.json` names the keys that it needs.

Stations need no backup: they fetch templates again from the cloud and hand on their journals. PostgreSQL is backed up
with its own tools; see docs/OPERATING.md.

Example:
  systemctl stop facegate-cloud
  facegate-cloud-sync backup --config /etc/facegate/cloud.toml /backup/$(date +%F)
  systemctl start facegate-cloud";

#[derive(Debug, clap::Args)]
pub struct Backup {
    #[command(flatten)]
    target: Target,
    /// The folder to make.
    dir: PathBuf,
}

impl Backup {
    pub fn run(&self) -> anyhow::Result<()> {
        let config = self.target.load()?;
        let runtime = tokio::runtime::Runtime::new().context("starting the async runtime")?;
        let manifest = runtime.block_on(back_up(config.folder()?, &self.dir, &SystemClock::new()))?;
        let bytes: u64 = manifest.files.values().map(|file| file.bytes).sum();
        println!(
            "{} files, {bytes} bytes, feed at {}: {}",
            manifest.files.len(),
            manifest.feed_head,
            self.dir.display()
        );
        for (purpose, keys) in &manifest.keys {
            println!("reading it takes the `{purpose}` key {}", keys.join(", "));
        }
        Ok(())
    }
}

/// Copies the store in `data_dir` into `dir`, which must not exist.
pub async fn back_up(data_dir: &Path, dir: &Path, clock: &dyn Clock) -> anyhow::Result<Manifest> {
    ensure!(
        !dir.try_exists()?,
        "{} exists; name a folder that does not, so that no backup is overwritten",
        dir.display()
    );
    if !data_dir.join(DATABASES[0]).is_dir() {
        bail!("there is no store in {}; nothing was backed up", data_dir.display());
    }
    // Holds the locks until the copy is made.
    let store = StoreAtRest::open(data_dir).await?;
    std::fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
    let mut manifest = Manifest::new(clock.now(), store.layout()?, store.feed_head()?, store.keys()?);
    for name in DATABASES {
        manifest.files.extend(copy_folder(&data_dir.join(name), &dir.join(name), name)?);
    }
    manifest.save(dir)?;
    drop(store);
    Ok(manifest)
}
