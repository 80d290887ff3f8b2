//! Paths and hosts that exist only around the machine where something was written.

use crate::tidy::Finding;
use crate::tidy::tree::{File, Tree};

pub const REASON: &str =
    "the checkout works wherever it lies and whichever mirror a machine uses; cargo, pip and apt know their own hosts";

const FOLDERS: [&str; 4] = ["/work/", "/home/", "/root/", "/Users/"];
const HOSTS: [&str; 9] = [
    "index.crates.io",
    "static.crates.io",
    "pypi.org",
    "pythonhosted.org",
    "registry.npmjs.org",
    "deb.debian.org",
    "archive.ubuntu.com",
    "proxy.golang.org",
    "artifactory",
];
/// What may stand before an absolute path; after anything else it is the rest of a longer, relative one.
const OPENING: &str = " \t\"'`=:(,[<";

pub fn check(tree: &Tree) -> Vec<Finding> {
    // This file names what it forbids.
    tree.files.iter().filter(|file| file.path != "xtask/src/tidy/leaks.rs").flat_map(check_file).collect()
}

fn check_file(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        for folder in FOLDERS.into_iter().filter(|folder| stands_alone(line, folder)) {
            findings.push(Finding::at(&file.path, index + 1, format!("an absolute path, {folder}…")));
        }
        for host in HOSTS.into_iter().filter(|host| line.contains(host)) {
            findings.push(Finding::at(&file.path, index + 1, format!("a registry's host, {host}")));
        }
    }
    findings
}

fn stands_alone(line: &str, folder: &str) -> bool {
    line.match_indices(folder)
        .any(|(at, _)| line[..at].chars().next_back().is_none_or(|before| OPENING.contains(before)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> usize {
        check(&Tree::of(&[("README.md", text)])).len()
    }

    #[test]
    fn absolute_paths_are_found_and_relative_ones_are_not() {
        assert_eq!(found("see `/home/someone/facegate`"), 1);
        assert_eq!(found("/work/main"), 1);
        assert_eq!(found("see ../work/main, $HOME/work/, target/root/x and https://example.org/home/page"), 0);
    }

    #[test]
    fn hosts_are_found_also_in_the_lock_file() {
        let lock = Tree::of(&[("Cargo.lock", "source = \"registry+https://host/artifactory/api/cargo\"")]);
        assert_eq!(check(&lock).len(), 1);
        assert_eq!(found("from PyPI or crates.io"), 0);
    }
}
