//! Wallets, by their entries. The ledger's lock comes before the balance is read: nobody else posts from there on.

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::charge::{ChargeError, IdempotencyKey};
use facegate_domain::ids::RiderId;
use facegate_domain::ledger::{Account, Entry};
use facegate_domain::money::{Currency, Money};
use sqlx::postgres::PgConnection;

use super::error::Trouble;
use super::tx::Tx;
use super::values::{at_most, from_number, json, read};
use super::{PgStore, ledger, notices, transact};
use crate::store::wallets::{hold_entry, hold_id, release_entry, release_id, taken, told_of_low};
use crate::store::{Held, StoreError, WalletStore};

#[async_trait]
impl WalletStore for PgStore {
    async fn hold_in_wallet(
        &self,
        key: &IdempotencyKey,
        rider: RiderId,
        amount: Money,
        low: Option<Money>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        transact!(self, tx => hold(&mut tx, key, rider, (amount, low), now).await)
    }

    async fn release_hold(&self, key: &IdempotencyKey, kept: Money, now: Timestamp) -> Result<(), StoreError> {
        transact!(self, tx => release(&mut tx, key, kept, now).await)
    }

    async fn wallet_hold(&self, key: &IdempotencyKey) -> Result<Option<Held>, StoreError> {
        let mut connection = self.pool.acquire().await.map_err(Trouble::from)?;
        Ok(held(&mut connection, key).await?)
    }

    async fn withdraw(&self, rider: RiderId, entry: Entry) -> Result<(), StoreError> {
        transact!(self, tx => withdraw(&mut tx, rider, &entry).await)
    }

    async fn wallet_movements(
        &self,
        rider: RiderId,
        before: Option<u64>,
        max: usize,
    ) -> Result<Vec<(u64, Entry)>, StoreError> {
        let rows: Vec<(i64, String)> = sqlx::query_as(
            "SELECT e.number, e.body FROM core.posting p JOIN core.entry e ON e.id = p.entry
             WHERE p.account = $1 AND p.account LIKE '{\"account\":\"wallet\"%' AND e.number < $2
             ORDER BY e.number DESC LIMIT $3",
        )
        .bind(json(&Account::Wallet(rider)))
        .bind(before.map_or(i64::MAX, at_most))
        .bind(at_most(max))
        .fetch_all(&self.pool)
        .await
        .map_err(Trouble::from)?;
        rows.iter().map(|(number, body)| Ok((from_number(*number), read(number, body)?))).collect()
    }
}

async fn hold(
    tx: &mut Tx,
    key: &IdempotencyKey,
    rider: RiderId,
    (amount, low): (Money, Option<Money>),
    now: Timestamp,
) -> Result<bool, Trouble> {
    ledger::alone(tx).await?;
    let entry = hold_entry(key, rider, amount, now)?;
    let known = ledger::posted(tx.sql(), entry.id()).await?.is_some();
    let funds = funds(tx, rider, amount.currency()).await?;
    if !known && funds.compare(amount).map_err(ChargeError::from)?.is_lt() {
        return Ok(false);
    }
    ledger::post(tx, &entry).await?;
    let told = told_of_low(funds, amount, low.filter(|_| !known)).map_err(ChargeError::from)?;
    if let Some(told) = told {
        notices::tell(tx, rider, now, told).await?;
    }
    Ok(true)
}

async fn release(tx: &mut Tx, key: &IdempotencyKey, kept: Money, now: Timestamp) -> Result<(), Trouble> {
    let held = held(tx.sql(), key).await?.ok_or_else(|| StoreError::UnknownHold(key.clone()))?;
    if let Some(entry) = release_entry(key, &held, kept, now)? {
        ledger::post(tx, &entry).await?;
    }
    Ok(())
}

async fn withdraw(tx: &mut Tx, rider: RiderId, entry: &Entry) -> Result<(), Trouble> {
    ledger::alone(tx).await?;
    let taken = taken(rider, entry).map_err(ChargeError::from)?;
    let known = ledger::posted(tx.sql(), entry.id()).await?.is_some();
    let funds = funds(tx, rider, taken.currency()).await?;
    if !known && funds.compare(taken).map_err(ChargeError::from)?.is_lt() {
        return Err(StoreError::WalletShort { funds }.into());
    }
    ledger::post(tx, entry).await
}

/// What the rider has paid in is owed to him: a credit, hence negative.
async fn funds(tx: &mut Tx, rider: RiderId, currency: Currency) -> Result<Money, Trouble> {
    let owed = ledger::balance_of(tx.sql(), Account::Wallet(rider), currency).await?;
    Ok(owed.checked_neg().map_err(ChargeError::from)?)
}

async fn held(sql: &mut PgConnection, key: &IdempotencyKey) -> Result<Option<Held>, Trouble> {
    let Some(hold) = ledger::posted(sql, &hold_id(key)).await? else { return Ok(None) };
    let release = ledger::posted(sql, &release_id(key)).await?;
    Ok(Some(Held::of(&hold, release.as_ref())?))
}
