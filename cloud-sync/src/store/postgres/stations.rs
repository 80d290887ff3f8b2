//! Stations.

use std::time::Duration;

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::ids::StationId;

use super::error::Trouble;
use super::tx::Tx;
use super::values::{damaged, json, read};
use super::{PgStore, erasure, transact};
use crate::store::{Claim, Leasehold, Standing, StationReport, StationStore, StationView, StoreError};

#[async_trait]
impl StationStore for PgStore {
    async fn station_joined(&self, station: StationId, now: Timestamp) -> Result<(), StoreError> {
        transact!(self, tx => join(&mut tx, &station, now).await.map(drop))
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

    async fn grant_lease(&self, station: StationId, until: Timestamp, now: Timestamp) -> Result<u32, StoreError> {
        transact!(self, tx => grant(&mut tx, &station, until, now).await)
    }

    async fn set_standing(
        &self,
        station: StationId,
        standing: Standing,
        unleased_until: Timestamp,
    ) -> Result<Leasehold, StoreError> {
        transact!(self, tx => decide(&mut tx, &station, standing, unleased_until).await)
    }

    async fn release_decommissioned(&self, now: Timestamp) -> Result<usize, StoreError> {
        transact!(self, tx => erasure::release(&mut tx, now).await)
    }

    async fn station(&self, station: &StationId) -> Result<Option<StationView>, StoreError> {
        let row: Option<Row> =
            sqlx::query_as("SELECT id, last_seen, report, installation, lease FROM core.station WHERE id = $1")
                .bind(station.as_str())
                .fetch_optional(&self.pool)
                .await
                .map_err(Trouble::from)?;
        row.map(view).transpose()
    }

    async fn stations(&self) -> Result<Vec<StationView>, StoreError> {
        let rows: Vec<Row> =
            sqlx::query_as("SELECT id, last_seen, report, installation, lease FROM core.station ORDER BY id")
                .fetch_all(&self.pool)
                .await
                .map_err(Trouble::from)?;
        rows.into_iter().map(view).collect()
    }
}

type Row = (String, i64, Option<String>, String, Option<String>);

fn view((id, last_seen, report, installation, lease): Row) -> Result<StationView, StoreError> {
    let report = report.map(|report| read(&id, &report)).transpose()?;
    let lease = lease_of(&id, lease)?;
    let station = StationId::new(id).map_err(|error| damaged("a station's name", error))?;
    Ok(StationView { station, last_seen: Timestamp::from_unix_ms(last_seen), report, installation, lease })
}

fn lease_of(station: &str, lease: Option<String>) -> Result<Leasehold, StoreError> {
    lease.map_or_else(|| Ok(Leasehold::default()), |lease| read(station, &lease))
}

/// What every station holds of the key.
pub(super) async fn leases(tx: &mut Tx) -> Result<Vec<(StationId, Leasehold)>, Trouble> {
    let rows: Vec<(String, Option<String>)> =
        sqlx::query_as("SELECT id, lease FROM core.station").fetch_all(tx.sql()).await?;
    let held = |(id, lease): (String, Option<String>)| {
        let lease = lease_of(&id, lease)?;
        Ok((StationId::new(id).map_err(|error| damaged("a station's name", error))?, lease))
    };
    Ok(rows.into_iter().map(held).collect::<Result<_, StoreError>>()?)
}

/// The station's lease, its row locked; None for one that is unknown.
async fn locked(tx: &mut Tx, station: &StationId) -> Result<Option<Leasehold>, Trouble> {
    let lease: Option<Option<String>> = sqlx::query_scalar("SELECT lease FROM core.station WHERE id = $1 FOR UPDATE")
        .bind(station.as_str())
        .fetch_optional(tx.sql())
        .await?;
    Ok(lease.map(|lease| lease_of(station.as_str(), lease)).transpose()?)
}

async fn keep_lease(tx: &mut Tx, station: &StationId, lease: &Leasehold) -> Result<(), Trouble> {
    sqlx::query("UPDATE core.station SET lease = $2 WHERE id = $1")
        .bind(station.as_str())
        .bind(json(lease))
        .execute(tx.sql())
        .await?;
    Ok(())
}

async fn grant(tx: &mut Tx, station: &StationId, until: Timestamp, now: Timestamp) -> Result<u32, Trouble> {
    let lease = join(tx, station, now).await?;
    // Never shorter than one that the station may still hold.
    let until = lease.until.map_or(until, |before| before.max(until));
    keep_lease(tx, station, &Leasehold { until: Some(until), ..lease }).await?;
    Ok(lease.generation)
}

async fn decide(
    tx: &mut Tx,
    station: &StationId,
    standing: Standing,
    unleased_until: Timestamp,
) -> Result<Leasehold, Trouble> {
    let known = locked(tx, station).await?.ok_or_else(|| StoreError::UnknownStation(station.clone()))?;
    let lease = known.with(standing, unleased_until);
    keep_lease(tx, station, &lease).await?;
    Ok(lease)
}

/// A station is about to get faces or a key. Errors: `LeaseEnded`.
async fn join(tx: &mut Tx, station: &StationId, now: Timestamp) -> Result<Leasehold, Trouble> {
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
    // Of one that is refused, nothing above is kept.
    let lease = locked(tx, station).await?.unwrap_or_default();
    if lease.standing == Standing::Active { Ok(lease) } else { Err(StoreError::LeaseEnded(station.clone()).into()) }
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
