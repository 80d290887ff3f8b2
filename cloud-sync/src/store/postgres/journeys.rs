//! Settled rides and their items.

use std::collections::BTreeMap;

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::billing::{Item, ItemId};
use facegate_domain::charge::ChargeId;
use facegate_domain::ids::RiderId;
use facegate_domain::journey::{JourneyId, Ridden};
use facegate_domain::tap::Tap;
use uuid::Uuid;

use super::error::Trouble;
use super::overview::JOURNEYS;
use super::tx::Tx;
use super::values::{at_most, charge_uuid, damaged, from_number, item_uuid, journey_uuid, json, read, sequence};
use super::{PgStore, books, closing, notices, place, terms, transact};
use crate::store::{BilledItem, JourneyStore, PricedRide, Settlement, StoreError, Trip};

#[async_trait]
impl JourneyStore for PgStore {
    async fn settlements(&self, rider: RiderId) -> Result<u64, StoreError> {
        let settlements: Option<i64> =
            sqlx::query_scalar("SELECT settlements FROM core.settled_rider WHERE rider = $1")
                .bind(rider.as_uuid())
                .fetch_optional(&self.pool)
                .await
                .map_err(Trouble::from)?;
        Ok(from_number(settlements.unwrap_or(0)))
    }

    async fn settle(&self, settlement: Settlement, now: Timestamp) -> Result<(), StoreError> {
        transact!(self, tx => settle(&mut tx, &settlement, now).await)
    }

    async fn ride(&self, id: JourneyId) -> Result<Option<PricedRide>, StoreError> {
        let body: Option<String> = sqlx::query_scalar("SELECT body FROM core.journey WHERE id = $1")
            .bind(journey_uuid(id))
            .fetch_optional(&self.pool)
            .await
            .map_err(Trouble::from)?;
        body.map(|body| read(id, &body)).transpose()
    }

    async fn uncharged_items(
        &self,
        until: Timestamp,
        after: Option<&Item>,
        max: usize,
    ) -> Result<Vec<Item>, StoreError> {
        let (at, id) = after.map_or((i64::MIN, Uuid::nil()), |last| (last.bill_at().unix_ms(), item_uuid(last.id())));
        let bodies: Vec<String> = sqlx::query_scalar(
            "SELECT body FROM core.item WHERE charge IS NULL AND bill_at <= $1 AND (bill_at, id) > ($2, $3)
             ORDER BY bill_at, id LIMIT $4",
        )
        .bind(until.unix_ms())
        .bind(at)
        .bind(id)
        .bind(at_most(max))
        .fetch_all(&self.pool)
        .await
        .map_err(Trouble::from)?;
        bodies.iter().map(|body| read("an item", body)).collect()
    }

    async fn uncharged_items_of(&self, rider: RiderId) -> Result<Vec<Item>, StoreError> {
        let bodies: Vec<String> =
            sqlx::query_scalar("SELECT body FROM core.item WHERE charge IS NULL AND rider = $1 ORDER BY bill_at, id")
                .bind(rider.as_uuid())
                .fetch_all(&self.pool)
                .await
                .map_err(Trouble::from)?;
        bodies.iter().map(|body| read("an item", body)).collect()
    }

    async fn item(&self, id: ItemId) -> Result<Option<(Item, Option<ChargeId>)>, StoreError> {
        let row: Option<(String, Option<Uuid>)> = sqlx::query_as("SELECT body, charge FROM core.item WHERE id = $1")
            .bind(item_uuid(id))
            .fetch_optional(&self.pool)
            .await
            .map_err(Trouble::from)?;
        let of = |(body, charge): (String, Option<Uuid>)| Ok((read(id, &body)?, charge.map(charge_of)));
        row.map(of).transpose()
    }

    async fn rides_since(&self, rider: RiderId, since: Timestamp) -> Result<Vec<PricedRide>, StoreError> {
        let bodies: Vec<String> =
            sqlx::query_scalar("SELECT body FROM core.journey WHERE rider = $1 AND left_at >= $2 ORDER BY left_at, id")
                .bind(rider.as_uuid())
                .bind(since.unix_ms())
                .fetch_all(&self.pool)
                .await
                .map_err(Trouble::from)?;
        bodies.iter().map(|body| read("a ride", body)).collect()
    }

