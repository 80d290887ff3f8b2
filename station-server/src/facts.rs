//! What the change feed has told so far, as the station uses it: the gallery and the deny list, changed together.

use std::collections::HashSet;
use std::sync::{PoisonError, RwLock};

use facegate_domain::code::IssuerKey;
use facegate_domain::ids::{RiderId, StationId};
use facegate_domain::operation::{Instruction, Instructions, StationMode, StationSettings};
use facegate_domain::score::RiskBudget;
use facegate_gallery::Gallery;
use facegate_proto::convert::sync::FeedChange;

/// In memory; `store::FactStore` is what survives.
#[derive(Debug)]
pub struct Facts {
    pub gallery: Gallery,
    station: StationId,
    denied: RwLock<HashSet<RiderId>>,
    issuer_keys: RwLock<Vec<IssuerKey>>,
    told: RwLock<Told>,
}

/// What the operator told, and what of it holds here.
#[derive(Debug, Default)]
struct Told {
    all: Instructions,
    settings: StationSettings,
    mode: StationMode,
}

impl Facts {
    /// Nothing but these templates, at this station.
    pub fn new(gallery: Gallery, station: StationId) -> Self {
        let (denied, issuer_keys, told) = Default::default();
        Self { gallery, station, denied, issuer_keys, told }
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
            FeedChange::Told(instruction) => self.follow(instruction),
        }
    }

    fn follow(&self, instruction: &Instruction) {
        let mut told = self.told.write().unwrap_or_else(PoisonError::into_inner);
        told.all.follow(instruction);
        told.settings = told.all.settings_of(&self.station);
        told.mode = told.all.mode_of(&self.station);
        let budget = told.settings.risk_budget.and_then(|budget| RiskBudget::false_charges_per_million(budget).ok());
        self.gallery.set_risk_budget(budget);
    }

    /// What the operator set for this station; what he left open is the config's.
    pub fn settings(&self) -> StationSettings {
        self.told.read().unwrap_or_else(PoisonError::into_inner).settings
    }

    pub fn mode(&self) -> StationMode {
        self.told.read().unwrap_or_else(PoisonError::into_inner).mode
    }

    /// Everything that the operator told, other stations' included.
    pub fn instructions(&self) -> Instructions {
        self.told.read().unwrap_or_else(PoisonError::into_inner).all.clone()
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
