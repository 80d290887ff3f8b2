//! A day as the match reads it, and its close.
//!
//! The day's taps come sorted by rider through one statement that the database spills to its disk; what belongs to some
//! of the riders is asked for together.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::billing::Item;
use facegate_domain::charge::{Charge, ChargeId};
use facegate_domain::ids::{RecordId, RiderId, StationId};
use facegate_domain::journey::JourneyId;
use facegate_domain::reconcile::{BillRow, RiderDay, TapRow, Used};
use facegate_domain::remedy::Remedy;
use facegate_domain::tap::Direction;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use jiff::civil::Date;
use sqlx::postgres::PgPool;
use uuid::Uuid;

use super::error::Trouble;
use super::settlements::lines_about;
use super::tx::Tx;
use super::values::{IdColumns, at_most, damaged, item_uuid, read, record_of, rider_of};
use super::{PgStore, closing, transact};
use crate::store::books::{bill_row, refund_row, ride_row};
use crate::store::{
    BookedRefund, BooksStore, DayClose, LateItem, LatePlace, PricedRide, RefundPlace, Span, StoreError,
};

/// Riders asked for together.
const RIDERS: usize = 1000;

/// A tap as it is selected: rider, gate, epoch, sequence, at, station, direction.
type TapColumns = (Uuid, String, i64, i64, i64, String, String);

type Items = BTreeMap<Uuid, (Item, Option<Uuid>)>;

#[derive(Debug)]
struct FoundTap {
    rider: RiderId,
    row: TapRow,
}

fn found((rider, gate, epoch, sequence, at, station, direction): TapColumns) -> Result<FoundTap, StoreError> {
    let row = TapRow {
        id: record_of(gate, epoch, sequence)?,
        at: Timestamp::from_unix_ms(at),
        station: StationId::new(station).map_err(|error| damaged("a tap's station", error))?,
        direction: if direction == Direction::Entry.name() { Direction::Entry } else { Direction::Exit },
        // What became of it is asked for with those of other riders.
        used: Used::Nothing,
    };
    Ok(FoundTap { rider: rider_of(rider), row })
}

/// The taps of whole riders, some riders at a time.
fn by_riders(
    taps: impl futures::Stream<Item = Result<FoundTap, StoreError>> + Send,
) -> impl futures::Stream<Item = Result<BTreeMap<RiderId, Vec<TapRow>>, StoreError>> + Send {
    let begin = (Box::pin(taps), None::<FoundTap>, false);
    stream::try_unfold(begin, |(mut taps, mut first, ended)| async move {
        if ended {
            return Ok(None);
        }
        let mut riders = BTreeMap::<RiderId, Vec<TapRow>>::new();
        loop {
            let next = match first.take() {
                Some(tap) => Some(tap),
                None => taps.try_next().await?,
            };
            let Some(tap) = next else { return Ok(Some((riders, (taps, None, true)))) };
            if riders.len() == RIDERS && !riders.contains_key(&tap.rider) {
                return Ok(Some((riders, (taps, Some(tap), false))));
            }
            riders.entry(tap.rider).or_default().push(tap.row);
        }
    })
}

async fn items(pool: &PgPool, ids: Vec<Uuid>) -> Result<Items, Trouble> {
    let rows: Vec<(Uuid, String, Option<Uuid>)> =
        sqlx::query_as("SELECT id, body, charge FROM core.item WHERE id = ANY($1)").bind(&ids).fetch_all(pool).await?;
    rows.into_iter().map(|(id, body, charge)| Ok((id, (read("an item", &body)?, charge)))).collect()
}

async fn rides(pool: &PgPool, riders: &[Uuid], span: Span) -> Result<BTreeMap<RiderId, Vec<PricedRide>>, Trouble> {
    let bodies: Vec<String> = sqlx::query_scalar(
        "SELECT body FROM core.journey WHERE rider = ANY($1) AND left_at >= $2 AND left_at < $3
         ORDER BY rider, left_at, id",
    )
    .bind(riders)
    .bind(span.from.unix_ms())
    .bind(span.to.unix_ms())
    .fetch_all(pool)
    .await?;
    let mut rides = BTreeMap::<RiderId, Vec<PricedRide>>::new();
    for body in bodies {
        let ride: PricedRide = read("a ride", &body)?;
        rides.entry(ride.ride.rider()).or_default().push(ride);
    }
    Ok(rides)
}

