//! Files and crates that do not say what they are for.

use crate::tidy::Finding;
use crate::tidy::manifest::Manifest;
use crate::tidy::tree::{File, Tree};

pub const REASON: &str = "whoever opens a file reads first what it is for; lints are set once, for the whole workspace";

pub fn check(tree: &Tree) -> Vec<Finding> {
    // A tests.rs has said it with its name.
    let files = tree.rust().filter(|file| file.name() != "tests.rs" && !opens_with_docs(file));
    let files = files.map(|file| Finding::at(&file.path, 1, "does not open with `//!` and what the file is for"));
    files.chain(tree.crates.iter().flat_map(|folder| check_manifest(tree, folder))).collect()
}

/// Attributes for the whole file may stand before.
fn opens_with_docs(file: &File) -> bool {
    let first = file.text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with("#!["));
    first.is_some_and(|line| line.starts_with("//!"))
}

fn check_manifest(tree: &Tree, folder: &str) -> Vec<Finding> {
    let path = format!("{folder}/Cargo.toml");
    let Some(manifest) = tree.file(&path).and_then(|file| Manifest::parse(&file.text)) else { return Vec::new() };
    let mut findings = Vec::new();
    if manifest.description().is_empty() {
        findings.push(Finding::whole(&path, "`description` is empty"));
    }
    if !manifest.lints_are_the_workspace_s() {
        findings.push(Finding::whole(&path, "lacks `[lints] workspace = true`"));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_opens_with_its_purpose() {
        let tree = Tree::of(&[
            ("a.rs", "use std::fmt;\n//! late\n"),
            ("b.rs", "#![allow(clippy::unwrap_used)]\n\n//! What it is for.\n"),
            ("c.rs", "/// About the next item.\nfn f() {}\n"),
            ("d.rs", ""),
            ("e/tests.rs", "use super::*;\n"),
        ]);
        let paths: Vec<_> = check(&tree).into_iter().map(|finding| finding.path).collect();
        assert_eq!(paths, ["a.rs", "c.rs", "d.rs"]);
    }

    #[test]
    fn a_crate_says_what_it_is_and_takes_the_common_lints() {
        let mut tree = Tree::of(&[
            ("a/Cargo.toml", "[package]\ndescription = \"\""),
            ("b/Cargo.toml", "[package]\ndescription = \"B\"\n[lints]\nworkspace = true"),
        ]);
        tree.crates = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(check(&tree).len(), 2);
        assert!(check(&tree).iter().all(|finding| finding.path == "a/Cargo.toml"));
    }
}
