//! `POST /webhooks/{acquirer}`: acquirers hold no certificate of ours and sign nobody in; they sign what they send.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::json;

use super::problem::Problem;
use crate::charging::webhooks::{BODY_BYTES_MAX, WebhookError, take};
use crate::cloud::Cloud;

pub fn router(cloud: Arc<Cloud>) -> Router {
    Router::new()
        .route("/webhooks/{acquirer}", post(receive))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(cloud)
}

/// 200 for what was taken, also if it changes nothing, so that it is not sent again; anything else is.
async fn receive(
    State(cloud): State<Arc<Cloud>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<serde_json::Value>, Problem> {
    let acquirer = cloud.config.acquirers.iter().find(|acquirer| acquirer.name.as_str() == name);
    let Some(policy) = acquirer.and_then(|acquirer| acquirer.webhook.as_ref()) else {
        count("unknown", "no_such_webhook");
        let detail = "No acquirer of this name tells us anything.";
        let next = "Look the address up that this operator gave for webhooks.";
        return Err(Problem::new(StatusCode::NOT_FOUND, "no_such_webhook", detail, next));
    };
    let body = body.map_err(|rejection| {
        count(&name, "too_large");
        let detail = format!("An event has at most {BODY_BYTES_MAX} bytes: {rejection}");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", detail, "Send the event alone.")
    })?;
    let signature = headers.get(policy.dialect.header()).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match take(&*cloud.store, &name, policy, signature, &body, cloud.clock.now()).await {
        Ok(taken) => {
            count(&name, taken.name());
            Ok(Json(json!({ "taken": taken.name() })))
        }
        Err(error) => {
            count(&name, error.name());
            tracing::warn!(acquirer = name, %error, "a webhook was not taken");
            Err(refusal(&error))
        }
    }
}

fn refusal(error: &WebhookError) -> Problem {
    let (status, next) = match error {
        WebhookError::Signature(_) => {
            (StatusCode::UNAUTHORIZED, "Sign the time and the body under the secret that was agreed on.")
        }
        WebhookError::Malformed(_) => (StatusCode::BAD_REQUEST, "Send the event as this kind of acquirer writes it."),
        WebhookError::UnknownCharge => (StatusCode::NOT_FOUND, "Look up whose event this is; it was not ours to have."),
        WebhookError::Refused(_) => (StatusCode::CONFLICT, "Look the charge up; it is not as the event says."),
        WebhookError::Store(error) => return Problem::internal(error),
    };
    Problem::new(status, error.name(), error.to_string(), next)
}

fn count(acquirer: &str, outcome: &'static str) {
    metrics::counter!("facegate_webhooks_total", "acquirer" => acquirer.to_owned(), "outcome" => outcome).increment(1);
}
