//! Comparing what is held with what the cloud holds, and putting right what differs.

use std::sync::PoisonError;

use facegate_domain::face::Template;
use facegate_domain::fingerprint::Fingerprint;
use facegate_domain::ids::{ModelId, RecordId, RiderId, TemplateId};

use super::{Gallery, GalleryError};
use crate::durable::{Change, Durable, DurableError};
use crate::index::Held;
use crate::model::ModelGallery;

impl Gallery {
    /// The digest over the templates of a model; `None` if it holds none of that model.
    pub fn templates_fingerprint(&self, model: &ModelId) -> Option<Fingerprint> {
        self.of_model(model).map(|held| held.index().fingerprint())
    }

    /// The digest over who is inside.
    pub fn inside_fingerprint(&self) -> Fingerprint {
        self.tiers.read().unwrap_or_else(PoisonError::into_inner).inside_fingerprint().clone()
    }

    /// The digest over what they hold too; `None` if it holds none of that model, or if some are of an unknown content: a
    /// version of before had stored them.
    pub fn contents_fingerprint(&self, model: &ModelId) -> Option<Fingerprint> {
        let index = self.of_model(model)?.index();
        (index.unknown() == 0).then(|| index.contents_fingerprint())
    }

    /// A model with templates of an unknown content, and a bucket of its digest that has some. Looks at every row.
    pub fn bucket_of_unknown(&self) -> Option<(ModelId, usize)> {
        let mut unknown = self.models.iter().filter(|held| held.index().unknown() > 0);
        unknown.find_map(|held| Some((held.model().clone(), held.index().bucket_of_unknown()?)))
    }

    /// Builds the digests anew from the templates as they lie in memory, so that what changed there by itself shows. Takes
    /// seconds, while searches and changes go on.
    pub fn verify(&self) {
        self.models.iter().for_each(|held| held.index().verify());
    }

    /// The templates of a model in one bucket of its digest. Looks at every row.
    pub fn templates_in(&self, model: &ModelId, bucket: usize) -> Vec<Held> {
        self.of_model(model).map_or_else(Vec::new, |held| held.index().in_bucket(bucket))
    }

    fn of_model(&self, model: &ModelId) -> Option<&ModelGallery> {
        self.models.iter().find(|held| held.model() == model)
    }

    /// Who is inside, in one bucket of the digest.
    pub fn inside_in(&self, bucket: usize) -> Vec<(RiderId, RecordId)> {
        self.tiers.read().unwrap_or_else(PoisonError::into_inner).inside_in(bucket)
    }

    /// Puts templates of one model and removes others, for every search, while the version stays: what the feed had
    /// brought about went wrong here. To be followed by [`Gallery::keep_repairs`].
    pub fn repair(&self, model: &ModelId, put: &[Template], remove: &[TemplateId]) -> Result<(), GalleryError> {
        let Some(held) = self.of_model(model) else { return Ok(()) };
        let remove = remove.iter().copied().map(Change::RemoveTemplate);
        held.repair(&remove.chain(put.iter().cloned().map(Change::Put)).collect::<Vec<_>>())
    }

    /// Brings repairs to the disk.
    pub fn keep_repairs(&self) -> Result<(), DurableError> {
        self.models.iter().filter_map(|model| model.durable()).try_for_each(Durable::write_snapshot)
    }
}
