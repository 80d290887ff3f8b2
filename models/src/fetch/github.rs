//! A single file out of a public repository, by curl, which knows the proxy and certificates of this machine.

use std::path::Path;
use std::process::Command;

use super::FetchError;
use crate::manifest::Package;

/// Seconds to the first answer; a machine without a way out should learn so soon.
const CONNECT_S: &str = "10";

/// Downloads the package's file into `folder`. `source` is `github:OWNER/REPOSITORY/FOLDER`, the package's version the
/// branch, tag or commit. The caller checks the SHA-256, so nothing here has to trust the answer.
pub fn download(package: &Package, source: &str, folder: &Path) -> Result<(), FetchError> {
    let unpublished = |reason: String| FetchError::Unpublished {
        package: package.name.clone(),
        tried: source.to_owned(),
        file: package.file.clone(),
        reason,
    };
    let address = address(source, &package.version, &package.file)
        .ok_or_else(|| unpublished("the manifest's source is not github:OWNER/REPOSITORY/FOLDER".into()))?;
    let mut curl = Command::new("curl");
    curl.args(["--fail", "--silent", "--show-error", "--location", "--proto", "=https", "--max-filesize", "50000000"]);
    curl.args(["--connect-timeout", CONNECT_S, "--max-time", "120", "--output"]).arg(folder.join(&package.file));
    let output = curl.arg(address).output().map_err(|e| unpublished(format!("curl cannot be started: {e}")))?;
    if output.status.success() {
        return Ok(());
    }
    Err(unpublished(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}

fn address(source: &str, version: &str, file: &str) -> Option<String> {
    let mut parts = source.strip_prefix("github:")?.splitn(3, '/');
    let (owner, repository, folder) = (parts.next()?, parts.next()?, parts.next()?);
    Some(format!("https://github.com/{owner}/{repository}/raw/{version}/{folder}/{file}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_built_of_owner_repository_version_and_path() {
        let built = address("github:o/r/a/b", "v1", "n.pth");
        assert_eq!(built.as_deref(), Some("https://github.com/o/r/raw/v1/a/b/n.pth"));
        assert_eq!(address("ftp:o/r/a", "v1", "n.pth"), None);
        assert_eq!(address("github:o/r", "v1", "n.pth"), None);
    }
}
