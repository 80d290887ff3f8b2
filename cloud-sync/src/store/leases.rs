//! Turns: what only one replica of the cloud should do at a time.

use std::time::Duration;

use async_trait::async_trait;
use facegate_domain::Timestamp;

use super::StoreError;

#[async_trait]
pub trait LeaseStore {
    /// Takes or renews the lease `name` for `holder`; false while another holds it. Clocks that differ may let two hold
    /// it for a moment: it spares work, and whatever it guards must be right without it.
    async fn hold_lease(&self, name: &str, holder: &str, now: Timestamp, lasts: Duration) -> Result<bool, StoreError>;

    /// Gives the lease back, if `holder` has it.
    async fn end_lease(&self, name: &str, holder: &str) -> Result<(), StoreError>;
}
