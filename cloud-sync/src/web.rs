//! What people open in a browser: the ops page and the rider's page, both behind a local sign-in, with the REST API of
//! apps beside them on the same HTTPS listener.
//!
//! | path | who |
//! |---|---|
//! | `GET /` | leads to the account's own page, or to the sign-in |
//! | `GET /sign-in`, `POST /sign-in`, `POST /sign-out` | anybody |
//! | `GET /ops`, `GET /ops/overview.json` | operators |
//! | `GET /ops/audit`, `GET /ops/audit/2026-11-29`, `….csv` | operators: the end-of-day audit |
//! | `GET /ops/risk.json` | operators: what was decided about risk |
//! | `GET /ops/refunds`, `GET /ops/refunds.json`, `GET /ops/riders/{rider}/money.json` | operators: money given back |
//! | `GET /ops/reserve.json`, `POST /ops/reserve`, `POST /ops/reserve/{id}/decision` | operators: money set aside for wrong charges |
//! | `POST /ops/remedies`, `POST /ops/remedies/{id}/decision`, `POST /ops/disputes/{id}/outcome` | operators |
//! | `GET /ops/rides`, `GET /ops/rides.json`, `POST /ops/rides/{ride}/release` | operators: rides without a price |
//! | `GET /ops/waivers.json`, `POST /ops/waivers`, `POST /ops/waivers/preview` | operators: what is waived, or to be |
//! | `POST /ops/waivers/{id}/decision`, `POST /ops/waivers/{id}/end` | operators; `decision` is a second person's |
//! | `POST /ops/stations/{station}/standing` | operators; `standing` is active, revoked or decommissioned |
//! | `POST /ops/gates/{gate}/acts` | operators: opens a gate once, restarts it, sets its mode |
//! | `GET /books` and below | operators: the books, see [`books`] |
//! | `GET /me`, `GET /me/overview.json`, `POST /me/pay` | riders, each of himself |
//! | `/v1/…`, `GET /openapi.json` | apps: see [`crate::api::rest`] |
//! | `POST /webhooks/{acquirer}` | acquirers, by their signature |

mod assets;
mod books;
mod config;
mod fields;
mod guard;
mod mask;
mod me;
mod ops;
pub(crate) mod passage_rate;
pub mod problem;
mod sign_in;
mod webhooks;

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::{get, post};

pub use config::{RawApiKey, RawOperator, RawWeb, WebConfig};

use crate::api::rest::{self, Rest};
use crate::cloud::Cloud;
use facegate_domain::ids::RiderId;
use facegate_runtime::sign_in::{Attempts, Hashed, Passwords, Sessions};
use passage_rate::PassageRate;

/// A sign-in form is a name and a password; nothing else is sent to the pages.
const FORM_BYTES_MAX: usize = 4096;

/// Whose session it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Account {
    /// Staff, by the name in the config.
    Operator(String),
    Rider(RiderId),
}

/// What the pages' handlers share.
#[derive(Debug, Clone)]
struct Pages(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    cloud: Arc<Cloud>,
    sessions: Arc<Sessions<Account>>,
    passwords: Passwords,
    operators: BTreeMap<String, Hashed>,
    attempts: Attempts,
    passages: PassageRate,
    books: Arc<books::Books>,
}

impl Deref for Pages {
    type Target = Shared;
    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// Everything that the HTTPS listener for people and apps serves.
pub fn router(cloud: &Arc<Cloud>, config: &WebConfig) -> Router {
    let sessions = Arc::new(Sessions::new(config.sessions));
    let passwords = Passwords::default();
    let pages = Pages(Arc::new(Shared {
        cloud: Arc::clone(cloud),
        sessions: Arc::clone(&sessions),
        passwords: passwords.clone(),
        operators: config.operators.clone(),
        attempts: Attempts::new(config.attempts),
        passages: PassageRate::default(),
        books: Arc::new(books::Books::new(Arc::clone(&cloud.desk))),
    }));
    let rest =
        Rest::new(rest::Shared { cloud: Arc::clone(cloud), api_keys: config.api_keys.clone(), sessions, passwords });
    pages_router(pages)
        .merge(rest::router(rest, config.image_bytes_max))
        .merge(webhooks::router(Arc::clone(cloud)))
        .fallback(problem::no_such_route)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .layer(middleware::map_response(guard::set_headers))
}

fn pages_router(pages: Pages) -> Router {
    Router::new()
        .route("/", get(sign_in::start))
        .route("/sign-in", get(sign_in::form).post(sign_in::sign_in))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/ops", get(ops::page))
        .route("/ops/overview.json", get(ops::overview))
        .route("/ops/audit", get(ops::audit::latest))
        .route("/ops/audit/{day}", get(ops::audit::day))
        .route("/ops/risk.json", get(ops::risk::log))
        .route("/ops/refunds", get(ops::refunds::page))
        .route("/ops/refunds.json", get(ops::refunds::queues))
        .route("/ops/riders/{rider}/money.json", get(ops::refunds::of_rider))
        .route("/ops/reserve.json", get(ops::reserve::state))
        .route("/ops/reserve", post(ops::reserve::ask))
        .route("/ops/reserve/{id}/decision", post(ops::reserve::decide))
        .route("/ops/remedies", post(ops::refunds::ask))
        .route("/ops/remedies/{id}/decision", post(ops::refunds::decide))
        .route("/ops/disputes/{id}/outcome", post(ops::refunds::close_dispute))
        .route("/ops/rides", get(ops::rides::page))
        .route("/ops/rides.json", get(ops::rides::held))
        .route("/ops/rides/{ride}/release", post(ops::rides::release))
        .route("/ops/waivers.json", get(ops::waivers::list))
        .route("/ops/waivers", post(ops::waivers::tell).layer(DefaultBodyLimit::max(ops::waivers::FORM_BYTES_MAX)))
        .route(
            "/ops/waivers/preview",
            post(ops::waivers::preview).layer(DefaultBodyLimit::max(ops::waivers::FORM_BYTES_MAX)),
        )
        .route("/ops/waivers/{id}/decision", post(ops::waivers::decide))
        .route("/ops/waivers/{id}/end", post(ops::waivers::end))
        .route("/ops/gates/{gate}/acts", post(ops::gates::act))
        .route("/ops/stations/{station}/standing", post(ops::set_standing))
        .route("/books", get(books::page))
        .route("/books/days.json", get(books::days))
        .route("/books/days/{day}", get(books::day))
        .route("/books/days/{day}/differences", get(books::differences))
        .route("/books/days/{day}/files/{name}", get(books::file))
        .route("/books/days/{day}/match", post(books::begin_match))
        .route("/books/days/{day}/close", post(books::begin_close))
        .route("/books/trial-balance", get(books::trial_balance))
        .route("/books/trial-balance.csv", get(books::trial_balance_csv))
        .route("/me", get(me::page))
        .route("/me/overview.json", get(me::overview))
        .route("/me/trips/{journey}/missing-end", post(me::tell_missing_end))
        .route("/me/pay", post(me::pay))
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
        .layer(middleware::from_fn(guard::same_origin_only))
        .with_state(pages)
        .merge(assets::router())
}
