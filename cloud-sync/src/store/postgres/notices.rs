//! Notices to riders, and how far each rider's are delivered.

use std::sync::atomic::Ordering;

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::charge::Charge;
use facegate_domain::ids::RiderId;
use facegate_domain::notice::{Notice, NoticeQueue, NoticeRest, Told};
use sqlx::postgres::PgConnection;

use super::error::Trouble;
use super::tx::Tx;
use super::values::{at_most, damaged, from_number, json, read};
use super::{PgStore, transact};
use crate::store::{NoticeStore, StoreError};

/// Columns of a queue.
type Row = (i64, i64, i64, i64, bool);

/// Writes the rider's next notice, in the transaction of what it tells. Nothing is written for a rider who was erased,
/// nor while nobody delivers notices.
pub(super) async fn tell(tx: &mut Tx, rider: RiderId, at: Timestamp, told: Told) -> Result<(), Trouble> {
    if !tx.keeps_notices {
        return Ok(());
    }
    let Some(after) = locked(tx, rider).await?.with_another(at) else { return Ok(()) };
    let number = after.written;
    sqlx::query("INSERT INTO core.notice (rider, number, body) VALUES ($1, $2, $3)")
        .bind(rider.as_uuid())
        .bind(at_most(number))
        .bind(json(&Notice { rider, number, at, told }))
        .execute(tx.sql())
        .await?;
    keep(tx, rider, after).await
}

/// Tells the rider what the charge has just come to, if he is to know.
pub(super) async fn tell_of_charge(
    tx: &mut Tx,
    before: &Charge,
    after: &Charge,
    now: Timestamp,
) -> Result<(), Trouble> {
    match Told::of_charge(after.id(), after.amount(), after.state()) {
        Some(told) if before.state() != after.state() => tell(tx, after.rider(), now, told).await,
        _ => Ok(()),
    }
}

/// The rider was erased: what waits goes with him, and nothing more is told.
pub(super) async fn close(tx: &mut Tx, rider: RiderId) -> Result<(), Trouble> {
    let closed = locked(tx, rider).await?.closed();
    sqlx::query("DELETE FROM core.notice WHERE rider = $1").bind(rider.as_uuid()).execute(tx.sql()).await?;
    keep(tx, rider, closed).await
}

/// The rider's queue, whose row is locked until the commit.
async fn locked(tx: &mut Tx, rider: RiderId) -> Result<NoticeQueue, Trouble> {
    let row: Row = sqlx::query_as(
        "INSERT INTO core.notice_queue AS q (rider, written, delivered, due, troubles, closed)
         VALUES ($1, 0, 0, 0, 0, false) ON CONFLICT (rider) DO UPDATE SET written = q.written
         RETURNING written, delivered, due, troubles, closed",
    )
    .bind(rider.as_uuid())
    .fetch_one(tx.sql())
    .await?;
    Ok(queue_of(row))
}

fn queue_of((written, delivered, due, troubles, closed): Row) -> NoticeQueue {
    NoticeQueue {
        written: from_number(written),
        delivered: from_number(delivered),
        due: Timestamp::from_unix_ms(due),
        troubles: u32::try_from(troubles).unwrap_or(u32::MAX),
        closed,
    }
}

async fn keep(tx: &mut Tx, rider: RiderId, queue: NoticeQueue) -> Result<(), Trouble> {
    sqlx::query(
        "UPDATE core.notice_queue SET written = $2, delivered = $3, due = $4, troubles = $5, closed = $6
         WHERE rider = $1",
    )
    .bind(rider.as_uuid())
    .bind(at_most(queue.written))
    .bind(at_most(queue.delivered))
    .bind(queue.due.unix_ms())
    .bind(i64::from(queue.troubles))
    .bind(queue.closed)
    .execute(tx.sql())
    .await?;
    Ok(())
}

/// The notice that is to be delivered next.
async fn waiting(sql: &mut PgConnection, rider: RiderId, queue: &NoticeQueue) -> Result<Option<Notice>, Trouble> {
    let Some(number) = queue.waiting() else { return Ok(None) };
    let body: Option<String> = sqlx::query_scalar("SELECT body FROM core.notice WHERE rider = $1 AND number = $2")
        .bind(rider.as_uuid())
        .bind(at_most(number))
        .fetch_optional(sql)
        .await?;
    let body = body.ok_or_else(|| damaged(format_args!("notice {number} of {rider}"), "gone"))?;
    Ok(Some(read("a notice", &body)?))
}

#[async_trait]
impl NoticeStore for PgStore {
    fn keep_notices(&self, whether: bool) {
        self.keeps_notices.store(whether, Ordering::Relaxed);
    }

    async fn tell_rider(&self, rider: RiderId, at: Timestamp, told: Told) -> Result<(), StoreError> {
        transact!(self, tx => tell(&mut tx, rider, at, told.clone()).await)
    }

    async fn due_notices(&self, now: Timestamp, max: usize) -> Result<Vec<Notice>, StoreError> {
        let bodies: Vec<String> = sqlx::query_scalar(
            "SELECT n.body FROM core.notice_queue q
             JOIN core.notice n ON n.rider = q.rider AND n.number = q.delivered + 1
             WHERE q.delivered < q.written AND q.due <= $1 ORDER BY q.due, q.rider LIMIT $2",
        )
        .bind(now.unix_ms())
        .bind(at_most(max))
        .fetch_all(&self.pool)
        .await
        .map_err(Trouble::from)?;
        bodies.iter().map(|body| read("a notice", body)).collect()
    }

    async fn notice_delivered(
        &self,
        rider: RiderId,
        number: u64,
        now: Timestamp,
    ) -> Result<Option<Notice>, StoreError> {
        transact!(self, tx => delivered(&mut tx, rider, number, now).await)
    }

    async fn notice_failed(
        &self,
        rider: RiderId,
        number: u64,
        now: Timestamp,
        rest: &NoticeRest,
    ) -> Result<(), StoreError> {
        transact!(self, tx => failed(&mut tx, rider, number, now, rest).await)
    }

    async fn notices_of(&self, rider: RiderId) -> Result<NoticeQueue, StoreError> {
        let row: Option<Row> =
            sqlx::query_as("SELECT written, delivered, due, troubles, closed FROM core.notice_queue WHERE rider = $1")
                .bind(rider.as_uuid())
                .fetch_optional(&self.pool)
                .await
                .map_err(Trouble::from)?;
        Ok(row.map(queue_of).unwrap_or_default())
    }
}

async fn delivered(tx: &mut Tx, rider: RiderId, number: u64, now: Timestamp) -> Result<Option<Notice>, Trouble> {
    let Some(after) = locked(tx, rider).await?.after_delivery(number, now) else { return Ok(None) };
    sqlx::query("DELETE FROM core.notice WHERE rider = $1 AND number = $2")
        .bind(rider.as_uuid())
        .bind(at_most(number))
        .execute(tx.sql())
        .await?;
    keep(tx, rider, after).await?;
    waiting(tx.sql(), rider, &after).await
}

async fn failed(tx: &mut Tx, rider: RiderId, number: u64, now: Timestamp, rest: &NoticeRest) -> Result<(), Trouble> {
    match locked(tx, rider).await?.after_trouble(number, now, rest) {
        Some(after) => keep(tx, rider, after).await,
        None => Ok(()),
    }
}
