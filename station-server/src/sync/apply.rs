//! Putting changes into force: on the disk first, then in the gallery, then the version that says so.

use std::collections::HashSet;
use std::sync::Arc;

use facegate_domain::face::InvalidEmbedding;
use facegate_domain::ids::TemplateId;
use facegate_gallery::{Change, Gallery};
use facegate_proto::convert::sync::{FeedChange, VersionedChange};
use facegate_runtime::simulation;

use crate::lease::NoFaces;
use crate::metrics;
use crate::station::{Station, StationError};

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
        if !Arc::ptr_eq(&facts, &shared.facts()) {
            // Wiped meanwhile.
            return Err(NoFaces::Opening.into());
        }
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
pub(super) fn left_out(version: u64, error: &InvalidEmbedding) {
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

pub(super) fn remember_codes(station: &Station, changes: &[VersionedChange]) -> Result<(), StationError> {
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
