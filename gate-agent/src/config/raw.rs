//! The file as written, and the check that turns it into a `Config`, with every problem at once.

mod actuator;
mod admission;
mod camera;
mod codes;
mod journal;
mod lane;
mod reader;
mod screen;

use std::path::PathBuf;

use facegate_domain::ids::GateId;
use facegate_domain::tap::Direction;
use facegate_models::{EngineOptions, QualityPolicy};
use facegate_runtime::config::{Problems, RawTelemetry, RawTls};
use serde::Deserialize;

use self::actuator::{RawActuator, RawAisle};
use self::admission::RawAdmission;
use self::camera::RawCamera;
use self::codes::RawCodes;
use self::journal::RawJournal;
use self::lane::RawLane;
use self::reader::RawReader;
use self::screen::RawScreen;
use super::{Config, Duty, GateDuty, Mode};
use crate::approach::ApproachPolicy;
use crate::decide::DecisionPolicy;
use crate::station::grpc::Deadlines;
use crate::vision::FacePolicy;

/// See `example.toml` for what each key means.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RawConfig {
    role: RawRole,
    mode: RawMode,
    id: String,
    direction: Option<Direction>,
    models_dir: PathBuf,
    data_dir: PathBuf,
    tls: RawTls,
    station: RawStation,
    camera: RawCamera,
    actuator: Option<RawActuator>,
    reader: Option<RawReader>,
    #[serde(default)]
    aisle: RawAisle,
    #[serde(default)]
    admission: RawAdmission,
    screen: Option<RawScreen>,
    #[serde(default)]
    approach: RawApproach,
    #[serde(default)]
    lane: RawLane,
    #[serde(default)]
    codes: RawCodes,
    #[serde(default)]
    journal: RawJournal,
    #[serde(default)]
    quality: QualityPolicy,
    #[serde(default)]
    recognition: EngineOptions,
    #[serde(default)]
    telemetry: RawTelemetry,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawRole {
    Gate,
    Camera,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawMode {
    Production,
    Development,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStation {
    address: String,
    #[serde(default = "identify_deadline_ms")]
    identify_deadline_ms: u64,
    #[serde(default = "code_deadline_ms")]
    code_deadline_ms: u64,
    #[serde(default = "background_deadline_ms")]
    background_deadline_ms: u64,
}

const fn identify_deadline_ms() -> u64 {
    800
}

const fn code_deadline_ms() -> u64 {
    500
}

const fn background_deadline_ms() -> u64 {
    10_000
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawApproach {
    frames_agreeing_min: u32,
    frames_max: u32,
    approach_gap_ms: u64,
    second_chance_ms: u64,
    same_face_cosine_min: f32,
    near_px_min: f32,
    several_area_ratio: f32,
    frames_queued_max: usize,
}

impl Default for RawApproach {
    fn default() -> Self {
        Self {
            frames_agreeing_min: 3,
            frames_max: 15,
            approach_gap_ms: 700,
            second_chance_ms: 3000,
            same_face_cosine_min: 0.5,
            near_px_min: 14.0,
            several_area_ratio: 0.65,
            frames_queued_max: 2,
        }
    }
}

impl TryFrom<RawConfig> for Config {
    type Error = Problems;

    fn try_from(raw: RawConfig) -> Result<Self, Problems> {
        let mut problems = Problems::new();
        let p = &mut problems;
        let id = p.check("id", GateId::new(raw.id.clone()));
        let tls = raw.tls.check("tls", p);
        let telemetry = raw.telemetry.check("telemetry", p);
        let station_uri = station_uri(&raw.station, p);
        let deadlines = deadlines(&raw.station, p);
        refuse_simulations_in_production(&raw, p);
        let approach = approach(&raw, p);
        let decision = decision(&raw.approach, p);
        let faces = faces(&raw, p);
        let intent = raw.lane.check("lane", p);
        let camera = raw.camera.check(raw.mode, p);
        let frames_queued_max = p.within("approach.frames_queued_max", raw.approach.frames_queued_max, 1..=16);
        let duty = match raw.role {
            RawRole::Gate => gate_duty(&raw, p).map(Duty::Gate),
            RawRole::Camera => camera_duty(&raw, p),
        };
        let config = (|| {
            Some(Self {
                id: id?,
                mode: match raw.mode {
                    RawMode::Production => Mode::Production,
                    RawMode::Development => Mode::Development,
                },
                duty: duty?,
                models_dir: raw.models_dir,
                data_dir: raw.data_dir,
                tls: tls?,
                station_uri: station_uri?,
                deadlines: deadlines?,
                camera: camera.as_ref()?.0.clone(),
                engine: raw.recognition,
                faces: faces?,
                intent: intent?,
                approach: approach?,
                decision: decision?,
                frames_queued_max: frames_queued_max?,
                freshness: camera?.1,
                telemetry: telemetry?,
            })
        })();
        problems.into_result(config)
    }
}

/// In production nobody may put a body through a gate that is not there.
fn refuse_simulations_in_production(raw: &RawConfig, problems: &mut Problems) {
    if raw.mode != RawMode::Production {
        return;
    }
    if let Some(RawActuator::Simulated { .. }) = &raw.actuator {
        problems.add("actuator.kind", "`simulated` is for mode = \"development\" only");
    }
}

fn station_uri(raw: &RawStation, problems: &mut Problems) -> Option<String> {
    let port = raw.address.rsplit_once(':').filter(|(host, _)| !host.is_empty() && !host.contains('/'));
    match port.map(|(_, port)| port.parse::<u16>()) {
        Some(Ok(_)) => Some(format!("https://{}", raw.address)),
        _ => {
            problems.add("station.address", format!("`{}` is not of the form host:port", raw.address));
            None
        }
    }
}

fn deadlines(raw: &RawStation, problems: &mut Problems) -> Option<Deadlines> {
    let identify = problems.duration_ms("station.identify_deadline_ms", raw.identify_deadline_ms, 50..=10_000);
    let code = problems.duration_ms("station.code_deadline_ms", raw.code_deadline_ms, 50..=10_000);
    let background = problems.duration_ms("station.background_deadline_ms", raw.background_deadline_ms, 500..=60_000);
    Some(Deadlines { identify: identify?, code: code?, background: background? })
}

fn approach(raw: &RawConfig, problems: &mut Problems) -> Option<ApproachPolicy> {
    let a = &raw.approach;
    let gap_ms = problems.within("approach.approach_gap_ms", a.approach_gap_ms, 100..=10_000);
    let second_chance_ms = problems.within("approach.second_chance_ms", a.second_chance_ms, 500..=60_000);
    let same = problems.within("approach.same_face_cosine_min", a.same_face_cosine_min, 0.2..=0.95);
    if let Some(problem) = raw.recognition.liveness.problem() {
        problems.add("recognition.liveness", problem);
    }
    if u32::try_from(raw.recognition.liveness.frames_min).is_ok_and(|least| least > a.frames_max) {
        problems
            .add("approach.frames_max", "is below recognition.liveness.frames_min, so that nobody would ever be live");
    }
    Some(ApproachPolicy { gap_ms: gap_ms?, second_chance_ms: second_chance_ms?, same_face_cosine_min: same? })
}

fn decision(raw: &RawApproach, problems: &mut Problems) -> Option<DecisionPolicy> {
    let least = problems.within("approach.frames_agreeing_min", raw.frames_agreeing_min, 1..=30);
    let most = problems.within("approach.frames_max", raw.frames_max, 1..=100);
    if raw.frames_max < raw.frames_agreeing_min {
        problems.add("approach.frames_max", "is below frames_agreeing_min, so that nobody would ever be searched");
    }
    Some(DecisionPolicy { frames_agreeing_min: least?, frames_max: most? })
}

fn faces(raw: &RawConfig, problems: &mut Problems) -> Option<FacePolicy> {
    let near = problems.within("approach.near_px_min", raw.approach.near_px_min, 4.0..=500.0);
    let several = problems.within("approach.several_area_ratio", raw.approach.several_area_ratio, 0.05..=1.0);
    Some(FacePolicy { quality: raw.quality, near_px_min: near?, several_area_ratio: several? })
}

fn gate_duty(raw: &RawConfig, problems: &mut Problems) -> Option<GateDuty> {
    let direction = required(raw.direction, "direction", problems);
    let actuator =
        required(raw.actuator.as_ref(), "actuator", problems).and_then(|actuator| actuator.check("actuator", problems));
    let opens_without_gate = raw.actuator.as_ref().zip(direction).map(|(raw, way)| raw.opens_without_gate(way));
    let aisle = raw.aisle.check("aisle", problems);
    let admission = raw.admission.check("admission", problems);
    let screen = required(raw.screen.as_ref(), "screen", problems).and_then(|screen| screen.check("screen", problems));
    let codes = raw.codes.check("codes", problems);
    let reader = raw.reader.as_ref().map(|reader| reader.check("reader", problems));
    if raw.reader.is_some() && !raw.lane.takes.takes_codes() {
        problems.add("reader", "this lane takes faces alone, so nothing is read here; leave it out, or set lane.takes");
    }
    let journal = raw.journal.check("journal", problems);
    Some(GateDuty {
        direction: direction?,
        actuator: actuator?,
        opens_without_gate: opens_without_gate?,
        aisle: aisle?,
        admission: admission?,
        screen: screen?,
        codes: codes?,
        lane: raw.lane.takes,
        reader: reader.map_or(Some(None), |reader| reader.map(Some))?,
        journal: journal.as_ref()?.0,
        journal_kept: journal?.1,
    })
}

fn camera_duty(raw: &RawConfig, problems: &mut Problems) -> Option<Duty> {
    let surplus = [
        ("direction", raw.direction.is_some()),
        ("actuator", raw.actuator.is_some()),
        ("reader", raw.reader.is_some()),
        ("screen", raw.screen.is_some()),
    ];
    for (key, _) in surplus.iter().filter(|(_, present)| *present) {
        problems.add(*key, "an entrance camera has none; leave it out");
    }
    surplus.iter().all(|(_, present)| !present).then_some(Duty::Camera)
}

fn required<T>(value: Option<T>, path: &str, problems: &mut Problems) -> Option<T> {
    if value.is_none() {
        problems.add(path, "missing; a gate needs it");
    }
    value
}
