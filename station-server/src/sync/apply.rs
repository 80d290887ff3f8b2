//! Putting changes into force: on the disk first, then in the gallery, then the version that says so.

use std::sync::Arc;

use facegate_domain::face::InvalidEmbedding;
use facegate_gallery::{Change, GalleryError};
use facegate_proto::convert::sync::{FeedChange, VersionedChange};
use facegate_runtime::simulation;

use crate::facts::Facts;
use crate::station::{Station, StationError};
use crate::store::FactStore;
use crate::{faces, metrics};

/// Applies changes that follow the applied version, in order: templates on the disk and in every search first, then the
/// other facts, so that the cursor never says more than the templates have.
pub(super) async fn changes(
    station: &Arc<Station>,
    changes: Vec<VersionedChange>,
    last: u64,
) -> Result<(), StationError> {
    if last <= station.applied_version() {
        return Ok(());
    }
    let shared = Arc::clone(station);
    blocking(move || {
        let _alone = shared.applying();
        let facts = shared.facts();
        let of_templates: Vec<_> = changes.iter().filter_map(template_change).collect();
        facts.gallery.apply(&of_templates)?.into_iter().for_each(|(version, error)| left_out(version, &error));
        shared.store.facts()?.write(&changes, last)?;
        remember_codes(&shared, &changes)?;
        changes.iter().for_each(|change| facts.apply(&change.change));
        shared.set_applied(last, &facts);
        Ok(())
    })
    .await
}

/// Brings facts about that belong to the version applied: the feed had brought them before, and they went wrong here.
pub(super) fn repair(station: &Station, changes: Vec<FeedChange>) -> Result<(), StationError> {
    let _alone = station.applying();
    let (facts, version) = (station.facts(), station.applied_version());
    let changes: Vec<_> = changes.into_iter().map(|change| VersionedChange { version, change }).collect();
    station.store.facts()?.write(&changes, version)?;
    changes.iter().for_each(|change| facts.apply(&change.change));
    station.set_applied(version, &facts);
    Ok(())
}

/// A template of another model cannot be searched; leaving it out recognises one rider less.
fn left_out(version: u64, error: &InvalidEmbedding) {
    metrics::feed_refused();
    tracing::error!(version, %error, "a template of the feed is left out");
}

fn template_change(change: &VersionedChange) -> Option<(u64, Change)> {
    match &change.change {
        FeedChange::TemplatePut(template) => Some((change.version, Change::Put(template.clone()))),
        FeedChange::RiderRemoved(rider) => Some((change.version, Change::RemoveRider(*rider))),
        _ => None,
    }
}

/// A snapshot on its way in. Dropped before [`Staging::adopt`], it leaves everything as it was.
pub(super) struct Staging {
    station: Arc<Station>,
    stored: FactStore,
    facts: Arc<Facts>,
    version: u64,
}

impl Staging {
    pub fn begin(station: &Arc<Station>) -> Result<Self, StationError> {
        let stored = station.store.staging()?;
        faces::discard(&station.config, stored.name())?;
        let gallery = faces::open(&station.config, &station.store, stored.name())?;
        Ok(Self {
            station: Arc::clone(station),
            stored,
            facts: Arc::new(Facts::new(gallery, station.config.station.clone())),
            version: 0,
        })
    }

    pub async fn add(&mut self, changes: Vec<VersionedChange>, version: u64) -> Result<(), StationError> {
        self.version = version;
        let (station, stored, facts) = (Arc::clone(&self.station), self.stored.clone(), Arc::clone(&self.facts));
        blocking(move || {
            stored.write(&changes, version)?;
            remember_codes(&station, &changes)?;
            for change in &changes {
                facts.apply(&change.change);
                if let FeedChange::TemplatePut(template) = &change.change {
                    match facts.gallery.put(template) {
                        Err(GalleryError::Embedding(error)) => left_out(change.version, &error),
                        put => put?,
                    }
                }
            }
            Ok(())
        })
        .await
    }

    /// Makes the snapshot current: on the disk, then for every search that begins from now on.
    pub async fn adopt(self) -> Result<(), StationError> {
        let Self { station, stored, facts, version } = self;
        let whole = Arc::clone(&facts);
        let old = station.store.facts()?.name();
        // An empty snapshot has no fact that would have brought the cursor along.
        let written = blocking(move || {
            whole.gallery.adopt(version)?;
            Ok(stored.set_cursor(version)?)
        });
        written.await?;
        station.store.adopt().await?;
        tracing::info!(version, templates = facts.gallery.templates(), "snapshot adopted");
        station.replace_facts(Arc::clone(&facts), version);
        // Not before the pointer: until then, a start opens the old templates, which must not look like an old copy.
        blocking(move || {
            facts.gallery.take_over()?;
            Ok(faces::discard(&station.config, old)?)
        })
        .await
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

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StationError> + Send + 'static,
) -> Result<T, StationError> {
    simulation::blocking(work).await.map_err(|_| StationError::Panicked)?
}
