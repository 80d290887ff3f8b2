//! The operator's commands beside serving: `backup`, `restore`, `books`, `keys`, `ca`, `fares`, `import`, `tell`. Each says what it did, and what is next.
//!
//! [docs/OPERATING.md](../../docs/OPERATING.md) is the guide to them.

use std::path::PathBuf;

use facegate_runtime::config;

use crate::config::{Config, RawConfig};

pub mod backup;
pub mod books;
pub mod ca;
pub mod fares;
pub mod import;
pub mod keys;
mod manifest;
pub mod restore;
pub mod tell;

pub use manifest::{MANIFEST, Manifest, ManifestError};

/// Where a command finds the cloud that it works on.
#[derive(Debug, Clone, clap::Args)]
pub struct Target {
    /// The config file of the cloud.
    #[arg(long)]
    pub config: PathBuf,
}

impl Target {
    fn load(&self) -> anyhow::Result<Config> {
        Ok(config::load::<RawConfig, Config>(&self.config)?)
    }
}
