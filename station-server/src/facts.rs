//! What the change feed has told so far, as the station uses it: the gallery and the deny list, changed together.

use std::collections::HashSet;
use std::sync::{PoisonError, RwLock};

use facegate_domain::code::IssuerKey;
use facegate_domain::fingerprint::{FactSet, Fingerprint, bucket_of, fact};
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
    denied: RwLock<Denied>,
    issuer_keys: RwLock<Vec<IssuerKey>>,
    told: RwLock<Told>,
}

const DENIED_BUCKETS: usize = FactSet::Denied.buckets();

/// The deny list, and the digest over it.
#[derive(Debug)]
struct Denied {
    riders: HashSet<RiderId>,
    fingerprint: Fingerprint,
}

impl Default for Denied {
    fn default() -> Self {
        Self { riders: HashSet::new(), fingerprint: Fingerprint::new(DENIED_BUCKETS) }
    }
}

impl Denied {
    fn deny(&mut self, rider: RiderId) {
        if self.riders.insert(rider) {
            self.fingerprint.toggle(rider.as_bytes(), fact(&[rider.as_bytes()]));
        }
    }

    fn allow(&mut self, rider: RiderId) {
        if self.riders.remove(&rider) {
            self.fingerprint.toggle(rider.as_bytes(), fact(&[rider.as_bytes()]));
        }
    }
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
                self.denied.write().unwrap_or_else(PoisonError::into_inner).deny(*rider);
            }
            FeedChange::Allowed(rider) => {
                self.denied.write().unwrap_or_else(PoisonError::into_inner).allow(*rider);
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
        self.denied.read().unwrap_or_else(PoisonError::into_inner).riders.contains(&rider)
    }

    pub fn denied(&self) -> usize {
        self.denied.read().unwrap_or_else(PoisonError::into_inner).riders.len()
    }

    /// Riders on the deny list in one bucket of its digest.
    pub fn denied_in(&self, bucket: usize) -> Vec<RiderId> {
        let denied = self.denied.read().unwrap_or_else(PoisonError::into_inner);
        let those = denied.riders.iter().filter(|rider| bucket_of(rider.as_bytes(), DENIED_BUCKETS) == bucket);
        those.copied().collect()
    }

    /// The sets of facts held here that the cloud holds alike.
    pub fn sets(&self) -> Vec<FactSet> {
        let templates = self.gallery.models().cloned().map(FactSet::Templates);
        templates.chain([FactSet::Denied, FactSet::Inside, FactSet::Told]).collect()
    }

    /// The digest over one of them; `None` if it is not held.
    pub fn fingerprint(&self, set: &FactSet) -> Option<Fingerprint> {
        match set {
            FactSet::Templates(model) => self.gallery.templates_fingerprint(model),
            FactSet::Denied => Some(self.denied.read().unwrap_or_else(PoisonError::into_inner).fingerprint.clone()),
            FactSet::Inside => Some(self.gallery.inside_fingerprint()),
            FactSet::Told => {
                let mut told = Fingerprint::new(FactSet::Told.buckets());
                self.instructions().told().for_each(|instruction| told.toggle(&[0; 16], instruction.fact()));
                Some(told)
            }
        }
    }

    /// The keys that verify ride codes.
    pub fn issuer_keys(&self) -> Vec<IssuerKey> {
        self.issuer_keys.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