    async fn trips(&self, rider: RiderId) -> Result<Vec<Trip>, StoreError> {
        let rides = self.rides_since(rider, Timestamp::from_unix_ms(i64::MIN)).await?;
        let rows: Vec<(Uuid, String, Option<String>)> = sqlx::query_as(
            "SELECT i.id, i.body, c.body FROM core.item i LEFT JOIN core.charge c ON c.id = i.charge
             WHERE i.ride IN (SELECT id FROM core.journey WHERE rider = $1)",
        )
        .bind(rider.as_uuid())
        .fetch_all(&self.pool)
        .await
        .map_err(Trouble::from)?;
        let mut items: BTreeMap<Uuid, BilledItem> = BTreeMap::new();
        for (id, item, charge) in rows {
            let charge = charge.map(|charge| read("a charge", &charge)).transpose()?;
            items.insert(id, BilledItem { item: read("an item", &item)?, charge });
        }
        let trip = |priced: PricedRide| {
            let items = priced.items.iter().filter_map(|posted| items.remove(&item_uuid(posted.item))).collect();
            Trip { priced, items }
        };
        Ok(rides.into_iter().rev().filter(PricedRide::is_shown).map(trip).collect())
    }
}

fn charge_of(uuid: Uuid) -> ChargeId {
    ChargeId::from_bytes(uuid.into_bytes())
}

async fn settle(tx: &mut Tx, settlement: &Settlement, now: Timestamp) -> Result<(), Trouble> {
    // Waits for whoever settles the same rider at this moment.
    let alone = sqlx::query(
        "INSERT INTO core.settled_rider AS known (rider, settlements) VALUES ($1, 1)
         ON CONFLICT (rider) DO UPDATE SET settlements = known.settlements + 1 WHERE known.settlements = $2",
    )
    .bind(settlement.rider.as_uuid())
    .bind(at_most(settlement.seen))
    .execute(tx.sql())
    .await?;
    if alone.rows_affected() == 0 {
        return Err(StoreError::SettledMeanwhile(settlement.rider).into());
    }
    if let Some(revision) = settlement.tariff {
        terms::tariff_holds(tx, settlement.rider, revision).await?;
    }
    let touched: Vec<Uuid> = settlement.touched().into_iter().map(journey_uuid).collect();
    let bodies: Vec<String> = sqlx::query_scalar("SELECT body FROM core.journey WHERE id = ANY($1)")
        .bind(&touched)
        .fetch_all(tx.sql())
        .await?;
    let mut rides = BTreeMap::new();
    for body in bodies {
        let ride: PricedRide = read("a ride", &body)?;
        rides.insert(ride.id(), ride);
    }
    let applied = settlement.apply(rides, now)?;
    for tap in &applied.reopened {
        reopen(tx, tap).await?;
    }
    for ride in &applied.rides {
        keep(tx, ride).await?;
    }
    let mut gone: Vec<&Tap> = Vec::new();
    for (ride, _) in &settlement.rides {
        for tap in ride.taps() {
            use_up(tx, tap, Some(ride.id())).await?;
        }
        if let Ridden::Broken(incomplete) = ride {
            gone.push(incomplete.tap());
        }
    }
    for tap in &settlement.merged {
        use_up(tx, tap, None).await?;
    }
    for item in &settlement.items {
        keep_item(tx, item).await?;
    }
    closing::wait_for_close(tx, &settlement.items, now).await?;
    books::note_late(tx, &settlement.items, now).await?;
    for told in settlement.told() {
        notices::tell(tx, settlement.rider, now, told).await?;
    }
    if let Some(version) = settlement.again {
        terms::repriced(tx, settlement.rider, version).await?;
    }
    tx.count(JOURNEYS, applied.journeys);
    place::leave(tx, &gone).await
}

