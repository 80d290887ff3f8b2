//! An answer that is no charge: `{"error": name, "message": text}`.

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use facegate_runtime::identity::PeerRefusal;
use serde_json::json;

use super::KEY_CHARACTERS_MAX;
use crate::acquirer::book::Refusal;
use crate::acquirer::durable::BookError;

#[derive(Debug, thiserror::Error)]
pub enum Problem {
    #[error(transparent)]
    Peer(#[from] PeerRefusal),
    #[error("send an Idempotency-Key of 1 to {KEY_CHARACTERS_MAX} characters with every request that does something")]
    NoKey,
    #[error("neither a charge nor a refund was asked for under this key")]
    UnknownKey,
    #[error("nothing was done: the acquirer is down for a while")]
    Down,
    #[error("something failed; whether the work is done, a query tells")]
    Failed,
    #[error(transparent)]
    Body(#[from] JsonRejection),
    #[error(transparent)]
    Query(#[from] QueryRejection),
    #[error(transparent)]
    Book(#[from] BookError),
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let message = self.to_string();
        let (status, name) = match self {
            Self::Peer(refusal) => return refusal.into_response(),
            Self::NoKey => (StatusCode::BAD_REQUEST, "no_key"),
            Self::UnknownKey => (StatusCode::NOT_FOUND, "unknown_key"),
            Self::Down => (StatusCode::SERVICE_UNAVAILABLE, "down"),
            Self::Failed => (StatusCode::INTERNAL_SERVER_ERROR, "failed"),
            Self::Body(rejection) => (rejection.status(), "bad_request"),
            Self::Query(rejection) => (rejection.status(), "bad_request"),
            Self::Book(BookError::Refused(refusal)) => match refusal {
                Refusal::KeyReused => (StatusCode::UNPROCESSABLE_ENTITY, "key_reused"),
                Refusal::UnknownAuthorisation(_) => (StatusCode::NOT_FOUND, "unknown_authorisation"),
                Refusal::AlreadyDone(_) => (StatusCode::CONFLICT, "already_done"),
                Refusal::NotCaptured(_) => (StatusCode::CONFLICT, "not_captured"),
                Refusal::AmountDiffers => (StatusCode::UNPROCESSABLE_ENTITY, "amount_differs"),
                Refusal::RefundTooLarge { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "refund_too_large"),
                Refusal::AmountTooSmall => (StatusCode::UNPROCESSABLE_ENTITY, "amount_too_small"),
            },
            Self::Book(BookError::Journal(error)) => {
                tracing::error!(%error, "the book takes no line");
                (StatusCode::SERVICE_UNAVAILABLE, "unavailable")
            }
        };
        (status, Json(json!({ "error": name, "message": message }))).into_response()
    }
}
