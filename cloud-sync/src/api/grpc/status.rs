//! Errors as gRPC puts them. The machine's code travels in the trailer `facegate-code`, what to do next in the text.

use tonic::metadata::MetadataValue;
use tonic::{Code, Status};

use crate::enrolment::{EnrolmentError, ErrorKind};
use crate::feed::FeedError;
use crate::intake::IntakeError;
use crate::leases::LeaseError;
use crate::operation::InstructError;
use crate::store::{OutOfReach, StoreError};

/// Trailer with the stable code of an enrolment error.
pub const CODE: &str = "facegate-code";

/// Metadata of an answer that puts a caller off: milliseconds until he may come again.
const RETRY_AFTER: &str = "retry-after-ms";

impl From<EnrolmentError> for Status {
    fn from(error: EnrolmentError) -> Self {
        let code = match error.kind() {
            ErrorKind::Invalid => Code::InvalidArgument,
            ErrorKind::NotFound => Code::NotFound,
            ErrorKind::Conflict => Code::AlreadyExists,
            ErrorKind::Precondition => Code::FailedPrecondition,
            ErrorKind::Forbidden => Code::PermissionDenied,
            ErrorKind::Busy => Code::Unavailable,
            ErrorKind::Internal => {
                tracing::error!(%error, "an enrolment call failed inside the cloud");
                Code::Internal
            }
        };
        let mut status = Self::new(code, format!("{}. {}", error.client_text(), error.next_step()));
        status.metadata_mut().insert(CODE, MetadataValue::from_static(error.code()));
        status
    }
}

impl From<FeedError> for Status {
    fn from(error: FeedError) -> Self {
        match error {
            FeedError::OutOfReach(reason @ OutOfReach::BeyondHead { .. }) => Self::out_of_range(reason.to_string()),
            FeedError::OutOfReach(reason @ OutOfReach::Compacted { .. }) => {
                Self::failed_precondition(reason.to_string())
            }
            FeedError::Stopping => Self::unavailable(error.to_string()),
            FeedError::Store(error) => error.into(),
        }
    }
}

impl From<IntakeError> for Status {
    fn from(error: IntakeError) -> Self {
        match error {
            IntakeError::ForeignStation { .. } => Self::permission_denied(error.to_string()),
            IntakeError::TooLarge { .. } => Self::invalid_argument(error.to_string()),
            IntakeError::PutOff { retry_after, .. } => {
                let mut status = Self::resource_exhausted(error.to_string());
                let ms = u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX);
                status.metadata_mut().insert(RETRY_AFTER, MetadataValue::from(ms));
                status
            }
            IntakeError::Store(error) => error.into(),
        }
    }
}

impl From<InstructError> for Status {
    fn from(error: InstructError) -> Self {
        match error {
            InstructError::Store(error @ StoreError::TooManyFareTables) => Self::failed_precondition(error.to_string()),
            InstructError::Store(error @ StoreError::Instruction(_)) => Self::already_exists(error.to_string()),
            InstructError::Store(error) => error.into(),
            _ => Self::invalid_argument(error.to_string()),
        }
    }
}

impl From<LeaseError> for Status {
    fn from(error: LeaseError) -> Self {
        match error {
            LeaseError::Store(error) => error.into(),
            other => {
                tracing::error!(error = %other, "no lease can be granted");
                Self::unavailable("the cloud's keys cannot be read; try again later")
            }
        }
    }
}

impl From<StoreError> for Status {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::LeaseEnded(_) => return Self::permission_denied(error.to_string()),
            StoreError::UnknownStation(_) => return Self::not_found(error.to_string()),
            _ => (),
        }
        tracing::error!(%error, "a call failed in the store");
        match error {
            StoreError::Unavailable(_) => Self::unavailable("the cloud's disk does not take writes; try again later"),
            _ => Self::internal("something went wrong in the cloud; nothing was changed"),
        }
    }
}
