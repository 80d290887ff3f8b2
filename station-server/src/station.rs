//! What every call and every loop of a station shares.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use facegate_domain::Clock;
use facegate_domain::Timestamp;
use facegate_domain::code::IssuerKey;
use facegate_domain::fingerprint::FactSet;
use facegate_domain::ids::GateId;
use facegate_domain::operation::{StationMode, ToldGate};
use facegate_domain::policy::Refusal;
use facegate_gallery::{DurableError, GalleryError};
use facegate_proto::convert::InvalidMessage;
use facegate_runtime::journal::{Journal, JournalError};
use tokio::sync::{Semaphore, watch};
use tonic::Status;

use crate::attend::Attendance;
use crate::config::Config;
use crate::facts::Facts;
use crate::intake::Intake;
use crate::lease::{Leases, NoFaces};
use crate::metrics::TierFigures;
use crate::offline::{Contact, OfflineLimits};
use crate::refetch::Refetch;
use crate::store::{FactStore, Store, StoreError};

/// Why a call to the station failed; as a `Status` the caller learns what he can do about it.
#[derive(Debug, thiserror::Error)]
pub enum StationError {
    #[error(transparent)]
    Message(#[from] InvalidMessage),
    #[error(transparent)]
    Gallery(#[from] GalleryError),
    #[error(transparent)]
    Faces(#[from] DurableError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("gate `{gate}` was issued epochs up to {issued} only, not {epoch}: register first")]
    UnknownEpoch { gate: GateId, epoch: u32, issued: u32 },
    #[error("gate `{0}` is new to this station, and the cloud has not said yet which epochs were used: try again")]
    EpochsUnknown(GateId),
    #[error("the record names {what} `{given}`, but {expected} sent it")]
    NotTheSenders { what: &'static str, given: String, expected: String },
    #[error("a batch of {records} records; at most {max} are taken at once: split it, nothing of it was stored")]
    BatchTooLarge { records: usize, max: usize },
    #[error("the station is busy: no search was free within the deadline; use the ride code")]
    Busy,
    #[error("a search panicked; see the station's log")]
    Panicked,
    #[error(transparent)]
    NoFaces(#[from] NoFaces),
    #[error("the cloud gave no lease: {0}")]
    Lease(Box<Status>),
}

impl From<StationError> for Status {
    fn from(error: StationError) -> Self {
        let text = error.to_string();
        match error {
            StationError::Message(_)
            | StationError::NotTheSenders { .. }
            | StationError::BatchTooLarge { .. }
            | StationError::Gallery(GalleryError::Embedding(_)) => Self::invalid_argument(text),
            StationError::UnknownEpoch { .. } => Self::failed_precondition(text),
            StationError::Busy => Self::deadline_exceeded(text),
            StationError::EpochsUnknown(_) | StationError::NoFaces(_) => Self::unavailable(text),
            StationError::Gallery(GalleryError::Behind) => Self::unavailable(text),
            StationError::Journal(JournalError::Full { .. }) => Self::resource_exhausted(text),
            _ => {
                // The caller can only try again; whoever reads the log can do more.
                tracing::error!(error = %text, "a call failed");
                Self::internal("the station failed; it is in its log")
            }
        }
    }
}

/// Searches that may be queued in the gallery, each holding a thread; what comes on top waits before.
const SEARCHES_WAITING_MAX: usize = 128;

/// One running station. Calls and loops hold it in an `Arc`.
#[derive(Debug)]
pub struct Station {
    pub config: Config,
    pub clock: Arc<dyn Clock>,
    pub store: Store,
    pub journal: Journal,
    pub intake: Intake,
    pub attendance: Attendance,
    pub contact: Contact,
    pub refetch: Refetch,
    /// Whether the cloud has said, since this start, which epochs were used.
    pub epochs_learnt: watch::Sender<bool>,
    pub searches: Arc<Semaphore>,
    /// Made at random with the data directory: two machines that show one certificate are two installations.
    pub installation: [u8; 16],
    pub leases: Leases,
    pub figures: TierFigures,
    opened: watch::Sender<bool>,
    facts: RwLock<Arc<Facts>>,
    issuer_keys: watch::Sender<Vec<IssuerKey>>,
    mode: watch::Sender<StationMode>,
    told_gates: watch::Sender<BTreeMap<GateId, ToldGate>>,
    applied_version: watch::Sender<u64>,
    /// Held while changes are put into force: version and facts belong together outside of it.
    applying: Mutex<()>,
    /// Sets of facts that differ from the cloud's.
    differing: watch::Sender<Vec<FactSet>>,
    healed_buckets: AtomicU64,
}

impl Station {
    /// Reads everything but the templates, which wait for a lease of their key. Blocks.
    pub fn open(config: Config, clock: Arc<dyn Clock>, store: Store, journal: Journal) -> Result<Self, StationError> {
        let intake = Intake::open(&store, &journal, config.code_memory)?;
        let stored = store.facts()?;
        let facts = read_facts(&stored, &config, clock.now())?;
        let version = stored.cursor()?;
        tracing::info!(denied = facts.denied(), version, "facts loaded; the templates wait for a lease");
        Ok(Self {
            installation: store.installation()?,
            searches: Arc::new(Semaphore::new(SEARCHES_WAITING_MAX)),
            attendance: Attendance::new(&config),
            contact: Contact::open(&store, clock.now())?,
            refetch: Refetch::default(),
            epochs_learnt: watch::Sender::new(false),
            leases: Leases::new(Arc::clone(&clock), config.lease_max),
            figures: TierFigures::default(),
            opened: watch::Sender::new(false),
            issuer_keys: watch::Sender::new(facts.issuer_keys()),
            mode: watch::Sender::new(facts.mode()),
            told_gates: watch::Sender::new(facts.told_gates()),
            facts: RwLock::new(Arc::new(facts)),
            applied_version: watch::Sender::new(version),
            applying: Mutex::default(),
            differing: watch::Sender::default(),
            healed_buckets: AtomicU64::default(),
            config,
            clock,
            store,
            journal,
            intake,
        })
    }

    /// The facts, if faces may be searched now.
    pub fn searchable(&self) -> Result<Arc<Facts>, NoFaces> {
        // The version before the facts: a snapshot that is adopted in between brings facts that are newer than it says.
        self.leases.allow(self.applied_version())?;
        let facts = self.facts();
        if facts.gallery().is_some() { Ok(facts) } else { Err(NoFaces::Opening) }
    }

    /// The templates are open, so that the feed can be followed.
    pub fn opened(&self) {
        self.opened.send_replace(true);
    }

    pub async fn wait_opened(&self) {
        self.wait_until_opened(true).await;
    }

    /// The templates are not there any more, and what is being done with them is to be left.
    pub async fn wait_wiped(&self) {
        self.wait_until_opened(false).await;
    }

    async fn wait_until_opened(&self, wanted: bool) {
        // The sender lives as long as the station.
        let _ = self.opened.subscribe().wait_for(|opened| *opened == wanted).await;
    }

    /// Forgets the templates and every tier; the other facts stay. What still searches ends with its probe. Blocks.
    pub fn wipe_faces(&self) -> Result<(), StationError> {
        let _alone = self.applying();
        let without = read_facts(&self.store.facts()?, &self.config, self.clock.now())?;
        *self.facts.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(without);
        self.opened.send_replace(false);
        Ok(())
    }

    /// Nothing is applied any more: everything is to be fetched anew.
    pub fn begin_anew(&self) {
        self.applied_version.send_replace(0);
    }

    /// The facts as they are now; a snapshot may replace them for the next caller.
    pub fn facts(&self) -> Arc<Facts> {
        Arc::clone(&self.facts.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces all facts by those of a snapshot. Errors: the operator has ended the lease meanwhile.
    pub fn replace_facts(&self, facts: &Arc<Facts>, version: u64) -> Result<(), NoFaces> {
        let _alone = self.applying();
        // Whoever ends it after this look wipes what is put here.
        if self.leases.is_revoked() {
            return Err(NoFaces::Revoked);
        }
        *self.facts.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(facts);
        self.set_applied(version, facts);
        Ok(())
    }

    /// The highest version of the feed that searches here honour.
    pub fn applied_version(&self) -> u64 {
        *self.applied_version.borrow()
    }

    /// That version, and every change of it.
    pub fn applied(&self) -> watch::Receiver<u64> {
        self.applied_version.subscribe()
    }

    /// Everything up to `version` is honoured from now on.
    pub fn set_applied(&self, version: u64, facts: &Facts) {
        self.applied_version.send_replace(version);
        tell(&self.issuer_keys, facts.issuer_keys());
        tell(&self.mode, facts.mode());
        tell(&self.told_gates, facts.told_gates());
    }

    /// How the station lets people pass, and every change of it.
    pub fn mode(&self) -> watch::Receiver<StationMode> {
        self.mode.subscribe()
    }

    /// What gates are told, and every change of it.
    pub fn told_gates(&self) -> watch::Receiver<BTreeMap<GateId, ToldGate>> {
        self.told_gates.subscribe()
    }

    /// While this is held, no change is put into force.
    pub fn applying(&self) -> MutexGuard<'_, ()> {
        self.applying.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The version applied and the roots of all facts at it; without them while changes are being applied.
    pub fn roots(&self) -> (u64, Vec<(FactSet, u64)>) {
        let alone = self.applying.try_lock();
        let facts = self.facts();
        let sets = if alone.is_ok() { facts.sets() } else { Vec::new() };
        let root = |set: FactSet| facts.fingerprint(&set).map(|held| (set, held.root()));
        (self.applied_version(), sets.into_iter().filter_map(root).collect())
    }

    /// The sets that differ from the cloud's, to be healed by whoever follows the feed.
    pub fn differing(&self) -> &watch::Sender<Vec<FactSet>> {
        &self.differing
    }

    /// One bucket was put right.
    pub fn healed(&self) {
        self.healed_buckets.fetch_add(1, Ordering::Relaxed);
    }

    pub fn healed_buckets(&self) -> u64 {
        self.healed_buckets.load(Ordering::Relaxed)
    }

    /// The keys that verify ride codes, and every change of them.
    pub fn issuer_keys(&self) -> watch::Receiver<Vec<IssuerKey>> {
        self.issuer_keys.subscribe()
    }

    /// The config's, where the operator has not told others over the feed.
    fn offline_limits(&self) -> OfflineLimits {
        let (told, limits) = (self.facts().settings(), self.config.offline);
        let age = told.deny_list_age_max_s.map_or(limits.deny_list_age_max, Duration::from_secs);
        let alone = told.offline_days_max.map_or(limits.alone_max, |days| Duration::from_secs(86_400) * days);
        OfflineLimits { deny_list_age_max: age, alone_max: alone, ..limits }
    }

    /// Whether riders may be authorised, as long as the cloud has been away.
    pub fn may_authorise(&self) -> Result<(), Refusal> {
        self.contact.check(&self.offline_limits(), self.clock.now())
    }

    /// Records that the cloud has not acknowledged.
    pub fn backlog(&self) -> u64 {
        // The cursor is a number in an index that was read before; failing here would only hide the failure there.
        self.journal.next_index().saturating_sub(self.store.journals.forwarded().unwrap_or(0))
    }
}

/// What is stored, without the templates.
pub fn read_facts(stored: &FactStore, config: &Config, now: Timestamp) -> Result<Facts, StoreError> {
    let facts = Facts::new(config.station.clone());
    stored.read().try_for_each(|fact| fact.map(|fact| facts.apply(&fact, now)))?;
    Ok(facts)
}

/// Wakes who waits if the value is another.
fn tell<T: PartialEq>(those: &watch::Sender<T>, value: T) {
    those.send_if_modified(|held| {
        let new = *held != value;
        *held = value;
        new
    });
}
