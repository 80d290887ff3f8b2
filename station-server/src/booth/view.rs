//! What the booth's page shows, in JSON: the gates with why they refused last, what was done here lately, and how the station
//! is. No rider's whole number is in it.

use std::collections::BTreeMap;

use facegate_domain::booth::BoothReason;
use facegate_domain::ids::ActId;
use facegate_domain::policy::{Line, Refusal};
use facegate_proto::v1;
use serde::Serialize;

use super::Booth;
use super::rider::masked;
use crate::store::{ActKind, JournalKey, KeptAct, StoreError};

/// Acts that are listed.
const ACTS_SHOWN: usize = 30;

#[derive(Debug, Serialize)]
pub struct View {
    attendant: String,
    station: String,
    now_unix_ms: i64,
    station_mode: &'static str,
    /// Since the cloud was heard of.
    alone_s: u64,
    /// Records that the cloud has not got yet.
    waiting: u64,
    gates: Vec<GateView>,
    acts: Vec<ActView>,
    /// Why gates refuse, by name.
    refusals: BTreeMap<&'static str, RefusalWords>,
    /// What an attendant may give as his reason.
    reasons: Vec<Choice>,
}

#[derive(Debug, Serialize)]
struct RefusalWords {
    why: Line,
    /// What its display tells the rider to do.
    next: Line,
}

#[derive(Debug, Serialize)]
struct Choice {
    name: &'static str,
    words: Line,
}

#[derive(Debug, Serialize)]
struct GateView {
    id: String,
    direction: &'static str,
    connected: bool,
    mode: String,
    fault: String,
    order: String,
    decisions: Vec<DecisionView>,
}

#[derive(Debug, Serialize)]
struct DecisionView {
    at_unix_ms: i64,
    kind: String,
    medium: String,
    reason: String,
    outcome: String,
}

/// An act as it is listed.
#[derive(Debug, Serialize)]
pub struct ActView {
    id: ActId,
    record: String,
    done_at_unix_ms: i64,
    attendant: String,
    reason: BoothReason,
    act: &'static str,
    /// The masked rider, or the gate.
    about: String,
    /// Where and when he came in, or what he pays.
    detail: Option<String>,
    at_unix_ms: Option<i64>,
    interrupted: bool,
    /// The cloud has it.
    handed_on: bool,
}

impl From<KeptAct> for ActView {
    fn from(kept: KeptAct) -> Self {
        let (act, about, detail, at) = match kept.what {
            ActKind::Entry { rider, station, at } => {
                ("entry", masked(rider), Some(station.to_string()), Some(at.unix_ms()))
            }
            ActKind::Exit { rider, mode } => ("exit", masked(rider), Some(mode.name().to_owned()), None),
            ActKind::Open { gate } => ("open", gate.to_string(), None, None),
        };
        Self {
            id: kept.id,
            record: kept.record.to_string(),
            done_at_unix_ms: kept.done_at.unix_ms(),
            attendant: kept.attendant,
            reason: kept.reason,
            act,
            about,
            detail,
            at_unix_ms: at,
            interrupted: kept.interrupted,
            handed_on: false,
        }
    }
}

impl View {
    pub fn of(booth: &Booth, attendant: String) -> Result<Self, StoreError> {
        let station = &booth.station;
        let now = station.clock.now();
        let (journals, mut acts) = (&station.store.journals, Vec::new());
        for kept in station.store.booth.latest(ACTS_SHOWN)? {
            let journal = JournalKey { gate: kept.record.gate.clone(), epoch: kept.record.epoch };
            let handed_on = journals.acknowledged(&journal)? > kept.record.sequence;
            acts.push(ActView { handed_on, ..kept.into() });
        }
        let words =
            |refusal: Refusal| (refusal.name(), RefusalWords { why: refusal.reason(), next: refusal.words().next });
        let choice = |reason: BoothReason| Choice { name: reason.name(), words: reason.words() };
        let gates = station.attendance.report().into_iter();
        let of_gates = gates.filter(|report| station.config.gates.iter().any(|gate| gate.as_str() == report.gate));
        Ok(Self {
            attendant,
            station: station.config.station.to_string(),
            now_unix_ms: now.unix_ms(),
            station_mode: station.facts().mode().name(),
            alone_s: station.contact.ages(now).0.as_secs(),
            waiting: station.backlog(),
            gates: of_gates.map(GateView::from).collect(),
            acts,
            refusals: Refusal::ALL.into_iter().map(words).collect(),
            reasons: BoothReason::ALL.into_iter().map(choice).collect(),
        })
    }
}

impl From<v1::GateReport> for GateView {
    fn from(report: v1::GateReport) -> Self {
        let status = report.status.unwrap_or_default();
        let direction = match status.direction() {
            v1::Direction::Entry => "entry",
            v1::Direction::Exit => "exit",
            v1::Direction::Unspecified => "",
        };
        let decision = |decision: v1::GateDecision| DecisionView {
            at_unix_ms: decision.at_unix_ms,
            kind: decision.kind,
            medium: decision.medium,
            reason: decision.reason,
            outcome: decision.outcome,
        };
        Self {
            id: report.gate,
            direction,
            connected: report.connected,
            mode: status.gate_mode,
            fault: status.fault,
            order: status.order_outcome,
            decisions: status.decisions.into_iter().map(decision).collect(),
        }
    }
}
