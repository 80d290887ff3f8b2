//! The ops page's figures.

use std::collections::BTreeMap;

use async_trait::async_trait;
use facegate_domain::charge::State;

use super::error::Trouble;
use super::values::from_number;
use super::{PgStore, feed};
use crate::store::{ChargeCount, LedgerStore, Overview, OverviewStore, StationStore, StoreError, TapStore};

pub(super) const RIDERS: &str = "riders";
pub(super) const ENROLLED: &str = "enrolled";
pub(super) const INSIDE: &str = "inside";
pub(super) const TAPS: &str = "taps";
pub(super) const JOURNEYS: &str = "journeys";
pub(super) const UNKNOWN: &str = "unknown";
pub(super) const CONFLICTS: &str = "conflicts";
pub(super) const REPLAYS: &str = "replays";
const CHARGES: &str = "charges/";

/// The counter of charges in a state; the commands that move charges keep it.
pub(super) fn charges_in(state: &State) -> String {
    format!("{CHARGES}{}", state.name())
}

#[async_trait]
impl OverviewStore for PgStore {
    async fn overview(&self) -> Result<Overview, StoreError> {
        let counters: Vec<(String, i64)> = sqlx::query_as(
            "SELECT name, sum(value)::bigint FROM core.counter GROUP BY name ORDER BY name COLLATE \"C\"",
        )
        .fetch_all(&self.pool)
        .await
        .map_err(Trouble::from)?;
        let counters: BTreeMap<String, u64> =
            counters.into_iter().map(|(name, value)| (name, from_number(value))).collect();
        let counted = |name: &str| counters.get(name).copied().unwrap_or(0);
        let charges = counters.iter().filter_map(|(name, count)| {
            let state = name.strip_prefix(CHARGES)?.to_owned();
            Some(ChargeCount { state, count: *count })
        });
        Ok(Overview {
            head_version: feed::head(&self.pool).await.map_err(Trouble::from)?,
            stations: self.stations().await?,
            riders: counted(RIDERS),
            enrolled: counted(ENROLLED),
            in_system: counted(INSIDE),
            taps: counted(TAPS),
            journeys: counted(JOURNEYS),
            charges: charges.collect(),
            gaps: self.gaps().await?,
            passages_unknown: counted(UNKNOWN),
            conflicts: counted(CONFLICTS),
            codes_replayed: counted(REPLAYS),
            ledger_balanced: self.is_balanced().await?,
        })
    }
}
