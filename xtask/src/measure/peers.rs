//! The peers' Python: a virtual environment of pinned packages, kept beside the models.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::command;
use crate::workspace::Workspace;

/// By this variable a measurement finds the interpreter.
pub const PYTHON: &str = "FACEGATE_PEERS_PYTHON";

/// What is installed for the measurements of a crate.
pub fn requirements(root: &Path, folder: &str) -> PathBuf {
    root.join(folder).join("peers/requirements.txt")
}

/// The interpreter for the peers of a crate's measurements; makes the environment if there is none for just these
/// requirements.
///
/// Errors: Python cannot make one, or pip cannot fetch a package.
pub fn python(workspace: &Workspace, folder: &str) -> Result<PathBuf> {
    let requirements = requirements(&workspace.root, folder);
    let wanted = fs::read_to_string(&requirements).with_context(|| requirements.display().to_string())?;
    let folder = workspace.home().join("peers").join(folder);
    let python = folder.join("bin/python");
    let installed = folder.join("installed.txt");
    if fs::read_to_string(&installed).is_ok_and(|text| text == wanted) && python.is_file() {
        return Ok(python);
    }
    eprintln!("   making the peers' environment in {}", workspace.shown(&folder));
    make(&requirements, &folder, &python)?;
    // Written last: an environment that was left half-made is made anew.
    fs::write(&installed, wanted).with_context(|| format!("cannot write {}", installed.display()))?;
    Ok(python)
}

fn make(requirements: &Path, folder: &Path, python: &Path) -> Result<()> {
    let mut create = Command::new("python3");
    create.args(["-m", "venv", "--clear"]).arg(folder).stdout(Stdio::null());
    command::run(&mut create, "Debian and Ubuntu have it in the package python3-venv.")?;
    let mut install = Command::new(python);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:", "-r"]);
    install.arg(requirements).stdout(std::io::stderr());
    command::run(
        &mut install,
        "Is the Python package index reachable? Without the peers everything of ours still runs.",
    )
}
