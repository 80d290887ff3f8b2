//! What the database itself refuses, whatever a program does, and how trouble with it is told.

use facegate_cloud_sync::store::postgres::{PgStore, PostgresUrl};
use facegate_cloud_sync::store::{AuditStore, LedgerStore, Store, StoreError, TapStore};
use facegate_domain::charge::Instrument;
use facegate_domain::ids::RiderId;
use facegate_runtime::keys::FileKeys;
use sqlx::{Connection, PgConnection};

use crate::charges::opened;
use crate::places::{Backend, KEPT, Place};
use crate::postgres::Postgres;
use crate::world::{Gate, NOW, enrolled, settled_ride};

async fn refused(database: &mut PgConnection, sql: &'static str) -> String {
    let error = sqlx::raw_sql(sql).execute(database).await.expect_err(sql);
    error.as_database_error().map(ToString::to_string).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_schema_itself_refuses_a_second_copy_and_a_changed_entry() {
    let place = Place::new(Backend::Postgres).await;
    let store = place.open().await;
    let journey = settled_ride(&*store, RiderId::random()).await;
    store.open_charge(opened(&[&journey], Instrument::Wallet, 800)).await.unwrap();
    let mut database = place.database().await;
    for (sql, said) in [
        ("INSERT INTO core.record SELECT * FROM core.record LIMIT 1", "duplicate key"),
        ("INSERT INTO core.tap SELECT * FROM core.tap LIMIT 1", "duplicate key"),
        ("INSERT INTO core.settled_tap SELECT gate, epoch, sequence, NULL FROM core.settled_tap", "duplicate key"),
        ("INSERT INTO core.item SELECT id, rider, ride, day, bill_at, NULL, body FROM core.item", "duplicate key"),
        ("INSERT INTO core.entry SELECT id, number + 1, body, at FROM core.entry", "duplicate key"),
        ("UPDATE core.entry SET body = ''", "never changed"),
        ("DELETE FROM core.posting", "never changed"),
        ("INSERT INTO core.entry VALUES ('forged', 77, '', 0)", "does not balance"),
        (
            "BEGIN; INSERT INTO core.entry VALUES ('forged', 77, '', 0);
             INSERT INTO core.posting VALUES ('forged', 0, 'a', 'CNY', 5), ('forged', 1, 'b', 'CNY', -4); COMMIT",
            "does not balance",
        ),
    ] {
        let told = refused(&mut database, sql).await;
        assert!(told.contains(said), "{sql}: {told}");
    }
    assert!(store.trial_balance().await.unwrap().is_balanced());
    drop((store, database));
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_and_taps_lie_in_partitions_by_gate() {
    let place = Place::new(Backend::Postgres).await;
    let store = place.open().await;
    for n in 0..40 {
        let mut gate = Gate::entry(&format!("station-{n}"));
        store.record_taps(gate.passed(RiderId::random(), NOW).into(), NOW).await.unwrap();
    }
    let used: i64 = sqlx::query_scalar("SELECT count(DISTINCT tableoid) FROM core.tap")
        .fetch_one(&mut place.database().await)
        .await
        .unwrap();
    assert_eq!(used, 8);
    drop(store);
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_table_shows_a_name_or_a_face() {
    let place = Place::new(Backend::Postgres).await;
    let store = place.open().await;
    let face = enrolled(&*store).await;
    let mut database = place.database().await;
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname IN ('core', 'faces', 'identity')",
    )
    .fetch_all(&mut database)
    .await
    .unwrap();
    let mut looked_at = 0;
    for table in tables {
        let rows: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(format!("SELECT t::text FROM {table} t")))
            .fetch_all(&mut database)
            .await
            .unwrap();
        for row in rows {
            looked_at += 1;
            let name = hex::encode("Nemo");
            let value = hex::encode(0.6_f32.to_le_bytes());
            assert!(!row.contains("Nemo") && !row.contains(&name) && !row.contains(&value), "{table}: {row}");
        }
    }
    assert!(looked_at >= 8);
    assert_eq!(store.templates(None, 1).await.unwrap(), [face]);
    drop((store, database));
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_keys_a_newer_schema_and_a_changed_line_are_noticed() {
    let place = Place::new(Backend::Postgres).await;
    let store = place.open_postgres(KEPT).await;
    for subject in ["a", "b", "c"] {
        store.audit("operator/x", "rider.erase", subject, NOW).await.unwrap();
    }
    assert_eq!(store.verify_audit().await.unwrap(), Ok(3));
    let mut database = place.database().await;
    sqlx::raw_sql("UPDATE core.audit SET subject = 'z' WHERE number = 1").execute(&mut database).await.unwrap();
    assert_eq!(store.verify_audit().await.unwrap().unwrap_err().number, 1);
    drop(store);

    let url = PostgresUrl::checked(place.url.as_ref().unwrap(), None).unwrap();
    let other_keys = FileKeys::open(&place.dir.path().join("other-keys")).unwrap();
    let refused = PgStore::open(&url, &other_keys, KEPT).await;
    assert!(matches!(refused, Err(StoreError::WrongKey(_))), "{refused:?}");
    sqlx::raw_sql("INSERT INTO _sqlx_migrations VALUES (9999, 'of tomorrow', now(), true, '', 0)")
        .execute(&mut database)
        .await
        .unwrap();
    let refused = PgStore::open(&url, &place.keys(), KEPT).await;
    assert!(matches!(refused, Err(StoreError::Newer { found: 9999, .. })), "{refused:?}");
    let told = refused.unwrap_err().to_string();
    assert!(told.contains("newer version") && told.contains("PostgreSQL at"), "{told}");
    drop(database);
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_ends_under_a_command_acknowledges_nothing_and_is_used_again_when_it_is_back() {
    let place = Place::new(Backend::Postgres).await;
    let store = place.open_postgres(KEPT).await;
    let mut gate = Gate::entry("north");
    store.record_taps(gate.passed(RiderId::random(), NOW).into(), NOW).await.unwrap();
    // Every connection is cut, as when the server is restarted.
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let mut database = place.database().await;
    for n in 1..=10 {
        let batch: Vec<_> = gate.passed(RiderId::random(), NOW).into();
        let (cut, delivered) =
            tokio::join!(sqlx::raw_sql(cut).execute(&mut database), store.record_taps(batch.clone(), NOW));
        cut.unwrap();
        if let Err(error) = delivered {
            assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        }
        // The station delivers again until it is acknowledged, whatever became of the first attempt.
        while let Err(error) = store.record_taps(batch.clone(), NOW).await {
            assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        }
        assert_eq!(store.marks(&gate.gate).await.unwrap()[0].next_sequence, 2 * n + 2);
    }
    assert_eq!(store.trial_balance().await.unwrap().iter().count(), 0);
    drop((store, database));
    place.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_gone_is_out_of_reach_and_not_damaged() {
    let dir = tempfile::tempdir().unwrap();
    let keys = FileKeys::open(&dir.path().join("keys")).unwrap();
    let server = tokio::task::spawn_blocking(|| Postgres::start().unwrap()).await.unwrap();
    let url = PostgresUrl::checked(&server.url(), None).unwrap();
    let store = PgStore::open(&url, &keys, KEPT).await.unwrap();
    let mut database = PgConnection::connect(&server.url()).await.unwrap();
    sqlx::query("SELECT 1").execute(&mut database).await.unwrap();
    tokio::task::spawn_blocking(move || drop(server)).await.unwrap();
    let mut gate = Gate::entry("north");
    let refused = store.record_taps(gate.passed(RiderId::random(), NOW).into(), NOW).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    let again = PgStore::open(&url, &keys, KEPT).await;
    assert!(matches!(again, Err(StoreError::Unavailable(_))), "{again:?}");
    let _: &dyn Store = &store;
}
