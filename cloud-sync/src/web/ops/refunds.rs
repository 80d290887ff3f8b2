//! Money given back: what a rider was charged, what to give back of it and why, what waits for a second person, disputes.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Html;
use facegate_domain::charge::{Charge, ChargeId};
use facegate_domain::dispute::{Dispute, DisputeId, DisputeState};
use facegate_domain::ids::RiderId;
use facegate_domain::money::Money;
use facegate_domain::remedy::{Ground, Measure, Remedy, RemedyError, RemedyId, RemedyRequest};
use serde::{Deserialize, Serialize};

use super::reserve::Reserve;
use super::{Fields, Operator, Pages, Problem};
use crate::api::rest::Moment;
use crate::store::{Credit, StoreError};

const PAGE: &str = include_str!("../static/refunds.html");
/// Lines of each queue.
const LISTED_MAX: usize = 200;

#[derive(Debug, Serialize)]
pub struct Queues {
    awaiting: Vec<RemedyView>,
    disputes: Vec<DisputeView>,
    /// Old ones that nothing was left to give back to.
    credits: Vec<CreditView>,
    #[serde(flatten)]
    reserve: Reserve,
    four_eyes_above: Money,
    /// Who is looking, as remedies name him: what he asked for is not his to decide.
    you: String,
}

#[derive(Debug, Serialize)]
pub struct CreditView {
    rider: String,
    amount: Money,
    since: Moment,
}

#[derive(Debug, Serialize)]
pub struct RiderMoney {
    charges: Vec<ChargeView>,
    remedies: Vec<RemedyView>,
    disputes: Vec<DisputeView>,
}

#[derive(Debug, Serialize)]
struct ChargeView {
    id: String,
    state: &'static str,
    amount: Money,
    paid_by: &'static str,
    opened_at: Moment,
    /// By refunds made, under way or waiting.
    refunded_minor: i64,
}

#[derive(Debug, Serialize)]
pub struct RemedyView {
    id: String,
    rider: String,
    measure: &'static str,
    charge: Option<String>,
    amount: Money,
    ground: &'static str,
    reason: String,
    state: &'static str,
    asked_by: String,
    asked_at: Moment,
    decided_by: Option<String>,
}

#[derive(Debug, Serialize)]
pub struct DisputeView {
    id: String,
    rider: String,
    charge: String,
    reference: String,
    amount: Money,
    state: &'static str,
    opened_at: Moment,
}

/// What the form says.
#[derive(Debug, Deserialize)]
pub struct Asked {
    /// Drawn by the page for each form, so that a form sent twice is one remedy.
    order: String,
    rider: String,
    measure: String,
    #[serde(default)]
    charge: String,
    amount_minor: i64,
    ground: String,
    reason: String,
}

#[derive(Debug, Deserialize)]
pub struct Decision {
    pub approves: bool,
}

#[derive(Debug, Deserialize)]
pub struct Outcome {
    won: bool,
}

pub async fn page(_who: Operator) -> Html<&'static str> {
    Html(PAGE)
}

pub async fn queues(State(pages): State<Pages>, Operator(name): Operator) -> Result<Json<Queues>, Problem> {
    let (store, currency) = (&pages.cloud.store, pages.cloud.config.enrolment.currency);
    let credits = match pages.cloud.config.after.remedies.credits_after {
        Some(after) => store.old_credits(pages.cloud.clock.now().minus(after), None, LISTED_MAX).await?,
        None => Vec::new(),
    };
    let credit = |(rider, credit): (RiderId, Credit)| CreditView {
        rider: rider.to_string(),
        amount: credit.amount,
        since: Moment(credit.since),
    };
    Ok(Json(Queues {
        credits: credits.into_iter().map(credit).collect(),
        awaiting: store.awaiting_remedies(LISTED_MAX).await?.iter().map(RemedyView::from).collect(),
        disputes: store.open_disputes(LISTED_MAX).await?.iter().map(DisputeView::from).collect(),
        reserve: Reserve::of(&pages).await?,
        four_eyes_above: Money::from_minor(pages.cloud.config.after.remedies.policy.four_eyes_above_minor, currency),
        you: format!("operator/{name}"),
    }))
}

