//! The templates of one embedding model: index, calibration, files, queue. During a migration a gallery has two.

use facegate_domain::face::{Embedding, InvalidEmbedding, Template};
use facegate_domain::ids::{ModelId, RiderId};
use facegate_domain::score::{Calibration, Similarity, Tier};

use crate::batch::Batcher;
use crate::durable::{Change, Durable, DurableError, Place};
use crate::engine::EngineError;
use crate::index::{Answer, Index, Query};
use crate::monitor::{Monitor, Recall};
use crate::posterior::GalleryError;

/// Most probes in one pass over the rows.
const BATCH_MAX: usize = 64;

/// What a gallery is told about one model.
#[derive(Debug, Clone)]
pub struct Model {
    pub dims: usize,
    /// Names the model.
    pub calibration: Calibration,
    /// Where its templates are kept, in a directory that no other model has; `None`: in memory only. The centre in it is
    /// that of the calibration.
    pub place: Option<Place>,
    /// Passes over the rows at a time: the number of cores to search on.
    pub searches_max: usize,
}

/// See the module.
#[derive(Debug)]
pub struct ModelGallery {
    calibration: Calibration,
    templates: Templates,
    queue: Batcher<Job, Result<Answer, EngineError>>,
    monitor: Monitor,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one for each model, and it is never moved")]
enum Templates {
    InMemory(Index),
    Durable(Durable),
}

/// One queued search.
#[derive(Debug)]
struct Job {
    probe: Embedding,
    tiers: &'static [Tier],
    k: usize,
}

impl ModelGallery {
    pub fn in_memory(model: Model) -> Self {
        let index = Index::new(model.calibration.model.clone(), model.dims);
        Self::with(model.calibration, Templates::InMemory(index), model.searches_max)
    }

    pub fn open(model: Model) -> Result<Self, DurableError> {
        Self::kept_as(model, Durable::open)
    }

    /// As it was being filled by hand: see [`Durable::resume`].
    pub fn resume(model: Model) -> Result<Self, DurableError> {
        Self::kept_as(model, Durable::resume)
    }

    fn kept_as(
        mut model: Model,
        open: impl FnOnce(ModelId, usize, Place) -> Result<Durable, DurableError>,
    ) -> Result<Self, DurableError> {
        let Some(mut place) = model.place.take() else { return Ok(Self::in_memory(model)) };
        place.centre.clone_from(&model.calibration.centre);
        let durable = open(model.calibration.model.clone(), model.dims, place)?;
        Ok(Self::with(model.calibration, Templates::Durable(durable), model.searches_max))
    }

    fn with(calibration: Calibration, templates: Templates, searches_max: usize) -> Self {
        Self { calibration, templates, queue: Batcher::new(searches_max, BATCH_MAX), monitor: Monitor::default() }
    }

    pub fn model(&self) -> &ModelId {
        &self.calibration.model
    }

    pub fn calibration(&self) -> &Calibration {
        &self.calibration
    }

    pub fn index(&self) -> &Index {
        match &self.templates {
            Templates::InMemory(index) => index,
            Templates::Durable(durable) => durable.index(),
        }
    }

    /// The best of the city and of each tier, in one pass with whoever else waits.
    pub fn search(&self, probe: &Embedding, tiers: &'static [Tier], k: usize) -> Result<Answer, GalleryError> {
        let probe = self.comparable(probe)?;
        if self.is_behind() {
            return Err(GalleryError::Behind);
        }
        self.monitor.sample(&probe);
        let answer = self.queue.submit(Job { probe, tiers, k }, |jobs| self.search_all(&jobs))?;
        Ok(answer?)
    }

    fn search_all(&self, jobs: &[Job]) -> Vec<Result<Answer, EngineError>> {
        let queries: Vec<_> = jobs.iter().map(|job| Query { probe: &job.probe, tiers: job.tiers }).collect();
        let most = jobs.iter().map(|job| job.k).max().unwrap_or(0);
        match self.index().search_all(&queries, most) {
            Ok(answers) => answers.into_iter().zip(jobs).map(|(answer, job)| Ok(answer.first(job.k))).collect(),
            // Probes were checked before they queued, so this is nobody's fault in particular.
            Err(error) => {
                let what = "search";
                let failed = |_| Err(EngineError::Index { what, message: error.to_string() });
                jobs.iter().map(failed).collect()
            }
        }
    }

