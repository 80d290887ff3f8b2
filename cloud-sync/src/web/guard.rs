//! What every page request passes: the same-origin rule for what changes something, and the headers that tell the
//! browser how little these pages may do.

use axum::extract::Request;
use axum::http::header::{self, HeaderMap, HeaderName};
use axum::http::uri::Authority;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::problem::Problem;

/// Refuses a request that changes something unless one of our own pages sent it. `SameSite=Strict` keeps the cookie
/// away from other sites already; this also covers the sign-in itself and other ports of the same host, which count
/// as the same site.
pub async fn same_origin_only(request: Request, next: Next) -> Response {
    if request.method().is_safe() || is_same_origin(request.headers(), request.uri().authority()) {
        return next.run(request).await;
    }
    let detail = "This request did not come from one of this server's own pages.";
    let refusal = "Open the page itself and use the form there; programs use the API under /v1.";
    Problem::new(StatusCode::FORBIDDEN, "cross_origin", detail, refusal).into_response()
}

/// `authority` is the target's under HTTP/2, where browsers send no `Host`.
fn is_same_origin(headers: &HeaderMap, authority: Option<&Authority>) -> bool {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    match (text(header::ORIGIN), text(header::HOST).or(authority.map(Authority::as_str))) {
        (Some(origin), Some(host)) => origin.strip_prefix("https://") == Some(host),
        (Some(_), None) => false,
        (None, _) => text(HeaderName::from_static("sec-fetch-site")) == Some("same-origin"),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(pairs: &[(&'static str, &'static str)]) -> bool {
        let pairs = pairs.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v)));
        is_same_origin(&pairs.collect(), None)
    }

    #[test]
    fn only_our_own_origin_may_change_something() {
        let host = ("host", "127.0.0.1:8443");
        for (headers, allowed) in [
            (vec![host, ("origin", "https://127.0.0.1:8443")], true),
            (vec![host, ("sec-fetch-site", "same-origin")], true),
            (vec![host, ("origin", "http://127.0.0.1:8443")], false),
            (vec![host, ("origin", "https://127.0.0.1:9443")], false),
            (vec![host, ("origin", "https://127.0.0.1:8443.evil.example")], false),
            (vec![host, ("origin", "null"), ("sec-fetch-site", "same-origin")], false),
            (vec![host, ("sec-fetch-site", "same-site")], false),
            (vec![host, ("sec-fetch-site", "none")], false),
            (vec![host], false),
            (vec![("origin", "https://127.0.0.1:8443")], false),
        ] {
            assert_eq!(judge(&headers), allowed, "{headers:?}");
        }
    }

    #[test]
    fn under_http2_the_authority_takes_the_place_of_host() {
        let headers = HeaderMap::from_iter([(header::ORIGIN, HeaderValue::from_static("https://127.0.0.1:8443"))]);
        for (authority, allowed) in [("127.0.0.1:8443", true), ("127.0.0.1", false), ("127.0.0.1:9443", false)] {
            assert_eq!(is_same_origin(&headers, Some(&Authority::from_static(authority))), allowed, "{authority}");
        }
    }
}
