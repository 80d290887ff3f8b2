//! Many at once. Each case says what must be true whoever comes first.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use facegate_cloud_sync::store::{Store, StoreError};
use facegate_domain::charge::{IdempotencyKey, Instrument};
use facegate_domain::ids::{GateId, RiderId};
use facegate_domain::ledger::Account;
use facegate_domain::money::Money;
use facegate_domain::tap::GateRecord;
use futures::future::join_all;

use crate::charges::{opened, top_up};
use crate::places::Place;
use crate::world::{Gate, NOW, after, fares, ride, rider, settlement};

/// Runs all at the same time, on as many threads as there are.
async fn all_at_once<T: Send + 'static>(tasks: Vec<impl Future<Output = T> + Send + 'static>) -> Vec<T> {
    let tasks = tasks.into_iter().map(tokio::spawn).collect::<Vec<_>>();
    join_all(tasks).await.into_iter().map(Result::unwrap).collect()
}

fn deliver(store: &Arc<dyn Store>, batch: Vec<GateRecord>) -> impl Future<Output = usize> + use<> {
    let store = Arc::clone(store);
    async move { store.record_taps(batch, after(5000)).await.unwrap().taps.len() }
}

pub async fn a_batch_delivered_by_many_at_once_counts_once(place: &Place) {
    let store = place.open().await;
    let mut gates = [Gate::entry("north"), Gate::exit("south")];
    let batch: Vec<GateRecord> =
        (0..40).flat_map(|n| gates[n % 2].passed(RiderId::random(), after(n as u64))).collect();
    let deliveries = (0..12).map(|n| {
        let mut batch = batch.clone();
        batch.rotate_left(n * 5);
        deliver(&store, batch)
    });
    let taps: usize = all_at_once(deliveries.collect()).await.into_iter().sum();
    let overview = store.overview().await.unwrap();
    assert_eq!((taps, overview.taps, overview.in_system), (40, 40, 20));
    assert_eq!((overview.conflicts, overview.gaps.len()), (0, 0));
    assert_eq!(store.riders_with_open_taps(None, 100).await.unwrap().len(), 40);
}

pub async fn authorisations_and_passages_delivered_apart_at_once_all_meet(place: &Place) {
    let store = place.open().await;
    let mut gate = Gate::entry("north");
    let records: Vec<GateRecord> = (0..60).flat_map(|n| gate.passed(RiderId::random(), after(n))).collect();
    let taps = all_at_once(records.into_iter().map(|record| deliver(&store, vec![record])).collect()).await;
    assert_eq!(taps.into_iter().sum::<usize>(), 60);
    assert_eq!(store.marks(&gate.gate).await.unwrap()[0].next_sequence, 120);
    assert_eq!(store.overview().await.unwrap().taps, 60);
}

pub async fn riders_who_pass_two_gates_at_once_end_up_where_their_latest_tap_says(place: &Place) {
    let store = place.open().await;
    let riders: Vec<RiderId> = (0..20).map(|_| RiderId::random()).collect();
    let mut deliveries = Vec::new();
    for n in 0..8 {
        // Each gate sees all riders; the last one is an entry for the even ones and an exit for the others.
        let (mut entry, mut exit) = (Gate::entry("north"), Gate::exit("south"));
        entry.gate = GateId::new(format!("in-{n}")).unwrap();
        exit.gate = GateId::new(format!("out-{n}")).unwrap();
        for gate in [&mut entry, &mut exit] {
            let mut batch = Vec::new();
            for (r, rider) in riders.iter().enumerate() {
                let first = (r % 2 == 0) == (gate.direction == facegate_domain::tap::Direction::Entry);
                batch.extend(gate.passed(*rider, after(n * 10 + u64::from(first))));
            }
            deliveries.push(deliver(&store, batch));
        }
    }
    all_at_once(deliveries).await;
    assert_eq!(store.overview().await.unwrap().in_system, 10);
}

