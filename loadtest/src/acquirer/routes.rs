//! The sandbox acquirer's HTTP side.

mod problem;

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use facegate_runtime::identity::{PeerIdentity, Role};
use futures::{StreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::book::{AmountRequest, AuthorisationRequest, Charge, Refund, Status};
use super::durable::{Answer, DurableBook};
use super::faults::{Dice, Fate};
use super::settlement::{self, Defect, Terms};
use super::webhooks::Webhooks;
use problem::Problem;

/// No request of ours comes near this.
const BODY_BYTES_MAX: usize = 16 * 1024;
const KEY_CHARACTERS_MAX: usize = 255;
/// How long a silent acquirer keeps the connection; every caller has given up by then.
const SILENCE: Duration = Duration::from_secs(60);
/// Between two looks at the captures that were taken on.
const SETTLE_EVERY: Duration = Duration::from_millis(100);

/// The acquirer as its handlers share it.
#[derive(Debug, Clone)]
pub struct Acquirer {
    pub book: DurableBook,
    pub dice: Arc<Dice>,
    pub terms: Terms,
    pub webhooks: Option<Arc<Webhooks>>,
}

/// Everything the acquirer serves; the caller puts it behind mutual TLS.
pub fn router(acquirer: Acquirer) -> Router {
    let money = Router::new()
        .route("/v1/authorisations", post(authorise))
        .route("/v1/authorisations/{id}/capture", post(capture))
        .route("/v1/authorisations/{id}/void", post(void))
        .route("/v1/authorisations/{id}/refunds", post(refund))
        .route("/v1/charges", get(find))
        .layer(middleware::from_fn_with_state(acquirer.clone(), turn_away));
    money
        .route("/v1/settlement", get(settlement))
        .route("/v1/statistics", get(statistics))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(acquirer)
}

/// Brings the captures that were taken on to their end, until `stop`.
pub async fn keep_settling(acquirer: Acquirer, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(SETTLE_EVERY) => {}
        }
        match acquirer.book.settle(acquirer.dice.faults().settle_after).await {
            Ok(lines) => acquirer.tell(&lines).await,
            Err(error) => tracing::error!(%error, "captures wait for their end"),
        }
    }
}

/// While it is down, or by chance, nothing is done.
async fn turn_away(State(acquirer): State<Acquirer>, request: Request, next: Next) -> Response {
    if acquirer.dice.refuses() { Problem::Down.into_response() } else { next.run(request).await }
}

async fn authorise(
    peer: PeerIdentity,
    State(acquirer): State<Acquirer>,
    headers: HeaderMap,
    body: Result<Json<AuthorisationRequest>, JsonRejection>,
) -> Result<Response, Problem> {
    peer.require(&[Role::Cloud])?;
    let chances = acquirer.dice.chances();
    let answer = acquirer.book.authorise(key(&headers)?, body?.0, chances).await?;
    acquirer.answer(answer, None).await
}

async fn capture(
    peer: PeerIdentity,
    State(acquirer): State<Acquirer>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<Json<AmountRequest>, JsonRejection>,
) -> Result<Response, Problem> {
    peer.require(&[Role::Cloud])?;
    let answer = acquirer.book.capture(id, key(&headers)?, body?.0).await?;
    acquirer.answer(answer, None).await
}

async fn void(
    peer: PeerIdentity,
    State(acquirer): State<Acquirer>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    peer.require(&[Role::Cloud])?;
    let answer = acquirer.book.void(id, key(&headers)?).await?;
    acquirer.answer(answer, None).await
}

async fn refund(
    peer: PeerIdentity,
    State(acquirer): State<Acquirer>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<Json<AmountRequest>, JsonRejection>,
) -> Result<Response, Problem> {
    peer.require(&[Role::Cloud])?;
    let key = key(&headers)?;
    let answer = acquirer.book.refund(id, key.clone(), body?.0).await?;
    acquirer.answer(answer, Some(&key)).await
}

#[derive(Deserialize)]
struct ByKey {
    key: String,
}

async fn find(
    peer: PeerIdentity,
    State(acquirer): State<Acquirer>,
    Query(query): Query<ByKey>,
) -> Result<Response, Problem> {
    peer.require(&[Role::Cloud])?;
    let book = acquirer.book.read().await;
    if let Some(charge) = book.find(&query.key) {
        return Ok(Json(described(charge)).into_response());
    }
    let (charge, refund) = book.find_refund(&query.key).ok_or(Problem::UnknownKey)?;
    Ok(Json(refund_described(charge, refund)).into_response())
}

