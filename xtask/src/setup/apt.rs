//! Installing Debian packages without asking, as root or through a sudo that needs no password.

use std::io::stderr;
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::command::{self, answers, probe};

/// Whether this is a system with apt-get.
pub fn available() -> bool {
    answers(Command::new("apt-get").arg("--version"))
}

/// Refreshes the package lists and installs `packages`. Standard output stays free: apt's goes to standard error.
pub fn install(packages: &[&str]) -> Result<()> {
    let mut install = vec!["install", "--yes", "--no-install-recommends"];
    for package in packages {
        if !install.contains(package) {
            install.push(package);
        }
    }
    let by_hand = format!("apt-get update && apt-get {}", install.join(" "));
    let sudo = !is_root();
    if sudo && !answers(Command::new("sudo").args(["-n", "true"])) {
        bail!(
            "installing packages needs root, and sudo wants a password or is not there.\nRun this as root, then start again:\n  {by_hand}"
        );
    }
    let next = format!("Look at apt's message above; by hand it is, as root:\n  {by_hand}");
    command::run(&mut apt_get(sudo, &["update", "-q"]), &next)?;
    command::run(&mut apt_get(sudo, &install), &next)
}

fn apt_get(sudo: bool, args: &[&str]) -> Command {
    const SILENT: (&str, &str) = ("DEBIAN_FRONTEND", "noninteractive");
    let mut command = Command::new(if sudo { "sudo" } else { "apt-get" });
    if sudo {
        // sudo drops the environment, so it is handed over behind it.
        command.args(["-n", "env", &format!("{}={}", SILENT.0, SILENT.1), "apt-get"]);
    }
    command.args(args).env(SILENT.0, SILENT.1).stdin(Stdio::null()).stdout(stderr());
    eprintln!("   $ {}", command::describe(&command));
    command
}

fn is_root() -> bool {
    probe(Command::new("id").arg("-u")).is_some_and(|output| output.stdout.trim_ascii() == b"0")
}
