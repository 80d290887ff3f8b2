//! The fare tables of the config.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use facegate_domain::fares::{FareTable, Tariff};
use facegate_runtime::config::Problems;
use serde::Deserialize;

/// One file, or several that follow each other.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "the path of a fare table, or a list of paths")]
pub enum RawFares {
    One(PathBuf),
    Several(Vec<PathBuf>),
}

impl RawFares {
    /// All problems of all tables, each with its file.
    pub fn check(self, path: &str, problems: &mut Problems) -> Option<Tariff> {
        let files = match self {
            Self::One(file) => vec![file],
            Self::Several(files) => files,
        };
        let tables: Vec<Arc<FareTable>> =
            files.iter().filter_map(|file| read(path, file, problems)).map(Arc::new).collect();
        if tables.len() < files.len() {
            return None;
        }
        problems.check(path, Tariff::new(tables))
    }
}

fn read(path: &str, file: &Path, problems: &mut Problems) -> Option<FareTable> {
    let text = std::fs::read_to_string(file);
    let text = problems.check(path, text.map_err(|error| format!("cannot read {}: {error}", file.display())))?;
    match FareTable::parse(&text) {
        Ok(fares) => Some(fares),
        Err(found) => {
            found.0.iter().for_each(|problem| problems.add(path, format!("{}: {problem}", file.display())));
            None
        }
    }
}
