//! Leases: one row each.

use std::time::Duration;

use async_trait::async_trait;
use facegate_domain::Timestamp;

use super::PgStore;
use super::error::Trouble;
use crate::store::{LeaseStore, StoreError};

#[async_trait]
impl LeaseStore for PgStore {
    async fn hold_lease(&self, name: &str, holder: &str, now: Timestamp, lasts: Duration) -> Result<bool, StoreError> {
        let held = sqlx::query(
            "INSERT INTO core.lease AS l (name, holder, until) VALUES ($1, $2, $3)
             ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
             WHERE l.holder = excluded.holder OR l.until <= $4",
        )
        .bind(name)
        .bind(holder)
        .bind(now.plus(lasts).unix_ms())
        .bind(now.unix_ms())
        .execute(&self.pool)
        .await
        .map_err(Trouble::from)?;
        Ok(held.rows_affected() == 1)
    }

    async fn end_lease(&self, name: &str, holder: &str) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM core.lease WHERE name = $1 AND holder = $2")
            .bind(name)
            .bind(holder)
            .execute(&self.pool)
            .await
            .map_err(Trouble::from)?;
        Ok(())
    }
}
