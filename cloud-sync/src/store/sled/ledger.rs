//! Posting, and the running balances.

use async_trait::async_trait;
use facegate_domain::ledger::{Account, Entry, LedgerError};
use facegate_domain::money::{Currency, Money};

use super::tx::{Tx, damaged, decode};
use super::{SledStore, key};
use crate::store::{LedgerStore, StoreError};

const ENTRIES: &str = "entries";

/// Posts an entry. One that is posted already, with the same content, counts once.
pub(super) fn post(tx: &mut Tx<'_>, entry: &Entry) -> Result<(), StoreError> {
    if let Some(number) = tx.get::<u64>(&key::entry_id(entry.id()))? {
        let posted: Option<Entry> = tx.get(&key::entry(number))?;
        return match posted {
            Some(posted) if posted.postings() == entry.postings() => Ok(()),
            _ => Err(LedgerError::Conflict { id: entry.id().clone() }.into()),
        };
    }
    for posting in entry.postings() {
        let balance = balance_of(tx, posting.account, posting.amount.currency())?
            .checked_add(posting.amount)
            .map_err(|problem| LedgerError::Money { id: entry.id().clone(), problem })?;
        tx.put(key::balance(&posting.account, balance.currency()), &balance);
    }
    let number = tx.count(ENTRIES, 1)?;
    tx.put(key::entry_id(entry.id()), &number);
    tx.put(key::entry(number), entry);
    Ok(())
}

pub(super) fn balance_of(tx: &Tx<'_>, account: Account, currency: Currency) -> Result<Money, StoreError> {
    Ok(tx.get(&key::balance(&account, currency))?.unwrap_or(Money::zero(currency)))
}

#[async_trait]
impl LedgerStore for SledStore {
    async fn balance(&self, account: Account, currency: Currency) -> Result<Money, StoreError> {
        balance_of(&self.read(), account, currency)
    }

    async fn entries(&self, from: u64, max: usize) -> Result<Vec<(u64, Entry)>, StoreError> {
        let found = self.read().scan_from(key::ENTRY, &key::entry(from), max)?;
        found.iter().map(|(k, v)| Ok((u64::from_be_bytes(key::tail(k)), decode(k, v)?))).collect()
    }

    async fn is_balanced(&self) -> Result<bool, StoreError> {
        let mut sums = std::collections::BTreeMap::<Currency, i128>::new();
        for (k, v) in self.read().scan(key::BALANCE)? {
            let balance: Money = decode(&k, &v)?;
            let sum = sums.entry(balance.currency()).or_default();
            *sum = sum.checked_add(i128::from(balance.minor())).ok_or_else(|| damaged(&k, "beyond 128 bits"))?;
        }
        Ok(sums.values().all(|sum| *sum == 0))
    }
}
