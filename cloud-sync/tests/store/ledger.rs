//! The books and the audit log.

use facegate_cloud_sync::store::{Store, StoreError};
use facegate_domain::Timestamp;
use facegate_domain::charge::Instrument;
use facegate_domain::ids::RiderId;
use facegate_domain::ledger::{Account, Entry, EntryId, LedgerError, Totals, TrialBalance};
use facegate_domain::money::Money;

use crate::places::Place;
use crate::world::{after, fares, rider};

fn entry(name: &str, rider: RiderId, minor: i64) -> Entry {
    let amount = Money::from_minor(minor, fares().currency());
    let id = EntryId::of("top-up", name);
    Entry::transfer(id, after(0), amount, Account::Wallet(rider), Account::BoothCash).unwrap()
}

pub async fn an_entry_is_posted_once_and_a_contradiction_refused(place: &Place) {
    let store = place.open().await;
    let rider = rider(&*store).await;
    let post = async |entry| store.bind_account(rider, Instrument::Wallet, vec![entry]).await;
    for _ in 0..3 {
        post(entry("one", rider, 500)).await.unwrap();
    }
    let contradiction = post(entry("one", rider, 501)).await;
    assert!(matches!(contradiction, Err(StoreError::Ledger(LedgerError::Conflict { .. }))), "{contradiction:?}");
    // Two entries of one command stand or fall together.
    let both = vec![entry("two", rider, 100), entry("one", rider, 502)];
    store.bind_account(rider, Instrument::Wallet, both).await.unwrap_err();
    let huge = post(entry("huge", rider, i64::MAX)).await;
    assert!(matches!(huge, Err(StoreError::Ledger(LedgerError::Money { .. }))), "{huge:?}");
    assert_eq!(store.entries(0, 10).await.unwrap(), [(0, entry("one", rider, 500))]);
    assert_eq!(store.balance(Account::Wallet(rider), fares().currency()).await.unwrap().minor(), -500);
}

pub async fn balances_are_the_sum_of_the_entries(place: &Place) {
    let store = place.open().await;
    let mut entries = Vec::new();
    for n in 1..=9 {
        let rider = rider(&*store).await;
        let posted = entry(&n.to_string(), rider, n * 11);
        store.bind_account(rider, Instrument::Wallet, vec![posted.clone()]).await.unwrap();
        entries.push(posted);
    }
    let mut told = store.entries(0, 4).await.unwrap();
    told.extend(store.entries(4, 100).await.unwrap());
    assert!(told.iter().map(|(number, _)| *number).eq(0..9));
    assert_eq!(told.into_iter().map(|(_, entry)| entry).collect::<Vec<_>>(), entries);
    let trial = store.trial_balance().await.unwrap();
    assert_eq!(trial, TrialBalance::of(&entries).unwrap());
    for (account, balance) in trial.iter() {
        assert_eq!(store.balance(account, balance.currency()).await.unwrap(), balance);
    }
    assert!(store.is_balanced().await.unwrap() && store.overview().await.unwrap().ledger_balanced);
}

pub async fn the_trial_balance_of_any_moment_is_the_fold_of_what_was_made_by_then(place: &Place) {
    let store = place.open().await;
    // Around the ends of hours, some later ones posted first, and two at one moment.
    let seconds = [3_199, 3_200, 3_201, 0, 6_900, 6_800, 90_000, 90_000, 5];
    let mut entries = Vec::new();
    for (n, at) in (0..).zip(seconds) {
        let rider = rider(&*store).await;
        let amount = Money::from_minor(100 + n, fares().currency());
        let id = EntryId::of("top-up", n);
        let posted = Entry::transfer(id, after(at), amount, Account::Wallet(rider), Account::BoothCash).unwrap();
        store.bind_account(rider, Instrument::Wallet, vec![posted.clone()]).await.unwrap();
        entries.push(posted);
    }
    let moments =
        seconds.iter().flat_map(|s| [after(*s), after(s + 1)]).chain([Timestamp::from_unix_ms(0), after(1 << 40)]);
    for at in moments {
        let told = store.totals_at(at).await.unwrap();
        assert_eq!(told, Totals::of(entries.iter().filter(|entry| entry.at() <= at)), "{at:?}");
    }
    drop(store);
    assert_eq!(place.open().await.totals_at(after(1 << 40)).await.unwrap(), Totals::of(&entries), "after a restart");
}

pub async fn the_audit_chain_holds_over_all_lines(place: &Place) {
    let store = place.open().await;
    assert_eq!(store.verify_audit().await.unwrap(), Ok(0));
    for n in 0..5 {
        store.audit("operator/x", "rider.erase", &n.to_string(), after(n)).await.unwrap();
    }
    let lines = store.audit_entries(1, 3).await.unwrap();
    let numbers: Vec<_> = lines.iter().map(|line| (line.number, line.subject.clone(), line.at)).collect();
    assert_eq!(numbers, [1, 2, 3].map(|n| (n, n.to_string(), after(n))));
    assert!(lines.windows(2).all(|pair| pair[0].hash != pair[1].hash));
    let store: &dyn Store = &*store;
    assert_eq!(store.verify_audit().await.unwrap(), Ok(5));
}
