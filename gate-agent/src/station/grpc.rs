//! The station over gRPC with mutual TLS. The channel reconnects by itself; a call without a connection fails at once
//! or after its deadline.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::code::{IssuerKey, VerifiedCode};
use facegate_domain::face::Embedding;
use facegate_domain::gate::GateMode;
use facegate_domain::ids::{GateId, StationId};
use facegate_domain::journal_audit::JournalRange;
use facegate_domain::operation::{GateOrder, OrderKind, StationMode, ToldGate};
use facegate_domain::policy::Refusal;
use facegate_domain::tap::Direction;
use facegate_proto::convert::gate::direction_to_wire;
use facegate_proto::convert::station::{Answer, probe_to_wire};
use facegate_proto::v1;
use facegate_proto::v1::station_service_client::StationServiceClient;
use facegate_runtime::grpc::Wire;
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::IntervalStream;
use tonic::{Code, Status};

use super::{Delivered, Registered, Registration, Station, StationCommand, StationError};
use crate::board::Board;

const STATUS_EVERY: Duration = Duration::from_secs(1);
const COMMANDS_QUEUED_MAX: usize = 16;

/// How long each kind of call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    pub identify: Duration,
    pub code: Duration,
    /// Everything that no rider waits for.
    pub background: Duration,
}

/// See the module's description. Cheap to clone.
#[derive(Debug, Clone)]
pub struct GrpcStation {
    client: StationServiceClient<Wire>,
    deadlines: Deadlines,
}

impl GrpcStation {
    /// `wire` comes from `facegate_runtime::grpc::channel`.
    pub fn new(wire: Wire, deadlines: Deadlines) -> Self {
        Self { client: StationServiceClient::new(wire), deadlines }
    }
}

/// The answer within `deadline`, or why not.
async fn within<T>(
    deadline: Duration,
    call: impl Future<Output = Result<tonic::Response<T>, Status>>,
) -> Result<T, StationError> {
    match tokio::time::timeout(deadline, call).await {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) => Err(error_of(&status)),
        Err(_) => Err(StationError::Unreachable(format!("no answer within {} ms", deadline.as_millis()))),
    }
}

fn error_of(status: &Status) -> StationError {
    let said = format!("{:?}: {}", status.code(), status.message());
    match status.code() {
        Code::Unavailable
        | Code::DeadlineExceeded
        | Code::Cancelled
        | Code::Aborted
        | Code::ResourceExhausted
        | Code::Internal
        | Code::Unknown => StationError::Unreachable(said),
        _ => StationError::Rejected(said),
    }
}

fn nonsense(error: impl std::fmt::Display) -> StationError {
    StationError::Nonsense(error.to_string())
}

fn issuer_keys(keys: &[Vec<u8>]) -> Result<Vec<IssuerKey>, StationError> {
    let key = |bytes: &Vec<u8>| {
        let bytes = bytes.as_slice().try_into().map_err(|_| nonsense("an issuer key is not of 32 bytes"))?;
        IssuerKey::from_bytes(bytes).map_err(nonsense)
    };
    keys.iter().map(key).collect()
}

#[async_trait]
impl Station for GrpcStation {
    async fn register(&self, registration: Registration) -> Result<Registered, StationError> {
        let request = v1::RegisterRequest {
            epoch: registration.epoch,
            next_sequence: registration.next_sequence,
            software_version: env!("CARGO_PKG_VERSION").to_owned(),
            embedding_model: registration.model.into(),
        };
        let mut client = self.client.clone();
        let answer = within(self.deadlines.background, client.register(request)).await?;
        Ok(Registered {
            epoch: answer.epoch,
            station: StationId::new(answer.station).map_err(nonsense)?,
            issuer_keys: issuer_keys(&answer.code_issuer_keys)?,
            station_time: Timestamp::from_unix_ms(answer.station_unix_ms),
            delivered: answer.delivered_next_sequence,
        })
    }

    async fn identify(&self, probe: &Embedding, frames: u32, direction: Direction) -> Result<Answer, StationError> {
        let direction = direction_to_wire(direction).into();
        let probe = Some(probe_to_wire(probe, frames));
        let request = v1::IdentifyRequest { probe, direction, refusal_level: Refusal::LEVEL };
        let mut client = self.client.clone();
        within(self.deadlines.identify, client.identify(request)).await?.try_into().map_err(nonsense)
    }

