//! Rides without a price, which somebody has to look at: why they are held, and letting them go.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Html;
use facegate_domain::fares::Tariff;
use facegate_domain::journey::JourneyId;
use facegate_domain::tap::Tap;
use serde::{Deserialize, Serialize};

use super::{Fields, Operator, Pages, Problem};
use crate::api::rest::Moment;
use crate::enrolment::Actor;
use crate::store::{PricedRide, Pricing};
use crate::terms::{self, Release};

const PAGE: &str = include_str!("../static/rides.html");
/// Rides in one answer.
const LISTED_MAX: usize = 50;

#[derive(Debug, Serialize)]
pub struct HeldRides {
    rides: Vec<HeldRide>,
    /// To ask for those after these by; none if these are the last.
    next: Option<String>,
    currency: String,
}

#[derive(Debug, Serialize)]
pub struct HeldRide {
    id: String,
    rider: String,
    /// None if nobody saw it.
    entry: Option<End>,
    exit: Option<End>,
    held_since: Moment,
    reason: String,
}

#[derive(Debug, Serialize)]
struct End {
    station: String,
    name: String,
    at: Moment,
}

/// Where to go on.
#[derive(Debug, Deserialize)]
pub struct From {
    after: Option<String>,
}

/// What is done about a held ride.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Let {
    how: How,
    /// Of [`How::At`] alone.
    price_minor: Option<i64>,
    #[serde(default)]
    reason: String,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum How {
    /// By the rules, as they are now.
    Again,
    /// It costs so much.
    At,
    /// It costs nothing.
    Drop,
}

pub async fn page(_who: Operator) -> Html<&'static str> {
    Html(PAGE)
}

pub async fn held(
    State(pages): State<Pages>,
    _who: Operator,
    Query(from): Query<From>,
) -> Result<Json<HeldRides>, Problem> {
    let after = from.after.as_deref().map(ride_of).transpose()?;
    let held = pages.cloud.store.held_rides(after, LISTED_MAX).await?;
    let tariff = terms::tariff(&pages.cloud).await?;
    let next = held.last().filter(|_| held.len() == LISTED_MAX).map(|ride| ride.id().to_string());
    let rides = held.iter().map(|priced| HeldRide::of(priced, &tariff)).collect();
    Ok(Json(HeldRides { rides, next, currency: tariff.currency().to_string() }))
}

/// Lets a held ride go in the operator's name.
pub async fn release(
    State(pages): State<Pages>,
    Operator(name): Operator,
    Path(ride): Path<String>,
    Fields(asked): Fields<Let>,
) -> Result<StatusCode, Problem> {
    let reason = asked.reason.trim().to_owned();
    let release = match (asked.how, asked.price_minor) {
        (How::Again, None) => Release::Again,
        (How::At, Some(price_minor)) => Release::At { price_minor, reason },
        (How::Drop, None) => Release::At { price_minor: 0, reason },
        (How::At, None) => return Err(bad("price_minor: say what the ride costs, in minor units")),
        (How::Again | How::Drop, Some(_)) => return Err(bad("price_minor: only `at` takes a price")),
    };
    terms::release(&pages.cloud, &Actor::new("operator", &name), ride_of(&ride)?, release).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn ride_of(id: &str) -> Result<JourneyId, Problem> {
    id.parse().map_err(|_| {
        let detail = format!("`{id}` is no ride's id.");
        Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "bad_field",
            detail,
            "Use the id of a held ride as it is listed.",
        )
    })
}

fn bad(detail: &str) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_field", detail, "Correct the field and send it again.")
}

impl HeldRide {
    fn of(priced: &PricedRide, tariff: &Tariff) -> Self {
        let end = |tap: &Tap| {
            let table = tariff.tables().last();
            let name = table.map_or_else(|| tap.station.as_str(), |table| table.station_name(&tap.station));
            End { station: tap.station.to_string(), name: name.to_owned(), at: Moment(tap.at) }
        };
        let reason = match priced.pricing() {
            Some(Pricing::Held { reason }) => reason.clone(),
            _ => String::new(),
        };
        Self {
            id: priced.id().to_string(),
            rider: priced.ride.rider().to_string(),
            entry: priced.ride.entry().map(end),
            exit: priced.ride.exit().map(end),
            held_since: Moment(priced.prices.last().map_or_else(Default::default, |price| price.at)),
            reason,
        }
    }
}
