//! The ops page's figures.

use async_trait::async_trait;
use facegate_domain::charge::State;

use super::{SledStore, intake, journeys, key, riders};
use crate::store::{ChargeCount, FeedStore, LedgerStore, Overview, OverviewStore, StationStore, StoreError, TapStore};

/// The counter of charges in a state; the commands that move charges keep it.
pub(super) fn charges_in(state: &State) -> String {
    format!("charges/{}", state.name())
}

#[async_trait]
impl OverviewStore for SledStore {
    async fn overview(&self) -> Result<Overview, StoreError> {
        let tx = self.read();
        let prefix = key::count("charges/");
        let charges = tx.scan(&prefix)?.into_iter().map(|(k, v)| {
            let state = String::from_utf8_lossy(&k[prefix.len()..]).into_owned();
            Ok(ChargeCount { state, count: super::tx::decode(&k, &v)? })
        });
        let head_version = *self.head().borrow();
        Ok(Overview {
            head_version,
            stations: self.stations().await?,
            riders: tx.counted(riders::RIDERS)?,
            enrolled: tx.counted(riders::ENROLLED)?,
            in_system: tx.counted(intake::INSIDE)?,
            taps: tx.counted(intake::TAPS)?,
            journeys: tx.counted(journeys::JOURNEYS)?,
            charges: charges.collect::<Result<_, StoreError>>()?,
            gaps: self.gaps().await?,
            passages_unknown: tx.counted(intake::UNKNOWN)?,
            conflicts: tx.counted(intake::CONFLICTS)?,
            codes_replayed: tx.counted(intake::REPLAYS)?,
            ledger_balanced: self.is_balanced().await?,
        })
    }
}
