//! Charges: each transition, its ledger entry, the marks on its items and what it makes of its rider in one transaction.

use std::sync::atomic::Ordering;

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::billing::Item;
use facegate_domain::charge::{Advanced, Charge, ChargeError, ChargeId, Event, Purpose, RetryPolicy};
use facegate_domain::ids::RiderId;
use facegate_domain::money::{Currency, Money};
use facegate_domain::tap::Tap;
use sqlx::postgres::PgConnection;

use super::error::Trouble;
use super::overview::charges_in;
use super::tx::Tx;
use super::values::{at_most, charge_uuid, json, read, rider_of};
use super::{PgStore, journeys, ledger, riders, standing, transact};
use crate::store::{ChargeStore, Credit, FirstRide, StoreError};

#[async_trait]
impl ChargeStore for PgStore {
    async fn open_charge(&self, opened: Advanced) -> Result<Charge, StoreError> {
        transact!(self, tx => open(&mut tx, &opened).await)
    }

    async fn bill_hold(&self, hold: ChargeId, items: &[Item], now: Timestamp) -> Result<Option<Charge>, StoreError> {
        transact!(self, tx => bill_hold(&mut tx, hold, items, now).await)
    }

    async fn let_hold_go(&self, hold: ChargeId, now: Timestamp) -> Result<bool, StoreError> {
        transact!(self, tx => let_hold_go(&mut tx, hold, now).await)
    }

    fn want_holds(&self, whether: bool) {
        self.wants_holds.store(whether, Ordering::Relaxed);
    }

    async fn wanted_holds(&self, max: usize) -> Result<Vec<Tap>, StoreError> {
        let bodies: Vec<String> = sqlx::query_scalar("SELECT body FROM core.hold_wanted ORDER BY hold LIMIT $1")
            .bind(at_most(max))
            .fetch_all(&self.pool)
            .await
            .map_err(Trouble::from)?;
        bodies.iter().map(|body| read("an entry", body)).collect()
    }

    async fn advance_charge(
        &self,
        charge: ChargeId,
        attempt: u32,
        event: Event,
        now: Timestamp,
        retry: &RetryPolicy,
    ) -> Result<Advanced, StoreError> {
        transact!(self, tx => advance(&mut tx, (charge, attempt), &event, now, retry).await)
    }

    async fn hurry_charge(&self, charge: ChargeId, now: Timestamp) -> Result<bool, StoreError> {
        transact!(self, tx => rescheduled(&mut tx, charge, |charge| charge.hurried(now)).await)
    }

    async fn charge(&self, id: ChargeId) -> Result<Option<Charge>, StoreError> {
        let body: Option<String> = sqlx::query_scalar("SELECT body FROM core.charge WHERE id = $1")
            .bind(charge_uuid(id))
            .fetch_optional(&self.pool)
            .await
            .map_err(Trouble::from)?;
        body.map(|body| read(id, &body)).transpose()
    }

    async fn due_charges(&self, now: Timestamp, max: usize) -> Result<Vec<Charge>, StoreError> {
        let bodies: Vec<String> = sqlx::query_scalar(
            "SELECT body FROM core.charge WHERE NOT finished AND next_at <= $1 ORDER BY next_at, id LIMIT $2",
        )
        .bind(now.unix_ms())
        .bind(at_most(max))
        .fetch_all(&self.pool)
        .await
        .map_err(Trouble::from)?;
        bodies.iter().map(|body| read("a charge", body)).collect()
    }

    async fn charges_since(&self, rider: RiderId, since: Timestamp) -> Result<Vec<Charge>, StoreError> {
        let bodies: Vec<String> = sqlx::query_scalar(
            "SELECT body FROM core.charge WHERE rider = $1 AND opened_at >= $2 ORDER BY opened_at, id",
        )
        .bind(rider.as_uuid())
        .bind(since.unix_ms())
        .fetch_all(&self.pool)
        .await
        .map_err(Trouble::from)?;
        bodies.iter().map(|body| read("a charge", body)).collect()
    }

    async fn debts(&self, rider: RiderId) -> Result<Vec<Charge>, StoreError> {
        let mut connection = self.pool.acquire().await.map_err(Trouble::from)?;
        Ok(debts(&mut connection, rider).await?)
    }

    async fn ask_for_debts(&self, rider: RiderId, now: Timestamp) -> Result<usize, StoreError> {
        transact!(self, tx => ask_for_debts(&mut tx, rider, now).await)
    }

    async fn credit(&self, rider: RiderId, currency: Currency) -> Result<Option<Credit>, StoreError> {
        let mut connection = self.pool.acquire().await.map_err(Trouble::from)?;
        Ok(credit(&mut connection, rider, currency).await?)
    }

