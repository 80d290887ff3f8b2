//! The station's templates on its disk: `gallery/<tree of facts>`, sealed, beside the facts they belong to.

use std::path::PathBuf;

use facegate_gallery::durable::Durable;
use facegate_gallery::{DurableError, Gallery, Model, Place};
use zeroize::Zeroizing;

use crate::config::Config;
use crate::store::Store;

/// Opens or begins the templates that belong to the facts of this name.
pub fn open(config: &Config, store: &Store, facts: &str) -> Result<Gallery, DurableError> {
    let place = Place { key: Zeroizing::new(*store.gallery_key()), ..place(config, facts) };
    let model = Model {
        dims: config.dims,
        calibration: config.calibration.clone(),
        place: Some(place),
        searches_max: config.searches_max,
    };
    Gallery::open(vec![model], config.decision.clone())
}

/// Removes them.
pub fn discard(config: &Config, facts: &str) -> Result<(), DurableError> {
    Durable::discard(&place(config, facts))
}

/// They lack changes that the facts beside them have.
pub fn behind(config: &Config, facts: &str, found: u64, newest: u64) -> DurableError {
    DurableError::Stale { path: dir(config, facts), found, newest }
}

/// Without the key.
fn place(config: &Config, facts: &str) -> Place {
    // With the keys, apart from the state: a copy of the state alone brings neither back. A copy of the whole data
    // directory does, and is not told apart.
    let newest = config.data_dir.join("keys").join("newest-version");
    Place { dir: dir(config, facts), newest, key: Zeroizing::default(), centre: None }
}

fn dir(config: &Config, facts: &str) -> PathBuf {
    config.data_dir.join("gallery").join(facts)
}
