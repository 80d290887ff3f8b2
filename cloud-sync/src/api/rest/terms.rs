//! What decides what a rider pays, as apps tell it: his category, passes, coupons, and ends of trips that nobody saw.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use facegate_domain::fares::rider::Coupon;
use facegate_domain::ids::RiderId;
use facegate_domain::journey::JourneyId;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Rest;
use super::auth::Integrator;
use super::input::{Ids, Input};
use super::moment::Moment;
use crate::enrolment::EnrolmentError;
use crate::terms;
use crate::web::problem::Problem;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCategory {
    /// As a fare table names it.
    #[schema(min_length = 1, max_length = 200, examples("student"))]
    category: String,
    /// What kind of evidence you have seen; never the evidence itself.
    #[schema(min_length = 1, max_length = 200, examples("student_card"))]
    evidence: String,
    /// The last travel day for which it holds.
    #[schema(format = Date, examples("2027-09-30"))]
    last_day: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPass {
    /// As a fare table names it; it costs what that says.
    #[schema(min_length = 1, max_length = 200)]
    pass: String,
    /// Names the purchase: the same one is sold once, however often it is sent.
    #[schema(min_length = 1, max_length = 200)]
    order: String,
    /// The first travel day for which it holds: today or later.
    #[schema(format = Date)]
    first_day: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct PassBought {
    #[schema(format = Uuid)]
    purchase_id: String,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCoupon {
    /// The discount of a fare table that it is for.
    #[schema(min_length = 1, max_length = 200)]
    discount: String,
    #[schema(minimum = 1, maximum = 1000)]
    rides: u32,
    #[schema(format = Date)]
    first_day: String,
    #[schema(format = Date)]
    last_day: String,
    /// Names the grant: the same one is given once. Not with a referral, which names itself.
    #[serde(default)]
    #[schema(max_length = 200)]
    reference: String,
    /// Who has referred this rider: he is given the same. A rider is referred once.
    #[schema(value_type = Option<String>, format = Uuid)]
    referred_by: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRepair {
    /// Where the rider says he entered or left.
    #[schema(min_length = 1, max_length = 64)]
    station: String,
}

/// What is on record of a rider that decides what he pays.
#[derive(Debug, Serialize, ToSchema)]
pub struct Terms {
    categories: Vec<CategoryLine>,
    passes: Vec<PassLine>,
    coupons: Vec<CouponLine>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct CategoryLine {
    category: String,
    evidence: String,
    verified_at: Moment,
    #[schema(format = Date)]
    first_day: String,
    #[schema(format = Date)]
    last_day: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct PassLine {
    pass: String,
    #[schema(format = Date)]
    first_day: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct CouponLine {
    discount: String,
    rides: u32,
    #[schema(format = Date)]
    first_day: String,
    #[schema(format = Date)]
    last_day: String,
    reference: String,
}

fn day(field: &'static str, text: &str) -> Result<Date, Problem> {
    let wrong = |_| EnrolmentError::BadField { field, problem: "write a day as 2026-11-30".to_owned() };
    Ok(text.parse().map_err(wrong)?)
}

/// Says what the rider is, as you have verified it. It holds from today on.
#[utoipa::path(put, path = "/v1/riders/{id}/category", tag = "terms", operation_id = "verifyCategory",
    params(("id" = uuid::Uuid, Path, description = "Rider")), request_body = NewCategory,
    responses((status = 204, description = "Kept; today's trips are priced anew")))]
pub async fn verify_category(
    State(rest): State<Rest>,
    app: Integrator,
    Ids((rider,)): Ids<(RiderId,)>,
    Input(new): Input<NewCategory>,
) -> Result<StatusCode, Problem> {
    let last_day = day("last_day", &new.last_day)?;
    let verified = (new.category.as_str(), new.evidence.as_str());
    terms::verify_category(&rest.cloud, &app.actor(), rider, verified, last_day).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Sells the rider a pass. Its price is on his next bill.
#[utoipa::path(post, path = "/v1/riders/{id}/passes", tag = "terms", operation_id = "buyPass",
    params(("id" = uuid::Uuid, Path, description = "Rider")), request_body = NewPass,
    responses((status = 201, body = PassBought)))]
pub async fn buy_pass(
    State(rest): State<Rest>,
    app: Integrator,
    Ids((rider,)): Ids<(RiderId,)>,
    Input(new): Input<NewPass>,
) -> Result<(StatusCode, Json<PassBought>), Problem> {
    let first_day = day("first_day", &new.first_day)?;
    let bought = terms::buy_pass(&rest.cloud, &app.actor(), rider, (&new.pass, &new.order), first_day).await?;
    Ok((StatusCode::CREATED, Json(PassBought { purchase_id: bought.to_string() })))
}

/// Gives the rider, and who referred him, trips at a discount.
#[utoipa::path(post, path = "/v1/riders/{id}/coupons", tag = "terms", operation_id = "grantCoupon",
    params(("id" = uuid::Uuid, Path, description = "Rider")), request_body = NewCoupon,
    responses((status = 204, description = "Given; trips in its time are priced anew")))]
pub async fn grant_coupon(
    State(rest): State<Rest>,
    app: Integrator,
    Ids((rider,)): Ids<(RiderId,)>,
    Input(new): Input<NewCoupon>,
) -> Result<StatusCode, Problem> {
    let (first_day, last_day) = (day("first_day", &new.first_day)?, day("last_day", &new.last_day)?);
    let coupon = Coupon { discount: new.discount, rides: new.rides, first_day, last_day };
    match new.referred_by {
        Some(referrer) => {
            let problem = "use the rider id as this API gave it".to_owned();
            let wrong = |_| EnrolmentError::BadField { field: "referred_by", problem };
            let referrer: RiderId = referrer.parse().map_err(wrong)?;
            terms::refer(&rest.cloud, &app.actor(), (rider, referrer), coupon).await?;
        }
        None => terms::grant_coupon(&rest.cloud, &app.actor(), rider, coupon, &new.reference).await?,
    }
    Ok(StatusCode::NO_CONTENT)
}

/// Tells where the rider entered or left on a trip of which nobody saw one end. The first that is told holds.
#[utoipa::path(put, path = "/v1/riders/{id}/receipts/{journey}/missing-end", tag = "terms",
    operation_id = "tellMissingEnd",
    params(("id" = uuid::Uuid, Path, description = "Rider"), ("journey" = uuid::Uuid, Path, description = "Journey")),
    request_body = NewRepair, responses((status = 204, description = "Kept; the trip is priced anew")))]