async fn bills(pool: &PgPool, ids: Vec<Uuid>, known: &mut Items) -> Result<BTreeMap<Uuid, BillRow>, Trouble> {
    let bodies: Vec<(Uuid, String)> =
        sqlx::query_as("SELECT id, body FROM core.charge WHERE id = ANY($1)").bind(&ids).fetch_all(pool).await?;
    let mut charges = BTreeMap::<Uuid, Charge>::new();
    for (id, body) in bodies {
        charges.insert(id, read("a charge", &body)?);
    }
    let of_others = charges.values().flat_map(Charge::items).map(|id| Uuid::from_bytes(*id.as_bytes()));
    let of_others: Vec<Uuid> = of_others.filter(|id| !known.contains_key(id)).collect();
    if !of_others.is_empty() {
        known.extend(items(pool, of_others).await?);
    }
    let mut settled = lines_about(pool, &ids).await?;
    let row = |(id, charge): (Uuid, Charge)| {
        let items = charge.items().iter().filter_map(|id| known.get(&Uuid::from_bytes(*id.as_bytes())));
        let items: Vec<Item> = items.map(|(item, _)| item.clone()).collect();
        (id, bill_row(&charge, &items, settled.remove(&id).unwrap_or_default()))
    };
    Ok(charges.into_iter().map(row).collect())
}

/// Says of each tap which ride has used it, or whether it waits.
async fn name_uses(pool: &PgPool, taps: &mut BTreeMap<RiderId, Vec<TapRow>>) -> Result<(), Trouble> {
    let columns = IdColumns::of(taps.values().flatten().map(|tap| &tap.id))?;
    let settled: Vec<(String, i64, i64, Option<Uuid>, bool)> = sqlx::query_as(
        "SELECT s.gate, s.epoch, s.sequence, s.journey, j.id IS NOT NULL
         FROM UNNEST($1::text[], $2::bigint[], $3::bigint[]) AS tap (gate, epoch, sequence)
         JOIN core.settled_tap s USING (gate, epoch, sequence) LEFT JOIN core.journey j ON j.id = s.journey",
    )
    .bind(&columns.gates)
    .bind(&columns.epochs)
    .bind(&columns.sequences)
    .fetch_all(pool)
    .await?;
    let mut used = BTreeMap::<RecordId, Used>::new();
    for (gate, epoch, sequence, ride, exists) in settled {
        let of = |id: Uuid| Used::Ride { id: JourneyId::from_bytes(id.into_bytes()), exists };
        used.insert(record_of(gate, epoch, sequence)?, ride.map_or(Used::Merged, of));
    }
    let riders: Vec<Uuid> = taps.keys().map(|rider| *rider.as_uuid()).collect();
    let open: Vec<(String, i64, i64)> =
        sqlx::query_as("SELECT gate, epoch, sequence FROM core.open_tap WHERE rider = ANY($1)")
            .bind(&riders)
            .fetch_all(pool)
            .await?;
    for (gate, epoch, sequence) in open {
        used.insert(record_of(gate, epoch, sequence)?, Used::Open);
    }
    for tap in taps.values_mut().flatten() {
        tap.used = used.remove(&tap.id).unwrap_or(Used::Nothing);
    }
    Ok(())
}

/// Notes those of the items whose day is closed.
pub(super) async fn note_late(tx: &mut Tx, items: &[Item], now: Timestamp) -> Result<(), Trouble> {
    let ids: Vec<Uuid> = items.iter().map(|item| item_uuid(item.id())).collect();
    let days: Vec<String> = items.iter().map(|item| item.day().to_string()).collect();
    sqlx::query(
        "INSERT INTO core.late_item (item, at)
         SELECT item, $3 FROM UNNEST($1::uuid[], $2::text[]) AS new (item, day) JOIN core.closed_day USING (day)",
    )
    .bind(&ids)
    .bind(&days)
    .bind(now.unix_ms())
    .execute(tx.sql())
    .await?;
    Ok(())
}

async fn rider_days(
    pool: &PgPool,
    mut taps: BTreeMap<RiderId, Vec<TapRow>>,
    span: Span,
) -> Result<Vec<RiderDay>, Trouble> {
    let riders: Vec<Uuid> = taps.keys().map(|rider| *rider.as_uuid()).collect();
    let rides = rides(pool, &riders, span).await?;
    name_uses(pool, &mut taps).await?;
    let posted = rides.values().flatten().flat_map(|ride| &ride.items);
    let mut known = items(pool, posted.map(|posted| Uuid::from_bytes(*posted.item.as_bytes())).collect()).await?;
    let charges: BTreeSet<Uuid> = known.values().filter_map(|(_, charge)| *charge).collect();
    let bills = bills(pool, charges.into_iter().collect(), &mut known).await?;
    let mut days = Vec::with_capacity(taps.len());
    for (rider, taps) in taps {
        let mut of_rider = BTreeMap::new();
        let mut charges = BTreeSet::new();
        let rides = rides.get(&rider).map(Vec::as_slice).unwrap_or_default();
        for posted in rides.iter().flat_map(|ride| &ride.items) {
            if let Some((item, charge)) = known.get(&Uuid::from_bytes(*posted.item.as_bytes())) {
                let id = charge.map(|id| ChargeId::from_bytes(id.into_bytes()));
                charges.extend(*charge);
                of_rider.insert(*posted.item.as_bytes(), (item.clone(), id));
            }
        }
        let rides = rides.iter().map(|ride| ride_row(ride, &of_rider)).collect();
        let bills = charges.iter().filter_map(|id| bills.get(id).cloned()).collect();
        days.push(RiderDay { rider, taps, rides, bills });
    }
    Ok(days)
}

