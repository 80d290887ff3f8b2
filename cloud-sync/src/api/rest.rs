//! The enrolment API for apps that speak REST: the same application service as gRPC in JSON, described by
//! `/openapi.json` (OpenAPI 3.1). Every call carries `Authorization: Bearer <api key>`.
//!
//! | method and path | does |
//! |---|---|
//! | `POST /v1/riders` | makes a rider |
//! | `POST /v1/riders/{id}/consents` | records a consent |
//! | `POST /v1/riders/{id}/faces` | enrols a face from one photograph, the body, or up to five in JSON |
//! | `DELETE /v1/riders/{id}/consents/{purpose}` | takes the consent back; answers the receipt |
//! | `PUT /v1/riders/{id}/account` | binds a wallet or an acquirer's token |
//! | `GET`, `POST /v1/riders/{id}/instruments` | lists what the rider pays with, in its order; adds to it |
//! | `DELETE /v1/riders/{id}/instruments/{instrument}` | removes one |
//! | `PUT /v1/riders/{id}/instrument-order` | asks them in another order |
//! | `GET /v1/riders/{id}/wallet` | balance and movements |
//! | `POST /v1/riders/{id}/wallet/top-ups`, `…/withdrawals` | pays in, pays out |
//! | `GET /v1/riders/{id}/debts` · `POST …/debts/payments` | what he owes · has it tried now |
//! | `PUT /v1/riders/{id}/page-password` | sets the password of the rider's own page |
//! | `POST /v1/riders/{id}/code-certificates` | certifies a phone for ride codes |
//! | `GET /v1/riders/{id}/trips` | lists trips |
//! | `GET /v1/riders/{id}/receipts/{journey}` | shows one receipt |
//! | `PUT /v1/riders/{id}/receipts/{journey}/missing-end` | tells an end that nobody saw |
//! | `PUT /v1/riders/{id}/category` | says what the rider is, verified |
//! | `POST /v1/riders/{id}/passes` · `POST /v1/riders/{id}/coupons` | sells a pass · gives a coupon |
//! | `GET /v1/riders/{id}/terms` | shows what decides what he pays |
//! | `GET /v1/riders/{id}/refunds` | lists what the rider got back |
//! | `DELETE /v1/riders/{id}` | erases; answers the erasure receipt |
//! | `GET /v1/erasures/{id}` | shows how far an erasure has come |

mod access;
mod auth;
mod erasure;
mod faces;
mod input;
mod moment;
mod openapi;
mod payment;
mod refunds;
mod refusal;
mod riders;
mod terms;
mod trips;

use std::ops::Deref;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{delete, get, post, put};

pub use auth::{ApiKeys, InvalidApiKey, new_api_key};
pub use moment::Moment;
pub use openapi::document;
pub use payment::{OwingView, WalletView};
pub use refunds::RefundView;
pub use trips::TripView;

use crate::cloud::Cloud;
use crate::web::Account;
use facegate_runtime::sign_in::{Passwords, Sessions};

/// The largest JSON body is a few hundred bytes.
const JSON_BYTES_MAX: usize = 16 << 10;

/// What the handlers share.
#[derive(Debug, Clone)]
pub struct Rest(Arc<Shared>);

#[derive(Debug)]
pub struct Shared {
    pub cloud: Arc<Cloud>,
    pub api_keys: ApiKeys,
    /// Of the pages: a new password and an erasure end the rider's sessions there.
    pub sessions: Arc<Sessions<Account>>,
    pub passwords: Passwords,
}

impl Rest {
    pub fn new(shared: Shared) -> Self {
        Self(Arc::new(shared))
    }
}

impl Deref for Rest {
    type Target = Shared;
    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// Errors never. `image_bytes_max` bounds the photographs of one enrolment together.
pub fn router(rest: Rest, image_bytes_max: usize) -> Router {
    Router::new()
        .route("/v1/riders", post(riders::create))
        .route("/v1/riders/{id}", delete(erasure::erase))
        .route("/v1/riders/{id}/consents", post(riders::consent))
        .route("/v1/riders/{id}/consents/{purpose}", delete(erasure::withdraw_consent))
        .route("/v1/riders/{id}/account", put(riders::bind_account))
        .route("/v1/riders/{id}/instruments", get(payment::list).post(payment::add))
        .route("/v1/riders/{id}/instruments/{instrument}", delete(payment::remove))
        .route("/v1/riders/{id}/instrument-order", put(payment::order))
        .route("/v1/riders/{id}/wallet", get(payment::wallet))
        .route("/v1/riders/{id}/wallet/top-ups", post(payment::top_up))
        .route("/v1/riders/{id}/wallet/withdrawals", post(payment::withdraw))
        .route("/v1/riders/{id}/debts", get(payment::debts))
        .route("/v1/riders/{id}/debts/payments", post(payment::pay))
        .route("/v1/riders/{id}/page-password", put(access::set_page_password))
        .route("/v1/riders/{id}/code-certificates", post(access::certify_phone))
        .route("/v1/riders/{id}/trips", get(trips::list))
        .route("/v1/riders/{id}/receipts/{journey}", get(trips::receipt))
        .route("/v1/riders/{id}/receipts/{journey}/missing-end", put(terms::repair))
        .route("/v1/riders/{id}/category", put(terms::verify_category))
        .route("/v1/riders/{id}/passes", post(terms::buy_pass))
        .route("/v1/riders/{id}/coupons", post(terms::grant_coupon))
        .route("/v1/riders/{id}/terms", get(terms::show))
        .route("/v1/riders/{id}/refunds", get(refunds::list))
        .route("/v1/erasures/{id}", get(erasure::show))
        .layer(DefaultBodyLimit::max(JSON_BYTES_MAX))
        .route("/v1/riders/{id}/faces", post(faces::enrol).layer(DefaultBodyLimit::max(image_bytes_max)))
        .with_state(rest)
        .route("/openapi.json", get(openapi::serve))
}
