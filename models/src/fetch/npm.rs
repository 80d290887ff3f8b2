//! The ordinary npm client as a downloader: it knows the registry or mirror that this machine is set up for.

use std::path::Path;
use std::process::{Command, Stdio};

use super::FetchError;
use crate::manifest::Package;

/// Downloads one package archive into `folder`, under the name that npm gives it: `@scope/name` becomes
/// `scope-name-version.tgz`. Nothing in the package is run; its SHA-256 is checked by the caller.
pub fn download(package: &Package, folder: &Path) -> Result<(), FetchError> {
    let mut npm = Command::new("npm");
    npm.args(["pack", "--ignore-scripts", "--silent", "--pack-destination"]).arg(folder);
    npm.arg(format!("{}@{}", package.name, package.version));
    // npm prints the archive's name there, which is known.
    let status = npm.stdout(Stdio::null()).status().map_err(FetchError::NoNpm)?;
    let failed = || FetchError::ClientFailed { client: "npm", package: package.name.clone() };
    if status.success() { Ok(()) } else { Err(failed()) }
}
