//! The audit log's chain.

use async_trait::async_trait;
use facegate_domain::Timestamp;
use sha2::{Digest, Sha256};

use super::tx::decode;
use super::{SledStore, key};
use crate::store::{AuditEntry, AuditStore, BrokenChain, StoreError};

/// What the first line is chained to.
const BEGINNING: &str = "facegate audit 1";

/// SHA-256 over the hash before and the line's own fields, each with its length in front, so that nothing can move from
/// one field into the next.
fn chain(before: &str, line: &AuditEntry) -> String {
    let mut hash = Sha256::new();
    let at = line.at.unix_ms().to_string();
    let number = line.number.to_string();
    for field in [before, &number, &at, &line.actor, &line.action, &line.subject] {
        hash.update((field.len() as u64).to_be_bytes());
        hash.update(field);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[async_trait]
impl AuditStore for SledStore {
    async fn audit(&self, actor: &str, action: &str, subject: &str, now: Timestamp) -> Result<(), StoreError> {
        self.write(|tx| {
            let last: Option<AuditEntry> = tx.last(key::AUDIT)?.map(|(k, v)| decode(&k, &v)).transpose()?;
            let (number, before) = last.map_or((0, BEGINNING.to_owned()), |last| (last.number + 1, last.hash));
            let (actor, action, subject) = (actor.to_owned(), action.to_owned(), subject.to_owned());
            let mut line = AuditEntry { number, at: now, actor, action, subject, hash: String::new() };
            line.hash = chain(&before, &line);
            tx.put(key::audit(number), &line);
            Ok(())
        })
        .await
    }

    async fn audit_entries(&self, from: u64, max: usize) -> Result<Vec<AuditEntry>, StoreError> {
        self.read().scan_from(key::AUDIT, &key::audit(from), max)?.iter().map(|(k, v)| decode(k, v)).collect()
    }

    async fn verify_audit(&self) -> Result<Result<u64, BrokenChain>, StoreError> {
        let (mut number, mut before) = (0, BEGINNING.to_owned());
        loop {
            let page = self.audit_entries(number, 1000).await?;
            if page.is_empty() {
                return Ok(Ok(number));
            }
            for line in page {
                if line.number != number || line.hash != chain(&before, &line) {
                    return Ok(Err(BrokenChain { number }));
                }
                (number, before) = (number + 1, line.hash);
            }
        }
    }
}