/// What one rider was charged and got back.
pub async fn of_rider(
    State(pages): State<Pages>,
    _who: Operator,
    Path(rider): Path<String>,
) -> Result<Json<RiderMoney>, Problem> {
    let rider: RiderId = read("rider", &rider)?;
    let store = &pages.cloud.store;
    store.rider(rider).await?.ok_or(StoreError::UnknownRider(rider))?;
    let remedies = store.remedies_of(rider).await?;
    let mut seen = BTreeSet::new();
    let trips = store.trips(rider).await?;
    let charges = trips.iter().flat_map(|trip| &trip.items).filter_map(|billed| billed.charge.as_ref());
    let charges = charges.filter(|charge| seen.insert(charge.id()));
    Ok(Json(RiderMoney {
        charges: charges.map(|charge| ChargeView::new(charge, &remedies)).collect(),
        remedies: remedies.iter().map(RemedyView::from).collect(),
        disputes: store.disputes_of(rider).await?.iter().map(DisputeView::from).collect(),
    }))
}

/// Asks for a remedy in the operator's name.
pub async fn ask(
    State(pages): State<Pages>,
    Operator(name): Operator,
    Fields(asked): Fields<Asked>,
) -> Result<Json<RemedyView>, Problem> {
    let charge = || read::<ChargeId>("charge", &asked.charge);
    let measure = match asked.measure.as_str() {
        "refund" => Measure::Refund { charge: charge()? },
        "waiver" => Measure::Waiver { charge: charge()? },
        "credit" => Measure::Credit,
        "wallet_credit" => Measure::WalletCredit,
        other => return Err(bad("measure", &format!("`{other}` is not refund, waiver, credit or wallet_credit"))),
    };
    let ground = Ground::from_name(&asked.ground);
    let request = RemedyRequest {
        order: asked.order.clone(),
        rider: read("rider", &asked.rider)?,
        measure,
        amount: Money::from_minor(asked.amount_minor, pages.cloud.config.enrolment.currency),
        ground: ground.ok_or_else(|| bad("ground", "is not price, wrong_charge or goodwill"))?,
        reason: asked.reason.clone(),
        by: format!("operator/{name}"),
    };
    let (policy, now) = (&pages.cloud.config.after.remedies.policy, pages.cloud.clock.now());
    let remedy = pages.cloud.store.ask_remedy(request, policy, now).await.map_err(refused)?;
    Ok(Json(RemedyView::from(&remedy)))
}

/// The second person's word.
pub async fn decide(
    State(pages): State<Pages>,
    Operator(name): Operator,
    Path(id): Path<String>,
    Fields(decision): Fields<Decision>,
) -> Result<Json<RemedyView>, Problem> {
    let id: RemedyId = read("remedy", &id)?;
    let (by, now) = (format!("operator/{name}"), pages.cloud.clock.now());
    let remedy = pages.cloud.store.decide_remedy(id, decision.approves, &by, now).await.map_err(refused)?;
    Ok(Json(RemedyView::from(&remedy)))
}

/// What the bank has decided about a dispute.
pub async fn close_dispute(
    State(pages): State<Pages>,
    Operator(name): Operator,
    Path(id): Path<String>,
    Fields(outcome): Fields<Outcome>,
) -> Result<Json<DisputeView>, Problem> {
    let id: DisputeId = read("dispute", &id)?;
    let (store, now) = (&pages.cloud.store, pages.cloud.clock.now());
    let lost = DisputeState::Lost { became: pages.cloud.config.after.remedies.lost_disputes };
    let state = if outcome.won { DisputeState::Won } else { lost };
    store.audit(&format!("operator/{name}"), &format!("dispute.{}", state.name()), &id.to_string(), now).await?;
    Ok(Json(DisputeView::from(&store.close_dispute(id, state, now).await.map_err(refused)?)))
}