    async fn has_paid(&self, rider: RiderId) -> Result<bool, StoreError> {
        let paid = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM core.paid WHERE rider = $1)")
            .bind(rider.as_uuid())
            .fetch_one(&self.pool)
            .await
            .map_err(Trouble::from)?;
        Ok(paid)
    }

    async fn first_rides(&self, max: usize) -> Result<Vec<FirstRide>, StoreError> {
        let rows: Vec<(uuid::Uuid, String)> =
            sqlx::query_as("SELECT rider, entry FROM core.unverified WHERE entry IS NOT NULL ORDER BY rider LIMIT $1")
                .bind(at_most(max))
                .fetch_all(&self.pool)
                .await
                .map_err(Trouble::from)?;
        let first = |(rider, entry): (uuid::Uuid, String)| {
            Ok(FirstRide { rider: rider_of(rider), entry: read("an entry", &entry)? })
        };
        rows.into_iter().map(first).collect()
    }

    async fn pass_first_ride(&self, rider: RiderId) -> Result<(), StoreError> {
        transact!(self, tx => pass_first_ride(&mut tx, rider).await)
    }
}

pub(super) async fn open(tx: &mut Tx, opened: &Advanced) -> Result<Charge, Trouble> {
    let (id, rider) = (opened.charge.id(), opened.charge.rider());
    if matches!(opened.charge.purpose(), Purpose::Hold { .. }) {
        no_more_wanted(tx, id).await?;
    }
    // Waits for whoever opens the same one at this moment.
    let mine = sqlx::query(
        "INSERT INTO core.charge (id, rider, opened_at, next_at, finished, body) VALUES ($1, $2, $3, $4, true, $5)
         ON CONFLICT (id) DO NOTHING",
    )
    .bind(charge_uuid(id))
    .bind(rider.as_uuid())
    .bind(opened.charge.opened_at().unix_ms())
    .bind(opened.charge.next_at().unix_ms())
    .bind(json(&opened.charge))
    .execute(tx.sql())
    .await?;
    if mine.rows_affected() == 0 {
        return stored(tx, id).await;
    }
    if *opened.charge.purpose() == Purpose::Verification {
        pass_first_ride(tx, rider).await?;
    }
    let mut opened = opened.clone();
    if !opened.charge.items().is_empty() {
        let currency = opened.charge.amount().currency();
        // Nobody else opens a charge of this rider from here to the commit, so that no credit is used twice.
        riders::locked(tx, rider).await?;
        let credit = credit(tx.sql(), rider, currency).await?;
        opened = opened.with_credit(credit.map_or(Money::zero(currency), |credit| credit.amount))?;
    }
    bill(tx, None, &opened).await?;
    Ok(opened.charge)
}

async fn bill_hold(tx: &mut Tx, hold: ChargeId, items: &[Item], now: Timestamp) -> Result<Option<Charge>, Trouble> {
    let Some(before) = find(tx, hold).await? else { return Ok(None) };
    let (rider, currency) = (before.rider(), before.amount().currency());
    // As in `open`: no credit is used twice.
    riders::locked(tx, rider).await?;
    let credit = credit(tx.sql(), rider, currency).await?.map_or(Money::zero(currency), |credit| credit.amount);
    let Some(billed) = before.bill_held(items, credit, now)? else { return Ok(None) };
    bill(tx, Some(&before), &billed).await?;
    Ok(Some(billed.charge))
}

async fn let_hold_go(tx: &mut Tx, hold: ChargeId, now: Timestamp) -> Result<bool, Trouble> {
    if no_more_wanted(tx, hold).await? {
        return Ok(true);
    }
    Ok(find(tx, hold).await?.is_some() && rescheduled(tx, hold, |charge| charge.let_go(now)).await?)
}

/// False if the hold is not asked for.
async fn no_more_wanted(tx: &mut Tx, hold: ChargeId) -> Result<bool, Trouble> {
    let wanted =
        sqlx::query("DELETE FROM core.hold_wanted WHERE hold = $1").bind(charge_uuid(hold)).execute(tx.sql()).await?;
    Ok(wanted.rows_affected() > 0)
}

async fn advance(
    tx: &mut Tx,
    (id, attempt): (ChargeId, u32),
    event: &Event,
    now: Timestamp,
    retry: &RetryPolicy,
) -> Result<Advanced, Trouble> {
    let before = stored(tx, id).await?;
    before.is_at(attempt)?;
    let advanced = before.apply(event, now, retry)?;
    keep(tx, Some(&before), &advanced).await?;
    standing::follow(tx, &before, &advanced.charge, now).await?;
    Ok(advanced)
}

/// Lets the rider off a debt, in the transaction of whatever books it.
///
/// Errors: `Charge` if it is none any more.
pub(super) async fn waive(tx: &mut Tx, charge: ChargeId, now: Timestamp) -> Result<(), Trouble> {
    let before = stored(tx, charge).await?;
    let waived = before.apply(&Event::Waived, now, &RetryPolicy::default())?;
    keep(tx, Some(&before), &waived).await?;
    standing::follow(tx, &before, &waived.charge, now).await
}