async fn refunds(
    pool: &PgPool,
    span: Span,
    after: Option<RefundPlace>,
    max: usize,
) -> Result<Vec<BookedRefund>, Trouble> {
    let (at, id) = after.map_or((i64::MIN, Uuid::nil()), |(at, id)| (at.unix_ms(), Uuid::from_bytes(*id.as_bytes())));
    let rows: Vec<(i64, Uuid, String)> = sqlx::query_as(
        "SELECT refunded_at, id, body FROM core.remedy
         WHERE refunded_at >= $1 AND refunded_at < $2 AND (refunded_at, id) > ($3, $4)
         ORDER BY refunded_at, id LIMIT $5",
    )
    .bind(span.from.unix_ms())
    .bind(span.to.unix_ms())
    .bind(at)
    .bind(id)
    .bind(at_most(max))
    .fetch_all(pool)
    .await?;
    let ids: Vec<Uuid> = rows.iter().map(|(_, id, _)| *id).collect();
    let mut settled = lines_about(pool, &ids).await?;
    let booked = |(at, id, body): (i64, Uuid, String)| {
        let remedy: Remedy = read("a remedy", &body)?;
        let row = refund_row(&remedy, settled.remove(&id).unwrap_or_default());
        Ok(BookedRefund { at: Timestamp::from_unix_ms(at), row })
    };
    rows.into_iter().map(booked).collect()
}

#[async_trait]
impl BooksStore for PgStore {
    fn rider_days(&self, span: Span) -> BoxStream<'_, Result<Vec<RiderDay>, StoreError>> {
        let taps = sqlx::query_as::<_, TapColumns>(
            "SELECT rider, gate, epoch, sequence, at, station, direction FROM core.tap
             WHERE at >= $1 AND at < $2 ORDER BY rider, at, gate, epoch, sequence",
        )
        .bind(span.from.unix_ms())
        .bind(span.to.unix_ms())
        .fetch(&self.pool)
        .map_err(|error| StoreError::from(Trouble::from(error)))
        .and_then(|columns| async move { found(columns) });
        by_riders(taps).and_then(move |taps| async move { Ok(rider_days(&self.pool, taps, span).await?) }).boxed()
    }

    async fn late_items(&self, span: Span, after: Option<LatePlace>, max: usize) -> Result<Vec<LateItem>, StoreError> {
        let (at, item) = after.map_or((i64::MIN, Uuid::nil()), |(at, item)| (at.unix_ms(), item_uuid(item)));
        let rows: Vec<(i64, String)> = sqlx::query_as(
            "SELECT l.at, i.body FROM core.late_item l JOIN core.item i ON i.id = l.item
             WHERE l.at >= $1 AND l.at < $2 AND (l.at, l.item) > ($3, $4) ORDER BY l.at, l.item LIMIT $5",
        )
        .bind(span.from.unix_ms())
        .bind(span.to.unix_ms())
        .bind(at)
        .bind(item)
        .bind(at_most(max))
        .fetch_all(&self.pool)
        .await
        .map_err(Trouble::from)?;
        let late = |(at, body): (i64, String)| {
            Ok(LateItem { at: Timestamp::from_unix_ms(at), item: read("a late item", &body)? })
        };
        rows.into_iter().map(late).collect()
    }

    async fn refunds(
        &self,
        span: Span,
        after: Option<RefundPlace>,
        max: usize,
    ) -> Result<Vec<BookedRefund>, StoreError> {
        Ok(refunds(&self.pool, span, after, max).await?)
    }

    async fn begin_close(&self, day: Date, holder: &str, until: Timestamp) -> Result<(), StoreError> {
        transact!(self, tx => closing::begin(&mut tx, day, holder, until).await)
    }

    async fn give_close_up(&self, holder: &str) -> Result<(), StoreError> {
        transact!(self, tx => closing::give_up(&mut tx, holder).await)
    }

    async fn close_day(&self, close: DayClose, holder: &str) -> Result<DayClose, StoreError> {
        transact!(self, tx => closing::close(&mut tx, &close, holder).await)
    }

    async fn closed_day(&self, day: Date) -> Result<Option<DayClose>, StoreError> {
        let body: Option<String> = sqlx::query_scalar("SELECT body FROM core.closed_day WHERE day = $1")
            .bind(day.to_string())
            .fetch_optional(&self.pool)
            .await
            .map_err(Trouble::from)?;
        body.map(|body| read(day, &body)).transpose()
    }

    async fn closed_days(&self, max: usize) -> Result<Vec<DayClose>, StoreError> {
        let bodies: Vec<String> = sqlx::query_scalar("SELECT body FROM core.closed_day ORDER BY day DESC LIMIT $1")
            .bind(at_most(max))
            .fetch_all(&self.pool)
            .await
            .map_err(Trouble::from)?;
        bodies.iter().map(|body| read("a closed day", body)).collect()
    }
}
