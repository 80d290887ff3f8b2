//! What people did, each line chained to the one before by its hash.

use async_trait::async_trait;
use facegate_domain::Timestamp;
use serde::{Deserialize, Serialize};

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

/// The first line at which the chain does not hold: it, or one before it, was changed or removed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the audit log's chain breaks at line {number}: it, or one before it, was changed or removed")]
pub struct BrokenChain {
    pub number: u64,
}

#[async_trait]
pub trait AuditStore {
    async fn audit(&self, actor: &str, action: &str, subject: &str, now: Timestamp) -> Result<(), StoreError>;

    /// At most `max` lines from number `from` on.
    async fn audit_entries(&self, from: u64, max: usize) -> Result<Vec<AuditEntry>, StoreError>;

    /// Walks the whole chain; gives its length.
    async fn verify_audit(&self) -> Result<Result<u64, BrokenChain>, StoreError>;
}
