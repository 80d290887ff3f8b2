//! Wallets, by their entries.

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::charge::{ChargeError, IdempotencyKey};
use facegate_domain::ids::RiderId;
use facegate_domain::ledger::{Account, Entry};
use facegate_domain::money::{Currency, Money};

use super::tx::{Tx, damaged};
use super::{SledStore, key, ledger, notices};
use crate::store::wallets::{hold_entry, hold_id, release_entry, release_id, taken, told_of_low};
use crate::store::{Held, StoreError, WalletStore};

#[async_trait]
impl WalletStore for SledStore {
    async fn hold_in_wallet(
        &self,
        key: &IdempotencyKey,
        rider: RiderId,
        amount: Money,
        low: Option<Money>,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.write(|tx| {
            let entry = hold_entry(key, rider, amount, now)?;
            if ledger::posted(tx, entry.id())?.is_some() {
                return ledger::post(tx, &entry).map(|()| true);
            }
            let funds = funds(tx, rider, amount.currency())?;
            if funds.compare(amount).map_err(ChargeError::from)?.is_lt() {
                return Ok(false);
            }
            ledger::post(tx, &entry)?;
            if let Some(told) = told_of_low(funds, amount, low).map_err(ChargeError::from)? {
                notices::tell(tx, rider, now, told)?;
            }
            Ok(true)
        })
        .await
    }

    async fn release_hold(&self, key: &IdempotencyKey, kept: Money, now: Timestamp) -> Result<(), StoreError> {
        self.write(|tx| {
            let held = held(tx, key)?.ok_or_else(|| StoreError::UnknownHold(key.clone()))?;
            let rest = release_entry(key, &held, kept, now)?;
            rest.iter().try_for_each(|entry| ledger::post(tx, entry))
        })
        .await
    }

    async fn wallet_hold(&self, key: &IdempotencyKey) -> Result<Option<Held>, StoreError> {
        held(&self.read(), key)
    }

    async fn withdraw(&self, rider: RiderId, entry: Entry) -> Result<(), StoreError> {
        self.write(|tx| {
            let taken = taken(rider, &entry).map_err(ChargeError::from)?;
            let known = ledger::posted(tx, entry.id())?.is_some();
            let funds = funds(tx, rider, taken.currency())?;
            if !known && funds.compare(taken).map_err(ChargeError::from)?.is_lt() {
                return Err(StoreError::WalletShort { funds });
            }
            ledger::post(tx, &entry)
        })
        .await
    }

    async fn wallet_movements(
        &self,
        rider: RiderId,
        before: Option<u64>,
        max: usize,
    ) -> Result<Vec<(u64, Entry)>, StoreError> {
        let tx = self.read();
        let all = tx.scan(&key::wallet_entries(rider))?;
        let numbers = all.iter().rev().map(|(k, _)| u64::from_be_bytes(key::tail(k)));
        let wanted = numbers.filter(|number| before.is_none_or(|before| *number < before)).take(max);
        wanted
            .map(|number| {
                let k = key::entry(number);
                Ok((number, tx.get(&k)?.ok_or_else(|| damaged(&k, "gone"))?))
            })
            .collect()
    }
}

/// What the rider has paid in is owed to him: a credit, hence negative.
fn funds(tx: &Tx<'_>, rider: RiderId, currency: Currency) -> Result<Money, StoreError> {
    Ok(ledger::balance_of(tx, Account::Wallet(rider), currency)?.checked_neg().map_err(ChargeError::from)?)
}

fn held(tx: &Tx<'_>, key: &IdempotencyKey) -> Result<Option<Held>, StoreError> {
    let Some(hold) = ledger::posted(tx, &hold_id(key))? else { return Ok(None) };
    Ok(Some(Held::of(&hold, ledger::posted(tx, &release_id(key))?.as_ref())?))
}
