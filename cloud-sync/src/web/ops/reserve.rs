//! The reserve that pays proven wrong charges: what is set aside for it, and the second person's word above an amount.

use axum::Json;
use axum::extract::{Path, State};
use facegate_domain::money::Money;
use facegate_domain::reserve::{Funding, FundingId, FundingRequest};
use serde::{Deserialize, Serialize};

use super::refunds::{Decision, read, refused};
use super::{Fields, Operator, Pages, Problem};
use crate::api::rest::Moment;

#[derive(Debug, Serialize)]
pub struct FundingView {
    id: String,
    amount: Money,
    reason: String,
    state: &'static str,
    asked_by: String,
    asked_at: Moment,
    decided_by: Option<String>,
}

/// What the form says.
#[derive(Debug, Deserialize)]
pub struct Asked {
    /// Drawn by the page for each form, so that a form sent twice is one funding.
    order: String,
    amount_minor: i64,
    reason: String,
}

/// Asks for money to be set aside in the operator's name.
pub async fn ask(
    State(pages): State<Pages>,
    Operator(name): Operator,
    Fields(asked): Fields<Asked>,
) -> Result<Json<FundingView>, Problem> {
    let amount = Money::from_minor(asked.amount_minor, pages.cloud.config.enrolment.currency);
    let by = format!("operator/{name}");
    let request = FundingRequest { order: asked.order, amount, reason: asked.reason, by };
    let (policy, now) = (&pages.cloud.config.after.remedies.policy, pages.cloud.clock.now());
    let funding = pages.cloud.store.ask_funding(request, policy, now).await.map_err(refused)?;
    Ok(Json(FundingView::from(&funding)))
}

/// The second person's word.
pub async fn decide(
    State(pages): State<Pages>,
    Operator(name): Operator,
    Path(id): Path<String>,
    Fields(decision): Fields<Decision>,
) -> Result<Json<FundingView>, Problem> {
    let id: FundingId = read("funding", &id)?;
    let (by, now) = (format!("operator/{name}"), pages.cloud.clock.now());
    let funding = pages.cloud.store.decide_funding(id, decision.approves, &by, now).await.map_err(refused)?;
    Ok(Json(FundingView::from(&funding)))
}

impl From<&Funding> for FundingView {
    fn from(funding: &Funding) -> Self {
        Self {
            id: funding.id.to_string(),
            amount: funding.amount,
            reason: funding.reason.clone(),
            state: funding.state.name(),
            asked_by: funding.asked_by.clone(),
            asked_at: Moment(funding.asked_at),
            decided_by: funding.decided_by.clone(),
        }
    }
}
