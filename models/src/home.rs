//! Where fetched files live: one folder, `FACEGATE_HOME`, that the manifest's `to` paths are below.

use std::env;
use std::path::{Path, PathBuf};

/// The folder of fetched files: `models/`, `onnxruntime/`, `people/`.
#[derive(Debug, Clone)]
pub struct Home {
    root: PathBuf,
}

impl Home {
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// `FACEGATE_HOME`, or `.facegate` in the workspace that holds the current directory, or here.
    pub fn from_env() -> Self {
        match env::var_os("FACEGATE_HOME") {
            Some(root) if !root.is_empty() => Self::at(root),
            _ => Self::at(workspace_root().unwrap_or_default().join(".facegate")),
        }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What `FaceEngine::load` and the servers' `models_dir` take.
    pub fn models_dir(&self) -> PathBuf {
        self.root.join("models")
    }

    /// The six credited portraits that stand in for riders in the demo and the tests.
    pub fn people_dir(&self) -> PathBuf {
        self.root.join("people")
    }
}

/// The nearest folder above that holds a lock file: packages of a workspace have none of their own.
fn workspace_root() -> Option<PathBuf> {
    let here = env::current_dir().ok()?;
    here.ancestors().find(|folder| folder.join("Cargo.lock").is_file()).map(Path::to_path_buf)
}
