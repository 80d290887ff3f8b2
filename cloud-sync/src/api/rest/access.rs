//! What lets a rider in elsewhere: the password of his page, the certificate of his phone.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use facegate_domain::ids::RiderId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Rest;
use super::auth::Integrator;
use super::input::{Ids, Input};
use super::moment::Moment;
use crate::web::Account;
use crate::web::problem::Problem;
use facegate_runtime::sign_in::{Password, PasswordError};

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPagePassword {
    #[schema(value_type = String, format = Password, min_length = 10, max_length = 128)]
    password: Password,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PhoneKey {
    /// The phone's Ed25519 public key: 32 bytes in base64.
    #[schema(content_encoding = "base64", min_length = 43, max_length = 44)]
    phone_key: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct PhoneCertified {
    /// The certificate that the phone puts into its ride codes, in base64.
    #[schema(content_encoding = "base64")]
    certificate: String,
    expires_at: Moment,
}

/// Sets the password of the rider's own page, where his rider id is the name.
///
/// Ends the rider's sessions there.
#[utoipa::path(put, path = "/v1/riders/{id}/page-password", tag = "riders", operation_id = "setPagePassword",
    params(("id" = uuid::Uuid, Path, description = "Rider")), request_body = NewPagePassword,
    responses((status = 204, description = "Set")))]
pub async fn set_page_password(
    State(rest): State<Rest>,
    app: Integrator,
    Ids((rider,)): Ids<(RiderId,)>,
    Input(new): Input<NewPagePassword>,
) -> Result<StatusCode, Problem> {
    // Before the hashing, which is dear: an unknown rider needs none.
    rest.cloud.enrolment.rider(rider).await?;
    let hash = rest.passwords.hash(new.password).await.map_err(|error| refuse(&error))?;
    rest.cloud.enrolment.set_page_password(&app.actor(), rider, hash).await?;
    rest.sessions.end_all(&Account::Rider(rider));
    Ok(StatusCode::NO_CONTENT)
}

/// Certifies the phone's key, so that it can make ride codes without a network.
#[utoipa::path(post, path = "/v1/riders/{id}/code-certificates", tag = "riders", operation_id = "certifyPhone",
    params(("id" = uuid::Uuid, Path, description = "Rider")), request_body = PhoneKey,
    responses((status = 201, body = PhoneCertified)))]
pub async fn certify_phone(
    State(rest): State<Rest>,
    app: Integrator,
    Ids((rider,)): Ids<(RiderId,)>,
    Input(key): Input<PhoneKey>,
) -> Result<(StatusCode, Json<PhoneCertified>), Problem> {
    let key = STANDARD.decode(key.phone_key.trim()).map_err(|_| {
        let next = "Send the 32 bytes of the Ed25519 public key in standard base64 with padding.";
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_field", "phone_key: is not base64", next)
    })?;
    let issued = rest.cloud.enrolment.certify_phone(&app.actor(), rider, &key).await?;
    let certificate = STANDARD.encode(issued.certificate.as_bytes());
    Ok((StatusCode::CREATED, Json(PhoneCertified { certificate, expires_at: Moment(issued.expires_at) })))
}

fn refuse(error: &PasswordError) -> Problem {
    match error {
        PasswordError::Length { .. } => {
            let next = "Ask the rider for another password; any characters will do.";
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_password", error.to_string(), next)
        }
        other => Problem::internal(other),
    }
}