pub async fn one_of_many_settlements_and_one_of_many_charges_wins(place: &Place) {
    let store = place.open().await;
    let (mut entry, mut exit) = (Gate::entry("north"), Gate::exit("south"));
    let journey = ride(&*store, &mut entry, &mut exit, RiderId::random(), NOW).await;
    let settle = |_| {
        let (store, settlement) = (Arc::clone(&store), settlement(&journey));
        async move { store.settle(settlement, after(700)).await }
    };
    let settled = all_at_once((0..8).map(settle).collect()).await;
    assert_eq!(settled.iter().filter(|result| result.is_ok()).count(), 1);
    assert!(
        settled.iter().all(|result| matches!(result, Ok(()) | Err(StoreError::SettledMeanwhile(_)))),
        "{settled:?}"
    );
    let open = |n: u64| {
        let (store, opened) = (Arc::clone(&store), opened(&[&journey], Instrument::Wallet, 800 + n));
        async move { store.open_charge(opened).await.unwrap() }
    };
    let charges = all_at_once((0..8).map(open).collect()).await;
    assert!(charges.windows(2).all(|pair| pair[0] == pair[1]));
    assert_eq!(store.entries(0, 10).await.unwrap().len(), 1);
    assert_eq!(store.overview().await.unwrap().journeys, 1);
}

pub async fn no_money_is_spent_twice_from_a_wallet(place: &Place) {
    let store = place.open().await;
    let rider = rider(&*store).await;
    top_up(&*store, rider, 1300, "first").await;
    let key = |n: u8| IdempotencyKey::new(format!("facegate-{n}"));
    // Two schedulers ask for each of them.
    let hold = |n| {
        let (store, amount) = (Arc::clone(&store), Money::from_minor(400, fares().currency()));
        async move { (n, store.hold_in_wallet(&key(n), rider, amount, None, after(900)).await.unwrap()) }
    };
    let asked = all_at_once((0..6).chain(0..6).map(hold).collect()).await;
    let paid: BTreeSet<u8> = asked.into_iter().filter_map(|(n, held)| held.then_some(n)).collect();
    assert_eq!(paid.len(), 3, "four yuan each out of thirteen");
    assert_eq!(store.balance(Account::WalletHeld(rider), fares().currency()).await.unwrap().minor(), -1200);
    assert_eq!(store.balance(Account::Wallet(rider), fares().currency()).await.unwrap().minor(), -100);
    assert!(store.trial_balance().await.unwrap().is_balanced() && store.is_balanced().await.unwrap());
}

pub async fn a_reader_of_the_feed_sees_every_change_while_many_write(place: &Place) {
    let store = place.open().await;
    let writers: Vec<_> = (0..8_u64)
        .map(|writer| {
            let store = Arc::clone(&store);
            async move {
                let mut gate = Gate::entry("north");
                gate.gate = GateId::new(format!("in-{writer}")).unwrap();
                for n in 0..25 {
                    // Transactions of very different lengths: they do not end in the order in which they began.
                    let riders = if n % 3 == 0 { 30 } else { 1 };
                    let batch = (0..riders).flat_map(|_| gate.passed(RiderId::random(), after(n))).collect();
                    store.record_taps(batch, after(5000)).await.unwrap();
                }
            }
        })
        .collect();
    let reader = Arc::clone(&store);
    let following = tokio::spawn(async move {
        let (mut cursor, mut seen, mut head) = (0, Vec::new(), reader.head());
        let all = 8 * (9 * 30 + 16);
        while seen.len() < all {
            let (changes, reached) = reader.changes_after(cursor, 7).await.unwrap().unwrap();
            seen.extend(changes.into_iter().map(|change| change.version));
            if reached == cursor {
                let _ = tokio::time::timeout(Duration::from_secs(20), head.changed()).await.expect("the head rises");
            }
            cursor = reached;
        }
        seen
    });
    all_at_once(writers).await;
    let seen = following.await.unwrap();
    assert!(seen.into_iter().eq(1..=8 * (9 * 30 + 16)), "in order, without a hole");
}
