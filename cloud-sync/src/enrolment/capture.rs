//! From the photographs of one person to a template on the feed.

use std::fmt;
use std::sync::Arc;

use facegate_domain::face::Template;
use facegate_domain::ids::{ModelId, RiderId, TemplateId};
use facegate_models::enrolment::{Capture, CaptureProblem, Enrolment as Fused, capture, enrol};
use facegate_models::{FaceEngine, QualityPolicy};

use super::{Actor, CAPTURE_WAIT, Enrolment, EnrolmentError};
use crate::store::{Enrolled, Purpose, StoreError};

/// Examines photographs: the face engine, or in tests of everything else something without one.
pub trait FaceCapture: fmt::Debug + Send + Sync {
    fn model(&self) -> &ModelId;

    /// Blocks. The bytes and what was decoded from them are dropped when it returns.
    fn capture(&self, photograph: &[u8]) -> Result<Capture, CaptureProblem>;
}

/// The engine with the quality that enrolment asks for.
#[derive(Debug)]
pub struct EngineCapture {
    pub engine: FaceEngine,
    pub quality: QualityPolicy,
}

impl FaceCapture for EngineCapture {
    fn model(&self) -> &ModelId {
        self.engine.model_id()
    }

    fn capture(&self, photograph: &[u8]) -> Result<Capture, CaptureProblem> {
        capture(&self.engine, photograph, &self.quality)
    }
}

impl Enrolment {
    /// Makes one template of one to five photographs and hands it to every station.
    ///
    /// Errors: no consent, a photograph that will not do or shows somebody else than the others, a person who is enrolled already (under this or another id).
    pub async fn enrol_face(
        &self,
        actor: &Actor,
        rider: RiderId,
        photographs: Vec<Vec<u8>>,
    ) -> Result<Enrolled, EnrolmentError> {
        let known = self.rider(rider).await?;
        // Before anything is computed from the face.
        if !known.consented_to(Purpose::Recognition) {
            return Err(EnrolmentError::ConsentMissing);
        }
        if known.face.is_some() {
            return Err(EnrolmentError::AlreadyEnrolled);
        }
        let Fused { embedding, photographs } = self.examine(photographs).await?;
        let template = Template { id: TemplateId::random(), rider, embedding, photographs };

        let _alone = self.one_face_at_a_time.lock().await;
        let mut audited = false;
        let (feed_version, at) = loop {
            let seen = self.duplicates.catch_up(&*self.store).await?;
            if self.duplicates.nearest(&template.embedding)?.is_some_and(|s| s >= self.policy.same_person) {
                self.audit(actor, "rider.enrol-refused-duplicate", rider).await?;
                return Err(EnrolmentError::AlreadyEnrolled);
            }
            if !std::mem::replace(&mut audited, true) {
                self.audit(actor, "rider.enrol", rider).await?;
            }
            let now = self.clock.now();
            match self.store.put_template_unless_newer(template.clone(), seen, now).await {
                // Another replica enrolled somebody meanwhile: perhaps this very person.
                Err(StoreError::NewerFace { .. }) => tokio::task::yield_now().await,
                stored => break (stored?, now),
            }
        };
        metrics::counter!("facegate_enrolments_total").increment(1);
        Ok(Enrolled { template: template.id, feed_version, at })
    }

    async fn examine(&self, photographs: Vec<Vec<u8>>) -> Result<Fused, EnrolmentError> {
        let permit = tokio::time::timeout(CAPTURE_WAIT, self.captures.acquire()).await;
        let _permit = permit.map_err(|_| EnrolmentError::Busy)?.map_err(|_| EnrolmentError::Busy)?;
        let faces = Arc::clone(&self.faces);
        let examined =
            tokio::task::spawn_blocking(move || enrol(&photographs, |photograph| faces.capture(photograph))).await;
        examined.map_err(|stopped| EnrolmentError::Internal(stopped.to_string()))?.map_err(EnrolmentError::Capture)
    }
}
