//! Held rides on the wire.

use facegate_domain::journey::JourneyId;
use facegate_proto::v1;
use tonic::Status;

use crate::store::{PricedRide, Pricing};

/// Held rides told at a time.
pub const PAGE_MAX: usize = 500;

pub fn ride_of(id: &str) -> Result<JourneyId, Status> {
    id.parse().map_err(|_| Status::invalid_argument("ride_id: use the id of a held ride as this service lists it"))
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
