//! Comparing what is held with what the cloud holds, and putting right what differs.

use std::sync::PoisonError;

use facegate_domain::face::Template;
use facegate_domain::fingerprint::Fingerprint;
use facegate_domain::ids::{ModelId, RecordId, RiderId, TemplateId};

use super::{Gallery, GalleryError};
use crate::durable::{Change, Durable, DurableError};

impl Gallery {
    /// The digest over the templates of a model; `None` if it holds none of that model.
    pub fn templates_fingerprint(&self, model: &ModelId) -> Option<Fingerprint> {
        self.models.iter().find(|held| held.model() == model).map(|held| held.index().fingerprint())
    }

    /// The digest over who is inside.
    pub fn inside_fingerprint(&self) -> Fingerprint {
        self.tiers.read().unwrap_or_else(PoisonError::into_inner).inside_fingerprint().clone()
    }

    /// The templates of a model in one bucket of its digest. Looks at every row.
    pub fn templates_in(&self, model: &ModelId, bucket: usize) -> Vec<(TemplateId, RiderId)> {
        let held = self.models.iter().find(|held| held.model() == model);
        held.map_or_else(Vec::new, |held| held.index().in_bucket(bucket))
    }

    /// Who is inside, in one bucket of the digest.
    pub fn inside_in(&self, bucket: usize) -> Vec<(RiderId, RecordId)> {
        self.tiers.read().unwrap_or_else(PoisonError::into_inner).inside_in(bucket)
    }

    /// Puts templates of one model and removes others, for every search, while the version stays: what the feed had
    /// brought about went wrong here. To be followed by [`Gallery::keep_repairs`].
    pub fn repair(&self, model: &ModelId, put: &[Template], remove: &[TemplateId]) -> Result<(), GalleryError> {
        let Some(held) = self.models.iter().find(|held| held.model() == model) else { return Ok(()) };
        let remove = remove.iter().copied().map(Change::RemoveTemplate);
        held.repair(remove.chain(put.iter().cloned().map(Change::Put)).collect())
    }

    /// Brings repairs to the disk.
    pub fn keep_repairs(&self) -> Result<(), DurableError> {
        self.models.iter().filter_map(|model| model.durable()).try_for_each(Durable::write_snapshot)
    }
}
