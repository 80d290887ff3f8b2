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
}

/// A fare table that a station holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FareTableHeld {
    pub name: String,
    pub valid_from: Timestamp,
    /// Of its text, hexadecimal.
    pub sha256: String,
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
}

impl StationView {
    /// One that was never heard of.
    pub fn new(station: StationId, now: Timestamp) -> Self {
        Self { station, last_seen: now, report: None, installation: String::new() }
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
    /// Notes, before any face is handed to it, that the station may know faces from now on.
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

    async fn stations(&self) -> Result<Vec<StationView>, StoreError>;
}
