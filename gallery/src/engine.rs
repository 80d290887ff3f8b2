//! The index: which templates are most similar to a probe. One trait, so that an index can be replaced by a faster one
//! and each can be checked against [`crate::exact`].

mod faiss_flat;

use std::fmt;

use facegate_domain::face::{Embedding, InvalidEmbedding, Template};
use facegate_domain::ids::{RiderId, TemplateId};
use facegate_domain::score::Similarity;

pub use faiss_flat::FaissFlat;

/// Why the index refused; it is unchanged then, unless the variant says otherwise.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error(transparent)]
    Embedding(#[from] InvalidEmbedding),
    #[error(transparent)]
    Full(#[from] crate::index::Full),
    /// Most likely out of memory. The template named may be missing from the index until it is put again.
    #[error("the index failed ({what}): {message}; restart to rebuild it from the store")]
    Index { what: &'static str, message: String },
}

/// One template found by a search.
#[derive(Clone, Copy, PartialEq)]
pub struct Hit {
    pub template: TemplateId,
    pub rider: RiderId,
    /// How many templates of this rider the engine held at that moment, this one included.
    pub rider_templates: usize,
    /// How many photographs the template was fused of; 0: it does not say.
    pub photographs: u32,
    pub similarity: Similarity,
}

impl fmt::Debug for Hit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hit({:?}, {:.3})", self.template, self.similarity.cosine())
    }
}

/// An index of unit embeddings of one model. Every method takes only embeddings of its model and dimension and refuses
/// others with `EngineError::Embedding`. After `remove` has returned, no search finds the template.
pub trait Engine: Send + Sync + fmt::Debug {
    /// Inserts the template, or replaces the one with its id.
    fn put(&mut self, template: &Template) -> Result<(), EngineError>;

    /// Removes a template; false if there was none with this id.
    fn remove(&mut self, template: TemplateId) -> Result<bool, EngineError>;

    /// The `k` most similar templates, best first; fewer only if fewer are held.
    fn search(&self, probe: &Embedding, k: usize) -> Result<Vec<Hit>, EngineError>;

    /// The similarity to one template, exactly; `None` if it is not held.
    fn similarity(&self, probe: &Embedding, template: TemplateId) -> Result<Option<Similarity>, EngineError>;

    fn len(&self) -> usize;

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Best first; equal similarities in the order of their ids, so that two engines agree on ties.
pub(crate) fn best_first(hits: &mut Vec<Hit>, k: usize) {
    hits.sort_unstable_by(|a, b| {
        b.similarity.cosine().total_cmp(&a.similarity.cosine()).then_with(|| a.template.cmp(&b.template))
    });
    hits.truncate(k);
}