pub fn read<T: std::str::FromStr>(field: &str, text: &str) -> Result<T, Problem> {
    text.trim().parse().map_err(|_| bad(field, &format!("`{text}` is not an id")))
}

fn bad(field: &str, detail: &str) -> Problem {
    let next = "Correct the field and send it again.";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_field", format!("{field}: {detail}"), next)
}

/// Rules say themselves what is wrong; what is wrong inside stays in the log.
pub fn refused(error: StoreError) -> Problem {
    let next = "Look the charge up again; nothing was changed.";
    match error {
        StoreError::Remedy(refused @ RemedyError::SamePerson { .. }) => {
            let next = "Ask a colleague to open this page and decide.";
            Problem::new(StatusCode::FORBIDDEN, "same_person", refused.to_string(), next)
        }
        StoreError::Remedy(refused @ RemedyError::Decided { .. }) => {
            let next = "There is nothing left to decide; the page shows what came of it.";
            Problem::new(StatusCode::CONFLICT, "decided_already", refused.to_string(), next)
        }
        StoreError::Remedy(refused @ RemedyError::TooMuch { .. }) => {
            let next = "Ask for what is left, or give a credit for the rest.";
            Problem::new(StatusCode::CONFLICT, "too_much", refused.to_string(), next)
        }
        StoreError::Remedy(refused) => Problem::new(StatusCode::CONFLICT, "refused", refused.to_string(), next),
        StoreError::Funding(refused) => Problem::new(StatusCode::CONFLICT, "refused", refused.to_string(), next),
        StoreError::Dispute(refused) => Problem::new(StatusCode::CONFLICT, "refused", refused.to_string(), next),
        StoreError::UnknownCharge(_) | StoreError::UnknownRemedy(_) | StoreError::UnknownDispute(_) => {
            Problem::new(StatusCode::NOT_FOUND, "unknown", error.to_string(), next)
        }
        other => other.into(),
    }
}

impl ChargeView {
    fn new(charge: &Charge, remedies: &[Remedy]) -> Self {
        let of_it = |remedy: &&Remedy| matches!(remedy.measure(), Measure::Refund { charge: of } if of == charge.id());
        let refunded = remedies.iter().filter(of_it).filter(|remedy| remedy.counts());
        Self {
            id: charge.id().to_string(),
            state: charge.state().name(),
            amount: charge.amount(),
            paid_by: charge.instrument().name(),
            opened_at: Moment(charge.opened_at()),
            refunded_minor: refunded.map(|remedy| remedy.amount().minor()).fold(0, i64::saturating_add),
        }
    }
}

impl From<&Remedy> for RemedyView {
    fn from(remedy: &Remedy) -> Self {
        Self {
            id: remedy.id().to_string(),
            rider: remedy.rider().to_string(),
            measure: remedy.measure().name(),
            charge: remedy.measure().charge().map(|charge| charge.to_string()),
            amount: remedy.amount(),
            ground: remedy.ground().name(),
            reason: remedy.reason().to_owned(),
            state: remedy.state().name(),
            asked_by: remedy.asked_by().to_owned(),
            asked_at: Moment(remedy.asked_at()),
            decided_by: remedy.decided_by().map(str::to_owned),
        }
    }
}

impl From<&Dispute> for DisputeView {
    fn from(dispute: &Dispute) -> Self {
        Self {
            id: dispute.id.to_string(),
            rider: dispute.rider.to_string(),
            charge: dispute.charge.to_string(),
            reference: dispute.reference.clone(),
            amount: dispute.amount,
            state: dispute.state.name(),
            opened_at: Moment(dispute.opened_at),
        }
    }
}
