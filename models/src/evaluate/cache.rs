//! Embeddings of a research set kept between runs: embedding thousands of photographs takes minutes, judging them seconds.
//!
//! One JSON value a line: first what the embeddings were made with, then one entry per photograph in the set's order.
//! Only asked for by name (`--cache`), only for sets kept for measuring: templates of riders never lie in such a file.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use anyhow::{Context, bail};
use facegate_domain::face::Embedding;
use facegate_domain::ids::ModelId;
use facegate_models::Quality;
use serde::{Deserialize, Serialize};

use super::acquire::{Face, NotAcquired};

/// What must be the same for embeddings to be used again.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    pub model: ModelId,
    pub provider: String,
    pub photographs: usize,
    /// SHA-256 over the names of the photographs, in order.
    pub names: String,
}

#[derive(Serialize, Deserialize)]
enum Entry {
    Face { embedding: Vec<f32>, quality: Quality },
    NotAcquired(NotAcquired),
}

/// The faces kept in `path`, or `None` if it does not exist. Errors: it was made with something else, or is damaged.
pub fn load(path: &Path, key: &Key) -> anyhow::Result<Option<Vec<Result<Face, NotAcquired>>>> {
    if !path.exists() {
        return Ok(None);
    }
    let mut lines = BufReader::new(File::open(path)?).lines();
    let header = lines.next().context("the cache is empty: delete it")??;
    let found: Key = serde_json::from_str(&header).context("the cache is no cache: delete it")?;
    if found != *key {
        bail!("{} was made with {found:?}, but this is {key:?}: delete it or name another", path.display());
    }
    let entry = |line: std::io::Result<String>| -> anyhow::Result<Result<Face, NotAcquired>> {
        Ok(match serde_json::from_str(&line?)? {
            Entry::Face { embedding, quality } => {
                Ok(Face { embedding: Embedding::from_unit(key.model.clone(), embedding)?, quality })
            }
            Entry::NotAcquired(reason) => Err(reason),
        })
    };
    let faces: Vec<_> = lines.map(entry).collect::<Result<_, _>>().context("the cache is damaged: delete it")?;
    if faces.len() != key.photographs {
        bail!("{} holds {} of {} entries: delete it", path.display(), faces.len(), key.photographs);
    }
    Ok(Some(faces))
}

/// Keeps the faces in `path`; a run that dies half-way leaves nothing there.
pub fn store(path: &Path, key: &Key, faces: &[Result<Face, NotAcquired>]) -> anyhow::Result<()> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let unfinished = tempfile::NamedTempFile::new_in(folder)?;
    let mut writer = BufWriter::new(unfinished.as_file());
    writeln!(writer, "{}", serde_json::to_string(key)?)?;
    for face in faces {
        let entry = match face {
            Ok(face) => Entry::Face { embedding: face.embedding.values().to_vec(), quality: face.quality },
            Err(reason) => Entry::NotAcquired(reason.clone()),
        };
        writeln!(writer, "{}", serde_json::to_string(&entry)?)?;
    }
    writer.flush()?;
    drop(writer);
    unfinished.persist(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        let model = ModelId::new("m").unwrap();
        Key { model, provider: "plain".into(), photographs: 3, names: "abc".into() }
    }

    fn faces() -> Vec<Result<Face, NotAcquired>> {
        let embedding = Embedding::from_unit(key().model, vec![0.6, -0.8]).unwrap();
        let face = Face { embedding, quality: Quality { yaw: 0.25, ..Quality::default() } };
        vec![Ok(face), Err(NotAcquired::NoFace), Err(NotAcquired::Unreadable("cut".into()))]
    }

    #[test]
    fn what_is_kept_comes_back_failures_included() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache");
        assert!(load(&path, &key()).unwrap().is_none(), "none yet");
        store(&path, &key(), &faces()).unwrap();
        let back = load(&path, &key()).unwrap().unwrap();
        for (back, kept) in back.iter().zip(faces()) {
            let told = |face: &Result<Face, NotAcquired>| {
                face.clone().map(|face| (face.embedding.values().to_vec(), face.quality))
            };
            assert_eq!(told(back), told(&kept));
        }
        assert_eq!(back.len(), 3);
    }

    #[test]
    fn embeddings_made_otherwise_and_damaged_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache");
        store(&path, &key(), &faces()).unwrap();
        for other in [
            Key { model: ModelId::new("n").unwrap(), ..key() },
            Key { provider: "openvino-bf16".into(), ..key() },
            Key { photographs: 2, ..key() },
            Key { names: "abd".into(), ..key() },
        ] {
            assert!(load(&path, &other).unwrap_err().to_string().contains("was made with"));
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        // One entry too few, half an entry, a vector that is no unit vector, nothing at all.
        for damaged in
            [lines[..3].join("\n"), text[..text.len() - 9].to_owned(), text.replace("0.6", "0.7"), String::new()]
        {
            std::fs::write(&path, damaged).unwrap();
            assert!(load(&path, &key()).is_err());
        }
    }
}
