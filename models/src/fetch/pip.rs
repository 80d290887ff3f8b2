//! The ordinary pip client as a downloader: it knows the registry or mirror that this machine is set up for.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

use super::{FetchError, io_error};
use crate::manifest::{Package, PackageKind};

/// Downloads one package archive into `folder`, under the name that the registry gives it.
///
/// The requirement carries the SHA-256, so pip refuses another archive before it looks inside: asked for a source
/// package's metadata, pip runs the package's build code.
pub fn download(package: &Package, folder: &Path) -> Result<(), FetchError> {
    let requirement = format!("{}=={} --hash=sha256:{}\n", package.name, package.version, package.sha256.as_str());
    let requirements = folder.join("requirements.txt");
    fs::write(&requirements, requirement).map_err(io_error(&requirements))?;
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "download", "--disable-pip-version-check", "--no-input", "--no-deps", "--require-hashes"]);
    pip.arg("--dest").arg(folder).arg("--requirement").arg(&requirements);
    if package.kind == PackageKind::Wheel {
        pip.args(wheel_arguments(package.arch.as_deref().unwrap_or(env::consts::ARCH)));
    } else {
        pip.args(["--no-binary", &package.name]);
    }
    let status = pip.status().map_err(FetchError::NoPython)?;
    let failed = || FetchError::ClientFailed { client: "pip", package: package.name.clone() };
    if status.success() { Ok(()) } else { Err(failed()) }
}

/// Asks for one platform and Python whatever this machine has: only the library inside is used, never Python.
fn wheel_arguments(arch: &str) -> Vec<String> {
    let platforms = ["manylinux_2_28", "manylinux_2_27"].map(|base| ["--platform".into(), format!("{base}_{arch}")]);
    let fixed = ["--only-binary", ":all:", "--implementation", "cp", "--python-version", "311"];
    fixed.into_iter().map(String::from).chain(platforms.into_iter().flatten()).collect()
}
