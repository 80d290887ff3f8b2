//! What the tests of pages drive a browser with: the packages of `pages-tests`, as its lock file names them.

use std::fs;

use anyhow::{Context, Result};

use crate::command;
use crate::workspace::Workspace;

/// Installs them, unless just these are there.
///
/// Errors: npm cannot fetch a package.
pub fn packages(workspace: &Workspace) -> Result<()> {
    let folder = workspace.root.join("pages-tests");
    let lock = folder.join("package-lock.json");
    let wanted = fs::read_to_string(&lock).with_context(|| lock.display().to_string())?;
    let installed = folder.join("node_modules/installed.json");
    if fs::read_to_string(&installed).is_ok_and(|text| text == wanted) {
        return Ok(());
    }
    eprintln!("   installing the packages of {}", workspace.shown(&folder));
    let mut install = std::process::Command::new("npm");
    install.arg("ci").current_dir(&folder).stdout(std::io::stderr());
    command::run(&mut install, "Is the npm registry reachable?")?;
    // Written last: what was left half-made is made anew.
    fs::write(&installed, wanted).with_context(|| installed.display().to_string())
}
