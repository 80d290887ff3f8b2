//! What a gallery on disk has beyond one in memory: a version, snapshots, and being filled anew.

use facegate_domain::Timestamp;

use super::{Gallery, GalleryError};
use crate::durable::{Durable, DurableError};
use crate::index::Index;
use crate::model::{Model, ModelGallery};
use crate::settings::DecisionSettings;

impl Gallery {
    /// A gallery that was being filled by [`Gallery::put`], with what was [kept](Gallery::keep_staged) of it.
    pub fn resume(models: Vec<Model>, settings: DecisionSettings) -> Result<Self, DurableError> {
        let models = models.into_iter().map(ModelGallery::resume).collect::<Result<_, _>>()?;
        Ok(Self::with(models, settings))
    }

    /// Makes what was put so far durable, so that filling goes on from there in another process.
    pub fn keep_staged(&self) -> Result<(), DurableError> {
        self.kept().try_for_each(Durable::keep_staged)
    }

    /// The version of the feed up to which everything is on the disk, of the model that is furthest back; `None` if
    /// nothing is kept there.
    pub fn version(&self) -> Option<u64> {
        self.kept().map(Durable::version).min()
    }

    /// Whether a model was begun anew and has not come to where this device has been: it is not searched then.
    pub fn is_behind(&self) -> bool {
        self.kept().any(Durable::is_behind)
    }

    /// Says that this device had come to `version` of the feed before, though the files are gone that would tell.
    pub fn has_been_at(&self, version: u64) -> Result<(), DurableError> {
        self.kept().try_for_each(|durable| durable.has_been_at(version))
    }

    /// Makes what was put by [`Gallery::put`], before anybody searched here, durable as this version of the feed. Then
    /// the caller makes it durable that this gallery counts, then [`Gallery::take_over`].
    pub fn adopt(&self, version: u64) -> Result<(), DurableError> {
        self.kept().try_for_each(|durable| durable.adopt(version))
    }

    /// From now on, the version adopted is the newest that this device has seen, even if it is lower.
    pub fn take_over(&self) -> Result<(), DurableError> {
        self.kept().try_for_each(Durable::take_over)
    }

    /// Writes what is kept on disk to snapshots where the log has grown long, or a day after a removal, so that an
    /// erased face leaves the disk.
    pub fn write_snapshots(&self, now: Timestamp) -> Result<(), DurableError> {
        self.kept().filter(|durable| durable.wants_snapshot(now)).try_for_each(Durable::write_snapshot)
    }

    /// The templates, if they may be removed by hand.
    pub(super) fn in_memory_only(&self) -> Result<Vec<&Index>, GalleryError> {
        self.models.iter().map(ModelGallery::in_memory_only).collect()
    }

    fn kept(&self) -> impl Iterator<Item = &Durable> {
        self.models.iter().filter_map(ModelGallery::durable)
    }
}
