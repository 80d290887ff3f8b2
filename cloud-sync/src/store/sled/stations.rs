//! Stations.

use std::time::Duration;

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::ids::StationId;

use super::tx::Tx;
use super::{SledStore, erasure, key};
use crate::store::{Claim, Leasehold, Standing, StationReport, StationStore, StationView, StoreError};

#[async_trait]
impl StationStore for SledStore {
    async fn station_joined(&self, station: StationId, now: Timestamp) -> Result<(), StoreError> {
        self.write(|tx| {
            let view = active(tx, station, now)?;
            tx.put(key::station(&view.station), &view);
            Ok(())
        })
        .await
    }

    async fn claim_station(
        &self,
        station: StationId,
        installation: String,
        now: Timestamp,
        silent_after: Duration,
    ) -> Result<Claim, StoreError> {
        // Asked with every report, and nearly always the same: a look without the writer's lock.
        let of_station = |view: &StationView| view.installation == installation;
        if self.read().get::<StationView>(&key::station(&station))?.as_ref().is_some_and(of_station) {
            return Ok(Claim::Granted);
        }
        self.write(|tx| {
            let known: Option<StationView> = tx.get(&key::station(&station))?;
            let view = known.unwrap_or_else(|| StationView::new(station.clone(), now));
            let held = !view.installation.is_empty() && view.installation != installation;
            if held && now.since(view.last_seen) < silent_after {
                return Ok(Claim::Held { by: view.installation, heard: view.last_seen });
            }
            tx.put(key::station(&station), &StationView { last_seen: now, installation: installation.clone(), ..view });
            Ok(Claim::Granted)
        })
        .await
    }

    async fn record_report(&self, station: StationId, report: StationReport, now: Timestamp) -> Result<(), StoreError> {
        self.write(|tx| {
            let known: Option<StationView> = tx.get(&key::station(&station))?;
            let known = known.unwrap_or_else(|| StationView::new(station.clone(), now));
            let applied = known.report.as_ref().map(|report| report.applied_version);
            if applied != Some(report.applied_version) {
                erasure::confirm(tx, &station, report.applied_version)?;
            }
            let view = StationView { last_seen: now, report: Some(report), ..known };
            tx.put(key::station(&station), &view);
            Ok(())
        })
        .await
    }

    async fn grant_lease(&self, station: StationId, until: Timestamp, now: Timestamp) -> Result<u32, StoreError> {
        self.write(|tx| {
            let mut view = active(tx, station, now)?;
            // Never shorter than one that the station may still hold.
            view.lease.until = Some(view.lease.until.map_or(until, |before| before.max(until)));
            tx.put(key::station(&view.station), &view);
            Ok(view.lease.generation)
        })
        .await
    }

    async fn set_standing(
        &self,
        station: StationId,
        standing: Standing,
        unleased_until: Timestamp,
    ) -> Result<Leasehold, StoreError> {
        self.write(|tx| {
            let known: Option<StationView> = tx.get(&key::station(&station))?;
            let mut view = known.ok_or_else(|| StoreError::UnknownStation(station.clone()))?;
            view.lease = view.lease.with(standing, unleased_until);
            tx.put(key::station(&station), &view);
            Ok(view.lease)
        })
        .await
    }

    async fn release_decommissioned(&self, now: Timestamp) -> Result<usize, StoreError> {
        self.write(|tx| erasure::release(tx, now)).await
    }

    async fn station(&self, station: &StationId) -> Result<Option<StationView>, StoreError> {
        self.read().get(&key::station(station))
    }

    async fn stations(&self) -> Result<Vec<StationView>, StoreError> {
        self.read().scan_as(key::STATION)
    }
}

/// What is known of a station that is about to get faces or a key, seen now. Errors: `LeaseEnded`.
fn active(tx: &Tx<'_>, station: StationId, now: Timestamp) -> Result<StationView, StoreError> {
    let known: Option<StationView> = tx.get(&key::station(&station))?;
    let view = known.unwrap_or_else(|| StationView::new(station, now));
    if view.lease.standing != Standing::Active {
        return Err(StoreError::LeaseEnded(view.station));
    }
    Ok(StationView { last_seen: now, ..view })
}
