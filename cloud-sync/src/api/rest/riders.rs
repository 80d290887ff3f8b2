//! A new rider, his consent, and what he pays with.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use facegate_domain::ids::RiderId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Rest;
use super::auth::Integrator;
use super::input::{Ids, Input};
use super::moment::Moment;
use crate::enrolment::AccountToBind;
use crate::web::problem::Problem;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRider {
    /// How receipts address the rider; kept in the identity store only.
    #[schema(min_length = 1, max_length = 100, examples("Ada"))]
    display_name: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct RiderCreated {
    #[schema(format = Uuid)]
    rider_id: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewConsent {
    /// "recognition" is needed before a face may be enrolled.
    #[schema(examples("recognition"))]
    purpose: String,
    /// Which text the rider agreed to.
    #[schema(min_length = 1, max_length = 64, examples("2026-11"))]
    text_version: String,
    /// How: "app", "counter", "bank".
    #[schema(min_length = 1, max_length = 64, examples("app"))]
    channel: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ConsentRecorded {
    recorded_at: Moment,
}

/// What the rider pays with.
#[derive(Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum NewAccount {
    /// Prepaid, in our own books.
    Wallet {
        /// Paid in now, in minor units of the fare table's currency.
        #[serde(default)]
        #[schema(minimum = 0, maximum = 1_000_000)]
        top_up_minor: i64,
        /// Names the top-up: the same one is booked once, however often it is sent.
        #[serde(default)]
        #[schema(max_length = 64, pattern = "^[A-Za-z0-9_-]*$")]
        top_up_reference: String,
    },
    /// A card or bank account, by the token that the acquirer's vault gave for it. Card numbers are refused.
    Acquirer {
        #[schema(min_length = 1, max_length = 64, pattern = "^[A-Za-z0-9_-]+$")]
        token: String,
        /// Whose token it is, where the operator has several acquirers.
        #[serde(default)]
        #[schema(max_length = 32, pattern = "^[a-z0-9-]*$")]
        acquirer: String,
    },
}

/// Makes a rider.
#[utoipa::path(post, path = "/v1/riders", tag = "riders", operation_id = "createRider", request_body = NewRider,
    responses((status = 201, body = RiderCreated, headers(("Location" = String, description = "The rider's path")))))]
pub async fn create(
    State(rest): State<Rest>,
    app: Integrator,
    Input(new): Input<NewRider>,
) -> Result<(StatusCode, [(header::HeaderName, String); 1], Json<RiderCreated>), Problem> {
    let rider = rest.cloud.enrolment.create_rider(&app.actor(), &new.display_name).await?;
    let location = [(header::LOCATION, format!("/v1/riders/{rider}"))];
    Ok((StatusCode::CREATED, location, Json(RiderCreated { rider_id: rider.to_string() })))
}

/// Records a consent to one purpose.
#[utoipa::path(post, path = "/v1/riders/{id}/consents", tag = "riders", operation_id = "giveConsent",
    params(("id" = uuid::Uuid, Path, description = "Rider")), request_body = NewConsent,
    responses((status = 201, body = ConsentRecorded)))]
pub async fn consent(
    State(rest): State<Rest>,
    app: Integrator,
    Ids((rider,)): Ids<(RiderId,)>,
    Input(new): Input<NewConsent>,
) -> Result<(StatusCode, Json<ConsentRecorded>), Problem> {
    let recorded =
        rest.cloud.enrolment.give_consent(&app.actor(), rider, &new.purpose, &new.text_version, &new.channel).await?;
    Ok((StatusCode::CREATED, Json(ConsentRecorded { recorded_at: Moment(recorded) })))
}

/// Binds a wallet or an acquirer's token, in place of what was bound before.
#[utoipa::path(put, path = "/v1/riders/{id}/account", tag = "riders", operation_id = "bindAccount",
    params(("id" = uuid::Uuid, Path, description = "Rider")), request_body = NewAccount,
    responses((status = 204, description = "Bound")))]
pub async fn bind_account(
    State(rest): State<Rest>,
    app: Integrator,
    Ids((rider,)): Ids<(RiderId,)>,
    Input(account): Input<NewAccount>,
) -> Result<StatusCode, Problem> {
    rest.cloud.enrolment.bind_account(&app.actor(), rider, account.into()).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl From<NewAccount> for AccountToBind {
    fn from(account: NewAccount) -> Self {
        match account {
            NewAccount::Wallet { top_up_minor, top_up_reference } => {
                Self::Wallet { top_up_minor, reference: top_up_reference }
            }
            NewAccount::Acquirer { acquirer, token } => Self::Acquirer { acquirer, token },
        }
    }
}

impl std::fmt::Debug for NewAccount {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Wallet { .. } => "NewAccount(wallet)",
            Self::Acquirer { .. } => "NewAccount(acquirer)",
        })
    }
}
