//! The API's description, made from the handlers and served to whoever asks.

use axum::Json;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi as Document, Ref, ResponseBuilder};
use utoipa::{Modify, OpenApi};

use super::{access, erasure, faces, payment, refunds, riders, terms, trips};
use crate::web::problem::Problem;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Facegate enrolment API",
        description = "Enrol riders, record consent, bind accounts, list trips, erase. Errors are problem details \
            (RFC 9457) with a stable `code` and a `next` that says what to do.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    servers((url = "/")),
    paths(
        riders::create,
        riders::consent,
        riders::bind_account,
        payment::list,
        payment::add,
        payment::remove,
        payment::order,
        payment::wallet,
        payment::top_up,
        payment::withdraw,
        payment::debts,
        payment::pay,
        faces::enrol,
        access::set_page_password,
        access::certify_phone,
        refunds::list,
        trips::list,
        trips::receipt,
        terms::repair,
        terms::verify_category,
        terms::buy_pass,
        terms::grant_coupon,
        terms::show,
        erasure::erase,
        erasure::withdraw_consent,
        erasure::show
    ),
    components(schemas(Problem)),
    security(("api_key" = [])),
    modifiers(&ApiKeyScheme, &ProblemsEverywhere)
)]
struct Api;

struct ApiKeyScheme;

impl Modify for ApiKeyScheme {
    fn modify(&self, document: &mut Document) {
        let description = "The key that the operator gave to the app.";
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(description)).build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("api_key", SecurityScheme::Http(scheme));
    }
}

/// Every operation can answer with a problem; said here once.
struct ProblemsEverywhere;

impl Modify for ProblemsEverywhere {
    fn modify(&self, document: &mut Document) {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        let problem = ResponseBuilder::new()
            .description("Refused, with the reason and what to do next")
            .content("application/problem+json", content)
            .build();
        for item in document.paths.paths.values_mut() {
            let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete];
            for operation in operations.into_iter().flatten() {
                operation.responses.responses.insert("default".into(), problem.clone().into());
            }
        }
    }
}

/// The whole description.
pub fn document() -> Document {
    Api::openapi()
}

pub async fn serve() -> Json<Document> {
    Json(document())
}
