//! The audit log's chain.

use async_trait::async_trait;
use facegate_domain::Timestamp;

use super::tx::{Tx, decode};
use super::{SledStore, key};
use crate::store::{AuditEntry, AuditStore, StoreError};

#[async_trait]
impl AuditStore for SledStore {
    async fn audit(&self, actor: &str, action: &str, subject: &str, now: Timestamp) -> Result<(), StoreError> {
        self.write(|tx| append(tx, actor, action, subject, now)).await
    }

    async fn audit_entries(&self, from: u64, max: usize) -> Result<Vec<AuditEntry>, StoreError> {
        self.read().scan_from(key::AUDIT, &key::audit(from), max)?.iter().map(|(k, v)| decode(k, v)).collect()
    }
}

/// Adds a line, in the transaction of what it tells.
pub(super) fn append(
    tx: &mut Tx<'_>,
    actor: &str,
    action: &str,
    subject: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    let last: Option<AuditEntry> = tx.last(key::AUDIT)?.map(|(k, v)| decode(&k, &v)).transpose()?;
    let last = last.as_ref().map(|last| (last.number, last.hash.as_str()));
    let line = AuditEntry::after(last, now, actor, action, subject);
    tx.put(key::audit(line.number), &line);
    Ok(())
}
