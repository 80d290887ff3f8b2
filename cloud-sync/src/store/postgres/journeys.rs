//! Settled journeys.

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::charge::ChargeId;
use facegate_domain::ids::RiderId;
use facegate_domain::journey::{Incomplete, JourneyId};
use facegate_domain::tap::Tap;
use uuid::Uuid;

use super::error::Trouble;
use super::overview::JOURNEYS;
use super::tx::Tx;
use super::values::{at_most, charge_uuid, damaged, journey_uuid, json, read, sequence};
use super::{PgStore, notices, place, transact};
use crate::store::{JourneyStore, PricedJourney, Settlement, StoreError, Trip};

#[async_trait]
impl JourneyStore for PgStore {
    async fn settle(&self, settlement: Settlement, now: Timestamp) -> Result<(), StoreError> {
        transact!(self, tx => settle(&mut tx, &settlement, now).await)
    }

    async fn journey(&self, id: JourneyId) -> Result<Option<PricedJourney>, StoreError> {
        let row: Option<(String, Option<Uuid>)> = sqlx::query_as(
            "SELECT j.body, c.charge FROM core.journey j LEFT JOIN core.charge_journey c ON c.journey = j.id
             WHERE j.id = $1",
        )
        .bind(journey_uuid(id))
        .fetch_optional(&self.pool)
        .await
        .map_err(Trouble::from)?;
        row.map(|(body, charge)| priced(&body, charge)).transpose()
    }

    async fn uncharged_journeys(
        &self,
        after: Option<&PricedJourney>,
        max: usize,
    ) -> Result<Vec<PricedJourney>, StoreError> {
        let (at, id) =
            after.map_or((i64::MIN, Uuid::nil()), |last| (last.settled_at.unix_ms(), journey_uuid(last.journey.id)));
        let bodies: Vec<String> = sqlx::query_scalar(
            "SELECT body FROM core.journey WHERE uncharged AND (settled_at, id) > ($1, $2)
             ORDER BY settled_at, id LIMIT $3",
        )
        .bind(at)
        .bind(id)
        .bind(at_most(max))
        .fetch_all(&self.pool)
        .await
        .map_err(Trouble::from)?;
        bodies.iter().map(|body| priced(body, None)).collect()
    }

    async fn journeys_since(&self, rider: RiderId, since: Timestamp) -> Result<Vec<PricedJourney>, StoreError> {
        let rows: Vec<(String, Option<Uuid>)> = sqlx::query_as(
            "SELECT j.body, c.charge FROM core.journey j LEFT JOIN core.charge_journey c ON c.journey = j.id
             WHERE j.rider = $1 AND j.left_at >= $2 ORDER BY j.left_at, j.id",
        )
        .bind(rider.as_uuid())
        .bind(since.unix_ms())
        .fetch_all(&self.pool)
        .await
        .map_err(Trouble::from)?;
        rows.into_iter().map(|(body, charge)| priced(&body, charge)).collect()
    }

    async fn trips(&self, rider: RiderId) -> Result<Vec<Trip>, StoreError> {
        let rows: Vec<(String, Option<Uuid>, Option<String>)> = sqlx::query_as(
            "SELECT j.body, l.charge, c.body FROM core.journey j
             LEFT JOIN core.charge_journey l ON l.journey = j.id
             LEFT JOIN core.charge c ON c.id = l.charge
             WHERE j.rider = $1 ORDER BY j.left_at DESC, j.id DESC",
        )
        .bind(rider.as_uuid())
        .fetch_all(&self.pool)
        .await
        .map_err(Trouble::from)?;
        let trip = |(journey, id, charge): (String, Option<Uuid>, Option<String>)| {
            let charge = charge.map(|charge| read("a charge", &charge)).transpose()?;
            Ok(Trip { journey: priced(&journey, id)?, charge })
        };
        rows.into_iter().map(trip).collect()
    }
}

fn priced(body: &str, charge: Option<Uuid>) -> Result<PricedJourney, StoreError> {
    let journey: PricedJourney = read("a journey", body)?;
    Ok(PricedJourney { charge: charge.map(|id| ChargeId::from_bytes(id.into_bytes())), ..journey })
}

