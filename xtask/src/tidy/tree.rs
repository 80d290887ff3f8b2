//! What tidy looks at: every file that git tracks or would track, and the crates they make up.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use crate::command;
use crate::tidy::lexer;
use crate::workspace::Workspace;

/// The files of the checkout.
#[derive(Default)]
pub struct Tree {
    pub files: Vec<File>,
    /// The folders of the workspace's crates.
    pub crates: Vec<String>,
}

/// One file.
pub struct File {
    /// Relative to the root, with `/`.
    pub path: String,
    pub bytes: u64,
    /// Empty if it is not UTF-8.
    pub text: String,
    /// Of a Rust file: the text with comments and literals blanked out, line for line. Else empty.
    pub code: String,
}

impl Tree {
    /// Asks git for the list and reads every file.
    pub fn read(workspace: &Workspace) -> Result<Self> {
        let mut list = Command::new("git");
        list.current_dir(&workspace.root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
        let paths = command::read(&mut list, "tidy takes its list of files from git: run it in a git checkout.")?;
        let mut files = Vec::new();
        for path in paths.split_terminator('\0') {
            let full = workspace.root.join(path);
            if full.is_file() {
                let content = fs::read(&full).with_context(|| format!("reading {}", workspace.shown(&full)))?;
                files.push(File::new(path, content));
            }
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        let crates = workspace.crates.iter().map(|folder| folder.display().to_string()).collect();
        Ok(Self { files, crates })
    }

    pub fn rust(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.is_rust())
    }

    pub fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// A tree of the given files, for the rules' own tests.
    #[cfg(test)]
    pub fn of(files: &[(&str, &str)]) -> Self {
        let files = files.iter().map(|(path, text)| File::new(path, text.as_bytes().to_vec())).collect();
        Self { files, crates: Vec::new() }
    }
}

impl File {
    pub fn new(path: &str, content: Vec<u8>) -> Self {
        let bytes = content.len() as u64;
        let text = String::from_utf8(content).unwrap_or_default();
        let code = if path.ends_with(".rs") { lexer::code_only(&text) } else { String::new() };
        Self { path: path.to_owned(), bytes, text, code }
    }

    pub fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// The last part of the path.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// What follows the last dot of the name, in lower case.
    pub fn extension(&self) -> String {
        self.name().rsplit_once('.').map_or_else(String::new, |(_, extension)| extension.to_lowercase())
    }
}
