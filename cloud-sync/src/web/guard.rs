//! What every page request passes: the same-origin rule for what changes something, and the headers that tell the
//! browser how little these pages may do.

use axum::extract::Request;
use axum::http::header::{self, HeaderName};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use facegate_runtime::sign_in::is_same_origin;

use super::problem::Problem;

/// Refuses a request that changes something unless one of our own pages sent it.
pub async fn same_origin_only(request: Request, next: Next) -> Response {
    if request.method().is_safe() || is_same_origin(request.headers(), "https", request.uri().authority()) {
        return next.run(request).await;
    }
    let detail = "This request did not come from one of this server's own pages.";
    let refusal = "Open the page itself and use the form there; programs use the API under /v1.";
    Problem::new(StatusCode::FORBIDDEN, "cross_origin", detail, refusal).into_response()
}

/// No script, style or image but our own files, no framing, no referrer to others, nothing cached.
///
/// The referrer policy is `same-origin` and not `no-referrer`: under the latter a form's own POST carries
/// `Origin: null` (Fetch standard, "append a request Origin header") and would be refused above.
pub async fn set_headers(mut response: Response) -> Response {
    const HEADERS: [(&str, &str); 8] = [
        (
            "content-security-policy",
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
             form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
        ),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("permissions-policy", "camera=(), microphone=(), geolocation=(), payment=()"),
        ("strict-transport-security", "max-age=31536000"),
    ];
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
