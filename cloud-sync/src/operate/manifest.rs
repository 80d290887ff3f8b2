//! What a backup says of itself. It is written last: a folder without it is no backup.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use facegate_domain::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The manifest's file in a backup's folder.
pub const MANIFEST: &str = "manifest.json";
/// Version of the manifest and of how the files lie beside it.
const FORMAT: u32 = 1;

/// `manifest.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    /// Of the software that made it.
    pub version: String,
    pub made_at: Timestamp,
    /// Of the store; an older program cannot read a newer one.
    pub layout: u32,
    /// Last version of the change feed.
    pub feed_head: u64,
    /// Keys that are needed to read it, by purpose: while one of them is retired, the backup cannot be used.
    pub keys: BTreeMap<String, Vec<String>>,
    /// By path within the folder, `/` between the parts.
    pub files: BTreeMap<String, Digested>,
}

/// A file's size and content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digested {
    pub bytes: u64,
    pub sha256: String,
}

#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    #[error("{}: {source}", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{} is no backup, or was never finished: {reason}", path.display())]
    NotABackup { path: PathBuf, reason: String },
    #[error(
        "the backup is of format {found}, this version knows {FORMAT}: restore it with the version that made it, {by}"
    )]
    Newer { found: u32, by: String },
    #[error("{file} is not what the manifest says: {reason}; the backup was damaged or changed, use another")]
    Damaged { file: String, reason: String },
}

impl Manifest {
    pub fn new(made_at: Timestamp, layout: u32, feed_head: u64, keys: BTreeMap<String, Vec<String>>) -> Self {
        let version = env!("CARGO_PKG_VERSION").to_owned();
        Self { format: FORMAT, version, made_at, layout, feed_head, keys, files: BTreeMap::new() }
    }

    /// Reads the manifest of a backup and compares every file with it.
    pub fn verify(dir: &Path) -> Result<Self, ManifestError> {
        let path = dir.join(MANIFEST);
        let not_a_backup = |reason: String| ManifestError::NotABackup { path: dir.to_owned(), reason };
        let text = std::fs::read(&path).map_err(|error| not_a_backup(format!("{MANIFEST}: {error}")))?;
        let value: serde_json::Value =
            serde_json::from_slice(&text).map_err(|error| not_a_backup(format!("{MANIFEST}: {error}")))?;
        let found = value.get("format").and_then(serde_json::Value::as_u64).unwrap_or(0);
        if found != u64::from(FORMAT) {
            let by = value.get("version").and_then(serde_json::Value::as_str).unwrap_or("unknown").to_owned();
            return Err(ManifestError::Newer { found: u32::try_from(found).unwrap_or(u32::MAX), by });
        }
        let manifest: Self =
            serde_json::from_value(value).map_err(|error| not_a_backup(format!("{MANIFEST}: {error}")))?;
        for (file, listed) in &manifest.files {
            let damaged = |reason: &str| ManifestError::Damaged { file: file.clone(), reason: reason.to_owned() };
            if !is_plain(file) {
                return Err(damaged("it lies outside of the backup"));
            }
            match copy_digested(&dir.join(file), None) {
                Ok(digested) if digested == *listed => {}
                Ok(digested) if digested.bytes != listed.bytes => return Err(damaged("its length differs")),
                Ok(_) => return Err(damaged("its content differs")),
                Err(error) => return Err(damaged(&error.to_string())),
            }
        }
        Ok(manifest)
    }

    /// Writes it, durable, which makes the folder a backup.
    pub fn save(&self, dir: &Path) -> Result<(), ManifestError> {
        let (path, fresh) = (dir.join(MANIFEST), dir.join("manifest.json.new"));
        let file = |source| ManifestError::File { path: path.clone(), source };
        let text = serde_json::to_vec_pretty(self).map_err(|error| file(error.into()))?;
        let mut out = File::create(&fresh).map_err(file)?;
        out.write_all(&text).and_then(|()| out.sync_all()).map_err(file)?;
        std::fs::rename(&fresh, &path).and_then(|()| File::open(dir)?.sync_all()).map_err(file)
    }
}

/// A relative path that stays where it is.
fn is_plain(path: &str) -> bool {
    !path.is_empty() && Path::new(path).components().all(|part| matches!(part, std::path::Component::Normal(_)))
}