async fn keep(tx: &mut Tx, ride: &PricedRide) -> Result<(), Trouble> {
    sqlx::query(
        "INSERT INTO core.journey (id, rider, left_at, held, elsewhere, body) VALUES ($1, $2, $3, $4, $5, $6)
         ON CONFLICT (id) DO UPDATE SET held = excluded.held, elsewhere = excluded.elsewhere, body = excluded.body",
    )
    .bind(journey_uuid(ride.id()))
    .bind(ride.ride.rider().as_uuid())
    .bind(ride.ride.last().at.unix_ms())
    .bind(ride.is_held())
    .bind(ride.waits_elsewhere())
    .bind(json(ride))
    .execute(tx.sql())
    .await?;
    Ok(())
}

/// Keeps an item that is in no charge.
///
/// Errors: `SettledMeanwhile` if it is there already, since what made it did not know.
pub(super) async fn keep_item(tx: &mut Tx, item: &Item) -> Result<(), Trouble> {
    let kept = sqlx::query(
        "INSERT INTO core.item (id, rider, ride, day, bill_at, charge, body) VALUES ($1, $2, $3, $4, $5, NULL, $6)
         ON CONFLICT (id) DO NOTHING",
    )
    .bind(item_uuid(item.id()))
    .bind(item.rider().as_uuid())
    .bind(item.kind().ride().map(journey_uuid))
    .bind(item.day().to_string())
    .bind(item.bill_at().unix_ms())
    .bind(json(item))
    .execute(tx.sql())
    .await?;
    if kept.rows_affected() == 0 { Err(StoreError::SettledMeanwhile(item.rider()).into()) } else { Ok(()) }
}

/// Only one ride gets the tap: whoever removes its row.
async fn use_up(tx: &mut Tx, tap: &Tap, ride: Option<JourneyId>) -> Result<(), Trouble> {
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
    if used.rows_affected() == 0 {
        return Err(StoreError::TapSettled(tap.id.clone()).into());
    }
    sqlx::query("INSERT INTO core.settled_tap (gate, epoch, sequence, journey) VALUES ($1, $2, $3, $4)")
        .bind(tap.id.gate.as_str())
        .bind(i64::from(tap.id.epoch))
        .bind(sequence(&tap.id)?)
        .bind(ride.map(journey_uuid))
        .execute(tx.sql())
        .await?;
    Ok(())
}

async fn reopen(tx: &mut Tx, tap: &Tap) -> Result<(), Trouble> {
    sqlx::query("DELETE FROM core.settled_tap WHERE gate = $1 AND epoch = $2 AND sequence = $3")
        .bind(tap.id.gate.as_str())
        .bind(i64::from(tap.id.epoch))
        .bind(sequence(&tap.id)?)
        .execute(tx.sql())
        .await?;
    sqlx::query(
        "INSERT INTO core.open_tap (rider, at, gate, epoch, sequence, direction) VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(tap.rider.as_uuid())
    .bind(tap.at.unix_ms())
    .bind(tap.id.gate.as_str())
    .bind(i64::from(tap.id.epoch))
    .bind(sequence(&tap.id)?)
    .bind(tap.direction.name())
    .execute(tx.sql())
    .await?;
    Ok(())
}

/// Puts the item into a charge, in the transaction that opens it.
///
/// Errors: `ItemCharged` if it is in another, `UnknownItem`.
pub(super) async fn mark_charged(tx: &mut Tx, id: ItemId, charge: ChargeId) -> Result<(), Trouble> {
    let marked = sqlx::query("UPDATE core.item SET charge = $2 WHERE id = $1 AND (charge IS NULL OR charge = $2)")
        .bind(item_uuid(id))
        .bind(charge_uuid(charge))
        .execute(tx.sql())
        .await?;
    if marked.rows_affected() == 1 {
        return Ok(());
    }
    let other: Option<Option<Uuid>> = sqlx::query_scalar("SELECT charge FROM core.item WHERE id = $1")
        .bind(item_uuid(id))
        .fetch_optional(tx.sql())
        .await?;
    let other = other.ok_or(StoreError::UnknownItem(id))?;
    let other = other.ok_or_else(|| damaged(id, "neither in a charge nor free for one"))?;
    Err(StoreError::ItemCharged { item: id, charge: charge_of(other) }.into())
}
