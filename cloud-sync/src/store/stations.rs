//! Stations as the cloud last heard of them.

use std::time::Duration;

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::ids::{GateId, StationId};
use facegate_domain::operation::StationMode;
use facegate_domain::tap::Direction;
use serde::{Deserialize, Serialize};

use super::StoreError;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusalCount {
    /// A name of `domain::policy::Refusal`.
    pub reason: String,
    pub count: u64,
}

/// One gate or entrance camera, as its station sees it. Counters run from the start of the gate's process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GateReport {
    pub gate: GateId,
    pub connected: bool,
    pub last_seen: Timestamp,
    /// "gate" or "camera".
    pub kind: String,
    pub direction: Option<Direction>,
    /// "production" or "development".
    pub mode: String,
    pub face_passages: u64,
    pub code_passages: u64,
    pub refusals: Vec<RefusalCount>,
    /// Records not yet acknowledged by the station.
    pub backlog: u64,
    pub decision_ms_p50: f64,
    pub decision_ms_p99: f64,
    /// Empty while all is well.
    pub fault: String,
    pub software_version: String,
    /// The gate's own word of the journal that it writes.
    #[serde(default)]
    pub journal_epoch: u32,
    #[serde(default)]
    pub journal_next_sequence: u64,
    /// Records that wait for the station, in hundredths of what the gate's journal may hold.
    #[serde(default)]
    pub journal_waiting_percent: u32,
    /// Of the certificate that it showed its station last.
    #[serde(default)]
    pub certificate_ends: Option<Timestamp>,
    /// The mode that it makes records in.
    #[serde(default)]
    pub gate_mode: String,
    /// The last order of the operations centre that it carried out or refused, and what became of it.
    #[serde(default)]
    pub order_id: String,
    #[serde(default)]
    pub order_outcome: String,
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct StationReport {
    /// Highest version of the feed that searches there honour.
    pub applied_version: u64,
    pub templates: u64,
    pub in_system: u64,
    /// Records not yet acknowledged by the cloud.
    pub backlog: u64,
    pub gates: Vec<GateReport>,
    pub software_version: String,
    /// Newest level of changes that it understands; 0 of a station of before, which understands level 1.
    #[serde(default)]
    pub feed_level: u32,
    #[serde(default)]
    pub mode: StationMode,
    #[serde(default)]
    pub fare_tables: Vec<FareTableHeld>,
    /// One number over all the facts that it holds, hexadecimal; empty if it did not say.
    #[serde(default)]
    pub digest: String,
    /// The sets of facts that are not the cloud's of that version.
    #[serde(default)]
    pub differs: Vec<String>,
    /// Buckets of facts that it re-read since they differed, since its start.
    #[serde(default)]
    pub healed_buckets: u64,
    /// Records that wait for the cloud, in hundredths of what the station's journal may hold.
    #[serde(default)]
    pub journal_waiting_percent: u32,
    /// Until that is full at the present rate; `None` if that is not in sight.
    #[serde(default)]
    pub journal_days_left: Option<f64>,
    /// Of the lease that the station says it holds; 0: none.
    #[serde(default)]
    pub lease_generation: u32,
    #[serde(default)]
    pub lease_ends: Timestamp,
    #[serde(default)]
    pub recognises: bool,
    /// Removed templates that the feed brought again and the station refused.
    #[serde(default)]
    pub come_back_refused: u64,
    #[serde(default)]
    pub tiers: Vec<TierReport>,
    /// Of the certificate that it reported with.
    #[serde(default)]
    pub certificate_ends: Option<Timestamp>,
}

/// A fare table that a station holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FareTableHeld {
    pub name: String,
    pub valid_from: Timestamp,
    /// Of its text, hexadecimal.
    pub sha256: String,
}

/// Whether a station may have a lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    #[default]
    Active,
    /// The operator has ended its lease: it recognises nobody and gets no faces, until it is reinstated.
    Revoked,
    /// The same for good: once its last lease is over, erasures do not wait for it.
    Decommissioned,
}

