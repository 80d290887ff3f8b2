//! Two replicas of the cloud over one PostgreSQL, at the level of the store.

use std::sync::Arc;
use std::time::Duration;

use facegate_cloud_sync::store::{FeedStore, OverviewStore, RiskStore, Store, TapStore};
use facegate_domain::ids::{GateId, RiderId};
use facegate_domain::risk::{AttacksTold, GateAttacks};
use sqlx::Connection;

use crate::places::{Backend, KEPT, Place};
use crate::world::{Gate, after, station};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_replica_publishes_wakes_the_readers_of_the_other() {
    let place = Place::new(Backend::Postgres).await;
    let (one, two) = (place.open_postgres(KEPT).await, place.open_postgres(KEPT).await);
    let mut head = two.head();
    head.mark_unchanged();
    one.set_denied(RiderId::random(), true).await.unwrap();
    tokio::time::timeout(Duration::from_secs(20), head.changed()).await.expect("within a look").unwrap();
    assert_eq!(*head.borrow(), 1);
    drop((one, two));
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_knows_versions_that_it_has_not_seen_the_head_of() {
    let place = Place::new(Backend::Postgres).await;
    let (one, two) = (place.open_postgres(KEPT).await, place.open_postgres(KEPT).await);
    // A station that moves over at once is not told that its cursor lies beyond the log.
    for cursor in 1..20 {
        one.set_denied(RiderId::random(), true).await.unwrap();
        assert_eq!(two.changes_after(cursor, 10).await.unwrap().unwrap(), (Vec::new(), cursor));
    }
    drop((one, two));
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_commits_late_is_passed_by_no_reader() {
    let place = Place::new(Backend::Postgres).await;
    let store: Arc<dyn Store> = Arc::new(place.open_postgres(KEPT).await);
    store.set_denied(RiderId::random(), true).await.unwrap();
    // A writer has its version and has not committed.
    let mut slow = place.database().await;
    let mut held = slow.begin().await.unwrap();
    let version: i64 = sqlx::query_scalar("UPDATE core.feed_head SET version = version + 1 RETURNING version")
        .fetch_one(&mut *held)
        .await
        .unwrap();
    assert_eq!(version, 2);
    let fast = {
        let store = Arc::clone(&store);
        tokio::spawn(async move { store.set_denied(RiderId::random(), true).await.unwrap() })
    };
    let mut looks = 0;
    while !waits_for_a_lock(&place).await {
        looks += 1;
        assert!(looks < 1000, "the second writer waits for the first");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(store.changes_after(0, 10).await.unwrap().unwrap().1, 1, "neither is shown");
    let body = format!(r#"{{"kind":"allowed","rider":"{}"}}"#, RiderId::random());
    sqlx::query("INSERT INTO core.change VALUES (2, $1)").bind(body).execute(&mut *held).await.unwrap();
    held.commit().await.unwrap();
    fast.await.unwrap();
    let (changes, reached) = store.changes_after(1, 10).await.unwrap().unwrap();
    assert_eq!((changes.iter().map(|change| change.version).collect::<Vec<_>>(), reached), (vec![2, 3], 3));
    drop(store);
    place.remove().await;
}

async fn waits_for_a_lock(place: &Place) -> bool {
    let waiting: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
    )
    .fetch_one(&mut place.database().await)
    .await
    .unwrap();
    waiting > 0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_that_start_at_once_migrate_once() {
    let place = Place::new(Backend::Postgres).await;
    let stores = futures::future::join_all((0..4).map(|_| place.open_postgres(KEPT))).await;
    stores[0].set_denied(RiderId::random(), true).await.unwrap();
    assert_eq!(stores[3].overview().await.unwrap().head_version, 1);
    drop(stores);
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_delivered_to_both_replicas_count_once() {
    let place = Place::new(Backend::Postgres).await;
    let replicas = [Arc::new(place.open_postgres(KEPT).await), Arc::new(place.open_postgres(KEPT).await)];
    let mut tasks = Vec::new();
    for n in 0..6 {
        let mut gate = Gate::entry("north");
        gate.gate = GateId::new(format!("in-{n}")).unwrap();
        let batch: Vec<_> = (0..50).flat_map(|s| gate.passed(RiderId::random(), after(s))).collect();
        for replica in &replicas {
            let (replica, batch) = (Arc::clone(replica), batch.clone());
            tasks.push(tokio::spawn(async move { replica.record_taps(batch, after(99)).await.unwrap().taps.len() }));
        }
    }
    let mut taps = 0;
    for task in tasks {
        taps += task.await.unwrap();
    }
    assert_eq!((taps, replicas[1].overview().await.unwrap().taps), (300, 300));
    drop(replicas);
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attacks_that_stations_tell_any_replica_are_known_to_all() {
    let place = Place::new(Backend::Postgres).await;
    let (one, two) = (place.open_postgres(KEPT).await, place.open_postgres(KEPT).await);
    let (kept, station) = (Duration::from_secs(600), station("north"));
    let gate = |number: u8| GateId::new(format!("n-{number}")).unwrap();
    let told = |counted, second| AttacksTold { counted, said_at: after(second) };
    one.count_attacks(&station, &[(gate(1), told(0, 0)), (gate(2), told(0, 0))], after(0), kept).await.unwrap();
    // The station moves from one to the other and back.
    for second in 1..=20 {
        let replica = if second % 3 == 0 { &one } else { &two };
        let told = [(gate(1), told(second, second)), (gate(2), told(second / 2, second))];
        replica.count_attacks(&station, &told, after(second), kept).await.unwrap();
    }
    let of =
        |attacks: Vec<(GateId, GateAttacks)>| attacks.into_iter().map(|(_, of)| of.since(after(0))).collect::<Vec<_>>();
    for replica in [&one, &two] {
        assert_eq!(of(replica.attacks_at(&station).await.unwrap()), [20, 10]);
    }
    // Both at once: each word counts once, whoever is first.
    let both = [(gate(1), told(30, 21)), (gate(2), told(30, 21))];
    let back: Vec<_> = both.iter().rev().cloned().collect();
    let (a, b) = tokio::join!(
        one.count_attacks(&station, &both, after(21), kept),
        two.count_attacks(&station, &back, after(21), kept)
    );
    a.unwrap();
    b.unwrap();
    assert_eq!(of(one.attacks_at(&station).await.unwrap()), [30, 30]);
    drop((one, two));
    place.remove().await;
}
