//! The fields of a form, and what is said of those that cannot be read.

use axum::Form;
use axum::extract::rejection::FormRejection;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use serde::de::DeserializeOwned;

use super::problem::Problem;

/// As [`Form`], but whoever sent the form is told as a problem what is wrong with it.
#[derive(Debug, Clone, Copy)]
pub struct Fields<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Fields<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        Form::from_request(request, state).await.map(|Form(fields)| Self(fields)).map_err(|refused| problem(&refused))
    }
}

fn problem(refused: &FormRejection) -> Problem {
    let (code, next) = match refused.status() {
        StatusCode::PAYLOAD_TOO_LARGE => ("too_large", "Say less."),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ("wrong_content_type", "Send it as a form of the page does."),
        _ => ("bad_form", "Correct the field and send it again."),
    };
    Problem::new(refused.status(), code, refused.body_text(), next)
}
