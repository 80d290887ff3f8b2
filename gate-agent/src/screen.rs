//! The gate's own pages, on loopback: the rider's display, the attendant's page, and the board as JSON. Nothing is loaded from
//! elsewhere.

mod attendant;
mod display;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use facegate_domain::Clock;
use facegate_runtime::sign_in::attendants::{Attendance, Attendant};

use self::attendant::SignedIn;
use crate::board::Board;
use crate::config::Mode;

/// A name and a password.
const BODY_BYTES_MAX: usize = 4096;

/// `[screen]` as checked.
#[derive(Debug, Clone, PartialEq)]
pub struct ScreenConfig {
    pub listen: SocketAddr,
    /// The order in which the display's lines stand.
    pub languages: Vec<Language>,
    /// 0 is silent, 1 as loud as the machine goes.
    pub volume: f32,
    /// Who may read more than the display.
    pub attendants: Vec<Attendant>,
}

/// What the display's lines are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Language {
    Zh,
    En,
}

/// What the pages are made of.
#[derive(Clone)]
struct Screen {
    board: Arc<Board>,
    config: Arc<ScreenConfig>,
    clock: Arc<dyn Clock>,
    attendance: Arc<Attendance>,
}

/// `/` the display, `/events` what it shows whenever that changes, `/attendant` the attendant's page, `/state.json` the whole
/// board now, in production for an attendant only.
pub fn router(board: Arc<Board>, config: ScreenConfig, clock: Arc<dyn Clock>) -> Router {
    let attendance = Arc::new(Attendance::new(config.attendants.clone(), Arc::clone(&clock)));
    Router::new()
        .merge(display::routes())
        .merge(attendant::routes())
        .route("/state.json", get(state))
        .layer(middleware::from_fn(only_from_here))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(Screen { board, config: Arc::new(config), clock, attendance })
}

async fn state(State(screen): State<Screen>, signed_in: Result<SignedIn, Response>) -> Response {
    match signed_in {
        Err(refused) if screen.board.who().mode == Mode::Production => refused,
        _ => Json(screen.board.view()).into_response(),
    }
}

/// A file of ours.
async fn file(content_type: &'static str, text: &'static str) -> impl IntoResponse {
    ([(CONTENT_TYPE, content_type)], text)
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

/// Our own files and nothing else; no page of others may frame these.
const HEADERS: [(HeaderName, &str); 4] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:; form-action 'self'; \
         base-uri 'none'; frame-ancestors 'none'",
    ),
    (CACHE_CONTROL, "no-store"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "same-origin"),
];

/// A page of the wide web opened on the gate's display could rename its own host to loopback (DNS rebinding).
async fn only_from_here(headers: HeaderMap, request: axum::extract::Request, next: Next) -> Response {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    if matches!(name, "127.0.0.1" | "localhost" | "[::1]") {
        (HEADERS, next.run(request).await).into_response()
    } else {
        (StatusCode::MISDIRECTED_REQUEST, "this screen is for the gate itself\n").into_response()
    }
}
