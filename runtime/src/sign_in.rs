//! People who sign in to a server's own pages: at the cloud, at a station's ticket booth, at a gate. Who may, and what he
//! may do then, is the server's.

pub mod attempts;
pub mod attendants;
pub mod password;
pub mod sessions;

use axum::http::HeaderMap;
use axum::http::header::{COOKIE, HOST, HeaderName, ORIGIN};
use axum::http::uri::Authority;

pub use attempts::{AttemptPolicy, Attempts, TooMany};
pub use password::{Hashed, Password, PasswordError, Passwords};
pub use sessions::{SessionPolicy, Sessions};

/// What the request's cookie of that name holds.
pub fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let lines = headers.get_all(COOKIE).into_iter().filter_map(|line| line.to_str().ok());
    let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(of, _)| *of == name).map(|(_, token)| token)
}

/// Whether one of the server's own pages sent this. `SameSite=Strict` keeps the cookie away from other sites already; this
/// also covers the sign-in itself and other ports of the same host, which count as the same site.
///
/// `scheme` is `https` or `http`; `authority` is the target's under HTTP/2, where browsers send no `Host`.
pub fn is_same_origin(headers: &HeaderMap, scheme: &str, authority: Option<&Authority>) -> bool {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let sent_by = |origin: &str| origin.strip_prefix(scheme)?.strip_prefix("://").map(str::to_owned);
    match (text(ORIGIN), text(HOST).or(authority.map(Authority::as_str))) {
        (Some(origin), Some(host)) => sent_by(origin).as_deref() == Some(host),
        (Some(_), None) => false,
        (None, _) => text(HeaderName::from_static("sec-fetch-site")) == Some("same-origin"),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn the_cookie_is_found_among_others() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, HeaderValue::from_static("a=b; __Host-facegatex=no"));
        assert_eq!(cookie(&headers, "__Host-facegate"), None);
        headers.append(COOKIE, HeaderValue::from_static("c=d; __Host-facegate=abc_-1; e=f"));
        assert_eq!(cookie(&headers, "__Host-facegate"), Some("abc_-1"));
    }

    #[test]
    fn another_scheme_is_another_origin() {
        let mut headers = HeaderMap::new();
        headers.append(HOST, HeaderValue::from_static("127.0.0.1:7"));
        headers.append(ORIGIN, HeaderValue::from_static("http://127.0.0.1:7"));
        assert!(is_same_origin(&headers, "http", None) && !is_same_origin(&headers, "https", None));
    }

    fn judge(pairs: &[(&'static str, &'static str)]) -> bool {
        let pairs = pairs.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v)));
        is_same_origin(&pairs.collect(), "https", None)
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
        let headers = HeaderMap::from_iter([(ORIGIN, HeaderValue::from_static("https://127.0.0.1:8443"))]);
        for (authority, allowed) in [("127.0.0.1:8443", true), ("127.0.0.1", false), ("127.0.0.1:9443", false)] {
            assert_eq!(
                is_same_origin(&headers, "https", Some(&Authority::from_static(authority))),
                allowed,
                "{authority}"
            );
        }
    }
}
