//! What somebody did at a gate, and what came of it there as far as is known: a pure view.

use facegate_domain::Timestamp;
use facegate_domain::gate::GateMode;
use facegate_domain::operation::{Does, StationMode};
use serde::Serialize;

use crate::api::rest::Moment;
use crate::store::{GateReport, ToldAct};

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ActLine {
    id: String,
    gate: String,
    /// "open_once", "restart", "mode".
    what: &'static str,
    /// Of a mode: its name, or "none" if it ended the one before.
    mode: Option<&'static str>,
    reason: String,
    by: String,
    at: Moment,
    state: CameOf,
    /// The same in words.
    said: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum CameOf {
    /// The gate says so.
    Done,
    /// The gate says why not.
    Refused,
    /// The gate is connected and has not said yet.
    Waits,
    /// The gate is not connected.
    Offline,
    /// Its time is over, and it is not carried out any more.
    Over,
}

/// How the gate is, as its station said last.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'s> {
    pub report: &'s GateReport,
    pub station_mode: StationMode,
    pub is_connected: bool,
}

impl ActLine {
    pub fn new(told: &ToldAct, seen: Seen<'_>, now: Timestamp) -> Self {
        let act = &told.act;
        let ((state, said), mode) = match act.does {
            Does::Order { until, .. } => (came_of_order(&act.id, until, seen, now), None),
            Does::Mode { mode } => (came_of_mode(mode, seen), Some(mode.map_or("none", GateMode::name))),
        };
        Self {
            id: act.id.clone(),
            gate: act.gate.to_string(),
            what: act.does.name(),
            mode,
            reason: act.reason.clone(),
            by: act.by.clone(),
            at: Moment(act.at),
            state,
            said,
        }
    }
}

fn came_of_order(id: &str, until: Timestamp, seen: Seen<'_>, now: Timestamp) -> (CameOf, String) {
    let outcome = seen.report.order_outcome.as_str();
    match outcome {
        "opened" | "restarted" if seen.report.order_id == id => (CameOf::Done, outcome.to_owned()),
        "expired" if seen.report.order_id == id => (CameOf::Over, "came to the gate too late, not carried out".into()),
        refused if seen.report.order_id == id && refused.starts_with("refused") => {
            (CameOf::Refused, refused.to_owned())
        }
        _ if now >= until => (CameOf::Over, "the gate did not answer in time; it will not do it later".into()),
        "begun" if seen.report.order_id == id => (CameOf::Waits, "the gate is doing it".into()),
        _ if !seen.is_connected => {
            let left = until.since(now).as_secs().max(1);
            (CameOf::Offline, format!("the gate is not connected: done if it is back within {left} s, otherwise never"))
        }
        _ => (CameOf::Waits, "on its way to the gate".into()),
    }
}

fn came_of_mode(mode: Option<GateMode>, seen: Seen<'_>) -> (CameOf, String) {
    let wanted = mode.unwrap_or_default().under(seen.station_mode);
    if !seen.is_connected {
        return (CameOf::Offline, "the gate is not connected: it follows as soon as it hears of it".into());
    }
    if seen.report.gate_mode != wanted.name() {
        return (CameOf::Waits, "on its way to the gate".into());
    }
    let said = if wanted == mode.unwrap_or_default() {
        "in force".to_owned()
    } else {
        format!("told; the station's mode goes before it, and the gate is {}", wanted.in_words())
    };
    (CameOf::Done, said)
}