    async fn present_code(
        &self,
        code: &VerifiedCode,
        face: Option<(&Embedding, u32)>,
        direction: Direction,
    ) -> Result<Answer, StationError> {
        let request = v1::PresentCodeRequest {
            rider: code.rider.as_bytes().to_vec(),
            nonce: code.nonce.to_vec(),
            issued_at_unix_ms: code.issued_at.unix_ms(),
            direction: direction_to_wire(direction).into(),
            face: face.map(|(probe, frames)| probe_to_wire(probe, frames)),
        };
        let mut client = self.client.clone();
        within(self.deadlines.code, client.present_code(request)).await?.try_into().map_err(nonsense)
    }

    async fn deliver(
        &self,
        records: Vec<v1::GateRecord>,
        not_held: Vec<JournalRange>,
    ) -> Result<Delivered, StationError> {
        let mut client = self.client.clone();
        let not_held = not_held.into_iter().map(Into::into).collect();
        let request = v1::DeliverRequest { records, not_held, behind: 0 };
        let answer = within(self.deadlines.background, client.deliver(request)).await?;
        let conflicts = answer.conflicts.into_iter().map(TryInto::try_into).collect::<Result<_, _>>();
        Ok(Delivered {
            marks: answer.marks.iter().map(|mark| (mark.epoch, mark.next_sequence)).collect(),
            conflicts: conflicts.map_err(nonsense)?,
        })
    }

    async fn sight(&self, probe: &Embedding, frames: u32) -> Result<(), StationError> {
        let request = v1::SightRequest { probe: Some(probe_to_wire(probe, frames)) };
        let mut client = self.client.clone();
        within(self.deadlines.background, client.sight(request)).await.map(drop)
    }

    async fn attend(&self, board: Arc<Board>) -> Result<mpsc::Receiver<StationCommand>, StationError> {
        let gate = board.who().id.clone();
        let statuses = IntervalStream::new(tokio::time::interval(STATUS_EVERY)).map(move |_| board.status());
        let mut client = self.client.clone();
        let mut commands = within(self.deadlines.background, client.attend(statuses)).await?;
        let (sender, receiver) = mpsc::channel(COMMANDS_QUEUED_MAX);
        tokio::spawn(async move {
            while let Ok(Some(command)) = commands.message().await {
                if let Some(command) = command_from_wire(command, &gate)
                    && sender.send(command).await.is_err()
                {
                    return;
                }
            }
        });
        Ok(receiver)
    }
}

/// A mode or an order that this software does not know is left alone: it goes on as before.
fn told_from_wire(told: v1::ToldGateCommand, gate: &GateId) -> ToldGate {
    let mode = GateMode::from_name(&told.mode).unwrap_or_else(|| {
        tracing::error!(mode = told.mode, "told a mode that this software does not know; it goes on normally");
        GateMode::Normal
    });
    let until = Timestamp::from_unix_ms(told.order_until_unix_ms);
    let order = OrderKind::from_name(&told.order_what).map(|what| GateOrder {
        gate: gate.clone(),
        id: told.order_id,
        what,
        until,
    });
    ToldGate { mode, order }
}

/// Commands of a newer station that this gate does not know are left alone.
fn command_from_wire(command: v1::GateCommand, gate: &GateId) -> Option<StationCommand> {
    match command.command? {
        v1::gate_command::Command::Ping(_) => Some(StationCommand::Ping),
        v1::gate_command::Command::StationMode(told) => StationMode::from_name(&told.mode).map(StationCommand::Mode),
        v1::gate_command::Command::ToldGate(told) => Some(StationCommand::Told(told_from_wire(told, gate))),
        v1::gate_command::Command::Redeliver(asked) => {
            let ranges = asked.ranges.into_iter().filter_map(|range| JournalRange::try_from(range).ok());
            Some(StationCommand::Redeliver(ranges.collect()))
        }
        v1::gate_command::Command::IssuerKeys(keys) => match issuer_keys(&keys.keys) {
            Ok(keys) => Some(StationCommand::IssuerKeys(keys)),
            Err(error) => {
                tracing::error!(%error, "new issuer keys were not taken; the old ones stay");
                None
            }
        },
    }
}