/// Has each debt of the rider tried at once; gives how many there are.
pub(super) async fn ask_for_debts(tx: &mut Tx, rider: RiderId, now: Timestamp) -> Result<usize, Trouble> {
    let mut asked = 0;
    for debt in debts(tx.sql(), rider).await? {
        asked += usize::from(rescheduled(tx, debt.id(), |charge| charge.asked_for(now)).await?);
    }
    Ok(asked)
}

pub(super) async fn debts(sql: &mut PgConnection, rider: RiderId) -> Result<Vec<Charge>, Trouble> {
    let bodies: Vec<String> = sqlx::query_scalar("SELECT body FROM core.charge WHERE rider = $1 AND owed ORDER BY id")
        .bind(rider.as_uuid())
        .fetch_all(sql)
        .await?;
    Ok(bodies.iter().map(|body| read("a charge", body)).collect::<Result<_, StoreError>>()?)
}

pub(super) async fn credit(
    sql: &mut PgConnection,
    rider: RiderId,
    currency: Currency,
) -> Result<Option<Credit>, Trouble> {
    let body: Option<String> = sqlx::query_scalar("SELECT body FROM core.credit WHERE rider = $1 AND currency = $2")
        .bind(rider.as_uuid())
        .bind(currency.as_str())
        .fetch_optional(sql)
        .await?;
    let credit: Option<Credit> = body.map(|body| read(rider, &body)).transpose()?;
    Ok(credit.filter(|credit| !credit.amount.is_zero()))
}

async fn pass_first_ride(tx: &mut Tx, rider: RiderId) -> Result<(), Trouble> {
    sqlx::query("DELETE FROM core.unverified WHERE rider = $1 AND entry IS NOT NULL")
        .bind(rider.as_uuid())
        .execute(tx.sql())
        .await?;
    Ok(())
}

/// The charge, locked.
pub(super) async fn stored(tx: &mut Tx, id: ChargeId) -> Result<Charge, Trouble> {
    Ok(find(tx, id).await?.ok_or(StoreError::UnknownCharge(id))?)
}

async fn find(tx: &mut Tx, id: ChargeId) -> Result<Option<Charge>, Trouble> {
    let body: Option<String> = sqlx::query_scalar("SELECT body FROM core.charge WHERE id = $1 FOR UPDATE")
        .bind(charge_uuid(id))
        .fetch_optional(tx.sql())
        .await?;
    Ok(body.map(|body| read(id, &body)).transpose()?)
}

/// Stores a charge with its bill: its items are in it from now on, and credits change.
async fn bill(tx: &mut Tx, before: Option<&Charge>, billed: &Advanced) -> Result<(), Trouble> {
    let charge = &billed.charge;
    for item in charge.items() {
        journeys::mark_charged(tx, *item, charge.id()).await?;
    }
    add_credit(tx, charge.rider(), charge.credit_change()?, charge.opened_at()).await?;
    keep(tx, before, billed).await
}

/// Changes what the rider has to his credit, in the transaction of whatever books it, who has locked the rider.
pub(super) async fn add_credit(tx: &mut Tx, rider: RiderId, change: Money, now: Timestamp) -> Result<(), Trouble> {
    if change.is_zero() {
        return Ok(());
    }
    let known = credit(tx.sql(), rider, change.currency()).await?;
    let since = known.map_or(now, |credit| credit.since);
    let held = known.map_or(Money::zero(change.currency()), |credit| credit.amount);
    let amount = held.checked_add(change).map_err(ChargeError::from)?;
    sqlx::query(
        "INSERT INTO core.credit (rider, currency, body) VALUES ($1, $2, $3)
         ON CONFLICT (rider, currency) DO UPDATE SET body = excluded.body",
    )
    .bind(rider.as_uuid())
    .bind(change.currency().as_str())
    .bind(json(&Credit { amount, since }))
    .execute(tx.sql())
    .await?;
    Ok(())
}

/// Stores the charge as `change` makes it, if it does; nothing but when it is looked at next may be other.
async fn rescheduled(
    tx: &mut Tx,
    id: ChargeId,
    change: impl FnOnce(&Charge) -> Option<Charge>,
) -> Result<bool, Trouble> {
    let before = stored(tx, id).await?;
    let Some(charge) = change(&before) else { return Ok(false) };
    keep(tx, Some(&before), &Advanced { charge, entry: None, call: None }).await?;
    Ok(true)
}

async fn keep(tx: &mut Tx, before: Option<&Charge>, advanced: &Advanced) -> Result<(), Trouble> {
    let charge = &advanced.charge;
    sqlx::query("UPDATE core.charge SET next_at = $2, finished = $3, body = $4 WHERE id = $1")
        .bind(charge_uuid(charge.id()))
        .bind(charge.next_at().unix_ms())
        .bind(charge.is_finished())
        .bind(json(charge))
        .execute(tx.sql())
        .await?;
    if let Some(before) = before {
        tx.count(charges_in(before.state()), -1);
    }
    tx.count(charges_in(charge.state()), 1);
    if let Some(entry) = &advanced.entry {
        ledger::post(tx, entry).await?;
    }
    Ok(())
}