#[derive(Deserialize)]
struct OfDay {
    date: jiff::civil::Date,
    #[serde(default = "cny")]
    currency: String,
    defect: Option<Defect>,
}

fn cny() -> String {
    "CNY".to_owned()
}

/// The file of one day; `defect` is for tests of who reads it.
async fn settlement(
    peer: PeerIdentity,
    State(acquirer): State<Acquirer>,
    query: Result<Query<OfDay>, QueryRejection>,
) -> Result<Response, Problem> {
    peer.require(&[Role::Cloud])?;
    let OfDay { date, currency, defect } = query?.0;
    let text = settlement::file(&*acquirer.book.read().await, &acquirer.terms, date, &currency, defect);
    Ok(([(header::CONTENT_TYPE, "text/csv")], text).into_response())
}

async fn statistics(peer: PeerIdentity, State(acquirer): State<Acquirer>) -> Result<Response, Problem> {
    peer.require(&[Role::Cloud, Role::Monitor])?;
    Ok(Json(acquirer.book.read().await.statistics()).into_response())
}

impl Acquirer {
    async fn tell(&self, lines: &[super::book::Line]) {
        if let Some(webhooks) = self.webhooks.as_ref().filter(|_| !lines.is_empty()) {
            webhooks.tell(lines, &*self.book.read().await);
        }
    }

    /// The work is done and durable; only the answer may go wrong.
    async fn answer(&self, answer: Answer, refund: Option<&str>) -> Result<Response, Problem> {
        self.tell(&answer.done).await;
        let late = !answer.done.is_empty() && answer.charge.request.token.starts_with("tok_ok_late_");
        let faults = self.dice.faults();
        let wait = faults.answer_after + if late { faults.late_answer } else { Duration::ZERO };
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        match self.dice.fate() {
            Fate::Answered => {}
            Fate::Late(by) => tokio::time::sleep(by).await,
            Fate::Failed => return Err(Problem::Failed),
            Fate::Silent => tokio::time::sleep(SILENCE).await,
            Fate::Cut => return Ok(cut_off()),
        }
        let charge = &answer.charge;
        let of_key = refund.and_then(|key| charge.refunds.iter().find(|refund| refund.key == key));
        let (declined, body) = match of_key {
            Some(refund) => (refund.declined.is_some(), refund_described(charge, refund)),
            None => (charge.status == Status::Declined, described(charge)),
        };
        let status = match charge.status {
            _ if declined => StatusCode::PAYMENT_REQUIRED,
            Status::Pending => StatusCode::ACCEPTED,
            _ => StatusCode::OK,
        };
        Ok((status, Json(body)).into_response())
    }
}

/// An answer that breaks off.
fn cut_off() -> Response {
    let broken = stream::once(async { Err(std::io::Error::other("cut off")) });
    let begun = stream::once(async { Ok(Bytes::from_static(b"{\"status\":")) });
    Body::from_stream(begun.chain(broken)).into_response()
}

fn described(charge: &Charge) -> Value {
    json!({
        "status": charge.status,
        "authorisation": charge.authorisation,
        "amount_minor": charge.request.amount_minor,
        "captured_minor": charge.captured_minor,
        "refunded_minor": charge.refunded_minor(),
        "currency": charge.request.currency,
        "reason": charge.reason,
        "again": charge.again,
        "disputed": charge.disputed_at_ms.is_some(),
    })
}

fn refund_described(charge: &Charge, refund: &Refund) -> Value {
    json!({
        "status": if refund.declined.is_some() { "declined" } else { "refunded" },
        "authorisation": charge.authorisation,
        "refund": refund.id,
        "amount_minor": refund.amount_minor,
        "currency": charge.request.currency,
        "reason": refund.declined,
        "again": false,
    })
}

fn key(headers: &HeaderMap) -> Result<String, Problem> {
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok()).unwrap_or_default();
    if (1..=KEY_CHARACTERS_MAX).contains(&key.len()) { Ok(key.to_owned()) } else { Err(Problem::NoKey) }
}
