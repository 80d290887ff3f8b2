//! What comes in, refused in our own words when it cannot be used.

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, JsonRejection};
use axum::extract::{FromRequest, FromRequestParts, Json, Path, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::DeserializeOwned;

use super::Rest;
use super::faces::PhotographsOfOne;
use crate::enrolment::EnrolmentError;
use crate::web::problem::Problem;

/// A JSON body of type `T`, which refuses unknown fields.
#[derive(Debug)]
pub struct Input<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Rest> for Input<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, rest: &Rest) -> Result<Self, Problem> {
        let next = "Compare the body with its schema in /openapi.json.";
        let rejection = match Json::from_request(request, rest).await {
            Ok(Json(input)) => return Ok(Self(input)),
            Err(rejection) => rejection,
        };
        Err(match rejection {
            JsonRejection::MissingJsonContentType(_) => wrong_type("application/json"),
            JsonRejection::BytesRejection(rejection) => unread(&rejection),
            JsonRejection::JsonDataError(error) => {
                Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_body", error.body_text(), next)
            }
            other => Problem::new(StatusCode::BAD_REQUEST, "invalid_json", other.body_text(), next),
        })
    }
}

/// Photographs: the bytes of an `image/jpeg` or `image/png` body, or the files in base64 in a JSON body.
#[derive(Debug)]
pub struct Photographs(pub Vec<Vec<u8>>);

impl FromRequest<Rest> for Photographs {
    type Rejection = Problem;

    async fn from_request(request: Request, rest: &Rest) -> Result<Self, Problem> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let kind = kind.and_then(|kind| kind.split(';').next()).map(|kind| kind.trim().to_ascii_lowercase());
        match kind.as_deref() {
            Some("image/jpeg" | "image/png") => {
                let body = Bytes::from_request(request, rest).await.map_err(|rejection| unread(&rejection))?;
                Ok(Self(vec![body.into()]))
            }
            Some("application/json") => {
                let Input(PhotographsOfOne { photographs }) = Input::from_request(request, rest).await?;
                photographs
                    .iter()
                    .zip(1..)
                    .map(|(text, number)| from_base64(text, number))
                    .collect::<Result<_, _>>()
                    .map(Self)
            }
            _ => Err(wrong_type("image/jpeg, image/png or application/json")),
        }
    }
}

fn from_base64(text: &str, number: usize) -> Result<Vec<u8>, Problem> {
    STANDARD.decode(text).map_err(|_| {
        let problem = format!("number {number} is not base64 with padding");
        EnrolmentError::BadField { field: "photographs", problem }.into()
    })
}

/// The ids in the path, in order.
#[derive(Debug)]
pub struct Ids<T>(pub T);

impl<A> FromRequestParts<Rest> for Ids<(A,)>
where
    A: PathId,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, rest: &Rest) -> Result<Self, Problem> {
        let Path(a) = Path::<String>::from_request_parts(parts, rest).await.map_err(|e| bad_path(&e))?;
        Ok(Self((id(&a)?,)))
    }
}

impl<A, B> FromRequestParts<Rest> for Ids<(A, B)>
where
    A: PathId,
    B: PathId,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, rest: &Rest) -> Result<Self, Problem> {
        let Path((a, b)) = Path::<(String, String)>::from_request_parts(parts, rest).await.map_err(|e| bad_path(&e))?;
        Ok(Self((id(&a)?, id(&b)?)))
    }
}

/// An id that a path may hold.
pub trait PathId: std::str::FromStr {
    /// What it is the id of.
    const OF: &'static str;
}

impl PathId for facegate_domain::ids::RiderId {
    const OF: &'static str = "rider";
}

impl PathId for facegate_domain::journey::JourneyId {
    const OF: &'static str = "journey";
}

impl PathId for facegate_domain::charge::InstrumentId {
    const OF: &'static str = "instrument";
}

impl PathId for crate::store::ErasureId {
    const OF: &'static str = "erasure";
}

/// A name; whether it is one is for whoever reads it to say.
impl PathId for String {
    const OF: &'static str = "purpose";
}

fn id<T: PathId>(text: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| {
        let detail = format!("The {} id in the path is not a UUID.", T::OF);
        let next = format!("Use the {} id as this API gave it.", T::OF);
        Problem::new(StatusCode::BAD_REQUEST, "invalid_id", detail, next)
    })
}

fn bad_path(rejection: &axum::extract::rejection::PathRejection) -> Problem {
    let next = "Use ids as this API gave them.";
    Problem::new(StatusCode::BAD_REQUEST, "invalid_id", rejection.body_text(), next)
}

fn wrong_type(expected: &str) -> Problem {
    let detail = format!("This path takes a body of type {expected}.");
    let next = format!("Set the Content-Type header to {expected} and send such a body.");
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "wrong_content_type", detail, next)
}

fn unread(rejection: &BytesRejection) -> Problem {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        let next = "Send less: for a photograph, scale it down to about 1600 pixels on the long side.";
        return Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            "The body is larger than this path takes.",
            next,
        );
    }
    Problem::new(StatusCode::BAD_REQUEST, "unreadable_body", rejection.body_text(), "Send the request again.")
}
