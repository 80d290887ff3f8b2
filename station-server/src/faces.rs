//! The station's templates on its disk: `gallery/<tree of facts>/<model>`, sealed, beside the facts they belong to.

use std::path::PathBuf;
use std::{fs, io};

use facegate_domain::Timestamp;
use facegate_domain::ids::ModelId;
use facegate_gallery::durable::Durable;
use facegate_gallery::{DurableError, Gallery, Model, Place};
use facegate_runtime::keys::Key;
use zeroize::Zeroizing;

use crate::config::{Config, EmbeddingModel};
use crate::station::{Station, StationError};
use crate::store::{FactStore, StoreError};

/// Opens or begins the templates that belong to the facts of this name.
pub fn open(config: &Config, key: &Key, facts: &str) -> Result<Gallery, DurableError> {
    forget_former_models(config, facts)?;
    Gallery::open(models(config, key, facts), config.decision.clone())
}

/// Goes on filling the templates that belong to the facts of this name.
pub fn resume(config: &Config, key: &Key, facts: &str) -> Result<Gallery, DurableError> {
    forget_former_models(config, facts)?;
    Gallery::resume(models(config, key, facts), config.decision.clone())
}

fn models(config: &Config, key: &Key, facts: &str) -> Vec<Model> {
    let model = |model: &EmbeddingModel| Model {
        dims: model.dims,
        calibration: model.calibration.clone(),
        place: Some(Place { key: Zeroizing::new(*key.expose()), ..place(config, facts, &model.calibration.model) }),
        searches_max: config.searches_max,
    };
    config.models.iter().map(model).collect()
}

/// Opens the templates of the station's current facts under the key that it has a lease of, puts who is inside and who is
/// a regular into their tiers, and lets it be searched. What cannot be used is removed, and fetched anew from the cloud.
/// Blocks.
pub fn open_current(station: &Station) -> Result<(), StationError> {
    let key = station.leases.key()?;
    let (config, now) = (&station.config, station.clock.now());
    let stored = station.store.facts()?;
    let opened = open(config, &key, stored.name()).and_then(|gallery| {
        let (found, newest) = (gallery.version().unwrap_or(0), stored.templates_version().unwrap_or(u64::MAX));
        if found < newest { Err(behind(config, stored.name(), found, newest)) } else { Ok(gallery) }
    });
    let gallery = match opened {
        Err(why) if why.wants_rebuild() => {
            tracing::error!(%why, "the templates are fetched anew from the cloud; until then faces are not recognised");
            let been_at = stored.templates_version()?.min(stored.cursor()?);
            discard(config, stored.name())?;
            let gallery = open(config, &key, stored.name())?;
            // Before it is forgotten here: if this start is cut short, the next one must know it too.
            gallery.has_been_at(been_at)?;
            stored.forget()?;
            station.begin_anew();
            gallery
        }
        opened => opened?,
    };
    enter(&gallery, &stored, now)?;
    let facts = station.facts();
    tracing::info!(templates = gallery.templates(), version = station.applied_version(), "the templates are open");
    facts.open(gallery, key.id());
    facts.turn_regulars(now);
    Ok(())
}

/// Puts into the gallery who is inside, by the facts that belong to it.
pub fn enter(gallery: &Gallery, stored: &FactStore, now: Timestamp) -> Result<(), StoreError> {
    for entry in stored.entries(now) {
        let (rider, entry, at) = entry?;
        gallery.entered(rider, entry, at);
    }
    Ok(())
}

/// Removes the templates of models that the config no longer names: no probe meets them, no erasure would reach them.
fn forget_former_models(config: &Config, facts: &str) -> Result<(), DurableError> {
    let dir = dir(config, facts);
    let failed = |source| DurableError::File { path: dir.clone(), source };
    let entries = match fs::read_dir(&dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(failed)?,
    };
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        let named = |model: &EmbeddingModel| path.file_name() == Some(model.calibration.model.as_str().as_ref());
        if !config.models.iter().any(named) {
            tracing::warn!(path = %path.display(), "templates of a model that the config does not name are removed");
            let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.map_err(|source| DurableError::File { path, source })?;
        }
    }
    Ok(())
}

/// Removes them.
pub fn discard(config: &Config, facts: &str) -> Result<(), DurableError> {
    config.models.iter().try_for_each(|model| Durable::discard(&place(config, facts, &model.calibration.model)))
}

/// They lack changes that the facts beside them have.
fn behind(config: &Config, facts: &str, found: u64, newest: u64) -> DurableError {
    DurableError::Stale { path: dir(config, facts), found, newest }
}

/// Without the key.
fn place(config: &Config, facts: &str, model: &ModelId) -> Place {
    // With the keys, apart from the state: a copy of the state alone brings neither back. A copy of the whole data
    // directory does, and is not told apart.
    let newest = config.data_dir.join("keys").join("newest-version");
    Place { dir: dir(config, facts).join(model.as_str()), newest, key: Zeroizing::default(), centre: None }
}

fn dir(config: &Config, facts: &str) -> PathBuf {
    config.data_dir.join("gallery").join(facts)
}
