//! The audit log's chain.

use async_trait::async_trait;
use facegate_domain::Timestamp;

use super::tx::decode;
use super::{SledStore, key};
use crate::store::{AuditEntry, AuditStore, StoreError};

#[async_trait]
impl AuditStore for SledStore {
    async fn audit(&self, actor: &str, action: &str, subject: &str, now: Timestamp) -> Result<(), StoreError> {
        self.write(|tx| {
            let last: Option<AuditEntry> = tx.last(key::AUDIT)?.map(|(k, v)| decode(&k, &v)).transpose()?;
            let line = AuditEntry::after(
                last.as_ref().map(|last| (last.number, last.hash.as_str())),
                now,
                actor,
                action,
                subject,
            );
            tx.put(key::audit(line.number), &line);
            Ok(())
        })
        .await
    }

    async fn audit_entries(&self, from: u64, max: usize) -> Result<Vec<AuditEntry>, StoreError> {
        self.read().scan_from(key::AUDIT, &key::audit(from), max)?.iter().map(|(k, v)| decode(k, v)).collect()
    }
}