    /// The best of one rider's templates, and how many he has; none without any.
    pub fn best_of(&self, probe: &Embedding, rider: RiderId) -> Result<Option<(Similarity, usize)>, GalleryError> {
        let probe = self.comparable(probe)?;
        if self.is_behind() {
            return Err(GalleryError::Behind);
        }
        let mut found: Option<(Similarity, usize)> = None;
        for template in self.index().templates_of(rider) {
            let Some(similarity) = self.index().cosine_to(&probe, template)? else { continue };
            let (best, count) = found.unwrap_or((similarity, 0));
            found = Some((if similarity > best { similarity } else { best }, count + 1));
        }
        Ok(found)
    }

    /// By hand. Errors: `InUse` if it is kept on disk and not to be filled.
    pub fn put(&self, template: &Template) -> Result<(), GalleryError> {
        let searched = self.comparable(&template.embedding)?;
        match &self.templates {
            Templates::InMemory(index) => Ok(index.changing().put(&index.row_as(template, &searched)?)?),
            Templates::Durable(durable) => Ok(durable.put(template)?),
        }
    }

    /// For removals by hand. Errors: `InUse` if it is kept on disk.
    pub fn in_memory_only(&self) -> Result<&Index, GalleryError> {
        match &self.templates {
            Templates::InMemory(index) => Ok(index),
            Templates::Durable(durable) => Err(durable.in_use().into()),
        }
    }

    /// Those of the changes that concern this model: its templates, and every removal. `last` is the version that all of
    /// them lead to.
    pub fn apply(&self, changes: &[(u64, Change)], last: u64) -> Result<(), GalleryError> {
        // A template that does not fit was reported by the caller, who looked at all models.
        let fits = |change: &Change| match change {
            Change::Put(template) => self.fits(&template.embedding).is_ok(),
            Change::RemoveRider(_) | Change::RemoveTemplate(_) => true,
        };
        let own: Vec<_> = changes.iter().filter(|(_, change)| fits(change)).cloned().collect();
        match &self.templates {
            Templates::Durable(durable) => {
                durable.apply(&own)?;
                durable.reach(last)?;
            }
            Templates::InMemory(_) => own.iter().try_for_each(|(_, change)| self.change(change))?,
        }
        Ok(())
    }

    /// Brings changes about that the feed had brought before: the version stays.
    pub fn repair(&self, changes: &[Change]) -> Result<(), GalleryError> {
        match &self.templates {
            Templates::Durable(durable) => Ok(durable.repair(changes)?),
            Templates::InMemory(_) => changes.iter().try_for_each(|change| self.change(change)),
        }
    }

    /// In memory.
    fn change(&self, change: &Change) -> Result<(), GalleryError> {
        match change {
            Change::Put(template) => self.put(template)?,
            Change::RemoveTemplate(template) => drop(self.index().remove(*template)),
            Change::RemoveRider(rider) => drop(self.index().remove_rider(*rider)),
        }
        Ok(())
    }

    /// The files, if it is kept in any.
    pub fn durable(&self) -> Option<&Durable> {
        match &self.templates {
            Templates::InMemory(_) => None,
            Templates::Durable(durable) => Some(durable),
        }
    }

    /// Whether it may hold templates that were removed long ago, and is not searched.
    pub fn is_behind(&self) -> bool {
        self.durable().is_some_and(Durable::is_behind)
    }

    pub fn check_recall(&self) -> Recall {
        self.monitor.check(self.index())
    }

    /// Whether an embedding could be put here.
    pub fn fits(&self, embedding: &Embedding) -> Result<(), InvalidEmbedding> {
        self.comparable(embedding).map(drop)
    }

    /// The embedding as the index holds it: centred, where the calibration says so.
    fn comparable(&self, embedding: &Embedding) -> Result<Embedding, InvalidEmbedding> {
        embedding.expect(self.model(), self.index().dims())?;
        self.calibration.centre.as_ref().map_or_else(|| Ok(embedding.clone()), |centre| embedding.centred(centre))
    }
}
