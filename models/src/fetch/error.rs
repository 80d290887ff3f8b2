//! Why fetching stopped, and what to do.

use std::io;
use std::path::{Path, PathBuf};

use crate::convert::ConversionError;

/// Why the files could not be fetched, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("neither a model nor a package is called {name}: `cargo xtask models list` prints the names")]
    UnknownName { name: String },
    #[error("no package of {name} is listed for this processor ({arch}): add one to models/manifest.toml")]
    NoPackageHere { name: String, arch: &'static str },
    #[error("python3 cannot be started ({0}): install it with pip, on Debian `apt install python3-pip`")]
    NoPython(io::Error),
    #[error("npm cannot be started ({0}): install it, on Debian `apt install npm`, or give the package with --from")]
    NoNpm(io::Error),
    #[error(
        "{client} could not fetch {package} (its own words are above): check the network or its mirror, and run again"
    )]
    ClientFailed { client: &'static str, package: String },
    #[error("{package} could not be had from {tried} ({reason}): put {file} into a folder and name that with --from")]
    Unpublished { package: String, tried: String, file: String, reason: String },
    #[error("no registry has {package}: put {file} into a folder and name that with --from")]
    OnlyFromFolder { package: String, file: String },
    #[error("{} is not the package that the manifest names (SHA-256 {got}, expected {expected}); nothing of it is used", path.display())]
    WrongPackage { path: PathBuf, expected: String, got: String },
    #[error("package {package} cannot be unpacked: {reason}")]
    BadPackage { package: String, reason: String },
    #[error("package {package} holds no {path}: the manifest and the package do not fit together")]
    NotInPackage { package: String, path: String },
    #[error("{path} in package {package} has SHA-256 {got}, expected {expected}; it is not used")]
    WrongFile { package: String, path: String, expected: String, got: String },
    #[error("model {path} cannot be converted: {source}")]
    Conversion { path: String, source: ConversionError },
    #[error(
        "converting {path} gave SHA-256 {got}, the manifest says {expected}; it is not used: converter and manifest do not fit together"
    )]
    WrongConversion { path: String, expected: String, got: String },
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: io::Error },
}

pub(super) fn io_error(path: &Path) -> impl Fn(io::Error) -> FetchError {
    move |source| FetchError::Io { path: path.to_owned(), source }
}
