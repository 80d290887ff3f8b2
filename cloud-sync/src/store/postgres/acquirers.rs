//! What passes between the cloud and its acquirers.

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::charge::IdempotencyKey;

use super::error::Trouble;
use super::tx::Tx;
use super::values::{at_most, json, read};
use super::{PgStore, transact};
use crate::store::{AcquirerStore, AskedOf, StoreError};

#[async_trait]
impl AcquirerStore for PgStore {
    async fn ask_acquirer(
        &self,
        acquirer: &str,
        key: &IdempotencyKey,
        of: Option<&str>,
        now: Timestamp,
    ) -> Result<AskedOf, StoreError> {
        transact!(self, tx => ask(&mut tx, acquirer, key, of, now).await)
    }

    async fn asked_of_acquirer(&self, acquirer: &str, key: &IdempotencyKey) -> Result<Option<AskedOf>, StoreError> {
        let body: Option<String> =
            sqlx::query_scalar("SELECT body FROM core.asked_of_acquirer WHERE acquirer = $1 AND key = $2")
                .bind(acquirer)
                .bind(key.as_str())
                .fetch_optional(&self.pool)
                .await
                .map_err(Trouble::from)?;
        body.map(|body| read(key, &body)).transpose()
    }

    async fn keep_reference(&self, acquirer: &str, key: &IdempotencyKey, reference: &str) -> Result<(), StoreError> {
        transact!(self, tx => keep(&mut tx, acquirer, key, reference).await)
    }

    async fn key_of_reference(&self, acquirer: &str, reference: &str) -> Result<Option<IdempotencyKey>, StoreError> {
        let key: Option<String> =
            sqlx::query_scalar("SELECT key FROM core.asked_of_acquirer WHERE acquirer = $1 AND reference = $2")
                .bind(acquirer)
                .bind(reference)
                .fetch_optional(&self.pool)
                .await
                .map_err(Trouble::from)?;
        Ok(key.map(IdempotencyKey::new))
    }

    async fn take_event(&self, acquirer: &str, event: &str, now: Timestamp) -> Result<bool, StoreError> {
        let new = sqlx::query(
            "INSERT INTO core.told_event (acquirer, event, told_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        )
        .bind(acquirer)
        .bind(event)
        .bind(now.unix_ms())
        .execute(&self.pool)
        .await
        .map_err(Trouble::from)?;
        Ok(new.rows_affected() == 1)
    }

    async fn forget_events(&self, before: Timestamp, max: usize) -> Result<usize, StoreError> {
        let gone = sqlx::query(
            "DELETE FROM core.told_event WHERE (acquirer, event) IN
             (SELECT acquirer, event FROM core.told_event WHERE told_at < $1 ORDER BY told_at LIMIT $2)",
        )
        .bind(before.unix_ms())
        .bind(at_most(max))
        .execute(&self.pool)
        .await
        .map_err(Trouble::from)?;
        Ok(usize::try_from(gone.rows_affected()).unwrap_or(usize::MAX))
    }
}

async fn ask(
    tx: &mut Tx,
    acquirer: &str,
    key: &IdempotencyKey,
    of: Option<&str>,
    now: Timestamp,
) -> Result<AskedOf, Trouble> {
    let asked = AskedOf { asked_at: now, of: of.map(str::to_owned), reference: None, is_new: true };
    // Waits for whoever asks under the same key at this moment.
    let mine = sqlx::query(
        "INSERT INTO core.asked_of_acquirer (acquirer, key, body) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
    )
    .bind(acquirer)
    .bind(key.as_str())
    .bind(json(&asked))
    .execute(tx.sql())
    .await?;
    if mine.rows_affected() == 1 {
        return Ok(asked);
    }
    stored(tx, acquirer, key).await?.ok_or_else(|| StoreError::Unavailable("a row has gone".to_owned()).into())
}

/// Locked.
async fn stored(tx: &mut Tx, acquirer: &str, key: &IdempotencyKey) -> Result<Option<AskedOf>, Trouble> {
    let body: Option<String> =
        sqlx::query_scalar("SELECT body FROM core.asked_of_acquirer WHERE acquirer = $1 AND key = $2 FOR UPDATE")
            .bind(acquirer)
            .bind(key.as_str())
            .fetch_optional(tx.sql())
            .await?;
    Ok(body.map(|body| read(key, &body)).transpose()?)
}

async fn keep(tx: &mut Tx, acquirer: &str, key: &IdempotencyKey, reference: &str) -> Result<(), Trouble> {
    let asked = stored(tx, acquirer, key).await?;
    let Some(asked) = asked.filter(|asked| asked.reference.is_none()) else { return Ok(()) };
    let asked = AskedOf { reference: Some(reference.to_owned()), ..asked };
    sqlx::query("UPDATE core.asked_of_acquirer SET body = $3, reference = $4 WHERE acquirer = $1 AND key = $2")
        .bind(acquirer)
        .bind(key.as_str())
        .bind(json(&asked))
        .bind(reference)
        .execute(tx.sql())
        .await?;
    Ok(())
}
