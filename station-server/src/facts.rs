//! What the change feed has told so far, as the station uses it: the gallery and the deny list, changed together.

use std::collections::HashSet;
use std::sync::{PoisonError, RwLock};

use facegate_domain::code::IssuerKey;
use facegate_domain::ids::RiderId;
use facegate_gallery::Gallery;
use facegate_proto::convert::sync::FeedChange;

/// In memory; `store::FactStore` is what survives.
#[derive(Debug)]
pub struct Facts {
    pub gallery: Gallery,
    denied: RwLock<HashSet<RiderId>>,
    issuer_keys: RwLock<Vec<IssuerKey>>,
}

impl Facts {
    pub fn new(gallery: Gallery) -> Self {
        Self { gallery, denied: RwLock::default(), issuer_keys: RwLock::default() }
    }

    /// From when this returns, every search and every check honours the change.
    pub fn apply(&self, change: &FeedChange) {
        match change {
            // `Gallery::apply` has brought these about, on the disk and for every search.
            FeedChange::TemplatePut(_) | FeedChange::RiderRemoved(_) => (),
            FeedChange::EnteredSystem { rider, entry } => self.gallery.entered(*rider, entry.clone()),
            FeedChange::LeftSystem { rider, entry } => self.gallery.left(*rider, entry),
            FeedChange::Denied(rider) => {
                self.denied.write().unwrap_or_else(PoisonError::into_inner).insert(*rider);
            }
            FeedChange::Allowed(rider) => {
                self.denied.write().unwrap_or_else(PoisonError::into_inner).remove(rider);
            }
            FeedChange::IssuerKeys(keys) => {
                self.issuer_keys.write().unwrap_or_else(PoisonError::into_inner).clone_from(keys);
            }
            // `store::CodeStore` remembers codes, durably and bounded by time.
            FeedChange::CodeNonceSpent { .. } => (),
        }
    }

    pub fn is_denied(&self, rider: RiderId) -> bool {
        self.denied.read().unwrap_or_else(PoisonError::into_inner).contains(&rider)
    }

    pub fn denied(&self) -> usize {
        self.denied.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// The keys that verify ride codes.
    pub fn issuer_keys(&self) -> Vec<IssuerKey> {
        self.issuer_keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
