//! Fetching: packages by pip, files out of them, conversion, and SHA-256 at each step. Files that are already there
//! and right are left alone, so a second run only reads them.

mod pip;
mod unpack;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use facegate_domain::Clock;

use crate::convert::{ConversionError, convert};
use crate::home::Home;
use crate::manifest::{Manifest, Package, PackageKind, Sha256Hex, Wanted};

/// Why the files could not be fetched, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    #[error("no package of {name} is listed for this processor ({arch}): add one to models/manifest.toml")]
    NoPackageHere { name: String, arch: &'static str },
    #[error("python3 cannot be started ({0}): install it with pip, on Debian `apt install python3-pip`")]
    NoPython(io::Error),
    #[error("pip could not fetch {package} (its own words are above): check the network or its mirror, and run again")]
    PipFailed { package: String },
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

fn io_error(path: &Path) -> impl Fn(io::Error) -> FetchError {
    move |source| FetchError::Io { path: path.to_owned(), source }
}

/// What is wrong with one file in FACEGATE_HOME.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileProblem {
    pub path: PathBuf,
    /// Its SHA-256 if it is there; none if it is missing.
    pub got: Option<String>,
}

/// The files of the manifest that are missing or not what they should be. Reads all of them.
pub fn verify(manifest: &Manifest, home: &Home) -> Vec<FileProblem> {
    let problem = |wanted: Wanted<'_>| {
        let path = home.root().join(&wanted.path);
        let got = Sha256Hex::of_file(&path).ok();
        (got.as_ref() != Some(wanted.sha256)).then(|| FileProblem { path, got: got.map(|g| g.as_str().to_owned()) })
    };
    manifest.wanted_here().into_iter().filter_map(problem).collect()
}

