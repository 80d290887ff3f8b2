//! The booth over HTTP: sign-in, the page, what it shows, and the acts. Nothing is loaded from elsewhere.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::rejection::{FormRejection, JsonRejection};
use axum::extract::{ConnectInfo, DefaultBodyLimit, Form, FromRequestParts, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, REFERRER_POLICY, RETRY_AFTER, SET_COOKIE,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use facegate_domain::code::TEXT_LEN_MAX;
use facegate_runtime::sign_in::attendants::{LIFETIME, NotSignedIn};
use facegate_runtime::sign_in::{self, Password, TooMany, is_same_origin};
use serde::{Deserialize, Serialize};

use super::acts::stations;
use super::rider::{WhoError, look_up};
use super::view::{ActView, View};
use super::{ActError, Asked, Booth, act};

/// A ride code and some words.
const BODY_BYTES_MAX: usize = 4096;

type Shared = Arc<Booth>;

pub(super) fn router(booth: Shared) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/booth.css", get(|| file("text/css; charset=utf-8", include_str!("booth.css"))))
        .route("/booth.js", get(|| file("text/javascript; charset=utf-8", include_str!("booth.js"))))
        .route("/state.json", get(state))
        .route("/stations.json", get(station_names))
        .route("/rider", post(rider))
        .route("/acts", post(acts))
        .route("/sign-in", post(sign_in))
        .route("/sign-out", post(sign_out))
        .layer(middleware::from_fn_with_state(Arc::clone(&booth), guard))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(booth)
}

async fn file(content_type: &'static str, text: &'static str) -> impl IntoResponse {
    ([(CONTENT_TYPE, content_type)], text)
}

const HTML: &str = "text/html; charset=utf-8";

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

/// What changes something must come from this page. On loopback a page of the wide web could rename its own host to this
/// machine (DNS rebinding); under TLS the certificate keeps that away.
async fn guard(State(booth): State<Shared>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    if booth.is_local() && !matches!(name, "127.0.0.1" | "localhost" | "[::1]") {
        return (StatusCode::MISDIRECTED_REQUEST, "this booth is for its own machine\n").into_response();
    }
    let scheme = if booth.is_local() { "http" } else { "https" };
    if !request.method().is_safe() && !is_same_origin(headers, scheme, request.uri().authority()) {
        return refuse(StatusCode::FORBIDDEN, &"this did not come from the booth's own page: reload it");
    }
    (HEADERS, next.run(request).await).into_response()
}

/// An attendant who is signed in, by name.
struct SignedIn(String);

impl FromRequestParts<Shared> for SignedIn {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, booth: &Shared) -> Result<Self, Response> {
        let token = sign_in::cookie(&parts.headers, &cookie_name(booth));
        let name = token.and_then(|token| booth.attendance.name(token));
        name.map(Self).ok_or_else(|| refuse(StatusCode::UNAUTHORIZED, &"nobody is signed in: reload the page"))
    }
}

/// What the page says if something is not done.
#[derive(Serialize)]
struct Refused {
    error: String,
}

fn refuse(status: StatusCode, error: &impl ToString) -> Response {
    (status, Json(Refused { error: error.to_string() })).into_response()
}

async fn page(signed_in: Result<SignedIn, Response>) -> Response {
    match signed_in {
        Ok(_) => ([(CONTENT_TYPE, HTML)], include_str!("booth.html")).into_response(),
        Err(_) => form(StatusCode::OK, ""),
    }
}

/// The sign-in, with a word about the last try. The words are ours.
fn form(status: StatusCode, word: &str) -> Response {
    let page = include_str!("sign-in.html").replace("{word}", word);
    (status, [(CONTENT_TYPE, HTML)], page).into_response()
}

async fn state(State(booth): State<Shared>, SignedIn(attendant): SignedIn) -> Response {
    match View::of(&booth, attendant) {
        Ok(view) => Json(view).into_response(),
        Err(error) => {
            tracing::error!(%error, "the booth's page cannot be filled");
            refuse(StatusCode::INTERNAL_SERVER_ERROR, &"the station failed; it is in its log")
        }
    }
}

/// For the choice of where a rider came in; asked for once, since tables may be long.
async fn station_names(State(booth): State<Shared>, _: SignedIn) -> Response {
    let known = stations(&booth.station).into_iter();
    Json(known.map(|(id, name)| serde_json::json!({ "id": id, "name": name })).collect::<Vec<_>>()).into_response()
}