/// Reads a file and, if told where, copies it, durable when this returns.
pub(super) fn copy_digested(from: &Path, to: Option<&Path>) -> Result<Digested, ManifestError> {
    let read = |source| ManifestError::File { path: from.to_owned(), source };
    let mut source = File::open(from).map_err(read)?;
    let mut copy = match to {
        Some(to) => {
            Some((to, File::create_new(to).map_err(|source| ManifestError::File { path: to.to_owned(), source })?))
        }
        None => None,
    };
    let (mut hash, mut bytes, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 20]);
    loop {
        let length = source.read(&mut buffer).map_err(read)?;
        if length == 0 {
            break;
        }
        hash.update(&buffer[..length]);
        bytes += length as u64;
        if let Some((to, copy)) = &mut copy {
            copy.write_all(&buffer[..length])
                .map_err(|source| ManifestError::File { path: (*to).to_owned(), source })?;
        }
    }
    if let Some((to, copy)) = copy {
        copy.sync_all().map_err(|source| ManifestError::File { path: to.to_owned(), source })?;
    }
    Ok(Digested { bytes, sha256: hex::encode(hash.finalize()) })
}

/// Copies all files below `from`, which lie in the backup under `name`, and lists them.
pub(super) fn copy_folder(from: &Path, to: &Path, name: &str) -> Result<BTreeMap<String, Digested>, ManifestError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        |source| ManifestError::File { path, source }
    };
    std::fs::create_dir_all(to).map_err(at(to))?;
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(from).map_err(at(from))? {
        let entry = entry.map_err(at(from))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let name = format!("{name}/{}", entry.file_name().to_string_lossy());
        if entry.file_type().map_err(at(&source))?.is_dir() {
            files.extend(copy_folder(&source, &target, &name)?);
        } else {
            files.insert(name, copy_digested(&source, Some(&target))?);
        }
    }
    File::open(to).and_then(|dir| dir.sync_all()).map_err(at(to))?;
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backup() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        std::fs::create_dir_all(from.join("blobs")).unwrap();
        std::fs::write(from.join("db"), b"data").unwrap();
        std::fs::write(from.join("blobs/1"), b"more").unwrap();
        let files = copy_folder(&from, &to.join("core"), "core").unwrap();
        let manifest = Manifest::new(Timestamp::from_unix_ms(1), 1, 7, BTreeMap::new());
        Manifest { files, ..manifest }.save(&to).unwrap();
        dir
    }

    #[test]
    fn a_whole_backup_verifies_and_a_changed_a_cut_and_a_missing_file_do_not() {
        let dir = backup();
        let to = dir.path().join("to");
        let manifest = Manifest::verify(&to).unwrap();
        assert_eq!(manifest.files.keys().collect::<Vec<_>>(), ["core/blobs/1", "core/db"]);
        let refused = |change: &dyn Fn()| {
            change();
            let error = Manifest::verify(&to).unwrap_err();
            std::fs::write(to.join("core/db"), b"data").unwrap();
            error.to_string()
        };
        assert!(refused(&|| std::fs::write(to.join("core/db"), b"dat4").unwrap()).contains("content differs"));
        assert!(refused(&|| std::fs::write(to.join("core/db"), b"dat").unwrap()).contains("length differs"));
        assert!(refused(&|| std::fs::remove_file(to.join("core/db")).unwrap()).contains("core/db"));
        assert_eq!(Manifest::verify(&to).unwrap(), manifest);
    }

    #[test]
    fn an_unfinished_a_newer_and_an_escaping_backup_are_refused() {
        let dir = backup();
        let (to, path) = (dir.path().join("to"), dir.path().join("to/manifest.json"));
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("\"format\": 1", "\"format\": 2")).unwrap();
        assert!(matches!(Manifest::verify(&to), Err(ManifestError::Newer { found: 2, .. })));
        std::fs::write(&path, text.replace("core/db", "../from/db")).unwrap();
        assert!(Manifest::verify(&to).unwrap_err().to_string().contains("outside"));
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(Manifest::verify(&to), Err(ManifestError::NotABackup { .. })));
    }
}
