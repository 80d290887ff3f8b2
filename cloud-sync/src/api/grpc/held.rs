//! Waivers and held rides on the wire.

use std::collections::BTreeSet;

use facegate_domain::Timestamp;
use facegate_domain::fares::{Waiver, Waives};
use facegate_domain::ids::StationId;
use facegate_domain::journey::JourneyId;
use facegate_proto::convert::InvalidMessage;
use facegate_proto::v1;
use tonic::Status;

use crate::store::{PricedRide, Pricing};

/// Held rides told at a time.
pub const PAGE_MAX: usize = 500;

pub fn ride_of(id: &str) -> Result<JourneyId, Status> {
    id.parse().map_err(|_| Status::invalid_argument("ride_id: use the id of a held ride as this service lists it"))
}

pub fn waiver_of(asked: v1::WaiveRequest) -> Result<Waiver, Status> {
    let waives = match asked.waives.as_str() {
        "fare" => Waives::Fare,
        "disruption" => Waives::Disruption,
        "missing_exit" => Waives::MissingExit,
        _ => return Err(InvalidMessage::UnknownValue { field: "waives", got: asked.waives }.into()),
    };
    let stations: BTreeSet<StationId> =
        asked.stations.into_iter().map(StationId::new).collect::<Result<_, _>>().map_err(InvalidMessage::from)?;
    Ok(Waiver {
        reason: asked.reason,
        waives,
        stations: (!stations.is_empty()).then_some(stations),
        from: Timestamp::from_unix_ms(asked.from_unix_ms),
        until: Timestamp::from_unix_ms(asked.until_unix_ms),
    })
}

pub fn to_wire(priced: &PricedRide) -> v1::HeldRide {
    let station = |tap: Option<&facegate_domain::tap::Tap>| tap.map(|tap| tap.station.to_string()).unwrap_or_default();
    let reason = match priced.pricing() {
        Some(Pricing::Held { reason }) => reason.clone(),
        _ => String::new(),
    };
    v1::HeldRide {
        ride_id: priced.id().to_string(),
        rider_id: priced.ride.rider().to_string(),
        entry_station: station(priced.ride.entry()),
        exit_station: station(priced.ride.exit()),
        began_unix_ms: priced.ride.first().at.unix_ms(),
        held_since_unix_ms: priced.prices.last().map_or(0, |price| price.at.unix_ms()),
        reason,
    }
}
