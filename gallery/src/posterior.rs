//! The gallery: every enrolled template, its rider, the tiers, and the decision over a probe.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use facegate_domain::Timestamp;
use facegate_domain::face::{Embedding, InvalidEmbedding, Template};
use facegate_domain::ids::{ModelId, RecordId, RiderId, TemplateId};
use facegate_domain::score::{
    Calibration, Candidate, FusionLevel, OutOfRange, Priors, Similarity, Tier, Verdict, decide,
};
use facegate_domain::tap::Direction;

use crate::engine::{Engine, EngineError, FaissFlat};
use crate::settings::DecisionSettings;
use crate::tiers::Tiers;

/// Why the gallery refused. Whatever was asked for did not happen.
#[derive(Debug, thiserror::Error)]
pub enum GalleryError {
    /// The caller's: another model, another size.
    #[error(transparent)]
    Embedding(#[from] InvalidEmbedding),
    #[error(transparent)]
    Engine(EngineError),
    /// Settings that `DecisionSettings::problems` would have named.
    #[error("the priors cannot be used: {0}")]
    Priors(#[from] OutOfRange),
}

impl From<EngineError> for GalleryError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Embedding(invalid) => Self::Embedding(invalid),
            other => Self::Engine(other),
        }
    }
}

/// One template near a probe, with its rider: for the duplicate search at enrolment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbour {
    pub rider: RiderId,
    pub template: TemplateId,
    pub similarity: Similarity,
}

/// Templates of one model, searched by any number of threads while they change.
///
/// A search sees every change that returned before it began, and a removed template is never found after its removal
/// returned. Nothing here is kept on disk: the owner fills it at start.
pub struct Gallery {
    model: ModelId,
    dims: usize,
    calibration: Calibration,
    settings: DecisionSettings,
    contents: RwLock<Contents>,
}

struct Contents {
    engine: Box<dyn Engine>,
    rider_of: HashMap<TemplateId, RiderId>,
    templates_of: HashMap<RiderId, Vec<TemplateId>>,
    /// Templates of more than one photograph, with how many.
    fused: HashMap<TemplateId, u32>,
    tiers: Tiers,
}

impl Gallery {
    /// An empty gallery of embeddings with `dims` dimensions, of the model that `calibration` was measured for.
    pub fn new(dims: usize, calibration: Calibration, settings: DecisionSettings) -> Self {
        let engine = Box::new(FaissFlat::new(calibration.model.clone(), dims));
        Self::with_engine(engine, dims, calibration, settings)
    }

    /// The same over an engine of the caller's choice, which must be empty and of the same model and size.
    pub fn with_engine(
        engine: Box<dyn Engine>,
        dims: usize,
        calibration: Calibration,
        settings: DecisionSettings,
    ) -> Self {
        let contents = Contents {
            engine,
            rider_of: HashMap::new(),
            templates_of: HashMap::new(),
            fused: HashMap::new(),
            tiers: Tiers::default(),
        };
        Self { model: calibration.model.clone(), dims, calibration, settings, contents: RwLock::new(contents) }
    }

    pub fn model(&self) -> &ModelId {
        &self.model
    }

    pub fn dims(&self) -> usize {
        self.dims
    }

    /// Who stands at this gate: searches the city, scores every member of the direction's tiers, and decides. `frames`
    /// is how many agreeing frames the probe was fused of.
    pub fn identify(
        &self,
        probe: &Embedding,
        frames: u32,
        direction: Direction,
        now: Timestamp,
    ) -> Result<Verdict, GalleryError> {
        let probe = &self.comparable(probe)?;
        let contents = self.read();
        let mut found = contents.city(probe, self.settings.candidates_max)?;
        let mut sizes = HashMap::from([(Tier::City, contents.templates_of.len())]);
        for tier in Tiers::narrow(direction) {
            sizes.insert(*tier, contents.score_tier(probe, *tier, now, &mut found)?);
        }
        let bound = self.calibration.sighting.expected_rider_max;
        let priors = self.settings.priors(direction, bound, |tier| sizes.get(&tier).copied().unwrap_or(0))?;
        Ok(self.decide(&contents, found, &priors, frames))
    }