/// Makes every file of the manifest be there and right. Tells `report` in lines what it does and how long it took.
///
/// Packages are taken from `from` if it holds them, else from the registry that pip is set up for.
pub fn fetch(
    manifest: &Manifest,
    home: &Home,
    from: Option<&Path>,
    clock: &dyn Clock,
    report: &mut dyn FnMut(&str),
) -> Result<(), FetchError> {
    let started = clock.monotonic_ms();
    let wrong: Vec<PathBuf> = verify(manifest, home).into_iter().map(|p| p.path).collect();
    let (needed, good): (Vec<_>, Vec<_>) =
        manifest.wanted_here().into_iter().partition(|w| wrong.contains(&home.root().join(&w.path)));
    let checked_ms = clock.monotonic_ms() - started;
    report(&format!("{} files present and verified in {checked_ms} ms, {} to fetch", good.len(), needed.len()));

    let mut by_package: Vec<(&str, Vec<Wanted<'_>>)> = Vec::new();
    for wanted in needed {
        match by_package.iter_mut().find(|(name, _)| *name == wanted.source.package) {
            Some((_, list)) => list.push(wanted),
            None => by_package.push((wanted.source.package, vec![wanted])),
        }
    }
    for (name, files) in by_package {
        let package = manifest.packages_here().find(|p| p.name == name);
        let package = package.ok_or(FetchError::NoPackageHere { name: name.to_owned(), arch: env::consts::ARCH })?;
        let before = clock.monotonic_ms();
        report(&format!("{} {} ({}): {}", package.name, package.version, package.licence, package.why));
        let archive = obtain(package, from, report)?;
        report(&format!("  got and verified in {} ms", clock.monotonic_ms() - before));
        install(manifest, package, &archive, &files, home, clock, report)?;
    }
    Ok(())
}

/// The bytes of a package, checked.
fn obtain(package: &Package, from: Option<&Path>, report: &mut dyn FnMut(&str)) -> Result<Vec<u8>, FetchError> {
    let local = from.map(|folder| folder.join(&package.file)).filter(|path| path.is_file());
    if let Some(path) = local {
        report(&format!("  from {}", path.display()));
        return read_checked(package, &path);
    }
    report("  downloading with pip");
    let folder = tempfile::tempdir().map_err(io_error(&env::temp_dir()))?;
    pip::download(package, folder.path())?;
    read_checked(package, &folder.path().join(&package.file))
}

fn read_checked(package: &Package, path: &Path) -> Result<Vec<u8>, FetchError> {
    let bytes = fs::read(path).map_err(io_error(path))?;
    let got = Sha256Hex::of(&bytes);
    if got == package.sha256 {
        return Ok(bytes);
    }
    let expected = package.sha256.as_str().to_owned();
    Err(FetchError::WrongPackage { path: path.to_owned(), expected, got: got.as_str().to_owned() })
}

/// Takes the wanted files out of a package, converts and checks them, and puts them in their places.
fn install(
    manifest: &Manifest,
    package: &Package,
    archive: &[u8],
    files: &[Wanted<'_>],
    home: &Home,
    clock: &dyn Clock,
    report: &mut dyn FnMut(&str),
) -> Result<(), FetchError> {
    let paths: Vec<&str> = files.iter().map(|w| w.source.path).collect();
    let bad = |e: io::Error| FetchError::BadPackage { package: package.name.clone(), reason: e.to_string() };
    let mut contents: HashMap<String, Vec<u8>> = match package.kind {
        PackageKind::Sdist => unpack::from_tar_gz(archive, &paths),
        PackageKind::Wheel => unpack::from_zip(archive, &paths),
    }
    .map_err(bad)?;
    for wanted in files {
        let before = clock.monotonic_ms();
        let bytes = contents.remove(wanted.source.path).ok_or_else(|| FetchError::NotInPackage {
            package: package.name.clone(),
            path: wanted.source.path.to_owned(),
        })?;
        let bytes = checked_and_converted(manifest, wanted, bytes)?;
        write_whole(&home.root().join(&wanted.path), &bytes)?;
        let how = if wanted.source.conversion.is_some() { "converted, " } else { "" };
        let took = clock.monotonic_ms() - before;
        report(&format!(
            "  {} ({}, {}): {how}{} bytes, {took} ms",
            wanted.path.display(),
            wanted.licence,
            wanted.credit,
            bytes.len()
        ));
    }
    Ok(())
}

fn checked_and_converted(manifest: &Manifest, wanted: &Wanted<'_>, bytes: Vec<u8>) -> Result<Vec<u8>, FetchError> {
    let source = &wanted.source;
    let got = Sha256Hex::of(&bytes);
    if got != *source.sha256 {
        return Err(FetchError::WrongFile {
            package: source.package.to_owned(),
            path: source.path.to_owned(),
            expected: source.sha256.as_str().to_owned(),
            got: got.as_str().to_owned(),
        });
    }
    let model = manifest.models.iter().find(|m| Path::new(&m.to) == wanted.path);
    let (Some(conversion), Some(model)) = (source.conversion, model) else { return Ok(bytes) };
    let path = wanted.path.display().to_string();
    let converted = convert(&bytes, conversion, &model.input)
        .map_err(|source| FetchError::Conversion { path: path.clone(), source })?;
    let got = Sha256Hex::of(&converted);
    if got == *wanted.sha256 {
        return Ok(converted);
    }
    let expected = wanted.sha256.as_str().to_owned();
    Err(FetchError::WrongConversion { path, expected, got: got.as_str().to_owned() })
}

/// Writes beside the place and renames, so that nobody ever sees half a file, and two runs do not disturb each other.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), FetchError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(io_error(folder))?;
    let new = tempfile::NamedTempFile::new_in(folder).map_err(io_error(folder))?;
    fs::write(new.path(), bytes).map_err(io_error(path))?;
    readable_by_all(new.path()).map_err(io_error(path))?;
    new.persist(path).map_err(|e| FetchError::Io { path: path.to_owned(), source: e.error })?;
    Ok(())
}

/// Temporary files are private; models and credits are not, and servers run under users of their own.
fn readable_by_all(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o644))
}

#[cfg(test)]
mod tests;
