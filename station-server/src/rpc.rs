//! The gRPC face of the station: who may call what, and messages to and from the domain.

use std::sync::Arc;

use facegate_domain::Timestamp;
use facegate_domain::code::VerifiedCode;
use facegate_domain::ids::GateId;
use facegate_proto::convert::fixed;
use facegate_proto::convert::gate::{direction_from_wire, rider_from_wire};
use facegate_proto::convert::station::probe_from_wire;
use facegate_proto::convert::sync::issuer_keys_to_wire;
use facegate_proto::v1;
use facegate_proto::v1::station_service_server::StationService;
use facegate_runtime::identity::{Role, certificate_ends, require};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use crate::attend::{Commands, attend};
use crate::authorise::present_code;
use crate::config::EmbeddingModel;
use crate::epochs::register;
use crate::identify::{identify, sight};
use crate::intake::deliver;
use crate::station::{Station, StationError};

/// See `station.proto` for what each call promises.
#[derive(Debug)]
pub struct StationRpc {
    station: Arc<Station>,
    stop: CancellationToken,
}

impl StationRpc {
    pub fn new(station: Arc<Station>, stop: CancellationToken) -> Self {
        Self { station, stop }
    }

    /// The caller, if he has one of these roles and is among the gates or cameras of this station.
    fn caller<T>(&self, request: &Request<T>, allowed: &[Role]) -> Result<GateId, Status> {
        let peer = require(request, allowed)?;
        let config = &self.station.config;
        let known = if peer.role == Role::Camera { &config.cameras } else { &config.gates };
        known.iter().find(|gate| gate.as_str() == peer.id).cloned().ok_or_else(|| {
            tracing::warn!(%peer, "refused: not of this station");
            let (role, id, station) = (peer.role, &peer.id, &config.station);
            let list = if role == Role::Camera { "cameras" } else { "gates" };
            Status::permission_denied(format!(
                "{role} `{id}` is not among the {list} of station `{station}`; add it to `{list}` in the station's config"
            ))
        })
    }
}

#[tonic::async_trait]
impl StationService for StationRpc {
    type AttendStream = Commands;

    async fn register(&self, request: Request<v1::RegisterRequest>) -> Result<Response<v1::RegisterResponse>, Status> {
        let gate = self.caller(&request, &[Role::Gate, Role::Camera])?;
        let request = request.into_inner();
        let station = &self.station;
        let held = |model: &EmbeddingModel| model.calibration.model.as_str() == request.embedding_model;
        if !station.config.models.iter().any(held) {
            tracing::warn!(%gate, theirs = request.embedding_model, "the gate embeds with another model; its probes will be refused");
        }
        let registered = register(station, &gate, request.epoch, request.next_sequence).await?;
        Ok(Response::new(v1::RegisterResponse {
            epoch: registered.epoch,
            station: station.config.station.as_str().to_owned(),
            code_issuer_keys: issuer_keys_to_wire(&station.facts().issuer_keys()),
            station_unix_ms: station.clock.now().unix_ms(),
            delivered_next_sequence: registered.delivered_next_sequence,
        }))
    }

    async fn identify(&self, request: Request<v1::IdentifyRequest>) -> Result<Response<v1::IdentifyResponse>, Status> {
        self.caller(&request, &[Role::Gate])?;
        let request = request.into_inner();
        let (probe, frames) = probe_from_wire(request.probe)?;
        let direction = direction_from_wire(request.direction)?;
        let answer = identify(&self.station, probe, frames, direction).await?;
        Ok(Response::new(answer.understood_at(request.refusal_level).into()))
    }

    async fn present_code(
        &self,
        request: Request<v1::PresentCodeRequest>,
    ) -> Result<Response<v1::PresentCodeResponse>, Status> {
        self.caller(&request, &[Role::Gate])?;
        let request = request.into_inner();
        let rider = rider_from_wire(&request.rider)?;
        let nonce = fixed("nonce", &request.nonce)?;
        direction_from_wire(request.direction)?;
        let code = VerifiedCode { rider, nonce, issued_at: Timestamp::from_unix_ms(request.issued_at_unix_ms) };
        let face = request.face.map(|probe| probe_from_wire(Some(probe))).transpose()?;
        Ok(Response::new(present_code(&self.station, code, face).await?.into()))
    }

    async fn sight(&self, request: Request<v1::SightRequest>) -> Result<Response<v1::SightResponse>, Status> {
        self.caller(&request, &[Role::Camera])?;
        let (probe, frames) = probe_from_wire(request.into_inner().probe)?;
        sight(&self.station, probe, frames).await?;
        Ok(Response::new(v1::SightResponse {}))
    }

    async fn deliver(&self, request: Request<v1::DeliverRequest>) -> Result<Response<v1::DeliverResponse>, Status> {
        let gate = self.caller(&request, &[Role::Gate])?;
        let station = Arc::clone(&self.station);
        // A task of its own: what was begun is finished and indexed even if the gate hangs up meanwhile.
        let task = tokio::spawn(async move { deliver(&station, &gate, request.into_inner()).await });
        Ok(Response::new(task.await.map_err(|_| StationError::Panicked)??))
    }

    async fn attend(
        &self,
        request: Request<Streaming<v1::GateStatus>>,
    ) -> Result<Response<Self::AttendStream>, Status> {
        let gate = self.caller(&request, &[Role::Gate, Role::Camera])?;
        let ends = certificate_ends(&request);
        Ok(Response::new(attend(&self.station, gate, ends, request.into_inner(), self.stop.clone())))
    }
}