    /// An entrance camera saw this face: if the plain city prior recognises a rider, he is expected until `until`.
    /// Anyone else leaves no trace. Tells only whether somebody was recognised.
    pub fn sight(
        &self,
        probe: &Embedding,
        frames: u32,
        until: Timestamp,
        now: Timestamp,
    ) -> Result<bool, GalleryError> {
        let probe = &self.comparable(probe)?;
        let verdict = {
            let contents = self.read();
            let found = contents.city(probe, self.settings.candidates_max)?;
            let priors = self.settings.sighting_priors(contents.templates_of.len())?;
            self.decide(&contents, found, &priors, frames)
        };
        let mut contents = self.write();
        match verdict {
            // He may have been removed between the two locks.
            Verdict::Recognised(seen) if contents.templates_of.contains_key(&seen.rider) => {
                contents.tiers.expect(seen.rider, until, now);
                Ok(true)
            }
            _ => {
                contents.tiers.forget_late(now);
                Ok(false)
            }
        }
    }

    /// The `k` nearest templates, best first.
    pub fn nearest(&self, probe: &Embedding, k: usize) -> Result<Vec<Neighbour>, GalleryError> {
        let contents = self.read();
        let hits = contents.engine.search(&self.comparable(probe)?, k)?;
        let neighbour = |hit: crate::engine::Hit| {
            let rider = *contents.rider_of.get(&hit.template)?;
            Some(Neighbour { rider, template: hit.template, similarity: hit.similarity })
        };
        Ok(hits.into_iter().filter_map(neighbour).collect())
    }

    /// Inserts a template, or replaces the one with its id (even if that was another rider's).
    pub fn put(&self, template: &Template) -> Result<(), GalleryError> {
        let template = Template { embedding: self.comparable(&template.embedding)?, ..*template };
        let mut contents = self.write();
        contents.engine.put(&template)?;
        contents.detach(template.id);
        contents.rider_of.insert(template.id, template.rider);
        if template.photographs > 1 {
            contents.fused.insert(template.id, template.photographs);
        }
        contents.templates_of.entry(template.rider).or_default().push(template.id);
        Ok(())
    }

    /// Removes one template; false if there was none with this id.
    pub fn remove_template(&self, template: TemplateId) -> Result<bool, GalleryError> {
        let mut contents = self.write();
        let removed = contents.engine.remove(template)?;
        contents.detach(template);
        Ok(removed)
    }

    /// Removes a rider from every tier, with all templates. Gives how many templates there were.
    pub fn remove_rider(&self, rider: RiderId) -> Result<usize, GalleryError> {
        let mut contents = self.write();
        let templates = contents.templates_of.get(&rider).cloned().unwrap_or_default();
        for template in &templates {
            contents.engine.remove(*template)?;
            contents.detach(*template);
        }
        contents.tiers.remove(rider);
        Ok(templates.len())
    }

    /// The rider passed an entry. Kept even if no template of his has arrived yet.
    pub fn entered(&self, rider: RiderId, entry: RecordId) {
        self.write().tiers.entered(rider, entry);
    }

    /// The journey that began with `entry` ended.
    pub fn left(&self, rider: RiderId, entry: &RecordId) {
        self.write().tiers.left(rider, entry);
    }

    /// Replaces the station's habit set.
    pub fn set_regulars(&self, riders: HashSet<RiderId>) {
        self.write().tiers.set_regulars(riders);
    }

    pub fn templates(&self) -> usize {
        self.read().engine.len()
    }

    /// Members of a tier; for `Tier::City`, riders with a template.
    pub fn tier_len(&self, tier: Tier, now: Timestamp) -> usize {
        let contents = self.read();
        if tier == Tier::City { contents.templates_of.len() } else { contents.tiers.len(tier, now) }
    }

