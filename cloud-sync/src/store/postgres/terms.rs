//! Terms, and whose rides are to be priced anew.

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::billing::Item;
use facegate_domain::ids::RiderId;
use facegate_domain::journey::JourneyId;
use facegate_domain::terms::{KeptTerms, TermsChange};
use uuid::Uuid;

use super::error::Trouble;
use super::riders::living;
use super::tx::Tx;
use super::values::{at_most, from_number, journey_uuid, json, read, rider_of};
use super::{PgStore, journeys, transact};
use crate::store::{Again, PricedRide, StoreError, TermsStore};

#[async_trait]
impl TermsStore for PgStore {
    async fn terms(&self, rider: RiderId) -> Result<KeptTerms, StoreError> {
        let body: Option<String> = sqlx::query_scalar("SELECT body FROM core.terms WHERE rider = $1")
            .bind(rider.as_uuid())
            .fetch_optional(&self.pool)
            .await
            .map_err(Trouble::from)?;
        Ok(body.map(|body| read("a rider's terms", &body)).transpose()?.unwrap_or_default())
    }

    async fn change_terms(
        &self,
        rider: RiderId,
        change: TermsChange,
        since: Timestamp,
        bought: Option<Item>,
    ) -> Result<bool, StoreError> {
        transact!(self, tx => change_terms(&mut tx, rider, &change, since, bought.as_ref()).await)
    }

    async fn reprice(&self, riders: &[RiderId], since: Timestamp) -> Result<(), StoreError> {
        transact!(self, tx => reprice(&mut tx, riders, since).await)
    }

    async fn riders_to_reprice(&self, after: Option<RiderId>, max: usize) -> Result<Vec<(RiderId, Again)>, StoreError> {
        let riders: Vec<(Uuid, i64, i64)> = sqlx::query_as(
            "SELECT rider, since, version FROM core.again WHERE $1::uuid IS NULL OR rider > $1 ORDER BY rider LIMIT $2",
        )
        .bind(after.as_ref().map(RiderId::as_uuid))
        .bind(at_most(max))
        .fetch_all(&self.pool)
        .await
        .map_err(Trouble::from)?;
        let again = |(rider, since, version)| {
            (rider_of(rider), Again { since: Timestamp::from_unix_ms(since), version: from_number(version) })
        };
        Ok(riders.into_iter().map(again).collect())
    }

    async fn tariff_revision(&self) -> Result<u64, StoreError> {
        let revision: i64 = sqlx::query_scalar("SELECT revision FROM core.tariff")
            .fetch_one(&self.pool)
            .await
            .map_err(Trouble::from)?;
        Ok(from_number(revision))
    }

    async fn held_rides(&self, after: Option<JourneyId>, max: usize) -> Result<Vec<PricedRide>, StoreError> {
        let bodies: Vec<String> =
            sqlx::query_scalar("SELECT body FROM core.journey WHERE held AND id > $1 ORDER BY id LIMIT $2")
                .bind(after.map_or(Uuid::nil(), journey_uuid))
                .bind(at_most(max))
                .fetch_all(&self.pool)
                .await
                .map_err(Trouble::from)?;
        bodies.iter().map(|body| read("a ride", body)).collect()
    }

    async fn rides_priced_elsewhere(
        &self,
        after: Option<JourneyId>,
        max: usize,
    ) -> Result<Vec<PricedRide>, StoreError> {
        let bodies: Vec<String> =
            sqlx::query_scalar("SELECT body FROM core.journey WHERE elsewhere AND id > $1 ORDER BY id LIMIT $2")
                .bind(after.map_or(Uuid::nil(), journey_uuid))
                .bind(at_most(max))
                .fetch_all(&self.pool)
                .await
                .map_err(Trouble::from)?;
        bodies.iter().map(|body| read("a ride", body)).collect()
    }

