//! The audit log's chain.

use async_trait::async_trait;
use facegate_domain::Timestamp;

use super::error::Trouble;
use super::tx::Tx;
use super::values::{at_most, from_number};
use super::{PgStore, transact};
use crate::store::{AuditEntry, AuditStore, StoreError};

type Row = (i64, i64, String, String, String, String);

#[async_trait]
impl AuditStore for PgStore {
    async fn audit(&self, actor: &str, action: &str, subject: &str, now: Timestamp) -> Result<(), StoreError> {
        transact!(self, tx => append(&mut tx, actor, action, subject, now).await)
    }

    async fn audit_entries(&self, from: u64, max: usize) -> Result<Vec<AuditEntry>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT number, at, actor, action, subject, hash FROM core.audit WHERE number >= $1 ORDER BY number LIMIT $2",
        )
        .bind(at_most(from))
        .bind(at_most(max))
        .fetch_all(&self.pool)
        .await
        .map_err(Trouble::from)?;
        let line = |(number, at, actor, action, subject, hash)| AuditEntry {
            number: from_number(number),
            at: Timestamp::from_unix_ms(at),
            actor,
            action,
            subject,
            hash,
        };
        Ok(rows.into_iter().map(line).collect())
    }
}

/// Adds a line, in the transaction of what it tells: its last lock but the feed's.
pub(super) async fn append(
    tx: &mut Tx,
    actor: &str,
    action: &str,
    subject: &str,
    now: Timestamp,
) -> Result<(), Trouble> {
    let (lines, hash): (i64, String) =
        sqlx::query_as("SELECT lines, hash FROM core.audit_head FOR UPDATE").fetch_one(tx.sql()).await?;
    let last = from_number(lines).checked_sub(1).map(|last| (last, hash.as_str()));
    let line = AuditEntry::after(last, now, actor, action, subject);
    sqlx::query("INSERT INTO core.audit (number, at, actor, action, subject, hash) VALUES ($1, $2, $3, $4, $5, $6)")
        .bind(lines)
        .bind(line.at.unix_ms())
        .bind(&line.actor)
        .bind(&line.action)
        .bind(&line.subject)
        .bind(&line.hash)
        .execute(tx.sql())
        .await?;
    sqlx::query("UPDATE core.audit_head SET lines = lines + 1, hash = $1").bind(&line.hash).execute(tx.sql()).await?;
    Ok(())
}
