//! The workspace this runs in: where it lies, what belongs to it, and how cargo is called in it.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::command;

/// The simulation is a feature, since only it needs tokio's simulated time; every chore builds with it, so that all of
/// them share one build.
pub const WITH_SIMULATION: [&str; 2] = ["--features", "facegate-loadtest/sim"];

/// A gate-agent with cameras behind GStreamer.
pub const WITH_GSTREAMER: [&str; 2] = ["--features", "facegate-gate-agent/gstreamer"];

/// What `cargo metadata` says about the workspace.
pub struct Workspace {
    pub root: PathBuf,
    /// Where cargo puts what it builds.
    pub target: PathBuf,
    /// The folder of each crate, relative to the root.
    pub crates: Vec<PathBuf>,
}

#[derive(Deserialize)]
struct Metadata {
    workspace_root: PathBuf,
    target_directory: PathBuf,
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    manifest_path: PathBuf,
}

impl Workspace {
    /// Asks cargo, from the current directory.
    pub fn find() -> Result<Self> {
        let mut ask = clean_cargo();
        ask.args(["metadata", "--no-deps", "--format-version=1"]);
        let answer = command::read(&mut ask, "Run it from inside the Facegate checkout, with cargo 1.95 or later.")?;
        let metadata: Metadata =
            serde_json::from_str(&answer).context("`cargo metadata` answered in an unknown form")?;
        let root = metadata.workspace_root;
        let manifests = metadata.packages.iter().map(|package| package.manifest_path.as_path());
        let folders = manifests.filter_map(|manifest| manifest.parent()?.strip_prefix(&root).ok());
        let mut crates: Vec<PathBuf> = folders.map(Path::to_path_buf).collect();
        crates.sort();
        Ok(Self { root, target: metadata.target_directory, crates })
    }

    /// Cargo as if called from a shell in the root, with the environment our processes and tests read.
    pub fn cargo(&self) -> Command {
        let mut cargo = clean_cargo();
        self.prepare(&mut cargo);
        cargo
    }

    /// A binary that cargo has built with `profile` (`debug` or `release`).
    pub fn binary(&self, profile: &str, name: &str) -> Command {
        let mut binary = Command::new(self.target.join(profile).join(name));
        without_cargo_run(&mut binary);
        self.prepare(&mut binary);
        binary
    }

    /// Where models, ONNX Runtime and tools are kept: `$FACEGATE_HOME`, or `.facegate` in the root.
    pub fn home(&self) -> PathBuf {
        env::var_os("FACEGATE_HOME").map_or_else(|| self.root.join(".facegate"), PathBuf::from)
    }

    /// Real photographs to measure with, where somebody has put them beside the checkout.
    pub fn data(&self) -> Option<PathBuf> {
        match env::var_os("FACEGATE_DATA") {
            Some(data) => Some(PathBuf::from(data)),
            None => self.root.join("../shared/data").canonicalize().ok(),
        }
    }

    fn prepare(&self, command: &mut Command) {
        command.current_dir(&self.root).env("FACEGATE_HOME", self.home());
        if let Some(data) = self.data() {
            command.env("FACEGATE_DATA", data);
        }
    }

    /// The path as a reader of the project knows it.
    pub fn shown<'a>(&self, path: &'a Path) -> std::path::Display<'a> {
        path.strip_prefix(&self.root).unwrap_or(path).display()
    }
}

fn clean_cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    without_cargo_run(&mut cargo);
    cargo
}

/// Takes out what `cargo run` put into our environment. Build scripts watch some of it (ring's does), so
/// leaving it in would rebuild half the workspace each time someone alternates between `cargo` and `cargo xtask`.
fn without_cargo_run(command: &mut Command) {
    for (name, _) in env::vars_os() {
        if set_by_cargo_run(&name.to_string_lossy()) {
            command.env_remove(name);
        }
    }
}

fn set_by_cargo_run(name: &str) -> bool {
    name.starts_with("CARGO_PKG_")
        || name.starts_with("CARGO_MANIFEST_")
        || ["CARGO_CRATE_NAME", "CARGO_BIN_NAME", "CARGO_PRIMARY_PACKAGE"].contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_cargo_run_added_is_taken_out() {
        assert!(set_by_cargo_run("CARGO_PKG_VERSION_MAJOR"));
        assert!(set_by_cargo_run("CARGO_MANIFEST_DIR"));
        assert!(!set_by_cargo_run("CARGO_TARGET_DIR"));
        assert!(!set_by_cargo_run("CARGO_HOME"));
    }

    #[test]
    fn the_workspace_knows_its_crates_by_folder() {
        let crates = Workspace::find().unwrap().crates;
        assert!(crates.contains(&PathBuf::from("xtask")) && crates.contains(&PathBuf::from("domain")), "{crates:?}");
    }
}