    async fn rides_ended(
        &self,
        from: Timestamp,
        until: Timestamp,
        after: Option<(Timestamp, JourneyId)>,
        max: usize,
    ) -> Result<Vec<PricedRide>, StoreError> {
        let (at, id) = after.map_or((i64::MIN, Uuid::nil()), |(at, ride)| (at.unix_ms(), journey_uuid(ride)));
        let bodies: Vec<String> = sqlx::query_scalar(
            "SELECT body FROM core.journey WHERE left_at >= $1 AND left_at < $2 AND (left_at, id) > ($3, $4)
             ORDER BY left_at, id LIMIT $5",
        )
        .bind(from.unix_ms())
        .bind(until.unix_ms())
        .bind(at)
        .bind(id)
        .bind(at_most(max))
        .fetch_all(&self.pool)
        .await
        .map_err(Trouble::from)?;
        bodies.iter().map(|body| read("a ride", body)).collect()
    }
}

async fn change_terms(
    tx: &mut Tx,
    rider: RiderId,
    change: &TermsChange,
    since: Timestamp,
    bought: Option<&Item>,
) -> Result<bool, Trouble> {
    if !matches!(change, TermsChange::Decision(_)) {
        living(tx, rider).await?;
    }
    // There to be locked, so that two changes follow each other.
    sqlx::query("INSERT INTO core.terms (rider, body) VALUES ($1, '{}') ON CONFLICT (rider) DO NOTHING")
        .bind(rider.as_uuid())
        .execute(tx.sql())
        .await?;
    let body: String = sqlx::query_scalar("SELECT body FROM core.terms WHERE rider = $1 FOR UPDATE")
        .bind(rider.as_uuid())
        .fetch_one(tx.sql())
        .await?;
    let mut terms: KeptTerms = read("a rider's terms", &body)?;
    if !terms.apply(change) {
        return Ok(false);
    }
    sqlx::query("UPDATE core.terms SET body = $2 WHERE rider = $1")
        .bind(rider.as_uuid())
        .bind(json(&terms))
        .execute(tx.sql())
        .await?;
    reprice(tx, &[rider], since).await?;
    if let Some(item) = bought {
        journeys::keep_item(tx, item).await?;
    }
    Ok(true)
}

/// Waits for settlements that are priced by what held before, so that whoever looks for them afterwards finds them.
pub(super) async fn tariff_changes(tx: &mut Tx) -> Result<(), Trouble> {
    sqlx::query("UPDATE core.tariff SET revision = revision + 1").execute(tx.sql()).await?;
    Ok(())
}

/// Nothing changes from here to the commit.
pub(super) async fn tariff_holds(tx: &mut Tx, rider: RiderId, revision: u64) -> Result<(), Trouble> {
    let now: i64 = sqlx::query_scalar("SELECT revision FROM core.tariff FOR SHARE").fetch_one(tx.sql()).await?;
    if from_number(now) == revision { Ok(()) } else { Err(StoreError::TariffChanged(rider).into()) }
}

async fn reprice(tx: &mut Tx, riders: &[RiderId], since: Timestamp) -> Result<(), Trouble> {
    let mut riders: Vec<Uuid> = riders.iter().map(|rider| *rider.as_uuid()).collect();
    riders.sort_unstable();
    riders.dedup();
    sqlx::query(
        "INSERT INTO core.again AS known (rider, since, version) SELECT rider, $2, 1 FROM UNNEST($1::uuid[]) AS t (rider)
         ON CONFLICT (rider) DO UPDATE SET since = least(known.since, excluded.since), version = known.version + 1",
    )
    .bind(&riders)
    .bind(since.unix_ms())
    .execute(tx.sql())
    .await?;
    Ok(())
}

/// Takes away what a settlement has done, unless it was asked for once more.
pub(super) async fn repriced(tx: &mut Tx, rider: RiderId, version: u64) -> Result<(), Trouble> {
    sqlx::query("DELETE FROM core.again WHERE rider = $1 AND version = $2")
        .bind(rider.as_uuid())
        .bind(at_most(version))
        .execute(tx.sql())
        .await?;
    Ok(())
}
