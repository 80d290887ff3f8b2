//! What the change feed has told so far, as the station uses it: the gallery and the deny list, changed together.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{OnceLock, PoisonError, RwLock};

use facegate_domain::Timestamp;
use facegate_domain::code::IssuerKey;
use facegate_domain::fingerprint::{FactSet, Fingerprint, bucket_of, fact, regular_fact};
use facegate_domain::habits::Regular;
use facegate_domain::ids::{GateId, RiderId, StationId};
use facegate_domain::operation::{Instruction, Instructions, StationMode, StationSettings, ToldGate};
use facegate_domain::score::RiskBudget;
use facegate_gallery::Gallery;
use facegate_proto::convert::sync::FeedChange;
use facegate_runtime::keys::KeyId;

/// In memory; `store::FactStore` is what survives.
#[derive(Debug)]
pub struct Facts {
    station: StationId,
    /// Once there has been a lease that opened it.
    gallery: OnceLock<Opened>,
    denied: RwLock<Denied>,
    /// Until when whose face alone opens no entry.
    capped: RwLock<HashMap<RiderId, Timestamp>>,
    issuer_keys: RwLock<Vec<IssuerKey>>,
    told: RwLock<Told>,
    regulars: RwLock<Vec<Regular>>,
}

#[derive(Debug)]
struct Opened {
    gallery: Gallery,
    /// Of the key that seals its files.
    key: KeyId,
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
    /// Nothing yet, and no gallery, at this station.
    pub fn new(station: StationId) -> Self {
        let (gallery, denied, capped, issuer_keys, told, regulars) = Default::default();
        Self { station, gallery, denied, capped, issuer_keys, told, regulars }
    }

    /// The gallery is open from now on. Whoever was known to be inside must be in it already.
    pub fn open(&self, gallery: Gallery, key: KeyId) {
        gallery.set_risk_budget(self.risk_budget());
        // Only the first lease opens anything; nobody else does.
        let _ = self.gallery.set(Opened { gallery, key });
    }

    /// `None` before the first lease.
    pub fn gallery(&self) -> Option<&Gallery> {
        self.gallery.get().map(|opened| &opened.gallery)
    }

    /// Of the key that seals the gallery's files; `None` before they are open.
    pub fn key_id(&self) -> Option<KeyId> {
        self.gallery.get().map(|opened| opened.key)
    }

    /// From when this returns, every search and every check honours the change.
    pub fn apply(&self, change: &FeedChange, now: Timestamp) {
        match (change, self.gallery()) {
            (FeedChange::EnteredSystem { rider, entry }, Some(gallery)) => gallery.entered(*rider, entry.clone(), now),
            (FeedChange::LeftSystem { rider, entry }, Some(gallery)) => gallery.left(*rider, entry),
            (FeedChange::Denied(rider), _) => {
                self.denied.write().unwrap_or_else(PoisonError::into_inner).deny(*rider);
            }
            (FeedChange::Allowed(rider), _) => {
                self.denied.write().unwrap_or_else(PoisonError::into_inner).allow(*rider);
            }
            (FeedChange::FaceCapped { rider, until }, _) => {
                let mut capped = self.capped.write().unwrap_or_else(PoisonError::into_inner);
                capped.retain(|_, until| *until > now);
                capped.insert(*rider, *until);
            }
            (FeedChange::IssuerKeys(keys), _) => {
                self.issuer_keys.write().unwrap_or_else(PoisonError::into_inner).clone_from(keys);
            }
            (FeedChange::Told(instruction), _) => self.follow(instruction),
            (FeedChange::Regulars { station, .. }, _) if *station != self.station => (),
            (FeedChange::Regulars { riders, .. }, _) => {
                self.regulars.write().unwrap_or_else(PoisonError::into_inner).clone_from(riders);
                self.turn_regulars(now);
            }
            // `Gallery::apply` has taken him from every tier; he must not come again with the next hour.
            (FeedChange::RiderRemoved(rider), _) => {
                let mut regulars = self.regulars.write().unwrap_or_else(PoisonError::into_inner);
                regulars.retain(|regular| regular.rider != *rider);
                self.capped.write().unwrap_or_else(PoisonError::into_inner).remove(rider);
            }
            // `Gallery::apply` has brought templates about, on the disk and for every search; `store::CodeStore` remembers
            // codes. Who is inside is read from the disk when the gallery is opened.
            (FeedChange::TemplatePut(_) | FeedChange::CodeNonceSpent { .. }, _) => (),
            (FeedChange::EnteredSystem { .. } | FeedChange::LeftSystem { .. }, None) => (),
        }
    }

