//! Leaving, and the proof of being forgotten.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use facegate_domain::ids::RiderId;
use serde::Serialize;
use utoipa::ToSchema;

use super::Rest;
use super::auth::Integrator;
use super::input::Ids;
use super::moment::Moment;
use crate::store::{ErasureId, ErasureReceipt};
use crate::web::Account;
use crate::web::problem::Problem;

/// Proof of an erasure; final once no station is outstanding.
#[derive(Debug, Serialize, ToSchema)]
pub struct Erasure {
    #[schema(format = Uuid)]
    erasure_id: String,
    /// "rider": all of him; "face": the face and what belongs to it.
    scope: &'static str,
    requested_at: Moment,
    /// Stations that have not confirmed yet.
    outstanding_stations: Vec<String>,
    #[serde(rename = "final")]
    is_final: bool,
    /// Of "rider": until then, and while a ride of his waits to be paid, it is kept how he pays, and nothing else of his
    /// account: gates and stations that are cut off may still hand in rides. Null otherwise.
    account_kept_until: Option<Moment>,
    /// Of "rider": nobody knows any more how he paid.
    account_forgotten: bool,
}

/// Erases the rider: face, name, password and consent at once, at every station as it confirms.
///
/// Answers 200 with a final receipt, or 202 while stations are outstanding. Asking again gives the same receipt.
#[utoipa::path(delete, path = "/v1/riders/{id}", tag = "erasure", operation_id = "eraseRider",
    params(("id" = uuid::Uuid, Path, description = "Rider")),
    responses((status = 200, description = "Forgotten everywhere", body = Erasure),
        (status = 202, description = "Forgotten here; the named stations have not confirmed yet", body = Erasure)))]
pub async fn erase(
    State(rest): State<Rest>,
    app: Integrator,
    Ids((rider,)): Ids<(RiderId,)>,
) -> Result<(StatusCode, Json<Erasure>), Problem> {
    let receipt = rest.cloud.enrolment.erase(&app.actor(), rider).await?;
    rest.sessions.end_all(&Account::Rider(rider));
    let status = if receipt.is_final() { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, Json(Erasure::of(&rest, receipt).await?)))
}

/// Takes a consent back: the face goes here at once and from every station as it confirms; the rider, his account and
/// his trips stay, and he may consent and enrol again.
///
/// Answers 200 with a final receipt, or 202 while stations are outstanding. Asking again gives the same receipt.
#[utoipa::path(delete, path = "/v1/riders/{id}/consents/{purpose}", tag = "erasure", operation_id = "withdrawConsent",
    params(("id" = uuid::Uuid, Path, description = "Rider"), ("purpose" = String, Path, description = "\"recognition\"")),
    responses((status = 200, description = "The face is forgotten everywhere", body = Erasure),
        (status = 202, description = "Forgotten here; the named stations have not confirmed yet", body = Erasure)))]
pub async fn withdraw_consent(
    State(rest): State<Rest>,
    app: Integrator,
    Ids((rider, purpose)): Ids<(RiderId, String)>,
) -> Result<(StatusCode, Json<Erasure>), Problem> {
    let receipt = rest.cloud.enrolment.withdraw_consent(&app.actor(), rider, &purpose).await?;
    let status = if receipt.is_final() { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, Json(Erasure::of(&rest, receipt).await?)))
}

/// How far an erasure has come.
#[utoipa::path(get, path = "/v1/erasures/{id}", tag = "erasure", operation_id = "getErasure",
    params(("id" = uuid::Uuid, Path, description = "Erasure")), responses((status = 200, body = Erasure)))]
pub async fn show(
    State(rest): State<Rest>,
    _app: Integrator,
    Ids((erasure,)): Ids<(ErasureId,)>,
) -> Result<Json<Erasure>, Problem> {
    let receipt = rest.cloud.enrolment.erasure(erasure).await?;
    Ok(Json(Erasure::of(&rest, receipt).await?))
}

impl Erasure {
    async fn of(rest: &Rest, receipt: ErasureReceipt) -> Result<Self, Problem> {
        let account = rest.cloud.enrolment.account_of(&receipt).await?;
        Ok(Self {
            erasure_id: receipt.id.to_string(),
            scope: receipt.scope.name(),
            requested_at: Moment(receipt.requested_at),
            is_final: receipt.is_final(),
            outstanding_stations: receipt.outstanding.into_iter().map(String::from).collect(),
            account_kept_until: account.map(|account| Moment(account.until)),
            account_forgotten: account.is_some_and(|account| account.forgotten),
        })
    }
}
