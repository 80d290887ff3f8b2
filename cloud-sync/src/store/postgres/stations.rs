//! Stations.

use std::time::Duration;

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::ids::StationId;

use super::error::Trouble;
use super::tx::Tx;
use super::values::{damaged, json, read};
use super::{PgStore, erasure, transact};
use crate::store::{Claim, StationReport, StationStore, StationView, StoreError};

#[async_trait]
impl StationStore for PgStore {
    async fn station_joined(&self, station: StationId, now: Timestamp) -> Result<(), StoreError> {
        transact!(self, tx => join(&mut tx, &station, now).await)
    }

    async fn claim_station(
        &self,
        station: StationId,
        installation: String,
        now: Timestamp,
        silent_after: Duration,
    ) -> Result<Claim, StoreError> {
        // Asked with every report, and nearly always the same: a look without a lock.
        let held: Option<String> = sqlx::query_scalar("SELECT installation FROM core.station WHERE id = $1")
            .bind(station.as_str())
            .fetch_optional(&self.pool)
            .await
            .map_err(Trouble::from)?;
        if held.as_ref() == Some(&installation) {
            return Ok(Claim::Granted);
        }
        transact!(self, tx => claim(&mut tx, &station, &installation, now, silent_after).await)
    }

    async fn record_report(&self, station: StationId, report: StationReport, now: Timestamp) -> Result<(), StoreError> {
        transact!(self, tx => keep(&mut tx, &station, &report, now).await)
    }

    async fn stations(&self) -> Result<Vec<StationView>, StoreError> {
        let rows: Vec<(String, i64, Option<String>, String)> =
            sqlx::query_as("SELECT id, last_seen, report, installation FROM core.station ORDER BY id")
                .fetch_all(&self.pool)
                .await
                .map_err(Trouble::from)?;
        let view = |(id, last_seen, report, installation): (String, i64, Option<String>, String)| {
            let report = report.map(|report| read(&id, &report)).transpose()?;
            let station = StationId::new(id).map_err(|error| damaged("a station's name", error))?;
            Ok(StationView { station, last_seen: Timestamp::from_unix_ms(last_seen), report, installation })
        };
        rows.into_iter().map(view).collect()
    }
}

async fn join(tx: &mut Tx, station: &StationId, now: Timestamp) -> Result<(), Trouble> {
    // An erasure names every station that may know the rider. One that is under way names this one too, or is done
    // before this one is handed any face.
    tx.alone_at_the_feed().await?;
    sqlx::query(
        "INSERT INTO core.station (id, last_seen) VALUES ($1, $2)
         ON CONFLICT (id) DO UPDATE SET last_seen = excluded.last_seen",
    )
    .bind(station.as_str())
    .bind(now.unix_ms())
    .execute(tx.sql())
    .await?;
    Ok(())
}

async fn claim(
    tx: &mut Tx,
    station: &StationId,
    installation: &str,
    now: Timestamp,
    silent_after: Duration,
) -> Result<Claim, Trouble> {
    let granted = sqlx::query(
        "INSERT INTO core.station AS s (id, last_seen, installation) VALUES ($1, $2, $3)
         ON CONFLICT (id) DO UPDATE SET last_seen = excluded.last_seen, installation = excluded.installation
         WHERE s.installation IN ('', excluded.installation) OR s.last_seen <= $4",
    )
    .bind(station.as_str())
    .bind(now.unix_ms())
    .bind(installation)
    .bind(now.minus(silent_after).unix_ms())
    .execute(tx.sql())
    .await?;
    if granted.rows_affected() == 1 {
        return Ok(Claim::Granted);
    }
    let (by, heard): (String, i64) =
        sqlx::query_as("SELECT installation, last_seen FROM core.station WHERE id = $1 FOR UPDATE")
            .bind(station.as_str())
            .fetch_one(tx.sql())
            .await?;
    Ok(Claim::Held { by, heard: Timestamp::from_unix_ms(heard) })
}

async fn keep(tx: &mut Tx, station: &StationId, report: &StationReport, now: Timestamp) -> Result<(), Trouble> {
    let known: Option<Option<String>> = sqlx::query_scalar("SELECT report FROM core.station WHERE id = $1 FOR UPDATE")
        .bind(station.as_str())
        .fetch_optional(tx.sql())
        .await?;
    let known: Option<StationReport> = known.flatten().map(|known| read(station, &known)).transpose()?;
    if known.map(|known| known.applied_version) != Some(report.applied_version) {
        erasure::confirm(tx, station, report.applied_version).await?;
    }
    sqlx::query(
        "INSERT INTO core.station (id, last_seen, report) VALUES ($1, $2, $3)
         ON CONFLICT (id) DO UPDATE SET last_seen = excluded.last_seen, report = excluded.report",
    )
    .bind(station.as_str())
    .bind(now.unix_ms())
    .bind(json(report))
    .execute(tx.sql())
    .await?;
    Ok(())
}
