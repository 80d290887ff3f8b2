//! Stations.

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::ids::StationId;

use super::{SledStore, erasure, key};
use crate::store::{StationReport, StationStore, StationView, StoreError};

#[async_trait]
impl StationStore for SledStore {
    async fn station_joined(&self, station: StationId, now: Timestamp) -> Result<(), StoreError> {
        self.write(|tx| {
            let known: Option<StationView> = tx.get(&key::station(&station))?;
            let report = known.and_then(|known| known.report);
            tx.put(key::station(&station), &StationView { station: station.clone(), last_seen: now, report });
            Ok(())
        })
        .await
    }

    async fn record_report(&self, station: StationId, report: StationReport, now: Timestamp) -> Result<(), StoreError> {
        self.write(|tx| {
            let known: Option<StationView> = tx.get(&key::station(&station))?;
            let applied = known.and_then(|known| known.report).map(|report| report.applied_version);
            if applied != Some(report.applied_version) {
                erasure::confirm(tx, &station, report.applied_version)?;
            }
            let view = StationView { station: station.clone(), last_seen: now, report: Some(report) };
            tx.put(key::station(&station), &view);
            Ok(())
        })
        .await
    }

    async fn stations(&self) -> Result<Vec<StationView>, StoreError> {
        self.read().scan_as(key::STATION)
    }
}
