//! `cargo xtask setup` on machines made of stubs: a PATH on which just some programs exist.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A folder that is the whole PATH, beside cargo's own.
struct Machine {
    path: PathBuf,
}

impl Machine {
    /// Has everything that the build needs but cmake.
    fn without_cmake(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("setup").join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        let machine = Self { path };
        machine.has("c++", "exec /bin/cat >/dev/null");
        machine.has("make", "");
        machine.has("nasm", "");
        machine.has("npm", "");
        machine.has("curl", "");
        machine.has("python3", "");
        machine
    }

    fn has(&self, program: &str, script: &str) {
        let file = self.path.join(program);
        fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// An apt-get that notes what it was asked and puts cmake onto the PATH.
    fn has_apt(&self) {
        let (log, make) = (self.path.join("apt.log"), self.path.join("make"));
        let install = format!("/bin/cp {} {}", make.display(), self.path.join("cmake").display());
        let note = format!("[ \"$1\" = --version ] || echo \"$@\" >>{}", log.display());
        self.has("apt-get", &format!("{note}\necho apt talks\n[ \"$1\" = install ] && {install}\nexit 0"));
    }

    fn is_used_by(&self, user: u32) {
        self.has("id", &format!("echo {user}"));
    }

    fn asked_of_apt(&self) -> String {
        fs::read_to_string(self.path.join("apt.log")).unwrap_or_default()
    }

    fn setup(&self) -> Output {
        let cargo = PathBuf::from(env!("CARGO"));
        let path = std::env::join_paths([self.path.as_path(), cargo.parent().unwrap()]).unwrap();
        let mut setup = Command::new(env!("CARGO_BIN_EXE_facegate-xtask"));
        setup.arg("setup").env("PATH", path).env("CARGO", cargo).env_remove("CXX").output().unwrap()
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn root_gets_what_is_missing_and_only_that() {
    let machine = Machine::without_cmake("root");
    machine.has_apt();
    machine.is_used_by(0);
    let output = machine.setup();
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("missing: cmake (builds the sources of FAISS"), "{}", said(&output));
    assert_eq!(machine.asked_of_apt(), "update -q\ninstall --yes --no-install-recommends cmake\n");
    assert!(output.stdout.is_empty(), "standard output belongs to the result of a chore");
    machine.setup();
    assert_eq!(machine.asked_of_apt().lines().count(), 2, "the second time nothing is missing");
}

#[test]
fn without_root_sudo_is_used_if_it_asks_nothing() {
    let machine = Machine::without_cmake("sudo");
    machine.has_apt();
    machine.is_used_by(1000);
    machine.has("sudo", "[ \"$1\" = -n ] && shift && exec \"$@\"");
    machine.has("true", "");
    machine.has("env", "exec /usr/bin/env \"$@\"");
    let output = machine.setup();
    assert!(output.status.success(), "{}", said(&output));
    assert!(machine.asked_of_apt().ends_with("install --yes --no-install-recommends cmake\n"));
}

#[test]
fn without_root_and_sudo_it_says_what_to_run() {
    let machine = Machine::without_cmake("nobody");
    machine.has_apt();
    machine.is_used_by(1000);
    let output = machine.setup();
    assert!(!output.status.success());
    assert!(
        said(&output).contains("apt-get update && apt-get install --yes --no-install-recommends cmake"),
        "{}",
        said(&output)
    );
    assert_eq!(machine.asked_of_apt(), "");
}

#[test]
fn another_system_is_told_what_to_install() {
    let machine = Machine::without_cmake("other");
    let output = machine.setup();
    assert!(!output.status.success());
    assert!(said(&output).contains("no apt-get") && said(&output).contains("- cmake, which Debian calls cmake"));
}

#[test]
fn an_installation_that_changed_nothing_is_an_error() {
    let machine = Machine::without_cmake("liar");
    machine.has("apt-get", "exit 0");
    machine.is_used_by(0);
    let output = machine.setup();
    assert!(!output.status.success());
    assert!(said(&output).contains("not found: cmake"), "{}", said(&output));
}
