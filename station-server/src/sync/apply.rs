//! Putting changes into force: on the disk first, then in the gallery, then the version that says so.

use std::sync::Arc;

use facegate_gallery::GalleryError;
use facegate_proto::convert::sync::{FeedChange, VersionedChange};

use crate::metrics;
use crate::station::{Station, StationError, load};
use crate::store::FactStore;

/// Applies changes that follow the applied version, in order.
pub(super) async fn changes(station: &Arc<Station>, changes: Vec<VersionedChange>) -> Result<(), StationError> {
    let Some(last) = changes.last().map(|change| change.version) else { return Ok(()) };
    let shared = Arc::clone(station);
    blocking(move || {
        shared.store.facts()?.write(&changes)?;
        remember_codes(&shared, &changes)?;
        let facts = shared.facts();
        for change in &changes {
            match facts.apply(&change.change) {
                // A template of another model cannot be searched; leaving it out recognises one rider less.
                Err(error @ GalleryError::Embedding(_)) => {
                    metrics::feed_refused();
                    tracing::error!(version = change.version, %error, "a template of the feed is left out");
                }
                applied => applied?,
            }
        }
        shared.set_applied(last, facts.issuer_keys());
        Ok(())
    })
    .await
}

/// A snapshot on its way in. Dropped before [`Staging::adopt`], it leaves everything as it was.
pub(super) struct Staging {
    station: Arc<Station>,
    facts: FactStore,
    version: u64,
}

impl Staging {
    pub fn begin(station: &Arc<Station>) -> Result<Self, StationError> {
        Ok(Self { station: Arc::clone(station), facts: station.store.staging()?, version: 0 })
    }

    pub async fn add(&mut self, facts: Vec<VersionedChange>, version: u64) -> Result<(), StationError> {
        self.version = version;
        let (station, staged) = (Arc::clone(&self.station), self.facts.clone());
        blocking(move || {
            staged.write(&facts)?;
            remember_codes(&station, &facts)
        })
        .await
    }

    /// Makes the snapshot current: on the disk, then for every search that begins from now on.
    pub async fn adopt(self) -> Result<(), StationError> {
        let (station, staged, version) = (Arc::clone(&self.station), self.facts, self.version);
        // An empty snapshot has no fact that would have brought the cursor along.
        let loaded = blocking(move || {
            staged.set_cursor(version)?;
            load(&station.config, &staged)
        });
        let facts = loaded.await?;
        self.station.store.adopt().await?;
        tracing::info!(version, templates = facts.gallery.templates(), "snapshot adopted");
        self.station.replace_facts(facts, version);
        Ok(())
    }
}

fn remember_codes(station: &Station, changes: &[VersionedChange]) -> Result<(), StationError> {
    for change in changes {
        if let FeedChange::CodeNonceSpent { nonce, issued_at } = &change.change {
            station.store.codes.learn(*nonce, *issued_at, station.config.code_memory)?;
        }
    }
    Ok(())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StationError> + Send + 'static,
) -> Result<T, StationError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| StationError::Panicked)?
}
