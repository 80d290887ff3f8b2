//! Named files out of archives. Nothing is written to disk under a name that an archive chooses.

use std::collections::HashMap;
use std::io::{self, Cursor, Read};
use std::path::PathBuf;

use flate2::read::GzDecoder;

/// No file of the manifest is larger; a hostile archive cannot fill the memory.
const FILE_BYTES_MAX: u64 = 512 * 1024 * 1024;

/// The contents of `paths` in a source package, whose entries are all below one folder `name-version/`.
pub fn from_tar_gz(archive: &[u8], paths: &[&str]) -> io::Result<HashMap<String, Vec<u8>>> {
    let mut found = HashMap::new();
    for entry in tar::Archive::new(GzDecoder::new(archive)).entries()? {
        let entry = entry?;
        let inside: PathBuf = entry.path()?.components().skip(1).collect();
        if let Some(path) = paths.iter().find(|p| inside.as_os_str() == **p) {
            found.insert((*path).to_owned(), read_bounded(entry)?);
        }
    }
    Ok(found)
}

/// The contents of `paths` in a wheel.
pub fn from_zip(archive: &[u8], paths: &[&str]) -> io::Result<HashMap<String, Vec<u8>>> {
    let mut zip = zip::ZipArchive::new(Cursor::new(archive))?;
    let mut found = HashMap::new();
    for path in paths {
        match zip.by_name(path) {
            Ok(entry) => found.insert((*path).to_owned(), read_bounded(entry)?),
            Err(zip::result::ZipError::FileNotFound) => None,
            Err(e) => return Err(e.into()),
        };
    }
    Ok(found)
}

fn read_bounded(entry: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    entry.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(io::Error::other("a file in it is far larger than any that is wanted"));
    }
    Ok(bytes)
}