impl Standing {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Revoked => "revoked",
            Self::Decommissioned => "decommissioned",
        }
    }

    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Active, Self::Revoked, Self::Decommissioned].into_iter().find(|standing| standing.name() == name)
    }
}

/// What a station may hold of the key to its templates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leasehold {
    pub standing: Standing,
    /// Counts up with every end that the operator sets to a lease: the next one is of another key.
    pub generation: u32,
    /// When the latest lease is over at the latest; None before the first.
    pub until: Option<Timestamp>,
}

impl Default for Leasehold {
    fn default() -> Self {
        Self { standing: Standing::Active, generation: 1, until: None }
    }
}

impl Leasehold {
    /// Whether the station cannot know any face any more, nor ever will.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.standing == Standing::Decommissioned && self.until.is_none_or(|until| until <= now)
    }

    /// After the operator's decision. `unleased_until`: until when a station may search that never had a lease.
    #[must_use]
    pub fn with(self, standing: Standing, unleased_until: Timestamp) -> Self {
        let ends = self.standing == Standing::Active && standing != Standing::Active;
        let generation = if ends { self.generation.saturating_add(1) } else { self.generation };
        Self { standing, generation, until: Some(self.until.unwrap_or(unleased_until)) }
    }
}

/// What one tier did, as its station tells it; counted from the start of the station.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct TierReport {
    /// A name of `domain::score::Tier`.
    pub tier: String,
    pub riders: u64,
    pub decisions: u64,
    /// Recognitions that the city's prior alone would have refused.
    pub added: u64,
    /// Sum of the risks accepted.
    pub risk: f64,
    pub added_risk: f64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StationView {
    pub station: StationId,
    pub last_seen: Timestamp,
    /// None for a station that has subscribed and not reported yet.
    pub report: Option<StationReport>,
    /// The installation that counts as the station, hexadecimal; empty of a station of before.
    #[serde(default)]
    pub installation: String,
    #[serde(default)]
    pub lease: Leasehold,
}

impl StationView {
    /// One that was never heard of.
    pub fn new(station: StationId, now: Timestamp) -> Self {
        Self { station, last_seen: now, report: None, installation: String::new(), lease: Leasehold::default() }
    }
}

/// Whether an installation counts as the station that it says it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    Granted,
    /// Another one does.
    Held {
        by: String,
        heard: Timestamp,
    },
}

#[async_trait]
pub trait StationStore {
    /// Notes, before any face is handed to it, that the station may know faces from now on. Errors: `LeaseEnded` unless
    /// it is active.
    async fn station_joined(&self, station: StationId, now: Timestamp) -> Result<(), StoreError>;

    /// An installation says that it is this station. Another one that counted as it until now loses it if it was silent
    /// for `silent_after`. One that is told `Granted` counts from now on and has been heard now.
    async fn claim_station(
        &self,
        station: StationId,
        installation: String,
        now: Timestamp,
        silent_after: Duration,
    ) -> Result<Claim, StoreError>;

    /// What a station says of itself; also confirms the erasures that it has applied.
    async fn record_report(&self, station: StationId, report: StationReport, now: Timestamp) -> Result<(), StoreError>;

    /// Notes, before the key is handed out, that the station may know faces until then; gives the key's generation.
    /// Errors: `LeaseEnded` unless it is active.
    async fn grant_lease(&self, station: StationId, until: Timestamp, now: Timestamp) -> Result<u32, StoreError>;

    /// The operator's decision about a station. `unleased_until`: see [`Leasehold::with`]. Errors: `UnknownStation`.
    async fn set_standing(
        &self,
        station: StationId,
        standing: Standing,
        unleased_until: Timestamp,
    ) -> Result<Leasehold, StoreError>;

    /// Takes decommissioned stations whose last lease is over out of the receipts that wait for them; gives how many
    /// receipts that made final.
    async fn release_decommissioned(&self, now: Timestamp) -> Result<usize, StoreError>;

    async fn station(&self, station: &StationId) -> Result<Option<StationView>, StoreError>;

    async fn stations(&self) -> Result<Vec<StationView>, StoreError>;
}
