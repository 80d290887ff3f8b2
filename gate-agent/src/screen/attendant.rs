//! The attendant's page: the last decisions with their reasons and how the devices are, for who signs in. It only shows;
//! orders come from the operations centre.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use axum::extract::rejection::FormRejection;
use axum::extract::{ConnectInfo, Form, FromRequestParts, State};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, SET_COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use facegate_domain::policy::{Line, Refusal};
use facegate_runtime::sign_in::attendants::{LIFETIME, NotSignedIn};
use facegate_runtime::sign_in::{self, Password, TooMany, is_same_origin};
use serde::{Deserialize, Serialize};

use super::{CSS, HTML, JS, Screen, file};
use crate::board::view::View;

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
        let name = token(screen, &parts.headers).and_then(|token| screen.attendance.name(token));
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
    let reasons = Refusal::ALL.into_iter().map(|refusal| (refusal.name(), refusal.reason())).collect();
    let now_unix_ms = screen.clock.now().unix_ms();
    Json(Told { attendant, now_unix_ms, reasons, view: screen.board.view() })
}

async fn page(State(screen): State<Screen>, signed_in: Result<SignedIn, Response>) -> Response {
    if signed_in.is_ok() {
        return ([(CONTENT_TYPE, HTML)], include_str!("attendant.html")).into_response();
    }
    if screen.attendance.is_empty() {
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
    password: Password,
}

async fn sign_in(
    State(screen): State<Screen>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    typed: Result<Form<Typed>, FormRejection>,
) -> Response {
    if !is_same_origin(&headers, "http", None) {
        return (StatusCode::FORBIDDEN, "use the form at /attendant\n").into_response();
    }
    let Ok(Form(Typed { name, password })) = typed else {
        return form(StatusCode::BAD_REQUEST, "请使用此表单登录。 Please use this form.");
    };
    match screen.attendance.sign_in(&name, password, peer.ip()).await {
        Ok((_, token)) => {
            ([(SET_COOKIE, cookie(&screen, &token, LIFETIME.as_secs()))], Redirect::to("/attendant")).into_response()
        }
        Err(NotSignedIn::Wrong) => {
            form(StatusCode::UNAUTHORIZED, "姓名或密码错误。 The name or the password is wrong.")
        }
        Err(NotSignedIn::TooMany(TooMany { retry_after })) => {
            let seconds = retry_after.as_secs() + 1;
            let word = format!("尝试次数过多，请等待 {seconds} 秒。 Too many attempts: please wait {seconds} seconds.");
            let mut response = form(StatusCode::TOO_MANY_REQUESTS, &word);
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
            response
        }
    }
}

async fn sign_out(State(screen): State<Screen>, headers: HeaderMap) -> Response {
    if !is_same_origin(&headers, "http", None) {
        return (StatusCode::FORBIDDEN, "use the button at /attendant\n").into_response();
    }
    if let Some(token) = token(&screen, &headers) {
        screen.attendance.sign_out(token);
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
    sign_in::cookie(headers, &cookie_name(screen))
}
