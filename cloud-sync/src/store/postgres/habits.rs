//! Regulars, and what they are computed from.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::habits::Regular;
use facegate_domain::ids::{RiderId, StationId};
use uuid::Uuid;

use super::error::Trouble;
use super::tx::Tx;
use super::values::{at_most, damaged, json, read, rider_of};
use super::{PgStore, place, transact};
use crate::store::habits::{Entry, root_of};
use crate::store::logged::Logged;
use crate::store::{HabitStore, Purpose, Rider, RiderStore, StoreError};

#[async_trait]
impl HabitStore for PgStore {
    async fn entries_of_enrolled(
        &self,
        since: Timestamp,
        after: Option<RiderId>,
        max: usize,
    ) -> Result<(Vec<(RiderId, Vec<Entry>)>, Option<RiderId>), StoreError> {
        let page = self.riders(after, max).await?;
        let rows: Vec<(Uuid, String, i64)> = sqlx::query_as(
            "SELECT rider, station, at FROM core.tap WHERE rider = ANY ($1) AND at >= $2 AND direction = 'entry'
             ORDER BY rider, at, gate, epoch, sequence",
        )
        .bind(uuids(page.iter().filter(|rider| counts(rider))))
        .bind(since.unix_ms())
        .fetch_all(&self.pool)
        .await
        .map_err(Trouble::from)?;
        let mut found: BTreeMap<RiderId, Vec<Entry>> = BTreeMap::new();
        for (rider, station, at) in rows {
            found.entry(rider_of(rider)).or_default().push((named(station)?, Timestamp::from_unix_ms(at)));
        }
        Ok((found.into_iter().collect(), page.last().map(|rider| rider.id)))
    }

    async fn set_regulars(&self, station: StationId, riders: Vec<Regular>) -> Result<bool, StoreError> {
        transact!(self, tx => set(&mut tx, &station, &riders).await)
    }

    async fn regulars(&self, station: &StationId) -> Result<Vec<Regular>, StoreError> {
        let body: Option<String> = sqlx::query_scalar("SELECT body FROM core.regulars WHERE station = $1")
            .bind(station.as_str())
            .fetch_optional(&self.pool)
            .await
            .map_err(Trouble::from)?;
        body.map_or_else(|| Ok(Vec::new()), |body| read(station, &body))
    }

    async fn regulars_root(&self, station: &StationId) -> Result<u64, StoreError> {
        let root: Option<i64> = sqlx::query_scalar("SELECT root FROM core.regulars WHERE station = $1")
            .bind(station.as_str())
            .fetch_optional(&self.pool)
            .await
            .map_err(Trouble::from)?;
        Ok(root.map_or(0, i64::cast_unsigned))
    }

    async fn stations_with_regulars(&self) -> Result<Vec<StationId>, StoreError> {
        let names: Vec<String> = sqlx::query_scalar("SELECT station FROM core.regulars ORDER BY station")
            .fetch_all(&self.pool)
            .await
            .map_err(Trouble::from)?;
        names.into_iter().map(named).collect()
    }

    async fn regulars_computed_at(&self) -> Result<Option<Timestamp>, StoreError> {
        let at: Option<i64> = sqlx::query_scalar("SELECT at FROM core.regulars_computed")
            .fetch_optional(&self.pool)
            .await
            .map_err(Trouble::from)?;
        Ok(at.map(Timestamp::from_unix_ms))
    }

    async fn set_regulars_computed_at(&self, at: Timestamp) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO core.regulars_computed VALUES (true, $1) ON CONFLICT (one) DO UPDATE SET at = excluded.at",
        )
        .bind(at.unix_ms())
        .execute(&self.pool)
        .await
        .map_err(Trouble::from)?;
        Ok(())
    }

    async fn end_long_entries(&self, limit: Duration, max: usize, now: Timestamp) -> Result<usize, StoreError> {
        transact!(self, tx => place::end_before(&mut tx, now.minus(limit), at_most(max)).await)
    }
}

