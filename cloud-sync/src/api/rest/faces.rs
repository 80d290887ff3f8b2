//! Enrolling a face.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use facegate_domain::ids::RiderId;
use serde::Serialize;
use utoipa::ToSchema;

use super::Rest;
use super::auth::Integrator;
use super::input::{Ids, Photograph};
use crate::web::problem::Problem;

#[derive(Debug, Serialize, ToSchema)]
pub struct FaceEnrolled {
    #[schema(format = Uuid)]
    template_id: String,
    /// Version of the change feed from which stations know the face.
    feed_version: u64,
}

/// Enrols the face on one photograph, which is the body.
///
/// It is examined in memory and dropped: exactly one face, looking at the camera, sharp and well lit. A person who is
/// enrolled already is refused, under whatever id.
#[utoipa::path(post, path = "/v1/riders/{id}/faces", tag = "faces", operation_id = "enrolFace",
    params(("id" = uuid::Uuid, Path, description = "Rider")),
    request_body(description = "One photograph", content(("image/jpeg"), ("image/png"))),
    responses((status = 201, body = FaceEnrolled)))]
pub async fn enrol(
    State(rest): State<Rest>,
    app: Integrator,
    Ids((rider,)): Ids<(RiderId,)>,
    Photograph(photograph): Photograph,
) -> Result<(StatusCode, Json<FaceEnrolled>), Problem> {
    let enrolled = rest.cloud.enrolment.enrol_face(&app.actor(), rider, photograph.into()).await?;
    let body = FaceEnrolled { template_id: enrolled.template.to_string(), feed_version: enrolled.feed_version };
    Ok((StatusCode::CREATED, Json(body)))
}
