//! What riders have to their credit and no bill has used.

use facegate_domain::Timestamp;
use facegate_domain::charge::Charge;
use facegate_domain::ids::RiderId;
use facegate_domain::money::Currency;
use facegate_domain::remedy::{Remedy, RemedyError};
use sqlx::postgres::PgPool;
use uuid::Uuid;

use super::error::Trouble;
use super::tx::Tx;
use super::values::{at_most, read, rider_of};
use super::{audit, charges, remedies, riders};
use crate::store::{Credit, StoreError};

/// Rows looked at together.
const PAGE: usize = 1000;
/// Of a rider's charges so many, the latest, are looked at for something to give back to.
const CHARGES_MAX: i64 = 200;

/// See `RemedyStore::old_credits`.
pub(super) async fn old(
    pool: &PgPool,
    since: Timestamp,
    after: Option<(RiderId, Currency)>,
    max: usize,
) -> Result<Vec<(RiderId, Credit)>, StoreError> {
    let mut after = after
        .map_or((Uuid::nil(), String::new()), |(rider, currency)| (*rider.as_uuid(), currency.as_str().to_owned()));
    let mut old = Vec::new();
    loop {
        let rows: Vec<(Uuid, String, String)> = sqlx::query_as(
            "SELECT rider, currency, body FROM core.credit WHERE (rider, currency) > ($1, $2)
             ORDER BY rider, currency LIMIT $3",
        )
        .bind(after.0)
        .bind(&after.1)
        .bind(at_most(PAGE))
        .fetch_all(pool)
        .await
        .map_err(Trouble::from)?;
        let Some((rider, currency, _)) = rows.last() else { return Ok(old) };
        after = (*rider, currency.clone());
        for (rider, _, body) in rows {
            let credit: Credit = read("a credit", &body)?;
            if credit.amount.is_positive() && credit.since <= since {
                old.push((rider_of(rider), credit));
                if old.len() == max {
                    return Ok(old);
                }
            }
        }
    }
}

/// See `RemedyStore::pay_credit_out`.
pub(super) async fn pay_out(
    tx: &mut Tx,
    (rider, currency): (RiderId, Currency),
    since: Timestamp,
    now: Timestamp,
) -> Result<Vec<Remedy>, Trouble> {
    // As a bill does: nobody else uses the credit from here to the commit.
    riders::locked(tx, rider).await?;
    let old = charges::credit(tx.sql(), rider, currency).await?.filter(|credit| credit.since <= since);
    let Some(credit) = old else { return Ok(Vec::new()) };
    let bodies: Vec<String> = sqlx::query_scalar(
        "SELECT body FROM core.charge WHERE rider = $1 ORDER BY opened_at DESC, id DESC LIMIT $2 FOR UPDATE",
    )
    .bind(rider.as_uuid())
    .bind(CHARGES_MAX)
    .fetch_all(tx.sql())
    .await?;
    let (mut left, mut paid) = (credit.amount, Vec::new());
    for body in bodies {
        let charge: Charge = read("a charge", &body)?;
        let returned = remedies::returned(tx.sql(), &charge).await?;
        let Some(moved) = Remedy::payout((credit.since, left), (&charge, returned), now)? else { continue };
        if remedies::locked(tx, moved.remedy.id()).await?.is_some() {
            continue;
        }
        left = left.checked_sub(moved.remedy.amount()).map_err(RemedyError::from)?;
        remedies::keep(tx, None, &moved, now).await?;
        audit::append(tx, Remedy::PAID_OUT_BY, "remedy.payout", &moved.remedy.id().to_string(), now).await?;
        paid.push(moved.remedy);
    }
    Ok(paid)
}