impl PgStore {
    /// When each of these riders tapped last.
    pub(super) async fn last_taps(&self, riders: &[Rider]) -> Result<BTreeMap<RiderId, Timestamp>, StoreError> {
        let rows: Vec<(Uuid, i64)> =
            sqlx::query_as("SELECT rider, max(at) FROM core.tap WHERE rider = ANY ($1) GROUP BY rider")
                .bind(uuids(riders))
                .fetch_all(&self.pool)
                .await
                .map_err(Trouble::from)?;
        Ok(rows.into_iter().map(|(rider, at)| (rider_of(rider), Timestamp::from_unix_ms(at))).collect())
    }
}

fn uuids<'r>(riders: impl IntoIterator<Item = &'r Rider>) -> Vec<Uuid> {
    riders.into_iter().map(|rider| *rider.id.as_uuid()).collect()
}

fn named(station: String) -> Result<StationId, StoreError> {
    StationId::new(station).map_err(|error| damaged("a station's name", error))
}

/// Whether a rider's habits may be looked at.
fn counts(rider: &Rider) -> bool {
    rider.face.is_some() && rider.consented_to(Purpose::Recognition)
}

async fn set(tx: &mut Tx, station: &StationId, riders: &[Regular]) -> Result<bool, Trouble> {
    // An erasure takes the rider out of what is here when it has come to the feed, or is done before this looks.
    tx.alone_at_the_feed().await?;
    let asked: Vec<Uuid> = riders.iter().map(|regular| *regular.rider.as_uuid()).collect();
    let bodies: Vec<String> =
        sqlx::query_scalar("SELECT body FROM core.rider WHERE id = ANY ($1)").bind(&asked).fetch_all(tx.sql()).await?;
    let known: Vec<Rider> = bodies.iter().map(|body| read("a rider", body)).collect::<Result<_, StoreError>>()?;
    let counted: BTreeSet<RiderId> = known.iter().filter(|rider| counts(rider)).map(|rider| rider.id).collect();
    let present: Vec<Regular> = riders.iter().filter(|regular| counted.contains(&regular.rider)).copied().collect();
    if present == of(tx, station).await? {
        return Ok(false);
    }
    sqlx::query("DELETE FROM core.regular_of WHERE station = $1").bind(station.as_str()).execute(tx.sql()).await?;
    if present.is_empty() {
        sqlx::query("DELETE FROM core.regulars WHERE station = $1").bind(station.as_str()).execute(tx.sql()).await?;
    } else {
        put(tx, station, &present).await?;
        let members: Vec<Uuid> = present.iter().map(|regular| *regular.rider.as_uuid()).collect();
        sqlx::query(
            "INSERT INTO core.regular_of SELECT rider, $2 FROM UNNEST($1::uuid[]) AS t (rider) ON CONFLICT DO NOTHING",
        )
        .bind(&members)
        .bind(station.as_str())
        .execute(tx.sql())
        .await?;
    }
    tx.publish(&[Logged::Regulars { station: station.clone() }]).await?;
    Ok(true)
}

async fn put(tx: &mut Tx, station: &StationId, riders: &[Regular]) -> Result<(), Trouble> {
    sqlx::query(
        "INSERT INTO core.regulars (station, body, root) VALUES ($1, $2, $3)
         ON CONFLICT (station) DO UPDATE SET body = excluded.body, root = excluded.root",
    )
    .bind(station.as_str())
    .bind(json(&riders))
    .bind(root_of(riders).cast_signed())
    .execute(tx.sql())
    .await?;
    Ok(())
}

async fn of(tx: &mut Tx, station: &StationId) -> Result<Vec<Regular>, Trouble> {
    let body: Option<String> = sqlx::query_scalar("SELECT body FROM core.regulars WHERE station = $1")
        .bind(station.as_str())
        .fetch_optional(tx.sql())
        .await?;
    Ok(body.map(|body| read(station, &body)).transpose()?.unwrap_or_default())
}

/// Takes a rider out of every station's, under the feed's lock; stations do the same by themselves when they hear that he
/// is removed.
pub(super) async fn forget(tx: &mut Tx, rider: RiderId) -> Result<(), Trouble> {
    let stations: Vec<String> = sqlx::query_scalar("DELETE FROM core.regular_of WHERE rider = $1 RETURNING station")
        .bind(rider.as_uuid())
        .fetch_all(tx.sql())
        .await?;
    for name in stations {
        let station = named(name)?;
        let mut riders = of(tx, &station).await?;
        riders.retain(|regular| regular.rider != rider);
        put(tx, &station, &riders).await?;
    }
    Ok(())
}
