//! What passes between the cloud and its acquirers beside the charges themselves: what was asked under which key, and which
//! events were told before.

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::charge::IdempotencyKey;
use serde::{Deserialize, Serialize};

use super::StoreError;

/// Something that an acquirer is asked for, stored before it is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedOf {
    /// When it was begun.
    pub asked_at: Timestamp,
    /// The acquirer's name for the charge that a refund is of.
    pub of: Option<String>,
    /// The acquirer's own name for it, once that is known.
    pub reference: Option<String>,
    /// Whether it was begun by this very command: it was certainly not asked for before.
    #[serde(skip)]
    pub is_new: bool,
}

#[async_trait]
pub trait AcquirerStore {
    /// Stores that something is asked for under this key; gives what was stored of it before, if anything was.
    async fn ask_acquirer(
        &self,
        acquirer: &str,
        key: &IdempotencyKey,
        of: Option<&str>,
        now: Timestamp,
    ) -> Result<AskedOf, StoreError>;

    async fn asked_of_acquirer(&self, acquirer: &str, key: &IdempotencyKey) -> Result<Option<AskedOf>, StoreError>;

    /// Stores the acquirer's own name for what was asked for; the first one stands.
    async fn keep_reference(&self, acquirer: &str, key: &IdempotencyKey, reference: &str) -> Result<(), StoreError>;

    /// What was asked for under the acquirer's own name for it.
    async fn key_of_reference(&self, acquirer: &str, reference: &str) -> Result<Option<IdempotencyKey>, StoreError>;

    /// Remembers an event; false if it was told before.
    async fn take_event(&self, acquirer: &str, event: &str, now: Timestamp) -> Result<bool, StoreError>;

    /// Forgets at most `max` events told before `before`; gives how many.
    async fn forget_events(&self, before: Timestamp, max: usize) -> Result<usize, StoreError>;
}
