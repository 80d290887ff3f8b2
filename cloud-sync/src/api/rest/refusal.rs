//! The service's errors in HTTP's words.

use axum::http::StatusCode;

use crate::enrolment::{EnrolmentError, ErrorKind};
use crate::store::StoreError;
use crate::web::problem::Problem;

/// How long to wait while photographs queue.
const BUSY_RETRY_S: u64 = 2;

impl From<EnrolmentError> for Problem {
    fn from(error: EnrolmentError) -> Self {
        let code = error.code();
        let status = match (error.kind(), code) {
            (ErrorKind::Internal, _) => return Self::internal(&error),
            (ErrorKind::Invalid, "file_too_large") => StatusCode::PAYLOAD_TOO_LARGE,
            (ErrorKind::Invalid, "not_an_image" | "unsupported_image_type") => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            (ErrorKind::Invalid, _) => StatusCode::UNPROCESSABLE_ENTITY,
            (ErrorKind::NotFound, _) => StatusCode::NOT_FOUND,
            (ErrorKind::Precondition, "erased_rider") => StatusCode::GONE,
            (ErrorKind::Conflict | ErrorKind::Precondition, _) => StatusCode::CONFLICT,
            (ErrorKind::Forbidden, _) => StatusCode::FORBIDDEN,
            (ErrorKind::Busy, _) => StatusCode::SERVICE_UNAVAILABLE,
        };
        let problem = Self::new(status, code, error.client_text(), error.next_step());
        if status == StatusCode::SERVICE_UNAVAILABLE { problem.retry_after_s(BUSY_RETRY_S) } else { problem }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        EnrolmentError::from(error).into()
    }
}
