//! Trips and receipts: one view of a journey for apps and for the rider's own page.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use facegate_domain::charge::State as ChargeState;
use facegate_domain::ids::RiderId;
use facegate_domain::journey::JourneyId;
use serde::Serialize;
use utoipa::ToSchema;

use super::Rest;
use super::auth::Integrator;
use super::input::Ids;
use super::moment::Moment;
use crate::store::{Pricing, Trip};
use crate::web::problem::Problem;

/// A journey with its receipt.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct TripView {
    journey_id: String,
    entry_station: String,
    exit_station: String,
    /// "face" or "code".
    entry_medium: &'static str,
    /// "face" or "code".
    exit_medium: &'static str,
    entered_at: Moment,
    left_at: Moment,
    /// What it costs; none while the price is held.
    fare: Option<FareView>,
    /// "due", "authorising", "authorised", "capturing", "unknown", "captured" or "declined" as the charge stands;
    /// "nothing_due" for a free journey, "held" while a person looks at the price.
    charge_state: &'static str,
    /// Why the charge was declined, or the price is held.
    charge_detail: Option<String>,
}

/// A price with its reasons: the total is the sum of the lines.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct FareView {
    /// ISO 4217.
    currency: String,
    /// In minor units of the currency.
    total_minor: i64,
    /// The fare table that priced it.
    table: String,
    lines: Vec<LineView>,
}

/// One line of a receipt.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct LineView {
    /// The rule that made it, in words.
    rule: String,
    /// How much of it, in words.
    quantity: String,
    amount_minor: i64,
}

#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Trips {
    /// The latest first.
    trips: Vec<TripView>,
}

/// The rider's trips, the latest first.
///
/// A trip appears once both taps have arrived and the journey is settled.
#[utoipa::path(get, path = "/v1/riders/{id}/trips", tag = "trips", operation_id = "listTrips",
    params(("id" = uuid::Uuid, Path, description = "Rider")),
    responses((status = 200, body = Trips)))]
pub async fn list(
    State(rest): State<Rest>,
    _app: Integrator,
    Ids((rider,)): Ids<(RiderId,)>,
) -> Result<Json<Trips>, Problem> {
    Ok(Json(Trips { trips: rest.cloud.enrolment.trips(rider).await?.iter().map(TripView::from).collect() }))
}

/// One trip with the rule that priced each line.
#[utoipa::path(get, path = "/v1/riders/{id}/receipts/{journey}", tag = "trips", operation_id = "getReceipt",
    params(("id" = uuid::Uuid, Path, description = "Rider"), ("journey" = uuid::Uuid, Path, description = "Journey")),
    responses((status = 200, body = TripView)))]
pub async fn receipt(
    State(rest): State<Rest>,
    _app: Integrator,
    Ids((rider, journey)): Ids<(RiderId, JourneyId)>,
) -> Result<Json<TripView>, Problem> {
    let trips = rest.cloud.enrolment.trips(rider).await?;
    let trip = trips.iter().find(|trip| trip.journey.journey.id == journey).ok_or_else(|| {
        let detail = format!("Rider {rider} has no settled journey {journey}.");
        let next = "List the trips: a journey is settled a moment after the exit has arrived.";
        Problem::new(StatusCode::NOT_FOUND, "unknown_journey", detail, next)
    })?;
    Ok(Json(trip.into()))
}

impl From<&Trip> for TripView {
    fn from(trip: &Trip) -> Self {
        let journey = &trip.journey.journey;
        let (charge_state, charge_detail) = charge_of(trip);
        Self {
            journey_id: journey.id.to_string(),
            entry_station: journey.entry.station.to_string(),
            exit_station: journey.exit.station.to_string(),
            entry_medium: journey.entry.medium.name(),
            exit_medium: journey.exit.medium.name(),
            entered_at: Moment(journey.entry.at),
            left_at: Moment(journey.exit.at),
            fare: trip.journey.fare().map(FareView::from),
            charge_state,
            charge_detail,
        }
    }
}

fn charge_of(trip: &Trip) -> (&'static str, Option<String>) {
    match (&trip.charge, &trip.journey.pricing) {
        (Some(charge), _) => match charge.state() {
            ChargeState::Declined { reason } => (charge.state().name(), Some(reason.to_string())),
            state => (state.name(), None),
        },
        (None, Pricing::Held { reason }) => ("held", Some(reason.clone())),
        (None, Pricing::Priced { fare }) if fare.total().is_positive() => ("due", None),
        (None, Pricing::Priced { .. }) => ("nothing_due", None),
    }
}

impl From<&facegate_domain::fares::Fare> for FareView {
    fn from(fare: &facegate_domain::fares::Fare) -> Self {
        let line = |line: &facegate_domain::fares::Line| LineView {
            rule: line.rule.to_string(),
            quantity: line.quantity.to_string(),
            amount_minor: line.amount.minor(),
        };
        Self {
            currency: fare.total().currency().to_string(),
            total_minor: fare.total().minor(),
            table: fare.table().to_owned(),
            lines: fare.lines().iter().map(line).collect(),
        }
    }
}