#[derive(Deserialize)]
struct Given {
    shown: String,
}

async fn rider(
    State(booth): State<Shared>,
    SignedIn(attendant): SignedIn,
    given: Result<Json<Given>, JsonRejection>,
) -> Response {
    let Ok(Json(Given { shown })) = given else { return malformed() };
    if shown.len() > TEXT_LEN_MAX {
        return who_refused(&WhoError::NotARider);
    }
    match look_up(&booth.station, &booth.shown, &shown) {
        Ok(view) => {
            tracing::info!(attendant, rider = ?view.rider, by_code = view.by_code, "a rider was looked up at the booth");
            Json(view).into_response()
        }
        Err(error) => who_refused(&error),
    }
}

async fn acts(
    State(booth): State<Shared>,
    SignedIn(attendant): SignedIn,
    asked: Result<Json<Asked>, JsonRejection>,
) -> Response {
    let Ok(Json(asked)) = asked else { return malformed() };
    // A task of its own: what was begun is finished even if the page goes away meanwhile.
    let done = tokio::spawn(async move { act(&booth, &attendant, asked).await }).await;
    match done {
        Ok(Ok(kept)) => Json(ActView::from(kept)).into_response(),
        Ok(Err(error)) => act_refused(&error),
        Err(error) => {
            tracing::error!(%error, "an act at the booth panicked");
            refuse(StatusCode::INTERNAL_SERVER_ERROR, &"the station failed; it is in its log")
        }
    }
}

fn malformed() -> Response {
    refuse(StatusCode::BAD_REQUEST, &"this is not what the page sends: reload it")
}

fn who_refused(error: &WhoError) -> Response {
    match error {
        WhoError::Store(error) => {
            tracing::error!(%error, "a rider cannot be looked up");
            refuse(StatusCode::INTERNAL_SERVER_ERROR, &"the station failed; it is in its log")
        }
        WhoError::Unknown => refuse(StatusCode::NOT_FOUND, error),
        WhoError::NotARider | WhoError::Code(_) => refuse(StatusCode::UNPROCESSABLE_ENTITY, error),
    }
}

fn act_refused(error: &ActError) -> Response {
    match error {
        ActError::Who(error) => who_refused(error),
        ActError::NotDone(_) | ActError::Interrupted | ActError::NameTaken => refuse(StatusCode::CONFLICT, error),
        ActError::NoSuchStation(_) | ActError::NoSuchGate(_) => refuse(StatusCode::UNPROCESSABLE_ENTITY, error),
        ActError::GateAway(_) => refuse(StatusCode::SERVICE_UNAVAILABLE, error),
        ActError::Store(_) | ActError::Station(_) => {
            tracing::error!(%error, "an act at the booth failed");
            refuse(StatusCode::SERVICE_UNAVAILABLE, &format!("nothing was done: {error}"))
        }
    }
}

#[derive(Deserialize)]
struct Typed {
    name: String,
    password: Password,
}

async fn sign_in(
    State(booth): State<Shared>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    typed: Result<Form<Typed>, FormRejection>,
) -> Response {
    let Ok(Form(Typed { name, password })) = typed else {
        return form(StatusCode::BAD_REQUEST, "请使用此表单登录。 Please use this form.");
    };
    match booth.attendance.sign_in(&name, password, peer.ip()).await {
        Ok((_, token)) => {
            ([(SET_COOKIE, cookie(&booth, &token, LIFETIME.as_secs()))], Redirect::to("/")).into_response()
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

async fn sign_out(State(booth): State<Shared>, headers: HeaderMap) -> Response {
    if let Some(token) = sign_in::cookie(&headers, &cookie_name(&booth)) {
        booth.attendance.sign_out(token);
    }
    ([(SET_COOKIE, cookie(&booth, "", 0))], Redirect::to("/")).into_response()
}

/// Ports of one host share cookies, so each has a name of its own.
fn cookie_name(booth: &Booth) -> String {
    format!("facegate-booth-{}", booth.config.listen.port())
}

fn cookie(booth: &Booth, token: &str, max_age_s: u64) -> String {
    let secure = if booth.is_local() { "" } else { "Secure; " };
    format!("{}={token}; Path=/; Max-Age={max_age_s}; {secure}HttpOnly; SameSite=Strict", cookie_name(booth))
}
