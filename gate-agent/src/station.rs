//! The station as the gate sees it: recognises, checks codes, gives epochs, takes records.

pub mod grpc;

use std::sync::Arc;

use async_trait::async_trait;
use facegate_domain::Timestamp;
use facegate_domain::code::{IssuerKey, VerifiedCode};
use facegate_domain::face::Embedding;
use facegate_domain::ids::{ModelId, RecordId, StationId};
use facegate_domain::journal_audit::JournalRange;
use facegate_domain::operation::{StationMode, ToldGate};
use facegate_domain::tap::Direction;
use facegate_proto::convert::station::Answer;
use facegate_proto::v1;
use tokio::sync::mpsc;

use crate::board::Board;

/// Why the station gave no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StationError {
    #[error("the station cannot be reached: {0}; faces wait, codes go by the offline rule")]
    Unreachable(String),
    #[error("the station refuses the call: {0}; have the gate's identity and configuration looked at")]
    Rejected(String),
    #[error("the station's answer makes no sense: {0}")]
    Nonsense(String),
}

/// What a gate tells at registration.
#[derive(Debug, Clone)]
pub struct Registration {
    /// 0 = no journal.
    pub epoch: u32,
    pub next_sequence: u64,
    pub model: ModelId,
}

/// What it learns.
#[derive(Debug, Clone)]
pub struct Registered {
    pub epoch: u32,
    pub station: StationId,
    pub issuer_keys: Vec<IssuerKey>,
    pub station_time: Timestamp,
    /// The next sequence of this epoch that the station waits for.
    pub delivered: u64,
}

/// What became of a batch.
#[derive(Debug, Clone)]
pub struct Delivered {
    /// Epoch and the next sequence that the station waits for.
    pub marks: Vec<(u32, u64)>,
    pub conflicts: Vec<RecordId>,
}

/// What the station tells by itself.
#[derive(Debug, Clone)]
pub enum StationCommand {
    Ping,
    IssuerKeys(Vec<IssuerKey>),
    /// How the station lets people pass from now on.
    Mode(StationMode),
    /// What the operations centre tells this gate alone.
    Told(ToldGate),
    /// Hand these records over once more.
    Redeliver(Vec<JournalRange>),
}

/// Every call has its own bounded wait.
#[async_trait]
pub trait Station: Send + Sync {
    async fn register(&self, registration: Registration) -> Result<Registered, StationError>;
    async fn identify(&self, probe: &Embedding, frames: u32, direction: Direction) -> Result<Answer, StationError>;
    /// With a face and of how many frames it is: the code counts only if it is its rider's.
    async fn present_code(
        &self,
        code: &VerifiedCode,
        face: Option<(&Embedding, u32)>,
        direction: Direction,
    ) -> Result<Answer, StationError>;
    /// `not_held`: what the station asked for once more and is not here.
    async fn deliver(
        &self,
        records: Vec<v1::GateRecord>,
        not_held: Vec<JournalRange>,
    ) -> Result<Delivered, StationError>;
    async fn sight(&self, probe: &Embedding, frames: u32) -> Result<(), StationError>;
    /// Tells the board's state every second until the station goes or the receiver is dropped.
    async fn attend(&self, board: Arc<Board>) -> Result<mpsc::Receiver<StationCommand>, StationError>;
}
