//! What the gate shows and tells about itself: one place that the loop writes to, and that the screen, `/state.json`,
//! the status to the station and the metrics read from. Nothing here names a rider.

mod decision;
mod devices;
pub mod display;
pub mod view;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use facegate_domain::Timestamp;
use facegate_domain::aisle::{Beam, BeamFault};
use facegate_domain::gate::{GateMode, GateState};
use facegate_domain::ids::{GateId, RecordId, StationId};
use facegate_domain::operation::StationMode;
use facegate_domain::policy::Refusal;
use facegate_domain::tap::{Direction, Medium, PassageOutcome, Remarks};
use facegate_proto::convert::gate::direction_to_wire;
use facegate_proto::v1;
use tokio::sync::watch;

use self::decision::Decision;
pub use self::decision::Outcome;
use self::display::Calls;
use self::view::{FrameCounts, View};
use crate::camera::health::CameraState;
use crate::config::{Mode, Role};
use crate::lane::Lane;
use crate::latency::{Latencies, Took};
use crate::memory::Done;

/// Decisions kept for the screen and for tests.
const DECISIONS_MAX: usize = 50;
/// The newest of them, which the station's booth sees.
const DECISIONS_TOLD: usize = 8;

/// What the rider sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Not ready: no epoch yet, or no aisle.
    Starting,
    Idle,
    /// Somebody is coming and being looked at.
    Looking,
    Open,
    Refused(Refusal),
    /// Emergency: everybody walks.
    Standing,
    OutOfService,
}

/// What an attendant is called for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Alarm {
    /// Somebody went through whom nothing authorised.
    Tailgated,
    /// Somebody came in from the other side.
    ReverseEntry,
}

impl Alarm {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tailgated => "tailgated",
            Self::ReverseEntry => "reverse_entry",
        }
    }
}

/// What became of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameFate {
    Received,
    Superseded,
    Bad,
    NotLookedAt,
    NoFace,
    Poor,
    Usable,
}

/// Who this gate is.
#[derive(Debug, Clone)]
pub struct Who {
    pub id: GateId,
    pub role: Role,
    pub mode: Mode,
    /// `None` for an entrance camera.
    pub direction: Option<Direction>,
}

/// See the module's description.
#[derive(Debug)]
pub struct Board {
    who: Who,
    state: Mutex<State>,
    changed: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    station: Option<StationId>,
    station_reachable: bool,
    station_mode: StationMode,
    epoch: u32,
    next_sequence: u64,
    backlog: u64,
    waiting_percent: u32,
    /// Epoch in use and its next sequence, read together.
    word: (u32, u64),
    aisle_online: bool,
    gate_state: GateState,
    gate_mode: GateMode,
    order: Option<Done>,
    not_admitted: Option<String>,
    beams: Vec<(Beam, BeamFault)>,
    alarms: BTreeMap<&'static str, u64>,
    remarks: BTreeMap<&'static str, u64>,
    camera: CameraState,
    /// Whether the code reader is there, if there is one.
    reader: Option<bool>,
    fault: Option<String>,
    frames: FrameCounts,
    face_passages: u64,
    code_passages: u64,
    outcomes: BTreeMap<&'static str, u64>,
    refusals: BTreeMap<&'static str, u64>,
    decisions: VecDeque<Decision>,
    decided: u64,
    latencies: Latencies,
    calls: Calls,
    lane: Lane,
}

impl Board {
    pub fn new(who: Who) -> Self {
        let state = State {
            phase: Phase::Starting,
            station: None,
            station_reachable: false,
            station_mode: StationMode::Normal,
            epoch: 0,
            next_sequence: 0,
            backlog: 0,
            waiting_percent: 0,
            word: (0, 0),
            aisle_online: false,
            gate_state: GateState::Idle,
            gate_mode: GateMode::Normal,
            order: None,
            not_admitted: None,
            beams: Vec::new(),
            alarms: BTreeMap::new(),
            remarks: BTreeMap::new(),
            camera: CameraState::Starting,
            reader: None,
            fault: None,
            frames: FrameCounts::default(),
            face_passages: 0,
            code_passages: 0,
            outcomes: BTreeMap::new(),
            refusals: BTreeMap::new(),
            decisions: VecDeque::new(),
            decided: 0,
            latencies: Latencies::default(),
            calls: Calls::default(),
            lane: Lane::default(),
        };
        Self { who, state: Mutex::new(state), changed: watch::Sender::new(0) }
    }

