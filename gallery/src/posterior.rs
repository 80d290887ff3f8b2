//! The gallery: every enrolled template, its rider, the tiers, and the decision over a probe.

mod claim;
mod kept;
mod repair;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{PoisonError, RwLock, RwLockWriteGuard};

use facegate_domain::Timestamp;
use facegate_domain::face::{Embedding, InvalidEmbedding, Template};
use facegate_domain::ids::{ModelId, RecordId, RiderId, TemplateId};
use facegate_domain::score::{
    Calibration, Candidate, FusionLevel, OutOfRange, Priors, RiskBudget, Similarity, Tier, Verdict, decide,
    ln_mean_ratio, risk_limit,
};
use facegate_domain::tap::Direction;

use crate::batch::Panicked;
use crate::durable::{Change, DurableError};
use crate::engine::{EngineError, Hit};
use crate::index::Answer;
use crate::model::{Model, ModelGallery};
use crate::monitor::Recall;
use crate::settings::DecisionSettings;
use crate::tiers::Tiers;

pub use claim::Verified;

/// Why the gallery refused. Whatever was asked for did not happen.
#[derive(Debug, thiserror::Error)]
pub enum GalleryError {
    /// The caller's: another model, another size.
    #[error(transparent)]
    Embedding(#[from] InvalidEmbedding),
    #[error(transparent)]
    Engine(EngineError),
    #[error(transparent)]
    Durable(#[from] DurableError),
    /// Settings that `DecisionSettings::problems` would have named.
    #[error("the priors cannot be used: {0}")]
    Priors(#[from] OutOfRange),
    #[error(transparent)]
    Panicked(#[from] Panicked),
    /// Being fetched anew: it may hold templates that were removed long ago.
    #[error("the gallery is being fetched anew and is not searched before it is whole; use the ride code")]
    Behind,
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

/// Templates of one model, or of several side by side during a migration, searched by any number of threads while they
/// change. A probe meets templates of its own model only.
///
/// A search sees every change that returned before it began, and a removed template is never found after its removal
/// returned.
pub struct Gallery {
    models: Vec<ModelGallery>,
    settings: DecisionSettings,
    /// That of the settings, until the operator sets another.
    risk_budget: RwLock<RiskBudget>,
    /// Changed under this lock together with the memberships in every model's index. A sighting looks under it whether
    /// the rider is still enrolled; so an erasure takes the templates first and the memberships last, and no sighting
    /// brings them back between the two.
    tiers: RwLock<Tiers>,
}

/// What was decided about a probe.
#[derive(Debug, Clone, PartialEq)]
pub struct Identified {
    pub verdict: Verdict,
    /// A rider was recognised whom the city's prior alone, with the same search, would not have.
    pub needs_its_tier: bool,
}

/// A rider found.
#[derive(Debug)]
struct Found {
    /// The best over his templates.
    similarity: Similarity,
    /// Of each template found.
    ln_ratios: Vec<f64>,
    /// How many he has.
    templates: usize,
}

impl Gallery {
    /// An empty gallery in memory, of embeddings with `dims` dimensions of the model that `calibration` was measured for.
    pub fn new(dims: usize, calibration: Calibration, settings: DecisionSettings) -> Self {
        let model = ModelGallery::in_memory(Model { dims, calibration, place: None, searches_max: 2 });
        Self::with(vec![model], settings)
    }

    /// A gallery of these models (at least one; the first is the one reported), each opened from its place if it has
    /// one. Errors name the file that cannot be used.
    pub fn open(models: Vec<Model>, settings: DecisionSettings) -> Result<Self, DurableError> {
        let models = models.into_iter().map(ModelGallery::open).collect::<Result<_, _>>()?;
        Ok(Self::with(models, settings))
    }

    fn with(models: Vec<ModelGallery>, settings: DecisionSettings) -> Self {
        let risk_budget = RwLock::new(settings.risk_budget);
        Self { models, settings, risk_budget, tiers: RwLock::default() }
    }

    /// Decides by this budget from now on; `None`: by that of the settings.
    pub fn set_risk_budget(&self, budget: Option<RiskBudget>) {
        let budget = budget.unwrap_or(self.settings.risk_budget);
        *self.risk_budget.write().unwrap_or_else(PoisonError::into_inner) = budget;
    }

    pub fn risk_budget(&self) -> RiskBudget {
        *self.risk_budget.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The models it holds templates of.
    pub fn models(&self) -> impl Iterator<Item = &ModelId> {
        self.models.iter().map(ModelGallery::model)
    }

    /// Who stands at this gate: searches the city and the direction's tiers in one pass, and decides. `frames` is how
    /// many agreeing frames the probe was fused of.
    pub fn identify(
        &self,
        probe: &Embedding,
        frames: u32,
        direction: Direction,
        now: Timestamp,
    ) -> Result<Verdict, GalleryError> {
        Ok(self.identify_and_compare(probe, frames, direction, now)?.verdict)
    }

    /// The same, and whether it takes the tiers to come to it.
    pub fn identify_and_compare(
        &self,
        probe: &Embedding,
        frames: u32,
        direction: Direction,
        now: Timestamp,
    ) -> Result<Identified, GalleryError> {
        let model = self.of(probe)?;
        self.forget_late(now);
        let answer = model.search(probe, Tiers::narrow(direction), self.settings.candidates_max)?;
        let riders = |tier| match tier {
            Tier::City => answer.riders,
            narrow => answer.tiers.iter().find(|answer| answer.tier == narrow).map_or(0, |answer| answer.riders),
        };
        let bound = model.calibration().sighting.expected_rider_max;
        let priors = self.settings.priors(direction, bound, riders)?;
        let verdict = self.decide(model, &answer, priors, frames);
        let needs_its_tier = match &verdict {
            Verdict::Recognised(seen) if seen.tier != Tier::City => {
                let city = self.settings.sighting_priors(answer.riders)?;
                let alone = self.decide(model, &answer.without_tiers(), city, frames);
                !matches!(alone, Verdict::Recognised(same) if same.rider == seen.rider)
            }
            _ => false,
        };
        Ok(Identified { verdict, needs_its_tier })
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
        let model = self.of(probe)?;
        self.forget_late(now);
        let answer = model.search(probe, &[], self.settings.candidates_max)?;
        let priors = self.settings.sighting_priors(answer.riders)?;
        let Verdict::Recognised(seen) = self.decide(model, &answer, priors, frames) else { return Ok(false) };
        let mut tiers = self.tiers();
        // He may have been removed since the search.
        let still_enrolled = model.index().enrolled(seen.rider);
        if still_enrolled {
            tiers.expect(seen.rider, until);
            self.join(Tier::Expected, seen.rider);
        }
        Ok(still_enrolled)
    }

    /// The `k` nearest templates of the probe's model, best first.
    pub fn nearest(&self, probe: &Embedding, k: usize) -> Result<Vec<Neighbour>, GalleryError> {
        let hits = self.of(probe)?.search(probe, &[], k)?.hits;
        let neighbour = |hit: Hit| Neighbour { rider: hit.rider, template: hit.template, similarity: hit.similarity };
        Ok(hits.into_iter().take(k).map(neighbour).collect())
    }

    /// Inserts a template, or replaces the one with its id (even if that was another rider's). What is kept on disk
    /// changes by [`Gallery::apply`] alone, or is filled by hand before [`Gallery::adopt`]; otherwise the error is `InUse`.
    pub fn put(&self, template: &Template) -> Result<(), GalleryError> {
        self.of(&template.embedding)?.put(template)
    }

    /// Removes one template; false if there was none with this id. Errors: `InUse` if anything is kept on disk.
    pub fn remove_template(&self, template: TemplateId) -> Result<bool, GalleryError> {
        let removed = self.in_memory_only()?.into_iter().filter(|index| index.remove(template));
        Ok(removed.count() > 0)
    }

    /// Removes a rider from every tier, with all templates. Gives how many templates there were. Errors: `InUse` if
    /// anything is kept on disk.
    pub fn remove_rider(&self, rider: RiderId) -> Result<usize, GalleryError> {
        let templates = self.in_memory_only()?.into_iter().map(|index| index.remove_rider(rider)).sum();
        self.forget(rider);
        Ok(templates)
    }

    /// Puts changes into force that carry the feed's versions: on the disk where the gallery is kept there, then for every
    /// search. What was applied before is left out. Gives the templates refused (of no model here, or of another size).
    pub fn apply(&self, changes: &[(u64, Change)]) -> Result<Vec<(u64, InvalidEmbedding)>, GalleryError> {
        let mut refused = Vec::new();
        for (version, change) in changes {
            match change {
                Change::Put(template) => {
                    let known = self.of(&template.embedding).and_then(|model| Ok(model.fits(&template.embedding)?));
                    if let Err(GalleryError::Embedding(why)) = known {
                        refused.push((*version, why));
                    }
                }
                Change::RemoveRider(_) | Change::RemoveTemplate(_) => (),
            }
        }
        let Some((last, _)) = changes.last() else { return Ok(refused) };
        let applied = self.models.iter().try_for_each(|model| model.apply(changes, *last));
        // Also where the disk refused: whoever is to be erased is expected nowhere, whatever else still has to be tried.
        for (_, change) in changes {
            if let Change::RemoveRider(rider) = change {
                self.forget(*rider);
            }
        }
        applied?;
        Ok(refused)
    }

    /// Compares a sample of the probes since the last call with an exhaustive search, and tells how many of the latest
    /// few thousand mates were missed. Slow: to be called off the hot path.
    pub fn check_recall(&self) -> Recall {
        self.models.iter().map(ModelGallery::check_recall).fold(Recall::default(), Recall::plus)
    }

    /// The rider passed an entry, of which was heard at `at`. Kept even if no template of his has arrived yet.
    pub fn entered(&self, rider: RiderId, entry: RecordId, at: Timestamp) {
        let mut tiers = self.tiers();
        tiers.entered(rider, entry, at);
        self.join(Tier::InSystem, rider);
    }

    /// Ends the entries heard of before `cutoff`: an exit was lost, or the cloud is away. Gives them.
    pub fn end_entries(&self, cutoff: Timestamp) -> Vec<(RiderId, RecordId)> {
        let mut tiers = self.tiers();
        let (ended, gone) = tiers.end_entries(cutoff);
        gone.into_iter().for_each(|rider| self.leave(Tier::InSystem, rider));
        ended
    }

    /// The ids of a rider's templates, of every model.
    pub fn templates_of(&self, rider: RiderId) -> Vec<TemplateId> {
        self.models.iter().flat_map(|model| model.index().templates_of(rider)).collect()
    }

    /// The journey that began with `entry` ended.
    pub fn left(&self, rider: RiderId, entry: &RecordId) {
        let mut tiers = self.tiers();
        if tiers.left(rider, entry) {
            self.leave(Tier::InSystem, rider);
        }
    }

    /// Replaces the station's habit set.
    pub fn set_regulars(&self, riders: &HashSet<RiderId>) {
        let mut tiers = self.tiers();
        let before = tiers.set_regulars(riders.clone());
        before.difference(riders).for_each(|rider| self.leave(Tier::Regulars, *rider));
        riders.difference(&before).for_each(|rider| self.join(Tier::Regulars, *rider));
    }

    pub fn templates(&self) -> usize {
        self.models.iter().map(|model| model.index().len()).sum()
    }

    /// Members of a tier; for `Tier::City`, riders with a template.
    pub fn tier_len(&self, tier: Tier, now: Timestamp) -> usize {
        match tier {
            Tier::City => self.models.iter().map(|model| model.index().riders()).max().unwrap_or(0),
            narrow => self.tiers.read().unwrap_or_else(PoisonError::into_inner).len(narrow, now),
        }
    }

    /// The templates that a probe or template may meet. Errors: it is of no model here.
    fn of(&self, embedding: &Embedding) -> Result<&ModelGallery, GalleryError> {
        let own = self.models.iter().find(|model| model.model() == embedding.model());
        own.ok_or_else(|| {
            let expected = self.models.first().map_or_else(|| embedding.model().clone(), |model| model.model().clone());
            InvalidEmbedding::WrongModel { expected, got: embedding.model().clone() }.into()
        })
    }

    /// Every template is weighed at its own fusion level, so that what else was found makes no rider, and no rival, more
    /// or less than he is. The limit is that of the worst mixture of levels, whatever was found.
    fn decide(&self, model: &ModelGallery, answer: &Answer, priors: Priors, frames: u32) -> Verdict {
        let (calibration, probe) = (model.calibration(), frames.max(1));
        let weigh = |hit: &Hit| {
            let template = if hit.photographs == 0 { self.settings.template_photographs } else { hit.photographs };
            calibration.at(FusionLevel { template, probe }).ln_likelihood_ratio(hit.similarity)
        };
        let priors = priors.with_templates(model.index().len(), answer.riders);
        let risk_max = risk_limit(&priors, &calibration.met_by(probe), self.risk_budget());
        decide(&candidates(answer, weigh), &priors, risk_max)
    }

    /// Takes a rider out of every tier whose templates are gone: see `tiers`.
    fn forget(&self, rider: RiderId) {
        let mut tiers = self.tiers();
        tiers.remove(rider);
        Tier::ALL.into_iter().for_each(|tier| self.leave(tier, rider));
    }

    fn forget_late(&self, now: Timestamp) {
        let due = self.tiers.read().unwrap_or_else(PoisonError::into_inner).is_anyone_late(now);
        if due {
            let mut tiers = self.tiers();
            tiers.forget_late(now).into_iter().for_each(|rider| self.leave(Tier::Expected, rider));
        }
    }

    fn join(&self, tier: Tier, rider: RiderId) {
        self.models.iter().for_each(|model| model.index().join(tier, rider));
    }

    fn leave(&self, tier: Tier, rider: RiderId) {
        self.models.iter().for_each(|model| model.index().leave(tier, rider));
    }

    fn tiers(&self) -> RwLockWriteGuard<'_, Tiers> {
        self.tiers.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The riders of the hits, each with what `weigh` says of his templates and all tiers that he is known to be in.
fn candidates(answer: &Answer, weigh: impl Fn(&Hit) -> f64) -> Vec<Candidate> {
    // A member's template may be among the hits of the city and of his tiers.
    let mut counted: HashSet<TemplateId> = HashSet::new();
    let mut found: HashMap<RiderId, Found> = HashMap::new();
    for hit in answer.hits.iter().chain(answer.tiers.iter().flat_map(|tier| &tier.hits)) {
        let new = || Found { similarity: hit.similarity, ln_ratios: vec![], templates: hit.rider_templates };
        let rider = found.entry(hit.rider).or_insert_with(new);
        if counted.insert(hit.template) {
            rider.ln_ratios.push(weigh(hit));
            if hit.similarity > rider.similarity {
                rider.similarity = hit.similarity;
            }
        }
    }
    let mut tiers: HashMap<RiderId, Vec<Tier>> = HashMap::new();
    for tier in &answer.tiers {
        for rider in tier.hits.iter().map(|hit| hit.rider).chain(tier.among_hits.iter().copied()) {
            let known = tiers.entry(rider).or_insert_with(|| vec![Tier::City]);
            if !known.contains(&tier.tier) {
                known.push(tier.tier);
            }
        }
    }
    let candidate = |(rider, Found { similarity, ln_ratios, templates })| Candidate {
        rider,
        similarity,
        ln_likelihood_ratio: ln_mean_ratio(&ln_ratios, templates),
        tiers: tiers.remove(&rider).unwrap_or_else(|| vec![Tier::City]),
    };
    found.into_iter().map(candidate).collect()
}

impl fmt::Debug for Gallery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let models = self.models().map(ModelId::as_str).collect::<Vec<_>>().join("+");
        let dims = self.models.first().map_or(0, |model| model.index().dims());
        write!(f, "Gallery(model={models}, dims={dims}, templates={})", self.templates())
    }
}
