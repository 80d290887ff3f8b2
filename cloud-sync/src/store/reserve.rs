//! What is set aside for charges that were wrong. Each command has its line of the audit log in its transaction.

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::remedy::RemedyPolicy;
use facegate_domain::reserve::{Funding, FundingId, FundingRequest};

use super::StoreError;

/// Those asked for within a day are among so many of the latest.
pub(super) const LATELY_MAX: usize = 1000;

#[async_trait]
pub trait ReserveStore {
    /// Asks for money to be set aside; done at once if it needs no approval. Asking again under the same name gives what
    /// is stored.
    async fn ask_funding(
        &self,
        request: FundingRequest,
        policy: &RemedyPolicy,
        now: Timestamp,
    ) -> Result<Funding, StoreError>;

    /// The second person's word.
    async fn decide_funding(
        &self,
        id: FundingId,
        approves: bool,
        by: &str,
        now: Timestamp,
    ) -> Result<Funding, StoreError>;

    /// At most `max`, the latest first.
    async fn fundings(&self, max: usize) -> Result<Vec<Funding>, StoreError>;
}
