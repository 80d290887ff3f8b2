//! What people did, each line chained to the one before by its hash.

use async_trait::async_trait;
use facegate_domain::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::StoreError;

/// One line of the log. `subject` names what was done it to by id, never by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    pub number: u64,
    pub at: Timestamp,
    /// Who: "integrator/metro-app", "operator/local".
    pub actor: String,
    /// What: "rider.create", "rider.erase".
    pub action: String,
    pub subject: String,
    /// SHA-256 over the hash before and this line, hexadecimal.
    pub hash: String,
}

/// What the first line is chained to.
const BEGINNING: &str = "facegate audit 1";

impl AuditEntry {
    /// The line after the one with that number and hash.
    pub(super) fn after(last: Option<(u64, &str)>, at: Timestamp, actor: &str, action: &str, subject: &str) -> Self {
        let (number, before) = last.map_or((0, BEGINNING), |(number, hash)| (number + 1, hash));
        let (actor, action, subject) = (actor.to_owned(), action.to_owned(), subject.to_owned());
        let mut line = Self { number, at, actor, action, subject, hash: String::new() };
        line.hash = line.chained_to(before);
        line
    }

    /// SHA-256 over the hash before and the line's own fields, each with its length in front, so that nothing can move
    /// from one field into the next.
    fn chained_to(&self, before: &str) -> String {
        let mut hash = Sha256::new();
        let at = self.at.unix_ms().to_string();
        let number = self.number.to_string();
        for field in [before, &number, &at, &self.actor, &self.action, &self.subject] {
            hash.update((field.len() as u64).to_be_bytes());
            hash.update(field);
        }
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The first line at which the chain does not hold: it, or one before it, was changed or removed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the audit log's chain breaks at line {number}: it, or one before it, was changed or removed")]
pub struct BrokenChain {
    pub number: u64,
}

#[async_trait]
pub trait AuditStore: Sync {
    async fn audit(&self, actor: &str, action: &str, subject: &str, now: Timestamp) -> Result<(), StoreError>;

    /// At most `max` lines from number `from` on.
    async fn audit_entries(&self, from: u64, max: usize) -> Result<Vec<AuditEntry>, StoreError>;

    /// Walks the whole chain; gives its length.
    async fn verify_audit(&self) -> Result<Result<u64, BrokenChain>, StoreError> {
        let (mut number, mut before) = (0, BEGINNING.to_owned());
        loop {
            let page = self.audit_entries(number, 1000).await?;
            if page.is_empty() {
                return Ok(Ok(number));
            }
            for line in page {
                if line.number != number || line.hash != line.chained_to(&before) {
                    return Ok(Err(BrokenChain { number }));
                }
                (number, before) = (number + 1, line.hash);
            }
        }
    }
}