pub async fn repair(
    State(rest): State<Rest>,
    app: Integrator,
    Ids((rider, journey)): Ids<(RiderId, JourneyId)>,
    Input(new): Input<NewRepair>,
) -> Result<StatusCode, Problem> {
    terms::repair(&rest.cloud, &app.actor(), rider, journey, &new.station).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// What is on record of the rider that decides what he pays.
#[utoipa::path(get, path = "/v1/riders/{id}/terms", tag = "terms", operation_id = "getTerms",
    params(("id" = uuid::Uuid, Path, description = "Rider")), responses((status = 200, body = Terms)))]
pub async fn show(
    State(rest): State<Rest>,
    _app: Integrator,
    Ids((rider,)): Ids<(RiderId,)>,
) -> Result<Json<Terms>, Problem> {
    rest.cloud.enrolment.rider(rider).await?;
    let kept = rest.cloud.store.terms(rider).await?;
    let category = |verified: facegate_domain::terms::VerifiedCategory| CategoryLine {
        category: verified.held.category,
        evidence: verified.evidence,
        verified_at: Moment(verified.verified_at),
        first_day: verified.held.first_day.to_string(),
        last_day: verified.held.last_day.to_string(),
    };
    let pass = |bought: facegate_domain::terms::BoughtPass| PassLine {
        pass: bought.held.pass,
        first_day: bought.held.first_day.to_string(),
    };
    let coupon = |granted: facegate_domain::terms::GrantedCoupon| CouponLine {
        discount: granted.coupon.discount,
        rides: granted.coupon.rides,
        first_day: granted.coupon.first_day.to_string(),
        last_day: granted.coupon.last_day.to_string(),
        reference: granted.reference,
    };
    Ok(Json(Terms {
        categories: kept.categories.into_iter().map(category).collect(),
        passes: kept.passes.into_iter().map(pass).collect(),
        coupons: kept.coupons.into_iter().map(coupon).collect(),
    }))
}
