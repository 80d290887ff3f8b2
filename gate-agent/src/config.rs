//! The gate's configuration: `RawConfig` as written, `Config` as checked.

mod raw;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use facegate_domain::aisle::AislePolicy;
use facegate_domain::code::CodeTolerance;
use facegate_domain::ids::GateId;
use facegate_domain::tap::Direction;
use facegate_models::EngineOptions;
use facegate_runtime::identity::TlsPaths;
use facegate_runtime::journal::JournalOptions;
use facegate_runtime::telemetry::Telemetry;

pub use self::raw::RawConfig;
use crate::actuator::serial::SerialLine;
use crate::admission::AdmissionConfig;
use crate::approach::ApproachPolicy;
use crate::decide::DecisionPolicy;
use crate::freshness::FreshnessPolicy;
use crate::station::grpc::Deadlines;
use crate::vision::FacePolicy;

/// What this process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Gate,
    /// An entrance camera: tells the station whom it saw, decides nothing.
    Camera,
}

impl Role {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gate => "gate",
            Self::Camera => "camera",
        }
    }
}

/// Development allows cameras and doors that are not there; the screen says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Production,
    Development,
}

impl Mode {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Production => "production",
            Self::Development => "development",
        }
    }
}

/// What happens to a valid code when the station cannot be asked about replay and deny list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OfflineCodes {
    /// For so long after the station was last heard of.
    AcceptFor(Duration),
    Refuse,
}

/// Everything a gate or an entrance camera runs on.
#[derive(Debug, Clone)]
pub struct Config {
    pub id: GateId,
    pub mode: Mode,
    pub duty: Duty,
    pub models_dir: PathBuf,
    pub data_dir: PathBuf,
    pub tls: TlsPaths,
    /// `https://host:port`.
    pub station_uri: String,
    pub deadlines: Deadlines,
    pub camera: CameraConfig,
    pub engine: EngineOptions,
    pub faces: FacePolicy,
    pub approach: ApproachPolicy,
    pub decision: DecisionPolicy,
    pub frames_queued_max: usize,
    pub freshness: FreshnessPolicy,
    pub telemetry: Telemetry,
}

/// What only one of the roles has.
#[derive(Debug, Clone)]
pub enum Duty {
    Gate(GateDuty),
    Camera,
}

#[derive(Debug, Clone)]
pub struct GateDuty {
    pub direction: Direction,
    pub actuator: ActuatorConfig,
    pub aisle: AislePolicy,
    pub admission: AdmissionConfig,
    pub screen_listen: SocketAddr,
    pub codes: CodePolicy,
    pub journal: JournalOptions,
    /// How long delivered records are kept.
    pub journal_kept: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodePolicy {
    pub tolerance: CodeTolerance,
    /// Face and code of one rider within this are one tap.
    pub merge_window: Duration,
    pub offline: OfflineCodes,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CameraConfig {
    /// Development only.
    Folder(PathBuf),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ActuatorConfig {
    /// Development only: the aisle simulator's address.
    Simulated(SocketAddr),
    Serial(SerialLine),
}

impl Config {
    pub const fn role(&self) -> Role {
        match self.duty {
            Duty::Gate(_) => Role::Gate,
            Duty::Camera => Role::Camera,
        }
    }

    pub fn direction(&self) -> Option<Direction> {
        match &self.duty {
            Duty::Gate(gate) => Some(gate.direction),
            Duty::Camera => None,
        }
    }
}

/// An example that explains itself; `--help` prints it.
pub const EXAMPLE: &str = include_str!("config/example.toml");

#[cfg(test)]
mod tests;
