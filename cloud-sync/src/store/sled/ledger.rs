//! Posting, the running balances, and the totals of each hour.

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::ledger::{Account, Entry, EntryId, LedgerError, Totals, Turnover, hour_begins, hour_of};
use facegate_domain::money::{Currency, Money};

use super::tx::{Tx, damaged, decode};
use super::{SledStore, audit, key};
use crate::store::{LedgerStore, StoreError};

const ENTRIES: &str = "entries";
/// While entries of before are being counted in their hours: those below are. Then [`ALL`], since each is as it is posted.
const INDEXED: &str = "entries-indexed";
const ALL: u64 = u64::MAX;
/// Entries read at a time.
const PAGE: usize = 1000;
/// How often past hours are read again because an entry of theirs came meanwhile.
const READS_MAX: u32 = 100;

/// The entry of that id, if it is posted.
pub(super) fn posted(tx: &Tx<'_>, id: &EntryId) -> Result<Option<Entry>, StoreError> {
    let number = tx.get::<u64>(&key::entry_id(id))?;
    Ok(number.map(|number| tx.get(&key::entry(number))).transpose()?.flatten())
}

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
    for posting in entry.postings() {
        if let Account::Wallet(rider) = posting.account {
            tx.put(key::wallet_entry(rider, number), &());
        }
    }
    index(tx, number, entry)
}

/// Counts the entry in its hour.
fn index(tx: &mut Tx<'_>, number: u64, entry: &Entry) -> Result<(), StoreError> {
    tx.put(key::entry_at(entry.at(), number), &());
    for posting in entry.postings() {
        let key = key::hour(hour_of(entry.at()), posting.account.control(), posting.amount.currency());
        let held = tx.get::<Turnover>(&key)?.unwrap_or_default();
        tx.put(key, &held.plus(Turnover::of(posting.amount.minor())));
    }
    Ok(())
}

/// Counts the entries that a version without hours has posted, once.
pub(super) fn index_if_behind(store: &SledStore) -> Result<(), StoreError> {
    let mut next = store.read().counted(INDEXED)?;
    while next != ALL {
        let mut tx = store.read();
        let page = tx.scan_from(key::ENTRY, &key::entry(next), PAGE)?;
        for (k, v) in &page {
            index(&mut tx, u64::from_be_bytes(key::tail(k)), &decode(k, v)?)?;
        }
        next = page.last().map_or(ALL, |(last, _)| u64::from_be_bytes(key::tail(last)) + 1);
        tx.put(key::count(INDEXED), &next);
        tx.apply()?;
    }
    Ok(())
}

/// Adds up the hours before `hour`.
fn hours_before(tx: &Tx<'_>, hour: i64) -> Result<Totals, StoreError> {
    let mut totals = Totals::default();
    let (mut from, end) = (key::HOUR.to_vec(), key::hours_from(hour));
    loop {
        let page = tx.scan_from(key::HOUR, &from, PAGE)?;
        for (k, v) in &page {
            if *k >= end {
                return Ok(totals);
            }
            let (control, currency) = key::of_hour(k).ok_or_else(|| damaged(k, "no control account and currency"))?;
            totals.add_turnover(control, currency, decode(k, v)?);
        }
        let Some((last, _)) = page.last() else { return Ok(totals) };
        from = [last.as_slice(), &[0]].concat();
    }
}

/// Adds the entries from the beginning of the hour of `at` to `at`.
fn add_hour_to(tx: &Tx<'_>, at: Timestamp, totals: &mut Totals) -> Result<(), StoreError> {
    let mut from = key::entries_from(hour_begins(hour_of(at)));
    loop {
        let page = tx.scan_from(key::ENTRY_AT, &from, PAGE)?;
        for (k, _) in &page {
            if key::time_of_entry(k) > at {
                return Ok(());
            }
            let entry = key::entry(u64::from_be_bytes(key::tail(k)));
            totals.add(&tx.get(&entry)?.ok_or_else(|| damaged(&entry, "gone"))?);
        }
        let Some((last, _)) = page.last() else { return Ok(()) };
        from = [last.as_slice(), &[0]].concat();
    }
}

/// The entry of that name, if it is posted.
pub(super) fn entry(tx: &Tx<'_>, id: &EntryId) -> Result<Option<Entry>, StoreError> {
    let number: Option<u64> = tx.get(&key::entry_id(id))?;
    number.map_or(Ok(None), |number| tx.get(&key::entry(number)))
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

    async fn post_entry(&self, entry: Entry, actor: &str, action: &str, subject: &str) -> Result<(), StoreError> {
        self.write(|tx| {
            if self::entry(tx, entry.id())?.is_none() {
                audit::append(tx, actor, action, subject, entry.at())?;
            }
            post(tx, &entry)
        })
        .await
    }

    async fn posted(&self, ids: &[EntryId]) -> Result<Vec<bool>, StoreError> {
        let tx = self.read();
        ids.iter().map(|id| tx.contains(&key::entry_id(id))).collect()
    }

    async fn totals_at(&self, at: Timestamp) -> Result<Totals, StoreError> {
        let tx = self.read();
        for _ in 0..READS_MAX {
            let mut totals = hours_before(&tx, hour_of(at))?;
            // An entry of a past hour that is posted between two of its rows would be seen by half.
            if totals.is_balanced() {
                add_hour_to(&tx, at, &mut totals)?;
                return Ok(totals);
            }
        }
        Err(damaged(key::HOUR, "the totals of past hours do not balance: stop, and fold all entries anew"))
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
