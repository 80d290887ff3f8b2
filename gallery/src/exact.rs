//! The oracle: the same answers as any [`Engine`] must give, by the plainest scan.

use std::collections::{BTreeMap, HashMap};

use facegate_domain::face::{Embedding, Template};
use facegate_domain::ids::{ModelId, RiderId, TemplateId};
use facegate_domain::score::Similarity;

use crate::engine::{Engine, EngineError, Hit, best_first};

/// Every template in a map, every search over all of them. For tests.
#[derive(Debug)]
pub struct Exact {
    model: ModelId,
    dims: usize,
    templates: BTreeMap<TemplateId, Template>,
}

impl Exact {
    pub fn new(model: ModelId, dims: usize) -> Self {
        Self { model, dims, templates: BTreeMap::new() }
    }
}

impl Engine for Exact {
    fn put(&mut self, template: &Template) -> Result<(), EngineError> {
        template.embedding.expect(&self.model, self.dims)?;
        self.templates.insert(template.id, template.clone());
        Ok(())
    }

    fn remove(&mut self, template: TemplateId) -> Result<bool, EngineError> {
        Ok(self.templates.remove(&template).is_some())
    }

    fn search(&self, probe: &Embedding, k: usize) -> Result<Vec<Hit>, EngineError> {
        probe.expect(&self.model, self.dims)?;
        let mut held: HashMap<RiderId, usize> = HashMap::new();
        self.templates.values().for_each(|template| *held.entry(template.rider).or_default() += 1);
        let hit = |template: &Template| Hit {
            template: template.id,
            rider: template.rider,
            rider_templates: held[&template.rider],
            photographs: template.photographs,
            similarity: probe.similarity(&template.embedding),
        };
        let mut hits: Vec<Hit> = self.templates.values().map(hit).collect();
        best_first(&mut hits, k);
        Ok(hits)
    }

    fn similarity(&self, probe: &Embedding, template: TemplateId) -> Result<Option<Similarity>, EngineError> {
        probe.expect(&self.model, self.dims)?;
        Ok(self.templates.get(&template).map(|template| probe.similarity(&template.embedding)))
    }

    fn len(&self) -> usize {
        self.templates.len()
    }
}
