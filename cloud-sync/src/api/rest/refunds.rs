//! What a rider got back.

use axum::Json;
use axum::extract::State;
use facegate_domain::ids::RiderId;
use facegate_domain::remedy::Remedy;
use serde::Serialize;
use utoipa::ToSchema;

use super::Rest;
use super::auth::Integrator;
use super::input::Ids;
use super::moment::Moment;
use crate::web::problem::Problem;

/// Money given back, or on its way.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct RefundView {
    refund_id: String,
    /// "refund", "wallet_credit", "credit" or "waiver".
    kind: &'static str,
    /// The charge that it is of, if it is of one.
    charge_id: Option<String>,
    amount_minor: i64,
    /// ISO 4217.
    currency: String,
    /// "awaiting_approval", "rejected", "due", "located", "calling", "unknown", "done" or "failed".
    state: &'static str,
    /// When it was asked for.
    asked_at: Moment,
}

#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Refunds {
    /// The latest first.
    refunds: Vec<RefundView>,
}

/// What the rider got back or is to get back, the latest first.
#[utoipa::path(get, path = "/v1/riders/{id}/refunds", tag = "trips", operation_id = "listRefunds",
    params(("id" = uuid::Uuid, Path, description = "Rider")),
    responses((status = 200, body = Refunds)))]
pub async fn list(
    State(rest): State<Rest>,
    _app: Integrator,
    Ids((rider,)): Ids<(RiderId,)>,
) -> Result<Json<Refunds>, Problem> {
    rest.cloud.enrolment.rider(rider).await?;
    let remedies = rest.cloud.store.remedies_of(rider).await?;
    Ok(Json(Refunds { refunds: remedies.iter().map(RefundView::from).collect() }))
}

impl From<&Remedy> for RefundView {
    fn from(remedy: &Remedy) -> Self {
        Self {
            refund_id: remedy.id().to_string(),
            kind: remedy.measure().name(),
            charge_id: remedy.measure().charge().map(|charge| charge.to_string()),
            amount_minor: remedy.amount().minor(),
            currency: remedy.amount().currency().to_string(),
            state: remedy.state().name(),
            asked_at: Moment(remedy.asked_at()),
        }
    }
}