    /// Changes whenever the screen has something new to show.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    pub fn registered(&self, station: &StationId, epoch: u32) {
        self.change(|state| (state.station, state.epoch) = (Some(station.clone()), epoch));
    }

    pub fn station_reachable(&self, reachable: bool) {
        metrics::gauge!("facegate_gate_station_reachable").set(f64::from(u8::from(reachable)));
        self.change(|state| state.station_reachable = reachable);
    }

    pub fn station_mode(&self, mode: StationMode) {
        self.change(|state| state.station_mode = mode);
    }

    pub fn aisle_online(&self, online: bool) {
        metrics::gauge!("facegate_gate_aisle_online").set(f64::from(u8::from(online)));
        self.change(|state| state.aisle_online = online);
    }

    pub fn who(&self) -> &Who {
        &self.who
    }

    /// Why the operator's rule let somebody not in, for the attendant.
    pub fn not_admitted(&self, reason: String) {
        self.change(|state| state.not_admitted = Some(reason));
    }

    /// What became of the last order of the operations centre.
    pub fn order(&self, done: Done) {
        self.change(|state| state.order = Some(done));
    }

    /// What keeps the gate from working, or that it works again.
    pub fn fault(&self, fault: Option<String>) {
        self.change(|state| state.fault = fault);
    }

    #[expect(clippy::cast_precision_loss, reason = "a gauge")]
    pub fn journal(&self, (epoch, next_sequence): (u32, u64), backlog: u64, waiting_percent: u32) {
        metrics::gauge!("facegate_gate_backlog").set(backlog as f64);
        metrics::gauge!("facegate_gate_journal_waiting_percent").set(f64::from(waiting_percent));
        self.change(|state| {
            state.word = (epoch, next_sequence);
            (state.next_sequence, state.backlog) = (next_sequence, backlog);
            state.waiting_percent = waiting_percent;
        });
    }

    /// Counts a frame; the screen does not hear of every one.
    pub fn frame(&self, fate: FrameFate) {
        let mut state = self.state();
        let (name, count) = state.frames.of(fate);
        *count += 1;
        metrics::counter!("facegate_gate_frames_total", "fate" => name).increment(1);
    }

    pub fn decided(&self, at: Timestamp, outcome: Outcome<'_>, took: Took) {
        let Took { decision_ms, first_usable_ms } = took;
        let kind = outcome.kind();
        metrics::counter!("facegate_gate_decisions_total", "kind" => kind).increment(1);
        if let Outcome::Refused { refusal, .. } = outcome {
            metrics::counter!("facegate_gate_refusals_total", "reason" => refusal.name()).increment(1);
        }
        if let Some(ms) = decision_ms {
            metrics::histogram!("facegate_gate_decision_seconds").record(ms / 1e3);
        }
        self.change(|state| {
            state.decided += 1;
            if let Outcome::ByCard = outcome {
                state.calls.by_card();
            }
            if let Outcome::Refused { refusal, .. } = outcome {
                *state.refusals.entry(refusal.name()).or_default() += 1;
            }
            if let Some(ms) = decision_ms {
                state.latencies.record(ms);
            }
            if state.decisions.len() == DECISIONS_MAX {
                state.decisions.pop_front();
            }
            state.decisions.push_back(Decision::new(state.decided, at, outcome, took));
        });
        tracing::info!(
            kind,
            medium = outcome.medium().map(Medium::name),
            reason = outcome.reason(),
            decision_ms,
            first_usable_ms,
            "decided"
        );
    }

    /// What the sensors concluded, recorded durably by now.
    pub fn passed(&self, record: &RecordId, medium: Medium, outcome: PassageOutcome, remarks: Remarks) {
        let labels = [("medium", medium.name()), ("outcome", outcome.name())];
        metrics::counter!("facegate_gate_passages_total", &labels).increment(1);
        self.change(|state| {
            *state.outcomes.entry(outcome.name()).or_default() += 1;
            state.calls.concluded(outcome);
            for remark in remarks.iter() {
                *state.remarks.entry(remark.name()).or_default() += 1;
            }
            match (outcome, medium) {
                (PassageOutcome::Passed, Medium::Face) => state.face_passages += 1,
                (PassageOutcome::Passed, Medium::Code) => state.code_passages += 1,
                _ => {}
            }
            let record = record.to_string();
            if let Some(decision) = state.decisions.iter_mut().rev().find(|d| d.record.as_ref() == Some(&record)) {
                decision.outcome = Some(outcome.name());
            }
        });
        tracing::info!(%record, medium = medium.name(), outcome = outcome.name(), "passage concluded");
    }

    /// What the station is told every second.
    pub fn status(&self) -> v1::GateStatus {
        let state = self.state();
        let latency = state.latencies.summary();
        let refusals = state.refusals.iter();
        v1::GateStatus {
            direction: self.who.direction.map_or(v1::Direction::Unspecified, direction_to_wire).into(),
            mode: self.who.mode.name().to_owned(),
            face_passages: state.face_passages,
            code_passages: state.code_passages,
            refusals: refusals
                .map(|(reason, n)| v1::RefusalCount { reason: (*reason).to_owned(), count: *n })
                .collect(),
            backlog: state.backlog,
            decision_ms_p50: latency.p50,
            decision_ms_p99: latency.p99,
            fault: state.fault.clone().or_else(|| state.sensors()).or_else(|| state.camera.words()).unwrap_or_default(),
            camera: state.camera.name().to_owned(),
            kind: self.who.role.name().to_owned(),
            software_version: env!("CARGO_PKG_VERSION").to_owned(),
            journal_epoch: state.word.0,
            journal_next_sequence: state.word.1,
            journal_waiting_percent: state.waiting_percent,
            order_id: state.order.as_ref().map(|done| done.id.clone()).unwrap_or_default(),
            order_outcome: state.order.as_ref().map(|done| done.outcome.clone()).unwrap_or_default(),
            gate_mode: state.gate_mode.name().to_owned(),
            decisions: state.decisions.iter().rev().take(DECISIONS_TOLD).rev().map(Decision::told).collect(),
        }
    }

    /// Everything, for the screen and `/state.json`.
    pub fn view(&self) -> View {
        View::of(&self.who, &self.state(), self.changed.receiver_count())
    }

    fn change(&self, apply: impl FnOnce(&mut State)) {
        apply(&mut self.state());
        self.changed.send_modify(|version| *version += 1);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What is wrong with the beams, in words.
    fn sensors(&self) -> Option<String> {
        let words: Vec<String> =
            self.beams.iter().map(|(beam, fault)| format!("{} beam {}", beam.name(), fault.name())).collect();
        (!words.is_empty()).then(|| words.join(", "))
    }
}
