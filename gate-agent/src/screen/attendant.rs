//! The attendant's page: the last decisions with their reasons and how the devices are, for who signs in. It only shows;
//! orders come from the operations centre.

mod reasons;

use std::collections::BTreeMap;

use axum::extract::rejection::FormRejection;
use axum::extract::{Form, FromRequestParts, State};
use axum::http::header::{CONTENT_TYPE, COOKIE, HOST, ORIGIN, RETRY_AFTER, SET_COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use facegate_domain::policy::{Line, Refusal};
use serde::{Deserialize, Serialize};

use super::password::Hashed;
use super::sessions::LIFETIME;
use super::{CSS, HTML, JS, Screen, file};
use crate::board::view::View;

/// Who may sign in at this gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attendant {
    pub name: String,
    pub password: Hashed,
}

/// Under which names that nobody has are counted, all together.
const NOBODY: &str = "";

pub(super) fn routes() -> Router<Screen> {
    Router::new()
        .route("/attendant", get(page))
        .route("/attendant.css", get(|| file(CSS, include_str!("attendant.css"))))
        .route("/attendant.js", get(|| file(JS, include_str!("attendant.js"))))
        .route("/attendant/state.json", get(state))
        .route("/attendant/sign-in", post(sign_in))
        .route("/attendant/sign-out", post(sign_out))
}

/// An attendant who is signed in, by name.
pub(super) struct SignedIn(String);

impl FromRequestParts<Screen> for SignedIn {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, screen: &Screen) -> Result<Self, Response> {
        let name = token(screen, &parts.headers).and_then(|token| screen.sessions.name(token, screen.now_ms()));
        name.map(Self).ok_or_else(|| (StatusCode::UNAUTHORIZED, "sign in at /attendant\n").into_response())
    }
}

#[derive(Serialize)]
struct Told {
    attendant: String,
    now_unix_ms: i64,
    reasons: BTreeMap<&'static str, Line>,
    #[serde(flatten)]
    view: View,
}

async fn state(State(screen): State<Screen>, SignedIn(attendant): SignedIn) -> Json<Told> {
    let reasons = Refusal::ALL.into_iter().map(|refusal| (refusal.name(), reasons::reason(refusal))).collect();
    let now_unix_ms = screen.clock.now().unix_ms();
    Json(Told { attendant, now_unix_ms, reasons, view: screen.board.view() })
}

async fn page(State(screen): State<Screen>, signed_in: Result<SignedIn, Response>) -> Response {
    if signed_in.is_ok() {
        return ([(CONTENT_TYPE, HTML)], include_str!("attendant.html")).into_response();
    }
    if screen.config.attendants.is_empty() {
        return form(
            StatusCode::OK,
            "此闸机未设置值守人员。 No attendant is set up at this gate ([[screen.attendants]]).",
        );
    }
    form(StatusCode::OK, "")
}

/// The sign-in, with a word about the last try. The words are ours.
fn form(status: StatusCode, word: &str) -> Response {
    let page = include_str!("sign-in.html").replace("{word}", word);
    (status, [(CONTENT_TYPE, HTML)], page).into_response()
}

#[derive(Deserialize)]
struct Typed {
    name: String,
    password: String,
}

async fn sign_in(
    State(screen): State<Screen>,
    headers: HeaderMap,
    typed: Result<Form<Typed>, FormRejection>,
) -> Response {
    if !is_same_origin(&headers) {
        return (StatusCode::FORBIDDEN, "use the form at /attendant\n").into_response();
    }
    let Ok(Form(Typed { name, password })) = typed else {
        return form(StatusCode::BAD_REQUEST, "请使用此表单登录。 Please use this form.");
    };
    let found = screen.config.attendants.iter().find(|attendant| attendant.name == name.trim());
    let counted = found.map_or(NOBODY, |attendant| &attendant.name);
    if let Err(wait) = screen.sessions.attempt(counted, screen.now_ms()) {
        let seconds = wait.as_secs() + 1;
        let word = format!("尝试次数过多，请等待 {seconds} 秒。 Too many attempts: please wait {seconds} seconds.");
        let mut response = form(StatusCode::TOO_MANY_REQUESTS, &word);
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
        return response;
    }
    // Without such a name the same work is done, so that the time taken does not tell.
    let hash = found.or(screen.config.attendants.first()).map(|attendant| attendant.password.clone());
    // One comparison at a time: each takes 19 MiB of a small machine.
    let turn = screen.comparing.lock().await;
    let matches = tokio::task::spawn_blocking(move || hash.is_some_and(|hash| hash.matches(&password)));
    let matches = matches.await.unwrap_or(false);
    drop(turn);
    let Some(attendant) = found.filter(|_| matches) else {
        tracing::warn!(name = counted, "a sign-in of an attendant failed");
        return form(StatusCode::UNAUTHORIZED, "姓名或密码错误。 The name or the password is wrong.");
    };
    tracing::info!(name = attendant.name, "an attendant signed in");
    let token = screen.sessions.begin(&attendant.name, screen.now_ms());
    ([(SET_COOKIE, cookie(&screen, &token, LIFETIME.as_secs()))], Redirect::to("/attendant")).into_response()
}

async fn sign_out(State(screen): State<Screen>, headers: HeaderMap) -> Response {
    if !is_same_origin(&headers) {
        return (StatusCode::FORBIDDEN, "use the button at /attendant\n").into_response();
    }
    if let Some(token) = token(&screen, &headers) {
        screen.sessions.end(token);
    }
    ([(SET_COOKIE, cookie(&screen, "", 0))], Redirect::to("/attendant")).into_response()
}

/// Not `Secure`: the screen is on loopback, without TLS. Ports of one host share cookies, so each has a name of its own.
fn cookie(screen: &Screen, token: &str, max_age_s: u64) -> String {
    format!("{}={token}; Path=/; Max-Age={max_age_s}; HttpOnly; SameSite=Strict", cookie_name(screen))
}

fn cookie_name(screen: &Screen) -> String {
    format!("facegate-attendant-{}", screen.config.listen.port())
}

fn token<'a>(screen: &Screen, headers: &'a HeaderMap) -> Option<&'a str> {
    let name = cookie_name(screen);
    let pairs =
        headers.get_all(COOKIE).into_iter().filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(';'));
    let mut named = pairs.filter_map(|pair| pair.trim().split_once('=')).filter(|(of, _)| *of == name);
    named.next().map(|(_, token)| token)
}

/// `SameSite` keeps the cookie away from other sites; this also covers the sign-in itself and other ports of this machine.
fn is_same_origin(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value: &axum::http::HeaderValue| value.to_str().ok());
    text(ORIGIN).and_then(|origin| origin.strip_prefix("http://")).is_some_and(|origin| Some(origin) == text(HOST))
}
