//! The pages' own files, compiled in: nothing is read from disk or from another site.

use axum::Router;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;

pub const OPS_HTML: &str = include_str!("static/ops.html");
pub const ME_HTML: &str = include_str!("static/me.html");
pub const SIGN_IN_HTML: &str = include_str!("static/sign-in.html");

const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

/// Path, content type, content.
const FILES: [(&str, &str, &str); 17] = [
    ("/static/mark.svg", "image/svg+xml", include_str!("static/mark.svg")),
    ("/static/site.css", CSS, include_str!("static/site.css")),
    ("/static/sign-in.css", CSS, include_str!("static/sign-in.css")),
    ("/static/ops.css", CSS, include_str!("static/ops.css")),
    ("/static/audit.css", CSS, include_str!("static/audit.css")),
    ("/static/me.css", CSS, include_str!("static/me.css")),
    ("/static/staff.css", CSS, include_str!("static/staff.css")),
    ("/static/books.css", CSS, include_str!("static/books.css")),
    ("/static/books.js", JS, include_str!("static/books.js")),
    ("/static/dom.js", JS, include_str!("static/dom.js")),
    ("/static/ops.js", JS, include_str!("static/ops.js")),
    ("/static/gates.js", JS, include_str!("static/gates.js")),
    ("/static/refunds.js", JS, include_str!("static/refunds.js")),
    ("/static/staff.js", JS, include_str!("static/staff.js")),
    ("/static/rides.js", JS, include_str!("static/rides.js")),
    ("/static/me.js", JS, include_str!("static/me.js")),
    ("/favicon.ico", "image/svg+xml", include_str!("static/mark.svg")),
];

/// Serves the files. A browser asks again each time, since a file has no version in its name.
pub fn router<S: Clone + Send + Sync + 'static>() -> Router<S> {
    FILES.into_iter().fold(Router::new(), |router, (path, kind, content)| {
        let file = move || async move { ([(header::CONTENT_TYPE, kind)], content).into_response() };
        router.route(path, get(file))
    })
}
