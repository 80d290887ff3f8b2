//! Signing in and out, and the extractors that say who is signed in.

use std::net::SocketAddr;

use axum::extract::rejection::FormRejection;
use axum::extract::{ConnectInfo, Form, FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{AppendHeaders, Html, IntoResponse, Redirect, Response};
use facegate_domain::ids::RiderId;
use facegate_runtime::sign_in::{Password, cookie};
use serde::Deserialize;

use super::assets::SIGN_IN_HTML;
use super::problem::Problem;
use super::{Account, Pages};

/// `__Host-` makes browsers insist on `Secure`, `Path=/` and no `Domain` (RFC 6265bis, section 4.1.3.2).
const COOKIE: &str = "__Host-facegate";
const NAME_CHARACTERS_MAX: usize = 64;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignInForm {
    name: String,
    password: Password,
}

/// The form; `?ended` says that a session has ended.
pub async fn form(axum::extract::RawQuery(query): axum::extract::RawQuery) -> Html<String> {
    let ended = query.as_deref() == Some("ended");
    page(ended.then_some(("note", "Your session has ended. Please sign in again.")))
}

/// Begins a session and leads to the account's own page. A wrong name and a wrong password look alike.
pub async fn sign_in(
    State(pages): State<Pages>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    form: Result<Form<SignInForm>, FormRejection>,
) -> Response {
    let Ok(Form(SignInForm { name, password })) = form else {
        return refuse(StatusCode::BAD_REQUEST, "That was not a sign-in form. Please use this one.");
    };
    let name = name.trim();
    if name.chars().count() > NAME_CHARACTERS_MAX {
        return refuse(StatusCode::BAD_REQUEST, "That name is too long to be one of ours.");
    }
    let now_ms = pages.cloud.clock.monotonic_ms();
    if let Err(too_many) = pages.attempts.admit(name, peer.ip(), now_ms) {
        count("refused");
        let wait =
            format!("Too many sign-ins failed. Please wait {} minutes and try again.", minutes(too_many.retry_after));
        let mut response = refuse(StatusCode::TOO_MANY_REQUESTS, &wait);
        response.headers_mut().insert(header::RETRY_AFTER, too_many.retry_after.as_secs().max(1).into());
        return response;
    }
    let (account, hash) = match find(&pages, name).await {
        Ok(found) => found,
        Err(problem) => return problem.into_response(),
    };
    if !pages.passwords.matches(password, hash).await {
        count("wrong");
        return refuse(StatusCode::UNAUTHORIZED, "The name or the password is wrong.");
    }
    pages.attempts.succeeded(name, peer.ip());
    count("right");
    if let Account::Operator(name) = &account {
        let noted =
            pages.cloud.store.audit(&format!("operator/{name}"), "session.begin", name, pages.cloud.clock.now()).await;
        if let Err(error) = noted {
            return Problem::internal(&error).into_response();
        }
    }
    let home = home(&account);
    let begun = set_cookie(&pages.sessions.begin(account, now_ms));
    (AppendHeaders([(header::SET_COOKIE, begun)]), Redirect::to(home)).into_response()
}

/// Ends the session, if there is one.
pub async fn sign_out(State(pages): State<Pages>, headers: HeaderMap) -> Response {
    if let Some(token) = cookie(&headers, COOKIE) {
        pages.sessions.end(token);
    }
    let gone = format!("{COOKIE}=; Path=/; Max-Age=0; Secure; HttpOnly; SameSite=Strict");
    (AppendHeaders([(header::SET_COOKIE, gone)]), Redirect::to("/sign-in")).into_response()
}

/// Leads to the account's page, or to the sign-in.
pub async fn start(State(pages): State<Pages>, headers: HeaderMap) -> Redirect {
    Redirect::to(account(&pages, &headers).as_ref().map_or("/sign-in", home))
}

/// A signed-in member of staff, by the name in the config.
#[derive(Debug, Clone)]
pub struct Operator(pub String);

/// A signed-in rider.
#[derive(Debug, Clone, Copy)]
pub struct SignedInRider(pub RiderId);

impl FromRequestParts<Pages> for Operator {
    type Rejection = Response;
    async fn from_request_parts(parts: &mut Parts, pages: &Pages) -> Result<Self, Response> {
        match account(pages, &parts.headers) {
            Some(Account::Operator(name)) => Ok(Self(name)),
            other => Err(turn_away(parts, other.as_ref())),
        }
    }
}

impl FromRequestParts<Pages> for SignedInRider {
    type Rejection = Response;
    async fn from_request_parts(parts: &mut Parts, pages: &Pages) -> Result<Self, Response> {
        match account(pages, &parts.headers) {
            Some(Account::Rider(rider)) => Ok(Self(rider)),
            other => Err(turn_away(parts, other.as_ref())),
        }
    }
}

/// People are led to where they can go; scripts are told.
fn turn_away(parts: &Parts, account: Option<&Account>) -> Response {
    let wanted = parts.headers.get(header::ACCEPT).and_then(|wanted| wanted.to_str().ok()).unwrap_or_default();
    if !parts.uri.path().ends_with(".json") && !wanted.contains("application/json") {
        return Redirect::to(account.map_or("/sign-in", home)).into_response();
    }
    match account {
        None => Problem::new(StatusCode::UNAUTHORIZED, "not_signed_in", "Nobody is signed in.", "Sign in at /sign-in."),
        Some(_) => {
            let detail = "This account may not see this page's data.";
            Problem::new(StatusCode::FORBIDDEN, "wrong_account", detail, "Sign in with another account.")
        }
    }
    .into_response()
}

/// The account behind a name, and the hash of its password. A rider who was erased has none.
async fn find(pages: &Pages, name: &str) -> Result<(Account, Option<String>), Problem> {
    match name.parse::<RiderId>() {
        Ok(rider) => {
            let hash = pages.cloud.store.page_password(rider).await.map_err(|error| Problem::internal(&error))?;
            Ok((Account::Rider(rider), hash))
        }
        Err(_) => {
            Ok((Account::Operator(name.to_owned()), pages.operators.get(name).map(|hash| hash.as_str().to_owned())))
        }
    }
}

fn account(pages: &Pages, headers: &HeaderMap) -> Option<Account> {
    pages.sessions.account(cookie(headers, COOKIE)?, pages.cloud.clock.monotonic_ms())
}

fn home(account: &Account) -> &'static str {
    match account {
        Account::Operator(_) => "/ops",
        Account::Rider(_) => "/me",
    }
}

fn set_cookie(token: &str) -> String {
    format!("{COOKIE}={token}; Path=/; Secure; HttpOnly; SameSite=Strict")
}

fn count(outcome: &'static str) {
    metrics::counter!("facegate_sign_ins_total", "outcome" => outcome).increment(1);
}

fn minutes(wait: std::time::Duration) -> u64 {
    wait.as_secs().div_ceil(60).max(1)
}

fn refuse(status: StatusCode, message: &str) -> Response {
    (status, page(Some(("", message)))).into_response()
}

/// The sign-in page with a notice, which is always one of our own sentences and never what somebody typed.
fn page(notice: Option<(&str, &str)>) -> Html<String> {
    let notice = notice.map(|(tone, text)| format!("<p class=\"notice {tone}\" role=\"alert\">{text}</p>"));
    Html(SIGN_IN_HTML.replace("<!-- notice -->", notice.as_deref().unwrap_or_default()))
}
