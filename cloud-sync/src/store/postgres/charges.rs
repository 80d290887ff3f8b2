//! Charges: each transition, its ledger entry and the marks on its items in one transaction.

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::charge::{Advanced, Charge, ChargeError, ChargeId, Event, RetryPolicy};
use facegate_domain::ledger::Account;

use super::error::Trouble;
use super::overview::charges_in;
use super::tx::Tx;
use super::values::{at_most, charge_uuid, json, read};
use super::{PgStore, journeys, ledger, notices, transact};
use crate::store::{ChargeStore, StoreError};

#[async_trait]
impl ChargeStore for PgStore {
    async fn open_charge(&self, opened: Advanced) -> Result<Charge, StoreError> {
        transact!(self, tx => open(&mut tx, &opened).await)
    }

    async fn advance_charge(
        &self,
        charge: ChargeId,
        event: Event,
        now: Timestamp,
        retry: &RetryPolicy,
    ) -> Result<Advanced, StoreError> {
        transact!(self, tx => advance(&mut tx, charge, &event, now, retry).await)
    }

    async fn pay_from_wallet(
        &self,
        charge: ChargeId,
        now: Timestamp,
        retry: &RetryPolicy,
    ) -> Result<Advanced, StoreError> {
        transact!(self, tx => pay(&mut tx, charge, now, retry).await)
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
}

async fn open(tx: &mut Tx, opened: &Advanced) -> Result<Charge, Trouble> {
    let charge = &opened.charge;
    // Waits for whoever opens the same one at this moment.
    let mine = sqlx::query(
        "INSERT INTO core.charge (id, next_at, finished, body) VALUES ($1, $2, $3, $4) ON CONFLICT (id) DO NOTHING",
    )
    .bind(charge_uuid(charge.id()))
    .bind(charge.next_at().unix_ms())
    .bind(charge.is_finished())
    .bind(json(charge))
    .execute(tx.sql())
    .await?;
    if mine.rows_affected() == 0 {
        return stored(tx, charge.id()).await;
    }
    for item in charge.items() {
        journeys::mark_charged(tx, *item, charge.id()).await?;
    }
    tx.count(charges_in(charge.state()), 1);
    if let Some(entry) = &opened.entry {
        ledger::post(tx, entry).await?;
    }
    Ok(charge.clone())
}

async fn advance(
    tx: &mut Tx,
    id: ChargeId,
    event: &Event,
    now: Timestamp,
    retry: &RetryPolicy,
) -> Result<Advanced, Trouble> {
    let before = stored(tx, id).await?;
    let advanced = before.apply(event, now, retry)?;
    notices::tell_of_charge(tx, &before, &advanced.charge, now).await?;
    keep(tx, &before, &advanced).await?;
    Ok(advanced)
}

async fn pay(tx: &mut Tx, id: ChargeId, now: Timestamp, retry: &RetryPolicy) -> Result<Advanced, Trouble> {
    let before = stored(tx, id).await?;
    ledger::alone(tx).await?;
    // What the rider has paid in is owed to him: a credit, hence negative.
    let wallet = Account::Wallet(before.rider());
    let owed = ledger::balance_of(tx.sql(), wallet, before.amount().currency()).await?;
    let funds = owed.checked_neg().map_err(ChargeError::from)?;
    let advanced = before.pay_from_wallet(funds, now, retry)?;
    notices::tell_of_charge(tx, &before, &advanced.charge, now).await?;
    keep(tx, &before, &advanced).await?;
    Ok(advanced)
}

/// The charge, locked.
pub(super) async fn stored(tx: &mut Tx, id: ChargeId) -> Result<Charge, Trouble> {
    let body: Option<String> = sqlx::query_scalar("SELECT body FROM core.charge WHERE id = $1 FOR UPDATE")
        .bind(charge_uuid(id))
        .fetch_optional(tx.sql())
        .await?;
    Ok(read(id, &body.ok_or(StoreError::UnknownCharge(id))?)?)
}

async fn keep(tx: &mut Tx, before: &Charge, advanced: &Advanced) -> Result<(), Trouble> {
    let charge = &advanced.charge;
    sqlx::query("UPDATE core.charge SET next_at = $2, finished = $3, body = $4 WHERE id = $1")
        .bind(charge_uuid(charge.id()))
        .bind(charge.next_at().unix_ms())
        .bind(charge.is_finished())
        .bind(json(charge))
        .execute(tx.sql())
        .await?;
    tx.count(charges_in(before.state()), -1);
    tx.count(charges_in(charge.state()), 1);
    if let Some(entry) = &advanced.entry {
        ledger::post(tx, entry).await?;
    }
    Ok(())
}
