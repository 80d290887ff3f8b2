//! The reserve that pays proven wrong charges: what is set aside for it, and the second person's word above an amount.

use axum::Json;
use axum::extract::{Path, State};
use facegate_domain::ledger::Account;
use facegate_domain::money::Money;
use facegate_domain::reserve::{Funding, FundingId, FundingRequest};
use serde::{Deserialize, Serialize};

use super::refunds::{Decision, read, refused};
use super::{Fields, Operator, Pages, Problem};
use crate::api::rest::Moment;

const FUNDINGS_MAX: usize = 20;

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

/// What is left to pay wrong charges with, and what was asked for.
#[derive(Debug, Serialize)]
pub struct Reserve {
    reserve: Money,
    /// The latest first.
    fundings: Vec<FundingView>,
}

impl Reserve {
    pub async fn of(pages: &Pages) -> Result<Self, Problem> {
        let (store, currency) = (&pages.cloud.store, pages.cloud.config.enrolment.currency);
        // What is set aside is a credit, hence negative.
        let balance = store.balance(Account::RiskReserve, currency).await?;
        let reserve = Money::from_minor(balance.minor().saturating_neg(), currency);
        Ok(Self { reserve, fundings: store.fundings(FUNDINGS_MAX).await?.iter().map(FundingView::from).collect() })
    }
}

/// What the form says.
#[derive(Debug, Deserialize)]
pub struct Asked {
    /// Drawn by the page for each form, so that a form sent twice is one funding.
    order: String,
    amount_minor: i64,
    reason: String,
}

pub async fn state(State(pages): State<Pages>, _who: Operator) -> Result<Json<Reserve>, Problem> {
    Reserve::of(&pages).await.map(Json)
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
            state: funding.approval.state.name(),
            asked_by: funding.approval.asked_by.clone(),
            asked_at: Moment(funding.approval.asked_at),
            decided_by: funding.approval.decided_by.clone(),
        }
    }
}
