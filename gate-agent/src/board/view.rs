//! The board in JSON: what `/state.json` and the screen's events carry.

use std::collections::BTreeMap;

use facegate_domain::tap::Direction;
use serde::Serialize;

use super::decision::Decision;
use super::display::Display;
use super::{FrameFate, Phase, State, Who};
use crate::latency::LatencySummary;

/// See `/state.json` in the crate's help.
#[derive(Debug, Clone, Serialize)]
pub struct View {
    pub id: String,
    pub role: &'static str,
    pub mode: &'static str,
    pub direction: Option<&'static str>,
    pub station: Option<String>,
    /// `starting`, `idle`, `looking`, `open`, `refused`, `standing` (open for everybody) or `out_of_service`.
    pub phase: &'static str,
    /// With `refused`: why, and what to do.
    pub refusal: Option<&'static str>,
    /// What the rider reads: sign, lines, notice, tone.
    pub display: Display,
    /// Displays that follow the gate now.
    pub displays: usize,
    pub station_reachable: bool,
    /// `normal`, `closed`, `emergency_open` or `fare_free`, as the station told last.
    pub station_mode: &'static str,
    pub aisle_online: bool,
    /// Where the state machine stands: `idle`, `approaching`, `deciding`, `open`, `passing` and so on.
    pub gate_state: &'static str,
    /// The mode that records are made in.
    pub gate_mode: &'static str,
    /// The last order of the operations centre, and what became of it.
    pub order_id: Option<String>,
    pub order_outcome: Option<String>,
    /// Why the operator's rule let somebody not in, last.
    pub not_admitted: Option<String>,
    /// What is wrong with the beams; the gate goes on as long as two of them are well.
    pub sensors: Option<String>,
    /// `tailgated` and `reverse_entry`, since the process started.
    pub alarms: BTreeMap<&'static str, u64>,
    /// What passages were remarked with.
    pub remarks: BTreeMap<&'static str, u64>,
    pub camera: CameraView,
    /// Whether the code reader is there; none if the gate has none.
    pub reader_online: Option<bool>,
    pub fault: Option<String>,
    pub epoch: u32,
    pub next_sequence: u64,
    pub backlog: u64,
    pub frames: FrameCounts,
    pub passages: Passages,
    pub refusals: BTreeMap<&'static str, u64>,
    pub decision_ms: LatencySummary,
    /// Decisions since the process started; `decisions` holds the newest of them.
    pub decided: u64,
    pub decisions: Vec<Decision>,
}

/// How the camera is.
#[derive(Debug, Clone, Serialize)]
pub struct CameraView {
    /// `starting`, `fine`, `lost`, `silent`, `frozen`, `black`, `overexposed` or `upside_down`.
    pub state: &'static str,
    /// What is wrong and what happens next; none if nothing is.
    pub words: Option<String>,
}

/// Concluded passages: those that were taps by medium, and all by outcome.
#[derive(Debug, Clone, Serialize)]
pub struct Passages {
    pub face: u64,
    pub code: u64,
    pub outcomes: BTreeMap<&'static str, u64>,
}

/// Frames by fate; `received` and either `superseded` or one of the others each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct FrameCounts {
    pub received: u64,
    pub superseded: u64,
    pub bad: u64,
    pub not_looked_at: u64,
    pub no_face: u64,
    pub poor: u64,
    pub usable: u64,
}

impl FrameCounts {
    pub(super) fn of(&mut self, fate: FrameFate) -> (&'static str, &mut u64) {
        match fate {
            FrameFate::Received => ("received", &mut self.received),
            FrameFate::Superseded => ("superseded", &mut self.superseded),
            FrameFate::Bad => ("bad", &mut self.bad),
            FrameFate::NotLookedAt => ("not_looked_at", &mut self.not_looked_at),
            FrameFate::NoFace => ("no_face", &mut self.no_face),
            FrameFate::Poor => ("poor", &mut self.poor),
            FrameFate::Usable => ("usable", &mut self.usable),
        }
    }
}

impl View {
    pub(super) fn of(who: &Who, state: &State, displays: usize) -> Self {
        let (phase, refusal) = match state.phase {
            Phase::Starting => ("starting", None),
            Phase::Idle => ("idle", None),
            Phase::Looking => ("looking", None),
            Phase::Open => ("open", None),
            Phase::Refused(refusal) => ("refused", Some(refusal)),
            Phase::Standing => ("standing", None),
            Phase::OutOfService => ("out_of_service", None),
        };
        Self {
            id: who.id.to_string(),
            role: who.role.name(),
            mode: who.mode.name(),
            direction: who.direction.map(Direction::name),
            station: state.station.as_ref().map(ToString::to_string),
            phase,
            refusal: refusal.map(facegate_domain::policy::Refusal::name),
            display: Display::of(who, state),
            displays,
            station_reachable: state.station_reachable,
            station_mode: state.station_mode.name(),
            aisle_online: state.aisle_online,
            gate_state: state.gate_state.name(),
            gate_mode: state.gate_mode.name(),
            order_id: state.order.as_ref().map(|done| done.id.clone()),
            order_outcome: state.order.as_ref().map(|done| done.outcome.clone()),
            not_admitted: state.not_admitted.clone(),
            sensors: state.sensors(),
            alarms: state.alarms.clone(),
            remarks: state.remarks.clone(),
            reader_online: state.reader,
            camera: CameraView { state: state.camera.name(), words: state.camera.words() },
            fault: state.fault.clone(),
            epoch: state.epoch,
            next_sequence: state.next_sequence,
            backlog: state.backlog,
            frames: state.frames,
            passages: Passages {
                face: state.face_passages,
                code: state.code_passages,
                outcomes: state.outcomes.clone(),
            },
            refusals: state.refusals.clone(),
            decision_ms: state.latencies.summary(),
            decided: state.decided,
            decisions: state.decisions.iter().cloned().collect(),
        }
    }
}
