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

/// Packages whose files alone are wanted; not every crate has any.
fn files(root: &Path, folder: &str) -> PathBuf {
    root.join(folder).join("peers/files.txt")
}

/// The interpreter for the peers of a crate's measurements; makes the environment if there is none for just these
/// requirements.
///
/// Errors: Python cannot make one, or pip cannot fetch a package.
pub fn python(workspace: &Workspace, folder: &str) -> Result<PathBuf> {
    let requirements = requirements(&workspace.root, folder);
    let files = Some(files(&workspace.root, folder)).filter(|files| files.is_file());
    let read = |path: &PathBuf| fs::read_to_string(path).with_context(|| path.display().to_string());
    let wanted = read(&requirements)? + &files.as_ref().map(read).transpose()?.unwrap_or_default();
    let folder = workspace.home().join("peers").join(folder);
    let python = folder.join("bin/python");
    let installed = folder.join("installed.txt");
    if fs::read_to_string(&installed).is_ok_and(|text| text == wanted) && python.is_file() {
        return Ok(python);
    }
    eprintln!("   making the peers' environment in {}", workspace.shown(&folder));
    make(&requirements, &folder, &python)?;
    if let Some(files) = files {
        install(&python, &files, &["--no-deps"])?;
    }
    // Written last: an environment that was left half-made is made anew.
    fs::write(&installed, wanted).with_context(|| format!("cannot write {}", installed.display()))?;
    Ok(python)
}

fn make(requirements: &Path, folder: &Path, python: &Path) -> Result<()> {
    let mut create = Command::new("python3");
    create.args(["-m", "venv", "--clear"]).arg(folder).stdout(Stdio::null());
    command::run(&mut create, "Debian and Ubuntu have it in the package python3-venv.")?;
    install(python, requirements, &[])
}

fn install(python: &Path, requirements: &Path, how: &[&str]) -> Result<()> {
    let mut install = Command::new(python);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:"]);
    install.args(how).arg("-r").arg(requirements).stdout(std::io::stderr());
    command::run(
        &mut install,
        "Is the Python package index reachable? Without the peers everything of ours still runs.",
    )
}
