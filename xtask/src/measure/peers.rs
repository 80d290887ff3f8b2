//! The peers' Python: a virtual environment of pinned packages, kept beside the models.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::command;
use crate::workspace::Workspace;

/// By this variable a measurement finds the interpreter.
pub const PYTHON: &str = "FACEGATE_PEERS_PYTHON";

/// What is installed, relative to the workspace's root.
const REQUIREMENTS: &str = "models/peers/requirements.txt";

/// The interpreter; makes the environment if there is none for just these requirements.
///
/// Errors: Python cannot make one, or pip cannot fetch a package.
pub fn python(workspace: &Workspace) -> Result<PathBuf> {
    let wanted = fs::read_to_string(workspace.root.join(REQUIREMENTS)).context(REQUIREMENTS)?;
    let folder = workspace.home().join("peers");
    let python = folder.join("bin/python");
    let installed = folder.join("installed.txt");
    if fs::read_to_string(&installed).is_ok_and(|text| text == wanted) && python.is_file() {
        return Ok(python);
    }
    eprintln!("   making the peers' environment in {}", workspace.shown(&folder));
    make(workspace, &folder, &python)?;
    // Written last: an environment that was left half-made is made anew.
    fs::write(&installed, wanted).with_context(|| format!("cannot write {}", installed.display()))?;
    Ok(python)
}

fn make(workspace: &Workspace, folder: &Path, python: &Path) -> Result<()> {
    let mut create = Command::new("python3");
    create.args(["-m", "venv", "--clear"]).arg(folder).stdout(Stdio::null());
    command::run(&mut create, "Debian and Ubuntu have it in the package python3-venv.")?;
    let mut install = Command::new(python);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:", "-r"]);
    install.arg(workspace.root.join(REQUIREMENTS)).stdout(std::io::stderr());
    command::run(
        &mut install,
        "Is the Python package index reachable? Without the peers everything of ours still runs.",
    )
}
