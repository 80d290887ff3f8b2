//! A cloud to be tried: the config, the fare table and the camera that tests, benches and the simulation start one with.
//!
//! This file stands by itself beside the crates of the cloud: its own tests include it too.

use std::path::{Path, PathBuf};

use anyhow::Result;
use facegate_cloud_sync::config::{Config, RawConfig};
use facegate_cloud_sync::enrolment::FaceCapture;
use facegate_domain::ids::ModelId;
use facegate_models::enrolment::{Capture, CaptureProblem};
use facegate_runtime::config;
use facegate_runtime::identity::TlsPaths;

/// Stations in a row and the metres between them: 3 yuan up to 6 km, 4 yuan beyond.
pub fn fares(line: &[&str], metres: &[u32]) -> String {
    let stations: String = line.iter().map(|station| format!("[[station]]\nid = \"{station}\"\n")).collect();
    let ends = line.windows(2).zip(metres);
    let links: String = ends
        .map(|(ends, metres)| format!("[[link]]\nfrom = \"{}\"\nto = \"{}\"\nmetres = {metres}\n", ends[0], ends[1]))
        .collect();
    format!(
        "name = \"test\"\nvalid_from = \"2020-01-01T00:00:00+08:00\"\ncurrency = \"CNY\"\nmaximum_fare_minor = 900\n\
         {stations}{links}[[band]]\nfrom_m = 0\nup_to_m = 6000\nprice_minor = 300\n\
         [[band]]\nfrom_m = 6000\nprice_minor = 400\n"
    )
}

/// What is to be said of a cloud that is tried; the rest is as by default.
#[derive(Debug, Clone)]
pub struct TrialCloud<'a> {
    /// Where its fare table lies and, unless they are elsewhere, its store and keys.
    pub dir: &'a Path,
    pub tls: TlsPaths,
    /// Any free port unless given.
    pub listen: String,
    /// The database; none: a store in `data_dir`.
    pub postgres: Option<&'a str>,
    pub data_dir: PathBuf,
    pub keys_dir: PathBuf,
    /// More of the config, as TOML that begins with what belongs to no table.
    pub more: String,
}

impl<'a> TrialCloud<'a> {
    pub fn new(dir: &'a Path, tls: TlsPaths) -> Self {
        let (listen, more) = ("127.0.0.1:0".to_owned(), String::new());
        Self { dir, tls, listen, postgres: None, data_dir: dir.join("state"), keys_dir: dir.join("keys"), more }
    }

    /// The text of its config.
    pub fn text(&self) -> String {
        let (dir, listen, more) = (self.dir.display(), &self.listen, &self.more);
        let (data_dir, keys_dir) = (self.data_dir.display(), self.keys_dir.display());
        let store = match self.postgres {
            None => String::new(),
            Some(url) => format!("[store]\nkind = \"postgres\"\nurl = \"{url}\"\n"),
        };
        let [cert, key, ca] = [&self.tls.cert, &self.tls.key, &self.tls.ca].map(|path| path.display().to_string());
        format!(
            "listen = \"{listen}\"\ndata_dir = \"{data_dir}\"\nkeys_dir = \"{keys_dir}\"\nmodels_dir = \"{dir}/models\"\n\
             fares = \"{dir}/fares.toml\"\n{more}\n{store}\
             [tls]\ncert = \"{cert}\"\nkey = \"{key}\"\nca = \"{ca}\"\n"
        )
    }

    /// Lays the fare table where the config names it, and checks the config.
    pub fn config(&self, fares: &str) -> Result<Config> {
        std::fs::write(self.dir.join("fares.toml"), fares)?;
        Ok(config::parse::<RawConfig, Config>(Path::new("trial.toml"), &self.text())?)
    }
}

/// Nobody is photographed.
#[derive(Debug)]
pub struct NoFaces(ModelId);

impl NoFaces {
    /// Templates of this model come from elsewhere.
    pub fn of(model: &str) -> Result<Self> {
        Ok(Self(ModelId::new(model)?))
    }
}

impl FaceCapture for NoFaces {
    fn model(&self) -> &ModelId {
        &self.0
    }

    fn capture(&self, _photograph: &[u8]) -> Result<Capture, CaptureProblem> {
        Err(CaptureProblem::NoFace)
    }
}
