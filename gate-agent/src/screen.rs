//! The gate's own screen, on loopback: one page in large type that follows the board by server-sent events, and the
//! board as JSON. It shows no picture and no name.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{self, Next};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures::{Stream, StreamExt};
use tokio_stream::wrappers::WatchStream;

use crate::board::Board;
use crate::board::view::View;

const PAGE: &str = include_str!("screen/page.html");

/// `/` the page, `/events` the board whenever it changes, `/state.json` the board now.
pub fn router(board: Arc<Board>) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/state.json", get(state))
        .route("/events", get(events))
        .layer(middleware::from_fn(only_from_here))
        .with_state(board)
}

async fn page() -> Response {
    let policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'";
    ([(CACHE_CONTROL, "no-store"), (CONTENT_SECURITY_POLICY, policy)], Html(PAGE)).into_response()
}

async fn state(State(board): State<Arc<Board>>) -> Json<View> {
    Json(board.view())
}

async fn events(State(board): State<Arc<Board>>) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let changes = WatchStream::new(board.subscribe());
    let events = changes.map(move |_| {
        // A view is plain data, so it always serialises; were it not, the page keeps what it shows.
        Ok(Event::default().json_data(board.view()).unwrap_or_else(|_| Event::default().comment("unserialisable")))
    });
    Sse::new(events).keep_alive(KeepAlive::default())
}

/// A page of the wide web opened on the gate's display could rename its own host to loopback (DNS rebinding).
async fn only_from_here(headers: HeaderMap, request: axum::extract::Request, next: Next) -> Response {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    if matches!(name, "127.0.0.1" | "localhost" | "[::1]") {
        next.run(request).await
    } else {
        (StatusCode::MISDIRECTED_REQUEST, "this screen is for the gate itself\n").into_response()
    }
}
