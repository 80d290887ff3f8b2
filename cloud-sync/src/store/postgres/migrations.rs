//! Brings the schema up to date. Replicas may do so at the same time: each migration is one transaction together with
//! the note that it was made, so that one of them wins and the others find it done.

use std::time::Duration;

use sqlx::SqlSafeStr;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::postgres::PgPool;

use super::error::Trouble;
use super::url::PostgresUrl;
use crate::store::StoreError;

/// Every migration there ever was, in order. One that was released is never changed; a change is another one.
const MIGRATIONS: [(i64, &str, &str); 13] = [
    (1, "store", include_str!("../../../migrations/0001_store.sql")),
    (2, "rides", include_str!("../../../migrations/0002_rides.sql")),
    (3, "charging", include_str!("../../../migrations/0003_charging.sql")),
    (4, "acquirers", include_str!("../../../migrations/0004_acquirers.sql")),
    (5, "books", include_str!("../../../migrations/0005_books.sql")),
    (6, "after", include_str!("../../../migrations/0006_after.sql")),
    (7, "prepay", include_str!("../../../migrations/0007_prepay.sql")),
    (8, "settling", include_str!("../../../migrations/0008_settling.sql")),
    (9, "gates", include_str!("../../../migrations/0009_gates.sql")),
    (10, "waivers", include_str!("../../../migrations/0010_waivers.sql")),
    (11, "attacks", include_str!("../../../migrations/0011_attacks.sql")),
    (12, "acts", include_str!("../../../migrations/0012_acts.sql")),
    (13, "booth", include_str!("../../../migrations/0013_booth.sql")),
];

/// How often replicas that start together may get in each other's way.
const TRIES_MAX: u32 = 20;

pub(super) async fn run(pool: &PgPool, url: &PostgresUrl) -> Result<(), StoreError> {
    let migrations = MIGRATIONS.map(|(version, name, sql)| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    });
    let mut migrator = Migrator::with_migrations(migrations.to_vec());
    // Its lock would be an advisory one, which not every engine has.
    migrator.set_locking(false);
    let mut tries = 0;
    loop {
        let error = match migrator.run(pool).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        match error {
            MigrateError::VersionMissing(_) => return Err(newer(pool, url).await),
            MigrateError::VersionMismatch(version) => {
                let reason = "migrated by another text than this version's".to_owned();
                return Err(StoreError::Damaged { key: format!("migration {version}"), reason });
            }
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => {
                tries += 1;
                let overtaken = error.as_database_error().is_some();
                if tries >= TRIES_MAX || !overtaken {
                    return Err(Trouble::from(error).into());
                }
            }
            other => return Err(StoreError::Unavailable(other.to_string())),
        }
        tokio::time::sleep(Duration::from_millis(rand::random_range(10..=200))).await;
    }
}

async fn newer(pool: &PgPool, url: &PostgresUrl) -> StoreError {
    let found: Result<i64, _> = sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations").fetch_one(pool).await;
    let known = MIGRATIONS.iter().map(|(version, ..)| *version).max().unwrap_or(0);
    match found {
        Ok(found) => StoreError::Newer {
            path: url.to_string(),
            found: u32::try_from(found).unwrap_or(u32::MAX),
            known: u32::try_from(known).unwrap_or(u32::MAX),
        },
        Err(error) => Trouble::from(error).into(),
    }
}
