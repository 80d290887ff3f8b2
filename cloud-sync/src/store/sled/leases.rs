//! Leases. One process has this store open, so they are kept in memory: all that could compete ends with them.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use facegate_domain::Timestamp;

use super::SledStore;
use crate::store::{LeaseStore, StoreError};

/// Who holds each, and until when.
pub(super) type Leases = Mutex<BTreeMap<String, (String, Timestamp)>>;

#[async_trait]
impl LeaseStore for SledStore {
    async fn hold_lease(&self, name: &str, holder: &str, now: Timestamp, lasts: Duration) -> Result<bool, StoreError> {
        let mut leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        let held = leases.get(name).is_some_and(|(by, until)| by != holder && *until > now);
        if !held {
            leases.insert(name.to_owned(), (holder.to_owned(), now.plus(lasts)));
        }
        Ok(!held)
    }

    async fn end_lease(&self, name: &str, holder: &str) -> Result<(), StoreError> {
        let mut leases = self.leases.lock().unwrap_or_else(PoisonError::into_inner);
        if leases.get(name).is_some_and(|(by, _)| by == holder) {
            leases.remove(name);
        }
        Ok(())
    }
}
