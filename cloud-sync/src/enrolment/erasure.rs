//! Leaving, and being forgotten.

use std::sync::Arc;

use facegate_domain::ids::RiderId;

use super::{Actor, Enrolment, EnrolmentError};
use crate::store::{ErasureId, ErasureReceipt};

impl Enrolment {
    /// Forgets the rider here at once and at every station as it confirms. Asking again gives the same receipt.
    pub async fn erase(&self, actor: &Actor, rider: RiderId) -> Result<ErasureReceipt, EnrolmentError> {
        self.store.rider(rider).await?.ok_or(EnrolmentError::UnknownRider)?;
        self.audit(actor, "rider.erase", rider).await?;
        // A task of its own: once begun, an erasure goes to its end even if whoever asked has hung up.
        let (store, now) = (Arc::clone(&self.store), self.clock.now());
        let erased = tokio::spawn(async move { store.erase_rider(rider, now).await }).await;
        let receipt = erased.map_err(|stopped| EnrolmentError::Internal(stopped.to_string()))??;
        self.duplicates.catch_up(&*self.store).await?;
        metrics::counter!("facegate_erasures_total").increment(1);
        Ok(receipt)
    }

    pub async fn erasure(&self, id: ErasureId) -> Result<ErasureReceipt, EnrolmentError> {
        self.store.erasure(id).await?.ok_or(EnrolmentError::UnknownErasure)
    }
}
