//! Which files belong into FACEGATE_HOME, and where each comes from.

use std::path::PathBuf;

use super::{Manifest, Model, PlainFile, Role, Sha256Hex, is_here};

/// Which optional models and files are wanted beside the required ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Selection {
    /// None.
    #[default]
    Required,
    /// The models of these names, and everything of the packages of these names.
    With(Vec<String>),
    All,
}

impl Selection {
    fn names(&self, name: &str) -> bool {
        match self {
            Self::Required => false,
            Self::With(names) => names.iter().any(|n| n == name),
            Self::All => true,
        }
    }

    /// The texture nets are always tried for: without them liveness is reduced.
    fn takes_model(&self, model: &Model) -> bool {
        let tried = model.required || model.role == Role::Texture;
        tried || self.names(model.name.as_str()) || self.names(&model.package)
    }

    /// Whether these optional files were asked for, so that their absence is an error.
    pub fn insists_on(&self, wanted: &Wanted<'_>) -> bool {
        let model = wanted.source.model.is_some_and(|model| self.names(model.name.as_str()));
        wanted.required || model || self.names(wanted.source.package)
    }

    /// An optional file, a licence say, comes along with whatever is wanted out of its package.
    fn takes_file(&self, file: &PlainFile, manifest: &Manifest) -> bool {
        let beside = || manifest.models.iter().any(|m| m.package == file.package && self.takes_model(m));
        file.required || self.names(&file.package) || beside()
    }
}

/// One file that should be in FACEGATE_HOME on this machine.
#[derive(Debug, Clone)]
pub struct Wanted<'a> {
    pub path: PathBuf,
    pub sha256: &'a Sha256Hex,
    pub required: bool,
    pub licence: &'a str,
    pub credit: &'a str,
    pub source: Source<'a>,
}

/// Where a wanted file comes from, and what is done to it on the way.
#[derive(Debug, Clone)]
pub struct Source<'a> {
    pub package: &'a str,
    /// Paths inside the package with their SHA-256; several only for a model that is kept in parts.
    pub parts: Vec<(&'a str, &'a Sha256Hex)>,
    /// The model that the parts are converted into; none: one part, used as it is.
    pub model: Option<&'a Model>,
}

impl Manifest {
    /// Every file that the selection wants in FACEGATE_HOME on this machine.
    pub fn wanted_here(&self, selection: &Selection) -> Vec<Wanted<'_>> {
        let models = self.models.iter().filter(|m| selection.takes_model(m)).map(Wanted::model);
        let here = self.files.iter().filter(|f| is_here(f.arch.as_ref()));
        models.chain(here.filter(|f| selection.takes_file(f, self)).map(Wanted::file)).collect()
    }

    /// The first of the selection's names that neither a model nor a package has.
    pub fn unknown_name<'a>(&self, selection: &'a Selection) -> Option<&'a str> {
        let Selection::With(names) = selection else { return None };
        let known = |name: &str| {
            self.models.iter().any(|m| m.name.as_str() == name) || self.packages_here().any(|p| p.name == name)
        };
        names.iter().map(String::as_str).find(|name| !known(name))
    }
}

impl<'a> Wanted<'a> {
    fn model(model: &'a Model) -> Self {
        let weights = model.weights.iter().map(|part| (part.path.as_str(), &part.sha256));
        let parts = std::iter::once((model.path.as_str(), &model.sha256)).chain(weights).collect();
        Self {
            path: PathBuf::from(&model.to),
            sha256: &model.converted_sha256,
            required: model.required,
            licence: &model.licence,
            credit: &model.credit,
            source: Source { package: &model.package, parts, model: Some(model) },
        }
    }

    fn file(file: &'a PlainFile) -> Self {
        Self {
            path: PathBuf::from(&file.to),
            sha256: &file.sha256,
            required: file.required,
            licence: &file.licence,
            credit: &file.credit,
            source: Source { package: &file.package, parts: vec![(file.path.as_str(), &file.sha256)], model: None },
        }
    }
}