async fn settle(tx: &mut Tx, settlement: &Settlement, now: Timestamp) -> Result<(), Trouble> {
    for (journey, pricing) in &settlement.journeys {
        use_up(tx, &journey.entry).await?;
        use_up(tx, &journey.exit).await?;
        let (journey, pricing) = (journey.clone(), pricing.clone());
        add(tx, &PricedJourney { journey, pricing, settled_at: now, charge: None }).await?;
    }
    for tap in &settlement.merged {
        use_up(tx, tap).await?;
    }
    for incomplete in &settlement.given_up {
        give_up(tx, incomplete).await?;
    }
    let gone: Vec<&Tap> = settlement.given_up.iter().map(Incomplete::tap).collect();
    place::leave(tx, &gone).await
}

/// Only one journey gets the tap: whoever removes its row.
async fn use_up(tx: &mut Tx, tap: &Tap) -> Result<(), Trouble> {
    let used = sqlx::query(
        "DELETE FROM core.open_tap WHERE rider = $1 AND at = $2 AND gate = $3 AND epoch = $4 AND sequence = $5",
    )
    .bind(tap.rider.as_uuid())
    .bind(tap.at.unix_ms())
    .bind(tap.id.gate.as_str())
    .bind(i64::from(tap.id.epoch))
    .bind(sequence(&tap.id)?)
    .execute(tx.sql())
    .await?;
    if used.rows_affected() == 0 { Err(StoreError::TapSettled(tap.id.clone()).into()) } else { Ok(()) }
}

async fn add(tx: &mut Tx, priced: &PricedJourney) -> Result<(), Trouble> {
    let journey = &priced.journey;
    sqlx::query(
        "INSERT INTO core.journey (id, rider, left_at, settled_at, uncharged, body, entry_gate, entry_epoch,
            entry_sequence, exit_gate, exit_epoch, exit_sequence)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(journey_uuid(journey.id))
    .bind(journey.rider().as_uuid())
    .bind(journey.exit.at.unix_ms())
    .bind(priced.settled_at.unix_ms())
    .bind(priced.costs())
    .bind(json(priced))
    .bind(journey.entry.id.gate.as_str())
    .bind(i64::from(journey.entry.id.epoch))
    .bind(sequence(&journey.entry.id)?)
    .bind(journey.exit.id.gate.as_str())
    .bind(i64::from(journey.exit.id.epoch))
    .bind(sequence(&journey.exit.id)?)
    .execute(tx.sql())
    .await?;
    tx.count(JOURNEYS, 1);
    if let Some(told) = priced.told() {
        notices::tell(tx, journey.rider(), priced.settled_at, told).await?;
    }
    Ok(())
}

async fn give_up(tx: &mut Tx, incomplete: &Incomplete) -> Result<(), Trouble> {
    let tap = incomplete.tap();
    use_up(tx, tap).await?;
    sqlx::query("INSERT INTO core.incomplete (gate, epoch, sequence, body) VALUES ($1, $2, $3, $4)")
        .bind(tap.id.gate.as_str())
        .bind(i64::from(tap.id.epoch))
        .bind(sequence(&tap.id)?)
        .bind(json(incomplete))
        .execute(tx.sql())
        .await?;
    Ok(())
}

/// Puts the journey into a charge, in the transaction that opens it.
///
/// Errors: `JourneyCharged` if it is in another, `UnknownJourney`.
pub(super) async fn mark_charged(tx: &mut Tx, id: JourneyId, charge: ChargeId) -> Result<(), Trouble> {
    let known = sqlx::query("UPDATE core.journey SET uncharged = false WHERE id = $1")
        .bind(journey_uuid(id))
        .execute(tx.sql())
        .await?;
    if known.rows_affected() == 0 {
        return Err(StoreError::UnknownJourney(id).into());
    }
    let marked =
        sqlx::query("INSERT INTO core.charge_journey (journey, charge) VALUES ($1, $2) ON CONFLICT DO NOTHING")
            .bind(journey_uuid(id))
            .bind(charge_uuid(charge))
            .execute(tx.sql())
            .await?;
    if marked.rows_affected() == 1 {
        return Ok(());
    }
    let other: Option<Uuid> = sqlx::query_scalar("SELECT charge FROM core.charge_journey WHERE journey = $1")
        .bind(journey_uuid(id))
        .fetch_optional(tx.sql())
        .await?;
    let other = other.ok_or_else(|| damaged(id, "neither in a charge nor free for one"))?;
    Err(StoreError::JourneyCharged { journey: id, charge: ChargeId::from_bytes(other.into_bytes()) }.into())
}
