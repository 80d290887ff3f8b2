//! Putting changes into force: on the disk first, then in the gallery, then the version that says so.

use std::collections::HashSet;
use std::sync::Arc;

use facegate_domain::face::InvalidEmbedding;
use facegate_domain::ids::TemplateId;
use facegate_gallery::{Change, Gallery, GalleryError};
use facegate_proto::convert::sync::{FeedChange, VersionedChange};
use facegate_runtime::simulation;

use crate::facts::Facts;
use crate::lease::NoFaces;
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
    let (shared, facts) = (Arc::clone(station), station.facts());
    let (changes, facts, burial) = blocking(move || {
        let burial = bury(&shared, facts.gallery().ok_or(NoFaces::Opening)?, &changes)?;
        Ok((changes, facts, burial))
    })
    .await?;
    if burial.noted {
        // Before the templates are gone from the index, which alone knows their ids.
        station.store.commit().await?;
    }
    let shared = Arc::clone(station);
    blocking(move || {
        let _alone = shared.applying();
        let now = shared.clock.now();
        let of_templates: Vec<_> = changes.iter().filter_map(|change| template_change(change, &burial)).collect();
        let gallery = facts.gallery().ok_or(NoFaces::Opening)?;
        gallery.apply(&of_templates)?.into_iter().for_each(|(version, error)| left_out(version, &error));
        shared.store.facts()?.write(&changes, last, now)?;
        remember_codes(&shared, &changes)?;
        changes.iter().for_each(|change| facts.apply(&change.change, now));
        shared.set_applied(last, &facts);
        Ok(())
    })
    .await
}

/// Brings facts about that belong to the version applied: the feed had brought them before, and they went wrong here.
pub(super) fn repair(station: &Station, changes: Vec<FeedChange>) -> Result<(), StationError> {
    let _alone = station.applying();
    let (facts, version, now) = (station.facts(), station.applied_version(), station.clock.now());
    let changes: Vec<_> = changes.into_iter().map(|change| VersionedChange { version, change }).collect();
    station.store.facts()?.write(&changes, version, now)?;
    changes.iter().for_each(|change| facts.apply(&change.change, now));
    station.set_applied(version, &facts);
    Ok(())
}

/// What these changes mean for templates that are gone for ever.
#[derive(Debug, Default)]
struct Burial {
    /// Templates were noted that are to be removed.
    noted: bool,
    /// Versions of changes that bring back what was removed.
    refused: HashSet<u64>,
}

/// Notes the templates that these changes remove, those that came with the same changes among them, and finds those that
/// were removed before.
fn bury(station: &Station, gallery: &Gallery, changes: &[VersionedChange]) -> Result<Burial, StationError> {
    let (mut burial, mut gone) = (Burial::default(), Vec::new());
    for (i, VersionedChange { version, change }) in changes.iter().enumerate() {
        match change {
            FeedChange::TemplatePut(template) if is_buried(station, template.id, *version)? => {
                burial.refused.insert(*version);
            }
            FeedChange::RiderRemoved(rider) => {
                gone.extend(gallery.templates_of(*rider));
                gone.extend(changes[..i].iter().filter_map(|earlier| match &earlier.change {
                    FeedChange::TemplatePut(template) if template.rider == *rider => Some(template.id),
                    _ => None,
                }));
            }
            _ => (),
        }
    }
    station.store.tombstones.add(&gone, station.clock.now())?;
    burial.noted = !gone.is_empty();
    Ok(burial)
}

/// Whether a template was removed here for ever; then it is reported.
pub(super) fn is_buried(station: &Station, template: TemplateId, version: u64) -> Result<bool, StationError> {
    let buried = station.store.tombstones.holds(template)?;
    if buried {
        station.store.tombstones.came_back(template)?;
        station.figures.came_back();
        tracing::error!(version, "the feed brings back a template that was erased; it is refused and reported");
    }
    Ok(buried)
}

/// A template of another model cannot be searched; leaving it out recognises one rider less.
fn left_out(version: u64, error: &InvalidEmbedding) {
    metrics::feed_refused();
    tracing::error!(version, %error, "a template of the feed is left out");
}

fn template_change(VersionedChange { version, change }: &VersionedChange, burial: &Burial) -> Option<(u64, Change)> {
    let change = match change {
        FeedChange::TemplatePut(template) if burial.refused.contains(version) => Change::RemoveTemplate(template.id),
        FeedChange::TemplatePut(template) => Change::Put(template.clone()),
        FeedChange::RiderRemoved(rider) => Change::RemoveRider(*rider),
        _ => return None,
    };
    Some((*version, change))
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
        let key = station.leases.key()?;
        let gallery = faces::open(&station.config, &key, stored.name())?;
        let facts = Arc::new(Facts::new(station.config.station.clone()));
        facts.open(gallery, key.id());
        Ok(Self { station: Arc::clone(station), stored, facts, version: 0 })
    }

    pub async fn add(&mut self, changes: Vec<VersionedChange>, version: u64) -> Result<(), StationError> {
        self.version = version;
        let (station, stored, facts) = (Arc::clone(&self.station), self.stored.clone(), Arc::clone(&self.facts));
        blocking(move || {
            let now = station.clock.now();
            stored.write(&changes, version, now)?;
            remember_codes(&station, &changes)?;
            let gallery = facts.gallery().ok_or(NoFaces::Opening)?;
            for change in &changes {
                facts.apply(&change.change, now);
                if let FeedChange::TemplatePut(template) = &change.change
                    && !is_buried(&station, template.id, change.version)?
                {
                    match gallery.put(template) {
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
            whole.gallery().ok_or(NoFaces::Opening)?.adopt(version)?;
            Ok(stored.set_cursor(version)?)
        });
        written.await?;
        station.store.adopt().await?;
        tracing::info!(version, templates = facts.gallery().map_or(0, Gallery::templates), "snapshot adopted");
        station.replace_facts(&facts, version);
        // Not before the pointer: until then, a start opens the old templates, which must not look like an old copy.
        blocking(move || {
            facts.gallery().ok_or(NoFaces::Opening)?.take_over()?;
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
