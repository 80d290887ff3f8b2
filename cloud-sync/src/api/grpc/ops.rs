//! `OpsService`: the overview for the operations centre, and what the operator tells stations.

use std::sync::Arc;
use std::time::Duration;

use facegate_domain::Timestamp;
use facegate_domain::ids::StationId;
use facegate_proto::convert::{InvalidMessage, fixed};
use facegate_proto::v1;
use facegate_proto::v1::ops_service_server::OpsService;
use facegate_runtime::identity::{Role, require};
use tonic::{Request, Response, Status};

use super::sync::report_to_wire;
use super::{held, waivers as wire};
use crate::cloud::Cloud;
use crate::enrolment::Actor;
use crate::store::{Gap, Standing, StationView};
use crate::waivers::Decision;
use crate::web::passage_rate::PassageRate;
use crate::{operation, terms, waivers};

/// Waivers told at a time, those that wait and others apart.
const WAIVERS_LISTED_MAX: usize = 500;

#[derive(Debug)]
pub struct OpsRpc {
    cloud: Arc<Cloud>,
    passages: PassageRate,
}

impl OpsRpc {
    pub fn new(cloud: Arc<Cloud>) -> Self {
        Self { cloud, passages: PassageRate::default() }
    }
}

#[tonic::async_trait]
impl OpsService for OpsRpc {
    async fn overview(&self, request: Request<v1::OverviewRequest>) -> Result<Response<v1::OverviewResponse>, Status> {
        require(&request, &[Role::Monitor, Role::Operator])?;
        let overview = self.cloud.store.overview().await?;
        let charges = overview.charges.into_iter().map(|c| v1::ChargeCount { state: c.state, count: c.count });
        Ok(Response::new(v1::OverviewResponse {
            head_version: overview.head_version,
            stations: overview.stations.into_iter().map(station_to_wire).collect(),
            taps: overview.taps,
            journeys: overview.journeys,
            charges: charges.collect(),
            gaps: overview.gaps.into_iter().map(gap_to_wire).collect(),
            passages_unknown: overview.passages_unknown,
            passages_per_minute: self.passages.per_minute(overview.taps, self.cloud.clock.monotonic_ms()),
            conflicts: overview.conflicts,
            ledger_balanced: overview.ledger_balanced,
        }))
    }

    async fn instruct(&self, request: Request<v1::InstructRequest>) -> Result<Response<v1::InstructResponse>, Status> {
        let operator = require(&request, &[Role::Operator])?;
        let instruction = request.into_inner().try_into()?;
        let version = operation::instruct(&self.cloud, &format!("operator/{}", operator.id), instruction).await?;
        Ok(Response::new(v1::InstructResponse { version }))
    }

    async fn claim_station(
        &self,
        request: Request<v1::ClaimStationRequest>,
    ) -> Result<Response<v1::ClaimStationResponse>, Status> {
        let operator = require(&request, &[Role::Operator])?;
        let asked = request.into_inner();
        let station = StationId::new(asked.station).map_err(InvalidMessage::from)?;
        let installation = hex::encode(fixed::<16>("installation", &asked.installation)?);
        let (store, now) = (&self.cloud.store, self.cloud.clock.now());
        let subject = format!("{station} {installation}");
        store.audit(&format!("operator/{}", operator.id), "stations.claim", &subject, now).await?;
        store.claim_station(station, installation, now, Duration::ZERO).await?;
        Ok(Response::new(v1::ClaimStationResponse {}))
    }

    async fn set_standing(
        &self,
        request: Request<v1::SetStandingRequest>,
    ) -> Result<Response<v1::SetStandingResponse>, Status> {
        let operator = require(&request, &[Role::Operator])?;
        let asked = request.into_inner();
        let station = StationId::new(asked.station).map_err(InvalidMessage::from)?;
        let unknown = || InvalidMessage::UnknownValue { field: "standing", got: asked.standing.clone() };
        let standing = Standing::from_name(&asked.standing).ok_or_else(unknown)?;
        let lease = self.cloud.leases.set_standing(&Actor::new("operator", &operator.id), station, standing).await?;
        let until_unix_ms = lease.until.map_or(0, Timestamp::unix_ms);
        Ok(Response::new(v1::SetStandingResponse { generation: lease.generation, until_unix_ms }))
    }

    async fn instructions(
        &self,
        request: Request<v1::InstructionsRequest>,
    ) -> Result<Response<v1::InstructionsResponse>, Status> {
        require(&request, &[Role::Monitor, Role::Operator])?;
        let held = self.cloud.store.instructions().await?;
        Ok(Response::new(v1::InstructionsResponse { instructions: held.told().cloned().map(Into::into).collect() }))
    }

    async fn waive(&self, request: Request<v1::WaiveRequest>) -> Result<Response<v1::WaiveResponse>, Status> {
        let operator = require(&request, &[Role::Operator])?;
        let waiver = wire::waiver_of(request.into_inner())?;
        let (actor, id) = (Actor::new("operator", &operator.id), uuid::Uuid::new_v4());
        Ok(Response::new(wire::answer(&waivers::tell(&self.cloud, &actor, id, waiver).await?)))
    }