    fn follow(&self, instruction: &Instruction) {
        {
            let mut told = self.told.write().unwrap_or_else(PoisonError::into_inner);
            told.all.follow(instruction);
            told.settings = told.all.settings_of(&self.station);
            told.mode = told.all.mode_of(&self.station);
        }
        if let Some(gallery) = self.gallery() {
            gallery.set_risk_budget(self.risk_budget());
        }
    }

    /// The operator's, if he set one.
    fn risk_budget(&self) -> Option<RiskBudget> {
        self.settings().risk_budget.and_then(|budget| RiskBudget::false_charges_per_million(budget).ok())
    }

    /// What the operator set for this station; what he left open is the config's.
    pub fn settings(&self) -> StationSettings {
        self.told.read().unwrap_or_else(PoisonError::into_inner).settings
    }

    pub fn mode(&self) -> StationMode {
        self.told.read().unwrap_or_else(PoisonError::into_inner).mode
    }

    /// What gates are told, those of other stations too.
    pub fn told_gates(&self) -> BTreeMap<GateId, ToldGate> {
        self.told.read().unwrap_or_else(PoisonError::into_inner).all.gates()
    }

    /// Everything that the operator told, other stations' included.
    pub fn instructions(&self) -> Instructions {
        self.told.read().unwrap_or_else(PoisonError::into_inner).all.clone()
    }

    /// Those whose hour it is are the regulars now.
    pub fn turn_regulars(&self, now: Timestamp) {
        let Some(gallery) = self.gallery() else { return };
        let regulars = self.regulars.read().unwrap_or_else(PoisonError::into_inner);
        let present = regulars.iter().filter(|regular| regular.hours.contains(now)).map(|regular| regular.rider);
        gallery.set_regulars(&present.collect());
    }

    pub fn is_denied(&self, rider: RiderId) -> bool {
        self.denied.read().unwrap_or_else(PoisonError::into_inner).riders.contains(&rider)
    }

    /// Whether his face alone opens no entry now.
    pub fn is_capped(&self, rider: RiderId, now: Timestamp) -> bool {
        let capped = self.capped.read().unwrap_or_else(PoisonError::into_inner);
        capped.get(&rider).is_some_and(|until| now < *until)
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
        // Who is inside is known with the templates.
        let Some(gallery) = self.gallery() else { return Vec::new() };
        let templates = gallery.models().cloned().map(FactSet::Templates);
        // Where some contents are not known yet, none are compared: see `sync::heal::refresh`.
        let known = gallery.models().filter(|model| gallery.contents_fingerprint(model).is_some());
        let regulars = FactSet::Regulars(self.station.clone());
        let others = [FactSet::Denied, FactSet::Inside, FactSet::Told, regulars];
        templates.chain(known.cloned().map(FactSet::Contents)).chain(others).collect()
    }

    /// Those that were told to this station.
    pub fn regulars(&self) -> Vec<Regular> {
        self.regulars.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The digest over one of them; `None` if it is not held.
    pub fn fingerprint(&self, set: &FactSet) -> Option<Fingerprint> {
        match set {
            FactSet::Templates(model) => self.gallery()?.templates_fingerprint(model),
            FactSet::Contents(model) => self.gallery()?.contents_fingerprint(model),
            FactSet::Regulars(station) if *station == self.station => {
                let mut all = Fingerprint::new(set.buckets());
                self.regulars().iter().for_each(|regular| all.toggle(regular.rider.as_bytes(), regular_fact(regular)));
                Some(all)
            }
            FactSet::Regulars(_) => None,
            FactSet::Denied => Some(self.denied.read().unwrap_or_else(PoisonError::into_inner).fingerprint.clone()),
            FactSet::Inside => Some(self.gallery()?.inside_fingerprint()),
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
