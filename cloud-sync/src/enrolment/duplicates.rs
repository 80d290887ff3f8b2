//! The duplicate search: every enrolled face in one index, in memory. It follows the change feed as a station does, so
//! that it knows who was enrolled or erased at another replica of the cloud.

use std::collections::BTreeSet;
use std::sync::{Arc, MutexGuard, PoisonError, RwLock};

use facegate_domain::face::Embedding;
use facegate_domain::ids::{ModelId, RiderId};
use facegate_domain::score::Similarity;
use facegate_gallery::Index;
use facegate_gallery::index::Query;
use facegate_proto::convert::sync::FeedChange;
use tokio::sync::Mutex;

use super::EnrolmentError;
use crate::store::Store;

/// Templates read from the store at a time.
const PAGE: usize = 10_000;

/// Changes read from the feed at a time.
const CHANGES_PAGE: usize = 1000;

#[derive(Debug)]
pub struct Duplicates {
    model: ModelId,
    /// Made with the first template, which tells the model's dimension.
    faces: RwLock<Option<Arc<Index>>>,
    /// Version of the feed up to which the faces are known.
    seen: Mutex<u64>,
    /// Of whom the feed has told that they were removed, since somebody asked.
    removed: std::sync::Mutex<BTreeSet<RiderId>>,
}

impl Duplicates {
    /// Reads every template of `model`; those of other models cannot be compared and are left out.
    pub async fn load(store: &dyn Store, model: &ModelId) -> Result<Self, EnrolmentError> {
        let (model, faces, removed) = (model.clone(), RwLock::default(), std::sync::Mutex::default());
        let duplicates = Self { model, faces, seen: Mutex::new(0), removed };
        *duplicates.seen.lock().await = duplicates.reload(store).await?;
        Ok(duplicates)
    }

    /// Of whom the feed has told that they were removed and nobody has [taken note](Self::noted) yet.
    pub fn removed(&self) -> Vec<RiderId> {
        self.lock_removed().iter().copied().collect()
    }

    pub fn noted(&self, removed: RiderId) {
        self.lock_removed().remove(&removed);
    }

    fn lock_removed(&self) -> MutexGuard<'_, BTreeSet<RiderId>> {
        self.removed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over what has changed; gives the version up to which every face is known now.
    pub async fn catch_up(&self, store: &dyn Store) -> Result<u64, EnrolmentError> {
        let mut seen = self.seen.lock().await;
        loop {
            match store.changes_after(*seen, CHANGES_PAGE).await? {
                Ok((_, reached)) if reached == *seen => return Ok(reached),
                Ok((changes, reached)) => {
                    changes.into_iter().try_for_each(|change| self.apply(&change.change))?;
                    *seen = reached;
                }
                // So far behind that the log is gone, or the store went back to a backup.
                Err(_) => *seen = self.reload(store).await?,
            }
        }
    }

    /// The highest similarity to anybody enrolled; None while nobody is.
    pub fn nearest(&self, probe: &Embedding) -> Result<Option<Similarity>, EnrolmentError> {
        let Some(index) = self.index() else { return Ok(None) };
        let answers = index.search_all(&[Query { probe, tiers: &[] }], 1).map_err(internal)?;
        Ok(answers.first().and_then(|answer| answer.hits.first()).map(|hit| hit.similarity))
    }

    fn apply(&self, change: &FeedChange) -> Result<(), EnrolmentError> {
        match change {
            FeedChange::TemplatePut(face) if face.embedding.model() == &self.model => {
                let index = self.index().unwrap_or_else(|| self.begin(face.embedding.dims()));
                index.put(face).map_err(internal)
            }
            FeedChange::RiderRemoved(rider) => {
                self.lock_removed().insert(*rider);
                if let Some(index) = self.index() {
                    index.remove_rider(*rider);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Begins anew with all faces that there are; gives the version from which the feed goes on.
    async fn reload(&self, store: &dyn Store) -> Result<u64, EnrolmentError> {
        *self.faces.write().unwrap_or_else(PoisonError::into_inner) = None;
        let (version, mut after) = (*store.head().borrow(), None);
        loop {
            let page = store.templates(after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(version) };
            after = Some(last.id);
            page.into_iter().try_for_each(|face| self.apply(&FeedChange::TemplatePut(face)))?;
        }
    }

    fn index(&self) -> Option<Arc<Index>> {
        self.faces.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn begin(&self, dims: usize) -> Arc<Index> {
        let index = Arc::new(Index::new(self.model.clone(), dims));
        *self.faces.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&index));
        index
    }
}

fn internal(error: impl std::fmt::Display) -> EnrolmentError {
    EnrolmentError::Internal(error.to_string())
}