    /// The embedding as the index holds it: centred, where the calibration says so.
    fn comparable(&self, embedding: &Embedding) -> Result<Embedding, InvalidEmbedding> {
        embedding.expect(&self.model, self.dims)?;
        self.calibration.centre.as_ref().map_or_else(|| Ok(embedding.clone()), |centre| embedding.centred(centre))
    }

    /// Candidates are weighed together, at the level of the one of most photographs: a level makes no more of a score
    /// than those below it, so that no candidate is believed more than he should be.
    fn decide(&self, contents: &Contents, found: Found, priors: &Priors, frames: u32) -> Verdict {
        let fused = found.keys().map(|rider| contents.photographs(*rider)).max().unwrap_or(1);
        let template = fused.max(self.settings.template_photographs);
        let level = FusionLevel { template, probe: frames.max(1) };
        let candidate = |(rider, (similarity, tiers))| Candidate { rider, similarity, tiers };
        let candidates: Vec<Candidate> = found.into_iter().map(candidate).collect();
        decide(&candidates, priors, &self.calibration.at(level), self.settings.risk_budget)
    }

    fn read(&self) -> RwLockReadGuard<'_, Contents> {
        self.contents.read().expect("no change to the gallery panics half-way")
    }

    fn write(&self) -> RwLockWriteGuard<'_, Contents> {
        self.contents.write().expect("no change to the gallery panics half-way")
    }
}

/// Riders found, with the best similarity over their templates and their tiers.
type Found = HashMap<RiderId, (Similarity, Vec<Tier>)>;

impl Contents {
    /// The riders of the best templates. The first hit of a rider is his best.
    fn city(&self, probe: &Embedding, k: usize) -> Result<Found, EngineError> {
        let mut found = Found::new();
        for hit in self.engine.search(probe, k)? {
            if let Some(rider) = self.rider_of.get(&hit.template) {
                found.entry(*rider).or_insert_with(|| (hit.similarity, vec![Tier::City]));
            }
        }
        Ok(found)
    }

    /// Scores every member exactly, since a member need not be among the city's best. Gives how many have a template.
    fn score_tier(
        &self,
        probe: &Embedding,
        tier: Tier,
        now: Timestamp,
        found: &mut Found,
    ) -> Result<usize, EngineError> {
        let mut enrolled = 0;
        for rider in self.tiers.members(tier, now) {
            let Some(templates) = self.templates_of.get(&rider) else { continue };
            enrolled += 1;
            let (_, tiers) = match found.get_mut(&rider) {
                Some(known) => known,
                None => {
                    let Some(best) = self.best_of(probe, templates)? else { continue };
                    found.entry(rider).or_insert((best, vec![Tier::City]))
                }
            };
            tiers.push(tier);
        }
        Ok(enrolled)
    }

    fn best_of(&self, probe: &Embedding, templates: &[TemplateId]) -> Result<Option<Similarity>, EngineError> {
        let mut best: Option<Similarity> = None;
        for template in templates {
            let similarity = self.engine.similarity(probe, *template)?;
            best = if similarity > best { similarity } else { best };
        }
        Ok(best)
    }

    /// Of how many photographs the rider's most fused template is.
    fn photographs(&self, rider: RiderId) -> u32 {
        let templates = self.templates_of.get(&rider).into_iter().flatten();
        templates.filter_map(|template| self.fused.get(template)).copied().max().unwrap_or(1)
    }

    /// Forgets whose a template was.
    fn detach(&mut self, template: TemplateId) {
        self.fused.remove(&template);
        let Some(rider) = self.rider_of.remove(&template) else { return };
        if let Some(templates) = self.templates_of.get_mut(&rider) {
            templates.retain(|held| *held != template);
            if templates.is_empty() {
                self.templates_of.remove(&rider);
            }
        }
    }
}

impl fmt::Debug for Gallery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Gallery(model={}, dims={}, templates={})", self.model, self.dims, self.templates())
    }
}
