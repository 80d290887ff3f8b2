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
use reqwest::Url;

pub use self::raw::RawConfig;
use crate::actuator::serial::SerialLine;
use crate::admission::AdmissionConfig;
use crate::approach::ApproachPolicy;
use crate::camera::health::HealthPolicy;
use crate::camera::replay::Replay;
use crate::decide::DecisionPolicy;
use crate::freshness::FreshnessPolicy;
use crate::intent::IntentPolicy;
use crate::lane::Lane;
use crate::reader::ReaderConfig;
use crate::screen::ScreenConfig;
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
    pub intent: IntentPolicy,
    pub approach: ApproachPolicy,
    pub decision: DecisionPolicy,
    pub frames_queued_max: usize,
    pub freshness: FreshnessPolicy,
    pub telemetry: Telemetry,
}

/// What only one of the roles has.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "one in a process, for its whole life")]
pub enum Duty {
    Gate(GateDuty),
    Camera,
}

#[derive(Debug, Clone)]
pub struct GateDuty {
    pub direction: Direction,
    pub actuator: ActuatorConfig,
    /// Whether the hardware opens the door when this process is silent; else it closes it.
    pub opens_without_gate: bool,
    pub aisle: AislePolicy,
    pub admission: AdmissionConfig,
    pub screen: ScreenConfig,
    pub codes: CodePolicy,
    /// What riders pass by.
    pub lane: Lane,
    /// A device that reads codes and notices cards, beside the camera.
    pub reader: Option<ReaderConfig>,
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

/// The camera, and the streams beside it.
#[derive(Debug, Clone, PartialEq)]
pub struct CameraConfig {
    pub source: SourceConfig,
    pub depth: Option<SourceConfig>,
    pub infrared: Option<SourceConfig>,
    /// A depth or infrared image goes with a frame if both were captured within this.
    pub sensor_skew_max_ms: u64,
    pub health: HealthPolicy,
}

/// Where pictures come from.
#[derive(Clone, PartialEq)]
pub enum SourceConfig {
    /// Development only.
    Folder(PathBuf),
    /// Development only.
    Replay(Replay),
    Mjpeg(Url),
    /// What stands before the appsink of a pipeline, in the words of `gst-launch-1.0`.
    #[cfg(feature = "gstreamer")]
    Gstreamer(String),
}

impl std::fmt::Debug for SourceConfig {
    /// Without what an address or a pipeline may hold of passwords.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.device())
    }
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
