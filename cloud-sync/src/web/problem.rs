//! What a client is told when something does not happen: RFC 9457 problem details with a stable `code` to program
//! against and a `next` that says what to do.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// The body of every error, as `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// `urn:facegate:problem:` and the code.
    #[serde(rename = "type")]
    kind: String,
    /// The HTTP status in words.
    title: &'static str,
    status: u16,
    /// Stable: programs tell problems apart by this.
    code: &'static str,
    /// What happened, for a person.
    #[schema(value_type = String)]
    detail: Box<str>,
    /// What the caller can do about it.
    #[schema(value_type = String)]
    next: Box<str>,
    #[serde(skip)]
    #[schema(ignore)]
    retry_after_s: Option<u64>,
}

impl Problem {
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>, next: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:facegate:problem:{code}"),
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            code,
            detail: detail.into().into_boxed_str(),
            next: next.into().into_boxed_str(),
            retry_after_s: None,
        }
    }

    /// Adds the `Retry-After` header.
    #[must_use]
    pub fn retry_after_s(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// Something on our side; the cause goes to the log, since it is nothing that a client should read.
    pub fn internal(cause: &dyn std::fmt::Display) -> Self {
        tracing::error!(%cause, "a request failed inside the cloud");
        let detail = "Something failed inside the service; it has been logged.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail, "Try again later with the same request.")
    }

    pub fn code(&self) -> &'static str {
        self.code
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let retry_after = self.retry_after_s;
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"facegate\""));
        }
        response
    }
}

/// The answer to a path that is not served.
pub async fn no_such_route() -> Problem {
    let detail = "There is nothing at this path.";
    Problem::new(StatusCode::NOT_FOUND, "no_such_route", detail, "GET /openapi.json lists what there is.")
}

/// The answer to a method that a path does not take.
pub async fn method_not_allowed() -> Problem {
    let detail = "This path does not take this method.";
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail, "GET /openapi.json lists what there is.")
}
