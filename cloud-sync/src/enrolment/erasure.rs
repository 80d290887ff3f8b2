//! Leaving, taking consent back, and being forgotten.

use std::sync::Arc;

use facegate_domain::Timestamp;
use facegate_domain::ids::{RiderId, TemplateId};

use super::{Actor, Enrolment, EnrolmentError};
use crate::register::{Erased, RegisterError};
use crate::store::{ErasureId, ErasureReceipt, ErasureScope, Purpose, Rider, StoreError};

/// What becomes of how an erased rider pays. Gates and stations that are cut off may hold rides of his, which are to be
/// paid like any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptAccount {
    /// Until then, and while a ride waits to be paid.
    pub until: Timestamp,
    pub forgotten: bool,
}

impl Enrolment {
    /// Forgets the rider here at once and at every station as it confirms. Asking again gives the same receipt.
    pub async fn erase(&self, actor: &Actor, rider: RiderId) -> Result<ErasureReceipt, EnrolmentError> {
        self.store.rider(rider).await?.ok_or(EnrolmentError::UnknownRider)?;
        // No enrolment may finish between forgetting the face and taking it out of the search.
        let _alone = self.one_face_at_a_time.lock().await;
        let known = self.store.rider(rider).await?.ok_or(EnrolmentError::UnknownRider)?;
        self.audit(actor, "rider.erase", rider).await?;
        if let Some(erasure) = known.erasure {
            return self.erasure(erasure).await;
        }
        self.forget(&known, ErasureScope::Rider).await
    }

    /// Takes back the consent to a purpose: the face goes like in an erasure, the rider and his account stay, and he may
    /// consent and enrol again. Asking again gives the same receipt.
    ///
    /// Errors: `ConsentMissing` from a rider who has never consented.
    pub async fn withdraw_consent(
        &self,
        actor: &Actor,
        rider: RiderId,
        purpose: &str,
    ) -> Result<ErasureReceipt, EnrolmentError> {
        super::consent::purpose(purpose)?;
        self.rider(rider).await?;
        let _alone = self.one_face_at_a_time.lock().await;
        let known = self.rider(rider).await?;
        self.audit(actor, "rider.withdraw-consent", rider).await?;
        self.forget_face_of(&known).await
    }

    /// Withdraws a face that nobody asked for: unused for too long, or back from a backup. `None` if he has none.
    pub async fn withdraw_face(
        &self,
        actor: &Actor,
        action: &str,
        rider: RiderId,
    ) -> Result<Option<ErasureReceipt>, EnrolmentError> {
        let _alone = self.one_face_at_a_time.lock().await;
        let known = self.store.rider(rider).await?.filter(|rider| rider.face.is_some());
        let Some(known) = known else { return Ok(None) };
        self.audit(actor, action, rider).await?;
        Ok(Some(self.forget_face_of(&known).await?))
    }

    pub async fn erasure(&self, id: ErasureId) -> Result<ErasureReceipt, EnrolmentError> {
        self.store.erasure(id).await?.ok_or(EnrolmentError::UnknownErasure)
    }

    /// `None` if the erasure is of the face alone.
    pub async fn account_of(&self, receipt: &ErasureReceipt) -> Result<Option<KeptAccount>, EnrolmentError> {
        if receipt.scope == ErasureScope::Face {
            return Ok(None);
        }
        let until = receipt.requested_at.plus(self.policy.account_kept);
        Ok(Some(KeptAccount { until, forgotten: self.store.account(receipt.rider).await?.is_none() }))
    }

    async fn forget_face_of(&self, known: &Rider) -> Result<ErasureReceipt, EnrolmentError> {
        let nothing_left = known.face.is_none() && !known.consented_to(Purpose::Recognition);
        match known.withdrawal {
            Some(withdrawal) if nothing_left => self.erasure(withdrawal).await,
            None if nothing_left => Err(EnrolmentError::ConsentMissing),
            _ => self.forget(known, ErasureScope::Face).await,
        }
    }

    /// The register first: from then on the face comes back from no backup, whatever becomes of this process.
    async fn forget(&self, known: &Rider, scope: ErasureScope) -> Result<ErasureReceipt, EnrolmentError> {
        let template = known.face.as_ref().map(|face| face.template);
        let (rider, now) = (known.id, self.clock.now());
        let erased =
            Erased { erasure: ErasureId::random(), rider, scope, templates: template.into_iter().collect(), at: now };
        // A task of its own: once begun, an erasure goes to its end even if whoever asked has hung up.
        let (register, store) = (self.register.clone(), Arc::clone(&self.store));
        let forgotten = tokio::spawn(async move {
            register.append(&erased).await?;
            let receipt = match scope {
                ErasureScope::Rider => store.erase_rider(erased.erasure, rider, now).await?,
                ErasureScope::Face => store.withdraw_face(erased.erasure, rider, now, now).await?,
            };
            Ok::<_, RegisterError>(receipt)
        });
        let receipt = forgotten.await.map_err(|stopped| EnrolmentError::Internal(stopped.to_string()))??;
        self.duplicates.catch_up(&*self.store).await?;
        metrics::counter!("facegate_erasures_total", "scope" => scope.name()).increment(1);
        Ok(receipt)
    }

    /// A station refused templates that it had removed for ever: whatever brought them back, they go again.
    pub async fn erase_come_back(&self, station: &str, templates: &[TemplateId]) -> Result<(), EnrolmentError> {
        for template in templates {
            let Some(rider) = self.store.rider_of(*template).await? else { continue };
            tracing::error!(station, ?rider, "ALARM: a face that was erased is in the store again; it is erased again");
            metrics::counter!("facegate_faces_come_back_total").increment(1);
            self.withdraw_face(&Actor::new("system", station), "rider.face-come-back", rider).await?;
        }
        Ok(())
    }
}

impl From<RegisterError> for EnrolmentError {
    fn from(error: RegisterError) -> Self {
        match error {
            RegisterError::Store(error) => error.into(),
            other => StoreError::Unavailable(other.to_string()).into(),
        }
    }
}