    async fn preview_waiver(&self, request: Request<v1::WaiveRequest>) -> Result<Response<v1::WaiverReach>, Status> {
        require(&request, &[Role::Operator])?;
        let waiver = wire::waiver_of(request.into_inner())?;
        Ok(Response::new(wire::reach_to_wire(&waivers::reach(&self.cloud, &waiver).await?)))
    }

    async fn waivers(&self, request: Request<v1::WaiversRequest>) -> Result<Response<v1::WaiversResponse>, Status> {
        require(&request, &[Role::Monitor, Role::Operator])?;
        let (store, now) = (&self.cloud.store, self.cloud.clock.now());
        let awaiting = store.awaiting_waivers(WAIVERS_LISTED_MAX).await?;
        let mut kept = store.waivers().await?;
        kept.sort_by_key(|kept| std::cmp::Reverse((kept.waiver.from, kept.id)));
        let kept = kept.into_iter().take(WAIVERS_LISTED_MAX).map(|kept| wire::kept_to_wire(kept, now));
        let waivers = awaiting.into_iter().map(wire::proposed_to_wire).chain(kept).collect();
        Ok(Response::new(v1::WaiversResponse { waivers }))
    }

    async fn decide_waiver(
        &self,
        request: Request<v1::DecideWaiverRequest>,
    ) -> Result<Response<v1::WaiveResponse>, Status> {
        let operator = require(&request, &[Role::Operator])?;
        let asked = request.into_inner();
        let (id, shown_minor) = (wire::id_of(&asked.waiver_id)?, asked.shown_minor);
        let decision = if asked.approves { Decision::Approve { shown_minor } } else { Decision::Reject };
        let actor = Actor::new("operator", &operator.id);
        Ok(Response::new(wire::answer(&waivers::decide(&self.cloud, &actor, id, decision).await?)))
    }

    async fn end_waiver(
        &self,
        request: Request<v1::EndWaiverRequest>,
    ) -> Result<Response<v1::EndWaiverResponse>, Status> {
        let operator = require(&request, &[Role::Operator])?;
        let asked = request.into_inner();
        let (id, at) = (wire::id_of(&asked.waiver_id)?, asked.at_unix_ms.map(Timestamp::from_unix_ms));
        let ended = waivers::end(&self.cloud, &Actor::new("operator", &operator.id), id, at).await?;
        let state = waivers::standing(&ended.waiver, self.cloud.clock.now()).to_owned();
        Ok(Response::new(v1::EndWaiverResponse { state }))
    }

    async fn held_rides(
        &self,
        request: Request<v1::HeldRidesRequest>,
    ) -> Result<Response<v1::HeldRidesResponse>, Status> {
        require(&request, &[Role::Monitor, Role::Operator])?;
        let asked = request.into_inner();
        let after = (!asked.after.is_empty()).then(|| held::ride_of(&asked.after)).transpose()?;
        let max = if asked.max == 0 { held::PAGE_MAX } else { (asked.max as usize).min(held::PAGE_MAX) };
        let rides = self.cloud.store.held_rides(after, max).await?;
        Ok(Response::new(v1::HeldRidesResponse { rides: rides.iter().map(held::to_wire).collect() }))
    }

    async fn release_ride(
        &self,
        request: Request<v1::ReleaseRideRequest>,
    ) -> Result<Response<v1::ReleaseRideResponse>, Status> {
        let operator = require(&request, &[Role::Operator])?;
        let asked = request.into_inner();
        let ride = held::ride_of(&asked.ride_id)?;
        let release = match asked.price_minor {
            Some(price_minor) => terms::Release::At { price_minor, reason: asked.reason },
            None => terms::Release::Again,
        };
        terms::release(&self.cloud, &Actor::new("operator", &operator.id), ride, release).await?;
        Ok(Response::new(v1::ReleaseRideResponse {}))
    }
}

fn station_to_wire(view: StationView) -> v1::StationReport {
    let ends = view.report.as_ref().and_then(|report| report.certificate_ends);
    v1::StationReport {
        station: view.station.into(),
        installation: hex::decode(view.installation).unwrap_or_default(),
        digest: view.report.as_ref().map_or(String::new(), |report| report.digest.clone()),
        differs: view.report.as_ref().map_or(Vec::new(), |report| report.differs.clone()),
        certificate_ends_unix_ms: ends.map_or(0, Timestamp::unix_ms),
        status: view.report.map(report_to_wire),
        last_seen_unix_ms: view.last_seen.unix_ms(),
    }
}

fn gap_to_wire(gap: Gap) -> v1::Gap {
    v1::Gap {
        gate: gap.gate.into(),
        epoch: gap.epoch,
        first_missing: gap.first_missing,
        last_missing: gap.last_missing,
    }
}
