//! The figures of the ops page and of `/metrics`.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{StationView, StoreError};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChargeCount {
    /// A name of `domain::charge::State`.
    pub state: String,
    pub count: u64,
}

/// The whole system at a glance, from counters kept with the data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Overview {
    pub head_version: u64,
    pub stations: Vec<StationView>,
    pub riders: u64,
    pub enrolled: u64,
    pub in_system: u64,
    pub taps: u64,
    pub journeys: u64,
    pub charges: Vec<ChargeCount>,
    pub gaps: Vec<super::Gap>,
    pub passages_unknown: u64,
    pub conflicts: u64,
    /// Codes that opened two gates while a station was cut off.
    pub codes_replayed: u64,
    pub ledger_balanced: bool,
}

#[async_trait]
pub trait OverviewStore {
    async fn overview(&self) -> Result<Overview, StoreError>;
}
