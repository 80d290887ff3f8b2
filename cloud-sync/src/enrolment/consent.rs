//! A new rider, and what he consents to.

use facegate_domain::Timestamp;
use facegate_domain::ids::RiderId;

use super::{Actor, Enrolment, EnrolmentError};
use crate::store::{Consent, Profile, Purpose};

const NAME_CHARS_MAX: usize = 100;
const WORD_CHARS_MAX: usize = 64;

impl Enrolment {
    pub async fn create_rider(&self, actor: &Actor, display_name: &str) -> Result<RiderId, EnrolmentError> {
        let display_name = checked("display_name", display_name, NAME_CHARS_MAX)?;
        let rider = RiderId::random();
        self.audit(actor, "rider.create", rider).await?;
        self.store.create_rider(rider, Profile { display_name }, self.clock.now()).await?;
        Ok(rider)
    }

    /// Records the consent; gives the moment that it stands under.
    pub async fn give_consent(
        &self,
        actor: &Actor,
        rider: RiderId,
        purpose: &str,
        text_version: &str,
        channel: &str,
    ) -> Result<Timestamp, EnrolmentError> {
        let purpose = self::purpose(purpose)?;
        let consent = Consent {
            purpose,
            text_version: checked("text_version", text_version, WORD_CHARS_MAX)?,
            channel: checked("channel", channel, WORD_CHARS_MAX)?,
            given_at: self.clock.now(),
        };
        self.rider(rider).await?;
        self.audit(actor, "rider.consent", rider).await?;
        let given_at = consent.given_at;
        self.store.record_consent(rider, consent).await?;
        Ok(given_at)
    }
}

pub(super) fn purpose(name: &str) -> Result<Purpose, EnrolmentError> {
    let unknown = || EnrolmentError::BadField {
        field: "purpose",
        problem: "the purposes that can be consented to are: recognition".into(),
    };
    Purpose::from_name(name).ok_or_else(unknown)
}

fn checked(field: &'static str, given: &str, chars_max: usize) -> Result<String, EnrolmentError> {
    let text = given.trim();
    if text.is_empty() {
        return Err(EnrolmentError::BadField { field, problem: "is empty".into() });
    }
    if text.chars().count() > chars_max || text.chars().any(char::is_control) {
        let problem = format!("must be at most {chars_max} printable characters");
        return Err(EnrolmentError::BadField { field, problem });
    }
    Ok(text.to_owned())
}
