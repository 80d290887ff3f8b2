//! Trips and receipts: one view of a journey for apps and for the rider's own page.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use facegate_domain::Timestamp;
use facegate_domain::fares::Tariff;
use facegate_domain::ids::RiderId;
use facegate_domain::journey::JourneyId;
use serde::Serialize;
use utoipa::ToSchema;

use super::Rest;
use super::auth::Integrator;
use super::input::Ids;
use super::moment::Moment;
use crate::store::{BilledItem, Pricing, Trip};
use crate::terms;
use crate::web::problem::Problem;

/// A journey with its receipt.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct TripView {
    journey_id: String,
    /// None if nobody saw where the ride began.
    entry_station: Option<String>,
    /// None if nobody saw where it ended.
    exit_station: Option<String>,
    /// "face" or "code"; "booth": an attendant wrote it down.
    entry_medium: Option<&'static str>,
    /// "face" or "code"; "booth": an attendant wrote it down.
    exit_medium: Option<&'static str>,
    entered_at: Option<Moment>,
    left_at: Option<Moment>,
    /// "entry" or "exit" if nobody saw it.
    missing_end: Option<&'static str>,
    /// Until when the rider may tell the missing end, which prices the trip anew; none if he may not.
    missing_end_until: Option<Moment>,
    /// True once what came late has shown another trip in the place of this one, which costs nothing any more.
    superseded: bool,
    /// What it costs; none while the price is held, or of a trip that is superseded.
    fare: Option<FareView>,
    /// "due", "authorising", "authorised", "capturing", "pending", "unknown", "captured", "declined", "debt" or
    /// "settled" as the first charge stands;
    /// "nothing_due" for a free journey, "held" while a person looks at the price, "pricing" until an external ticketing
    /// system has said it.
    charge_state: &'static str,
    /// Why the charge was declined, or the price is held.
    charge_detail: Option<String>,
    /// What was charged and given back for it, which comes to its fare: first the fare as it was then, then changes.
    items: Vec<ItemView>,
}

/// A line of a bill that is about the trip.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ItemView {
    item_id: String,
    /// In minor units of the fare's currency; negative if it is given back.
    amount_minor: i64,
    currency: String,
    /// As the charge that it is in stands; "due" before there is one.
    charge_state: &'static str,
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
    let (trips, tariff) = (rest.cloud.enrolment.trips(rider).await?, terms::tariff(&rest.cloud).await?);
    let now = rest.cloud.clock.now();
    Ok(Json(Trips { trips: trips.iter().map(|trip| TripView::of(trip, &tariff, now)).collect() }))
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
    let trip = trips.iter().find(|trip| trip.priced.id() == journey).ok_or_else(|| {
        let detail = format!("Rider {rider} has no settled journey {journey}.");
        let next = "List the trips: a journey is settled a moment after the exit has arrived.";
        Problem::new(StatusCode::NOT_FOUND, "unknown_journey", detail, next)
    })?;
    let tariff = terms::tariff(&rest.cloud).await?;
    Ok(Json(TripView::of(trip, &tariff, rest.cloud.clock.now())))
}

impl TripView {
    pub fn of(trip: &Trip, tariff: &Tariff, now: Timestamp) -> Self {
        let ride = &trip.priced.ride;
        let (entry, exit) = (ride.entry(), ride.exit());
        let (charge_state, charge_detail) = charge_of(trip);
        let superseded = trip.priced.superseded.is_some();
        let until = terms::repair_until(tariff, ride).filter(|until| !superseded && now < *until);
        let missing_end = match (entry, exit) {
            (None, _) => Some("entry"),
            (_, None) => Some("exit"),
            _ => None,
        };
        Self {
            journey_id: ride.id().to_string(),
            entry_station: entry.map(|tap| tap.station.to_string()),
            exit_station: exit.map(|tap| tap.station.to_string()),
            entry_medium: entry.map(|tap| tap.medium.name()),
            exit_medium: exit.map(|tap| tap.medium.name()),
            entered_at: entry.map(|tap| Moment(tap.at)),
            left_at: exit.map(|tap| Moment(tap.at)),
            missing_end,
            missing_end_until: until.map(Moment),
            superseded,
            fare: trip.priced.fare().filter(|_| !superseded).map(FareView::from),
            charge_state,
            charge_detail,
            items: trip.items.iter().map(ItemView::from).collect(),
        }
    }
}

impl From<&BilledItem> for ItemView {
    fn from(billed: &BilledItem) -> Self {
        let amount = billed.item.amount();
        Self {
            item_id: billed.item.id().to_string(),
            amount_minor: amount.minor(),
            currency: amount.currency().to_string(),
            charge_state: billed.charge.as_ref().map_or("due", |charge| charge.state().name()),
        }
    }
}

fn charge_of(trip: &Trip) -> (&'static str, Option<String>) {
    if let Some(charge) = trip.charge() {
        let state = charge.state();
        return (state.name(), state.decline().map(ToString::to_string));
    }
    match trip.priced.pricing() {
        Some(Pricing::Held { reason }) => ("held", Some(reason.clone())),
        Some(Pricing::Elsewhere) => ("pricing", None),
        _ if trip.items.is_empty() => ("nothing_due", None),
        _ => ("due", None),
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
