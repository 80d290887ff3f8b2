//! Waivers on the wire.

use std::collections::BTreeSet;

use facegate_domain::Timestamp;
use facegate_domain::fares::{Waiver, Waives};
use facegate_domain::ids::StationId;
use facegate_domain::waiving::{ProposedWaiver, WaiverReach};
use facegate_proto::convert::InvalidMessage;
use facegate_proto::v1;
use tonic::Status;
use uuid::Uuid;

use crate::store::KeptWaiver;
use crate::waivers::standing;

pub fn id_of(id: &str) -> Result<Uuid, Status> {
    id.parse().map_err(|_| Status::invalid_argument("waiver_id: use the id of a waiver as this service lists it"))
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

fn to_wire(waiver: Waiver) -> v1::WaiveRequest {
    let waives = match waiver.waives {
        Waives::Fare => "fare",
        Waives::Disruption => "disruption",
        Waives::MissingExit => "missing_exit",
    };
    v1::WaiveRequest {
        reason: waiver.reason,
        waives: waives.to_owned(),
        stations: waiver.stations.into_iter().flatten().map(Into::into).collect(),
        from_unix_ms: waiver.from.unix_ms(),
        until_unix_ms: waiver.until.unix_ms(),
    }
}

pub fn reach_to_wire(reach: &WaiverReach) -> v1::WaiverReach {
    v1::WaiverReach {
        rides: reach.rides,
        riders: reach.riders,
        cost_minor: reach.cost.minor(),
        expected_minor: reach.expected.minor(),
        currency: reach.cost.currency().to_string(),
        is_part: reach.is_part,
    }
}

/// What came of asking, or of the second person's word.
pub fn answer(proposed: &ProposedWaiver) -> v1::WaiveResponse {
    v1::WaiveResponse {
        waiver_id: proposed.id.to_string(),
        state: proposed.approval.state.name().to_owned(),
        reach: Some(reach_to_wire(&proposed.reach)),
    }
}

pub fn proposed_to_wire(proposed: ProposedWaiver) -> v1::Waiver {
    v1::Waiver {
        waiver_id: proposed.id.to_string(),
        reach: Some(reach_to_wire(&proposed.reach)),
        waiver: Some(to_wire(proposed.waiver)),
        state: proposed.approval.state.name().to_owned(),
        told_by: proposed.approval.asked_by,
        decided_by: proposed.approval.decided_by.unwrap_or_default(),
        follows: String::new(),
    }
}

pub fn kept_to_wire(kept: KeptWaiver, now: Timestamp) -> v1::Waiver {
    v1::Waiver {
        waiver_id: kept.id.to_string(),
        state: standing(&kept.waiver, now).to_owned(),
        waiver: Some(to_wire(kept.waiver)),
        told_by: kept.told_by.unwrap_or_default(),
        decided_by: kept.confirmed_by.unwrap_or_default(),
        follows: kept.follows.map(Into::into).unwrap_or_default(),
        reach: None,
    }
}
