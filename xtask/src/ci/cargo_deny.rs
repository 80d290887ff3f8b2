//! Licences, banned crates and sources of every dependency, by cargo-deny and deny.toml.
//!
//! Its advisory check is left out: that fetches a database from a place build machines often cannot reach.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use crate::command;
use crate::workspace::Workspace;

/// deny.toml is written in the schema of this series.
const SERIES: &str = "0.20.";
const REQUIREMENT: &str = "cargo-deny@^0.20";

/// Finds or builds cargo-deny and runs its three checks.
pub fn check(workspace: &Workspace) -> Result<()> {
    let program = found_or_built(workspace)?;
    let mut deny = Command::new(program);
    deny.current_dir(&workspace.root).args([
        "--locked",
        "check",
        "--hide-inclusion-graph",
        "licenses",
        "bans",
        "sources",
    ]);
    command::run(
        &mut deny,
        "deny.toml says what is allowed and why: choose another dependency, or add to it with a reason.",
    )
}

fn found_or_built(workspace: &Workspace) -> Result<PathBuf> {
    let tools = workspace.home().join("tools");
    let own = tools.join("bin/cargo-deny");
    for program in [PathBuf::from("cargo-deny"), own.clone()] {
        let version = command::probe(Command::new(&program).arg("--version"));
        if version.is_some_and(|output| is_ours(&String::from_utf8_lossy(&output.stdout))) {
            return Ok(program);
        }
    }
    eprintln!("   missing: cargo-deny {SERIES}x (checks the dependencies' licences and sources); compiling it once");
    let mut install = workspace.cargo();
    // Unoptimised: it compiles in a fraction of the time, and checks the tree in seconds all the same.
    install.args(["install", "--locked", "--debug", REQUIREMENT, "--root"]).arg(&tools);
    command::run(
        &mut install,
        "cargo's message above says why; it can also be installed by hand, it is found on the PATH.",
    )?;
    Ok(own)
}

/// `cargo-deny 0.20.2`
fn is_ours(version: &str) -> bool {
    version.split_whitespace().nth(1).is_some_and(|number| number.starts_with(SERIES))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_series_is_not_taken() {
        assert!(is_ours("cargo-deny 0.20.2\n"));
        assert!(!is_ours("cargo-deny 0.2.0\n"));
        assert!(!is_ours("cargo-deny 0.16.3\n"));
        assert!(!is_ours(""));
    }
}
