//! The captures of a data folder: which source, genuine or attack, which kind, still or clip.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

/// What a capture is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// One of many pictures below `SOURCE/genuine` or `SOURCE/attack`.
    Still,
    /// A recording.
    Clip,
    /// A single picture called `…_T1` (true) or `…_F1` (false), as MiniVision names its samples.
    FullFrame,
}

/// One presentation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capture {
    pub source: String,
    pub attack: bool,
    /// Folder below `attack`, or else the source: without a label all that is known of an attack is where it is from.
    pub kind: String,
    pub form: Form,
    pub path: PathBuf,
}

/// Every capture below `data`, by source and name.
///
/// Errors: the folder cannot be read, or holds no capture.
pub fn captures(data: &Path) -> anyhow::Result<Vec<Capture>> {
    let mut found = Vec::new();
    for source in entries(data)?.into_iter().filter(|path| path.is_dir()) {
        let name = name_of(&source).to_owned();
        let mut files = Vec::new();
        walk(&source, &mut files)?;
        found.extend(files.into_iter().filter_map(|path| capture(&name, &source, path)));
    }
    ensure!(!found.is_empty(), "{} holds no */genuine and */attack with images or clips", data.display());
    Ok(found)
}

fn capture(source: &str, folder: &Path, path: PathBuf) -> Option<Capture> {
    let extension = path.extension()?.to_str()?.to_lowercase();
    let clip = matches!(extension.as_str(), "mp4" | "mov" | "avi" | "mkv" | "webm");
    if !clip && !matches!(extension.as_str(), "jpg" | "jpeg" | "png") {
        return None;
    }
    let inside = path.strip_prefix(folder).ok()?.with_extension("");
    let mut parts = inside.iter().filter_map(|part| part.to_str());
    let (class, kind, file) = (parts.next()?, parts.next(), parts.next());
    let (attack, sample) = match (class, class.rsplit('_').next()?.chars().next()?) {
        ("genuine", _) => (false, false),
        ("attack", _) => (true, false),
        (_, 'T') => (false, true),
        (_, 'F') => (true, true),
        _ => return None,
    };
    // A folder between class and file names the kind.
    let kind = kind.filter(|_| file.is_some()).map_or_else(|| source.to_owned(), |kind| format!("{source}/{kind}"));
    let form = match () {
        () if clip => Form::Clip,
        () if sample => Form::FullFrame,
        () => Form::Still,
    };
    Some(Capture { source: source.to_owned(), attack, kind, form, path })
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for path in entries(folder)? {
        if path.is_dir() { walk(&path, files)? } else { files.push(path) }
    }
    Ok(())
}

fn entries(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let reading = || format!("cannot read {}", folder.display());
    let listed = std::fs::read_dir(folder).with_context(reading)?;
    let mut paths = listed.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<Vec<_>>>().with_context(reading)?;
    paths.sort();
    Ok(paths)
}

fn name_of(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_and_names_say_what_a_capture_is() {
        let dir = tempfile::tempdir().unwrap();
        for file in [
            "a/genuine/1.png",
            "a/attack/2.jpg",
            "a/attack/phone/3.jpg",
            "a/notes.txt",
            "b/attack.mp4",
            "b/genuine/x.MP4",
            "s/image_T1.jpg",
            "s/image_F2.jpg",
        ] {
            let path = dir.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let found = captures(dir.path()).unwrap();
        let told: Vec<_> = found.iter().map(|c| (c.kind.as_str(), c.attack, c.form)).collect();
        let expected = [
            ("a", true, Form::Still),
            ("a/phone", true, Form::Still),
            ("a", false, Form::Still),
            ("b", true, Form::Clip),
            ("b", false, Form::Clip),
            ("s", true, Form::FullFrame),
            ("s", false, Form::FullFrame),
        ];
        assert_eq!(told, expected);
        assert!(captures(&dir.path().join("a")).is_err());
    }
}
