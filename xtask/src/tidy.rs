//! `cargo xtask tidy`: the rules of style that no compiler knows, as tests that give their reason.

mod docs;
mod edges;
mod files;
mod leaks;
mod lexer;
mod manifest;
mod names;
mod picture;
mod seams;
mod size;
mod tree;
mod unfinished;

use anyhow::{Result, bail};

use crate::tidy::tree::Tree;
use crate::workspace::Workspace;

pub const HELP: &str = "\
Looks at every file git tracks or would track: lengths of files and functions, names, crate edges that the design
forbids, where ort, faiss and cryptoki may be named, paths and hosts of somebody's machine, unfinished code, missing first
lines, large and binary files, and whether ARCHITECTURE.md's picture is true. Each finding is followed by its reason.";

/// One broken rule, at one place.
#[derive(Debug, PartialEq, Eq)]
pub struct Finding {
    path: String,
    /// From 1; 0 is the file as a whole.
    line: usize,
    what: String,
}

impl Finding {
    fn at(path: &str, line: usize, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, what: what.into() }
    }

    fn whole(path: &str, what: impl Into<String>) -> Self {
        Self::at(path, 0, what)
    }
}

struct Rule {
    reason: &'static str,
    check: fn(&Tree) -> Vec<Finding>,
}

const RULES: &[Rule] = &[
    Rule { reason: size::REASON, check: size::check },
    Rule { reason: names::REASON, check: names::check },
    Rule { reason: edges::REASON, check: edges::check },
    Rule { reason: seams::REASON, check: seams::check },
    Rule { reason: leaks::REASON, check: leaks::check },
    Rule { reason: unfinished::REASON, check: unfinished::check },
    Rule { reason: docs::REASON, check: docs::check },
    Rule { reason: files::REASON, check: files::check },
    Rule { reason: picture::REASON, check: picture::check },
];

/// Errors if any rule is broken, after printing each finding and the reason of its rule.
pub fn run(workspace: &Workspace) -> Result<()> {
    let tree = Tree::read(workspace)?;
    let mut findings = 0;
    for rule in RULES {
        let found = (rule.check)(&tree);
        for Finding { path, line, what } in &found {
            if *line == 0 { eprintln!("{path}: {what}") } else { eprintln!("{path}:{line}: {what}") }
        }
        if !found.is_empty() {
            eprintln!("   why: {}\n", rule.reason);
        }
        findings += found.len();
    }
    if findings > 0 {
        bail!(
            "{findings} finding(s) in {} files.\nMend them; a rule that is wrong is changed in xtask/src/tidy, with a reason.",
            tree.files.len()
        );
    }
    eprintln!("   tidy: {} files, {} rules", tree.files.len(), RULES.len());
    Ok(())
}
