//! The sandbox acquirer's HTTP side.

use std::time::Duration;

use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use facegate_runtime::identity::{PeerIdentity, PeerRefusal, Role};
use serde::Deserialize;
use serde_json::json;

use super::book::{AuthorisationRequest, CaptureRequest, Charge, Refusal, Status};
use super::config::Faults;
use super::durable::{Answer, BookError, DurableBook};

/// No request of ours comes near this.
const BODY_BYTES_MAX: usize = 16 * 1024;
const KEY_CHARACTERS_MAX: usize = 255;

#[derive(Debug, Clone)]
struct Acquirer {
    book: DurableBook,
    faults: Faults,
}

/// Everything the acquirer serves; the caller puts it behind mutual TLS.
pub fn router(book: DurableBook, faults: Faults) -> Router {
    Router::new()
        .route("/v1/authorisations", post(authorise))
        .route("/v1/authorisations/{id}/capture", post(capture))
        .route("/v1/authorisations/{id}/void", post(void))
        .route("/v1/charges", get(find))
        .route("/v1/settlement", get(settlement))
        .route("/v1/statistics", get(statistics))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(Acquirer { book, faults })
}

async fn authorise(
    peer: PeerIdentity,
    State(acquirer): State<Acquirer>,
    headers: HeaderMap,
    body: Result<Json<AuthorisationRequest>, JsonRejection>,
) -> Result<Response, Problem> {
    peer.require(&[Role::Cloud])?;
    let answer = acquirer.book.authorise(key(&headers)?, body?.0).await?;
    acquirer.answer(answer).await
}

async fn capture(
    peer: PeerIdentity,
    State(acquirer): State<Acquirer>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<Json<CaptureRequest>, JsonRejection>,
) -> Result<Response, Problem> {
    peer.require(&[Role::Cloud])?;
    let answer = acquirer.book.capture(id, key(&headers)?, body?.0).await?;
    acquirer.answer(answer).await
}

async fn void(
    peer: PeerIdentity,
    State(acquirer): State<Acquirer>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    peer.require(&[Role::Cloud])?;
    let answer = acquirer.book.void(id, key(&headers)?).await?;
    acquirer.answer(answer).await
}

#[derive(Deserialize)]
struct ByKey {
    key: String,
}

async fn find(
    peer: PeerIdentity,
    State(acquirer): State<Acquirer>,
    Query(query): Query<ByKey>,
) -> Result<Response, Problem> {
    peer.require(&[Role::Cloud])?;
    let book = acquirer.book.read().await;
    let charge = book.find(&query.key).ok_or(Problem::UnknownKey)?;
    Ok(Json(described(charge)).into_response())
}

/// One line per capture: `{"key", "authorisation", "amount_minor", "currency", "captured_at_ms"}`.
async fn settlement(peer: PeerIdentity, State(acquirer): State<Acquirer>) -> Result<Response, Problem> {
    peer.require(&[Role::Cloud])?;
    let book = acquirer.book.read().await;
    let lines: String = book
        .captured()
        .map(|(key, charge)| {
            let line = json!({
                "key": key,
                "authorisation": charge.authorisation,
                "amount_minor": charge.request.amount_minor,
                "currency": charge.request.currency,
                "captured_at_ms": charge.captured_at_ms,
            });
            format!("{line}\n")
        })
        .collect();
    Ok(([(header::CONTENT_TYPE, "application/jsonl")], lines).into_response())
}

async fn statistics(peer: PeerIdentity, State(acquirer): State<Acquirer>) -> Result<Response, Problem> {
    peer.require(&[Role::Cloud, Role::Monitor])?;
    Ok(Json(acquirer.book.read().await.statistics()).into_response())
}

impl Acquirer {
    /// The work is done and durable; only the answer may be made to wait.
    async fn answer(&self, answer: Answer) -> Result<Response, Problem> {
        let late = answer.first && answer.charge.request.token.starts_with("tok_ok_late_");
        let wait = self.faults.answer_after + if late { self.faults.late_answer } else { Duration::ZERO };
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        let declined = answer.charge.status == Status::Declined;
        let status = if declined { StatusCode::PAYMENT_REQUIRED } else { StatusCode::OK };
        Ok((status, Json(described(&answer.charge))).into_response())
    }
}

fn described(charge: &Charge) -> serde_json::Value {
    json!({
        "status": charge.status,
        "authorisation": charge.authorisation,
        "amount_minor": charge.request.amount_minor,
        "currency": charge.request.currency,
        "reason": charge.reason,
    })
}

fn key(headers: &HeaderMap) -> Result<String, Problem> {
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok()).unwrap_or_default();
    if (1..=KEY_CHARACTERS_MAX).contains(&key.len()) { Ok(key.to_owned()) } else { Err(Problem::NoKey) }
}

/// An answer that is no charge: `{"error": name, "message": text}`.
#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error(transparent)]
    Peer(#[from] PeerRefusal),
    #[error("send an Idempotency-Key of 1 to {KEY_CHARACTERS_MAX} characters with every request that does something")]
    NoKey,
    #[error("no charge was asked for under this key")]
    UnknownKey,
    #[error(transparent)]
    Body(#[from] JsonRejection),
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
            Self::Body(rejection) => (rejection.status(), "bad_request"),
            Self::Book(BookError::Refused(refusal)) => match refusal {
                Refusal::KeyReused => (StatusCode::UNPROCESSABLE_ENTITY, "key_reused"),
                Refusal::UnknownAuthorisation(_) => (StatusCode::NOT_FOUND, "unknown_authorisation"),
                Refusal::AlreadyDone(_) => (StatusCode::CONFLICT, "already_done"),
                Refusal::AmountDiffers => (StatusCode::UNPROCESSABLE_ENTITY, "amount_differs"),
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
