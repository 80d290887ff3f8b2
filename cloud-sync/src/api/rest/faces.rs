//! Enrolling a face.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use facegate_domain::ids::RiderId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Rest;
use super::auth::Integrator;
use super::input::{Ids, Photographs};
use crate::web::problem::Problem;

#[derive(Debug, Serialize, ToSchema)]
pub struct FaceEnrolled {
    #[schema(format = Uuid)]
    template_id: String,
    /// Version of the change feed from which stations know the face.
    feed_version: u64,
}

/// Several photographs in one body.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PhotographsOfOne {
    /// One to five JPEG or PNG files in base64, all of one person.
    #[schema(min_items = 1, max_items = 5, content_encoding = "base64")]
    pub photographs: Vec<String>,
}

/// Enrols the face on one to five photographs: one is the body itself, several are JSON. Three recognise better than one.
///
/// They are examined in memory and dropped: exactly one face, the same on all, looking at the camera, sharp, well lit
/// and uncovered. A person who is enrolled already is refused, under whatever id.
#[utoipa::path(post, path = "/v1/riders/{id}/faces", tag = "faces", operation_id = "enrolFace",
    params(("id" = uuid::Uuid, Path, description = "Rider")),
    request_body(description = "One photograph, or several of one person",
        content(("image/jpeg"), ("image/png"), (PhotographsOfOne = "application/json"))),
    responses((status = 201, body = FaceEnrolled)))]
pub async fn enrol(
    State(rest): State<Rest>,
    app: Integrator,
    Ids((rider,)): Ids<(RiderId,)>,
    Photographs(photographs): Photographs,
) -> Result<(StatusCode, Json<FaceEnrolled>), Problem> {
    let enrolled = rest.cloud.enrolment.enrol_face(&app.actor(), rider, photographs).await?;
    let body = FaceEnrolled { template_id: enrolled.template.to_string(), feed_version: enrolled.feed_version };
    Ok((StatusCode::CREATED, Json(body)))
}
