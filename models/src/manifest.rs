//! The model manifest: what is taken from where, under which licence, pinned by SHA-256.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

use facegate_domain::ids::ModelId;
use serde::Deserialize;
use sha2::{Digest, Sha256};

const TEXT: &str = include_str!("../manifest.toml");

/// The whole of `manifest.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    #[serde(rename = "package")]
    pub packages: Vec<Package>,
    #[serde(rename = "model")]
    pub models: Vec<Model>,
    #[serde(rename = "file")]
    pub files: Vec<PlainFile>,
}

/// A package of the Python registry that files are taken out of; none of its code is run by us.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    pub name: String,
    pub version: String,
    pub kind: PackageKind,
    /// Processor that the package is for; none: any.
    pub arch: Option<String>,
    /// Name of the archive as the registry serves it.
    pub file: String,
    pub sha256: Sha256Hex,
    pub licence: String,
    pub why: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PackageKind {
    /// A gzipped tar whose entries are below `name-version/`.
    Sdist,
    /// A zip.
    Wheel,
}

/// A network, converted before use.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    pub name: ModelId,
    pub role: Role,
    pub package: String,
    /// Path inside the package.
    pub path: String,
    /// Of the file inside the package.
    pub sha256: Sha256Hex,
    pub licence: String,
    pub credit: String,
    /// Path below FACEGATE_HOME.
    pub to: String,
    pub conversion: Conversion,
    /// Of the file in FACEGATE_HOME: conversion is deterministic.
    pub converted_sha256: Sha256Hex,
    pub input: Input,
    pub output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Detector,
    Embedder,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Conversion {
    /// Block-quantised weights become float32 (`convert::dequantise`).
    Dequantise,
}

/// The network's one input, NCHW float32.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    pub name: String,
    /// Sizes; a word instead of a number is a size that the caller chooses.
    pub shape: Vec<String>,
    pub channels: Channels,
    /// Values of a black and of a white pixel.
    pub range: [u8; 2],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Channels {
    #[serde(rename = "RGB")]
    Rgb,
    #[serde(rename = "BGR")]
    Bgr,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    pub names: Vec<String>,
    pub meaning: String,
}

/// A file that is used as it is.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlainFile {
    pub package: String,
    pub arch: Option<String>,
    pub path: String,
    pub sha256: Sha256Hex,
    pub licence: String,
    pub credit: String,
    pub to: String,
}

/// A SHA-256 as 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Sha256Hex(String);

impl TryFrom<String> for Sha256Hex {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let valid = text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if valid { Ok(Self(text)) } else { Err(format!("{text:?} is not a SHA-256 of 64 lower-case hex digits")) }
    }
}

impl Sha256Hex {
    pub fn of(bytes: &[u8]) -> Self {
        Self(hex::encode(Sha256::digest(bytes)))
    }

    pub fn of_file(path: &Path) -> io::Result<Self> {
        let mut hasher = Sha256::new();
        io::copy(&mut fs::File::open(path)?, &mut hasher)?;
        Ok(Self(hex::encode(hasher.finalize())))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One file that should be in FACEGATE_HOME on this machine.
#[derive(Debug, Clone)]
pub struct Wanted<'a> {
    pub path: PathBuf,
    pub sha256: &'a Sha256Hex,
    pub licence: &'a str,
    pub credit: &'a str,
    pub source: Source<'a>,
}

/// Where a wanted file comes from, and what is done to it on the way.
#[derive(Debug, Clone)]
pub struct Source<'a> {
    pub package: &'a str,
    pub path: &'a str,
    pub sha256: &'a Sha256Hex,
    pub conversion: Option<Conversion>,
}

impl Manifest {
    /// The manifest that this program was built with. Its text is fixed at build time and read by a test.
    pub fn built_in() -> Self {
        toml::from_str(TEXT).expect("the built-in manifest is valid: a test reads it")
    }

    /// The model of a role; the first listed is the default.
    pub fn model(&self, role: Role) -> Option<&Model> {
        self.models.iter().find(|m| m.role == role)
    }

    /// The packages for this machine's processor.
    pub fn packages_here(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|p| is_here(p.arch.as_ref()))
    }

    /// Every file that belongs into FACEGATE_HOME on this machine.
    pub fn wanted_here(&self) -> Vec<Wanted<'_>> {
        let models = self.models.iter().map(|m| Wanted {
            path: PathBuf::from(&m.to),
            sha256: &m.converted_sha256,
            licence: &m.licence,
            credit: &m.credit,
            source: Source { package: &m.package, path: &m.path, sha256: &m.sha256, conversion: Some(m.conversion) },
        });
        let files = self.files.iter().filter(|f| is_here(f.arch.as_ref())).map(|f| Wanted {
            path: PathBuf::from(&f.to),
            sha256: &f.sha256,
            licence: &f.licence,
            credit: &f.credit,
            source: Source { package: &f.package, path: &f.path, sha256: &f.sha256, conversion: None },
        });
        models.chain(files).collect()
    }
}

fn is_here(arch: Option<&String>) -> bool {
    arch.is_none_or(|arch| arch == env::consts::ARCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_manifest_names_both_roles_and_only_packages_it_lists() {
        let manifest = Manifest::built_in();
        for role in [Role::Detector, Role::Embedder] {
            assert!(manifest.model(role).is_some(), "{role:?}");
        }
        for wanted in manifest.wanted_here() {
            assert!(manifest.packages_here().any(|p| p.name == wanted.source.package), "{wanted:?}");
            assert!(wanted.path.is_relative() && !wanted.path.to_string_lossy().contains(".."), "{wanted:?}");
        }
    }

    #[test]
    fn a_misspelt_key_or_hash_is_refused() {
        assert!(toml::from_str::<Manifest>(&TEXT.replacen("licence", "license", 1)).is_err());
        assert!(Sha256Hex::try_from("a0e5".to_owned()).is_err());
        assert!(Sha256Hex::try_from("A".repeat(64)).is_err());
    }
}
