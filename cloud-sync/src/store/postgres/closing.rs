//! The day that is being closed, against whatever would add to it meanwhile: all who add items share the lock of one row
//! until they commit, and whoever begins or ends a close waits for them at it.

use facegate_domain::Timestamp;
use facegate_domain::billing::Item;
use jiff::civil::Date;

use super::audit;
use super::error::Trouble;
use super::tx::Tx;
use super::values::{damaged, json, read};
use crate::store::books::ClosingDay;
use crate::store::{DayClose, StoreError};

type Row = (Option<String>, Option<String>, Option<i64>);

fn closing_of((day, holder, until): Row) -> Result<Option<ClosingDay>, StoreError> {
    let (Some(day), Some(holder), Some(until)) = (day, holder, until) else { return Ok(None) };
    let day: Date = day.parse().map_err(|error| damaged("the day that is being closed", error))?;
    Ok(Some(ClosingDay { day, holder, until: Timestamp::from_unix_ms(until) }))
}

/// Refuses items of a day that is being closed. A close that has not come to its end in time is over.
pub(super) async fn wait_for_close(tx: &mut Tx, items: &[Item], now: Timestamp) -> Result<(), Trouble> {
    if items.is_empty() {
        return Ok(());
    }
    let row: Row = sqlx::query_as("SELECT day, holder, until FROM core.closing FOR SHARE").fetch_one(tx.sql()).await?;
    match closing_of(row)?.filter(|closing| closing.holds_up(items)) {
        Some(closing) if now < closing.until => Err(StoreError::DayClosing(closing.day).into()),
        Some(closing) => give_up(tx, &closing.holder).await,
        None => Ok(()),
    }
}

pub(super) async fn begin(tx: &mut Tx, day: Date, holder: &str, until: Timestamp) -> Result<(), Trouble> {
    sqlx::query("UPDATE core.closing SET day = $1, holder = $2, until = $3")
        .bind(day.to_string())
        .bind(holder)
        .bind(until.unix_ms())
        .execute(tx.sql())
        .await?;
    Ok(())
}

pub(super) async fn give_up(tx: &mut Tx, holder: &str) -> Result<(), Trouble> {
    sqlx::query("UPDATE core.closing SET day = NULL, holder = NULL, until = NULL WHERE holder = $1")
        .bind(holder)
        .execute(tx.sql())
        .await?;
    Ok(())
}

pub(super) async fn close(tx: &mut Tx, close: &DayClose, holder: &str) -> Result<DayClose, Trouble> {
    let row: Row = sqlx::query_as("SELECT day, holder, until FROM core.closing FOR UPDATE").fetch_one(tx.sql()).await?;
    let first: Option<String> = sqlx::query_scalar("SELECT body FROM core.closed_day WHERE day = $1")
        .bind(close.day.to_string())
        .fetch_optional(tx.sql())
        .await?;
    if let Some(first) = first {
        return Ok(read(close.day, &first)?);
    }
    if closing_of(row)?.is_none_or(|closing| closing.day != close.day || closing.holder != holder) {
        return Err(StoreError::CloseOverdue(close.day).into());
    }
    give_up(tx, holder).await?;
    sqlx::query("INSERT INTO core.closed_day (day, body) VALUES ($1, $2)")
        .bind(close.day.to_string())
        .bind(json(close))
        .execute(tx.sql())
        .await?;
    audit::append(tx, &close.by, "books.close", &close.audited(), close.closed_at).await?;
    Ok(close.clone())
}
