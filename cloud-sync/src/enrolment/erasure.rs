//! Leaving, and being forgotten.

use std::sync::Arc;

use facegate_domain::ids::RiderId;

use super::{Actor, Enrolment, EnrolmentError};
use crate::store::{ErasureId, ErasureReceipt};

impl Enrolment {
    /// Forgets the rider here at once and at every station as it confirms. Asking again gives the same receipt.
    pub async fn erase(&self, actor: &Actor, rider: RiderId) -> Result<ErasureReceipt, EnrolmentError> {
        let known = self.store.rider(rider).await?.ok_or(EnrolmentError::UnknownRider)?;
        // No enrolment may finish between forgetting the face and taking it out of the search.
        let _alone = self.one_face_at_a_time.lock().await;
        self.audit(actor, "rider.erase", rider).await?;
        let face = self.store.rider(rider).await?.and_then(|rider| rider.face).or(known.face);
        if let Some(face) = face {
            self.duplicates.remove(face.template)?;
        }
        // A task of its own: once begun, an erasure goes to its end even if whoever asked has hung up.
        let (store, now) = (Arc::clone(&self.store), self.clock.now());
        let erased = tokio::spawn(async move { store.erase_rider(rider, now).await }).await;
        let receipt = erased.map_err(|stopped| EnrolmentError::Internal(stopped.to_string()))??;
        metrics::counter!("facegate_erasures_total").increment(1);
        Ok(receipt)
    }

    pub async fn erasure(&self, id: ErasureId) -> Result<ErasureReceipt, EnrolmentError> {
        self.store.erasure(id).await?.ok_or(EnrolmentError::UnknownErasure)
    }
}
