//! The duplicate search: every enrolled face in one index, in memory.

use std::sync::OnceLock;

use facegate_domain::face::{Embedding, Template};
use facegate_domain::ids::{ModelId, TemplateId};
use facegate_domain::score::Similarity;
use facegate_gallery::Index;
use facegate_gallery::index::Query;

use super::EnrolmentError;
use crate::store::Store;

/// Templates read from the store at a time.
const PAGE: usize = 10_000;

#[derive(Debug)]
pub struct Duplicates {
    model: ModelId,
    /// Made with the first template, which tells the model's dimension.
    index: OnceLock<Index>,
}

impl Duplicates {
    /// Reads every template of `model`; those of other models cannot be compared and are left out.
    pub async fn load(store: &dyn Store, model: &ModelId) -> Result<Self, EnrolmentError> {
        let duplicates = Self { model: model.clone(), index: OnceLock::new() };
        let mut after = None;
        loop {
            let page = store.templates(after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(duplicates) };
            after = Some(last.id);
            page.iter().filter(|t| t.embedding.model() == model).try_for_each(|t| duplicates.put(t))?;
        }
    }

    /// The highest similarity to anybody enrolled; None while nobody is.
    pub fn nearest(&self, probe: &Embedding) -> Result<Option<Similarity>, EnrolmentError> {
        let Some(index) = self.index.get() else { return Ok(None) };
        let answers = index.search_all(&[Query { probe, tiers: &[] }], 1).map_err(internal)?;
        Ok(answers.first().and_then(|answer| answer.hits.first()).map(|hit| hit.similarity))
    }

    pub fn put(&self, template: &Template) -> Result<(), EnrolmentError> {
        let index = self.index.get_or_init(|| Index::new(self.model.clone(), template.embedding.dims()));
        index.put(template).map_err(internal)
    }

    pub fn remove(&self, template: TemplateId) -> Result<(), EnrolmentError> {
        if let Some(index) = self.index.get() {
            index.remove(template);
        }
        Ok(())
    }
}

fn internal(error: impl std::fmt::Display) -> EnrolmentError {
    EnrolmentError::Internal(error.to_string())
}
