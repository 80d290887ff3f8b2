//! Vouching for a rider's phone, so that it can make ride codes offline.

use std::sync::PoisonError;

use facegate_domain::Timestamp;
use facegate_domain::code::RiderCertificate;
use facegate_domain::ids::RiderId;

use super::{Actor, Enrolment, EnrolmentError};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhoneCertificate {
    pub certificate: RiderCertificate,
    pub expires_at: Timestamp,
}

impl Enrolment {
    /// A short-lived certificate for the phone's Ed25519 key.
    pub async fn certify_phone(
        &self,
        actor: &Actor,
        rider: RiderId,
        phone_key: &[u8],
    ) -> Result<PhoneCertificate, EnrolmentError> {
        let bad = |problem: String| EnrolmentError::BadField { field: "phone_key", problem };
        let key: [u8; 32] =
            phone_key.try_into().map_err(|_| bad(format!("has {} bytes, expected 32", phone_key.len())))?;
        self.rider(rider).await?;
        let (now, valid_for) = (self.clock.now(), self.policy.certificate_valid_for);
        let certificate = {
            let issuer = self.issuer.read().unwrap_or_else(PoisonError::into_inner);
            issuer.issue(rider, &key, rand::random(), now, valid_for).map_err(|error| bad(error.to_string()))?
        };
        self.audit(actor, "rider.certify-phone", rider).await?;
        Ok(PhoneCertificate { certificate, expires_at: now.plus(valid_for) })
    }
}
