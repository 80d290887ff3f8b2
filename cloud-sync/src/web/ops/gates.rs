//! What a person does at one gate from the page: opens it once, restarts it, sets its mode. Each form has a name, drawn by
//! the page, so that one that is sent twice is one act.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use facegate_domain::gate::GateMode;
use facegate_domain::ids::GateId;
use facegate_domain::operation::{Does, GateAct, OrderKind};
use serde::Deserialize;

use super::view::ActLine;
use super::{Fields, Operator, Pages, Problem};
use crate::operation::{self, InstructError};
use crate::store::{StationView, StoreError};

/// An order that comes later than this surprises whoever stands at the gate by then.
const ORDER_WAITS: Duration = Duration::from_secs(60);

/// What the form says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    order: String,
    what: What,
    /// Of [`What::Mode`] alone: a mode's name, or "none" for none of its own.
    mode: Option<String>,
    reason: String,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum What {
    OpenOnce,
    Restart,
    Mode,
}

/// Tells the gate in the operator's name. 202: what the gate makes of it, the overview says from then on.
pub async fn act(
    State(pages): State<Pages>,
    Operator(name): Operator,
    Path(gate): Path<String>,
    Fields(asked): Fields<Asked>,
) -> Result<(StatusCode, Json<ActLine>), Problem> {
    let stations = pages.cloud.store.stations().await?;
    let (station, gate) = find(&stations, &gate)?;
    let now = pages.cloud.clock.now();
    let reason = asked.reason.trim().to_owned();
    if reason.is_empty() {
        return Err(bad("reason: say why; it is kept with your name".into()));
    }
    let order = |order| Does::Order { order, until: now.plus(ORDER_WAITS) };
    let does = match (asked.what, asked.mode.as_deref()) {
        (What::OpenOnce, None) => order(OrderKind::OpenOnce),
        (What::Restart, None) => order(OrderKind::Restart),
        (What::Mode, Some("none")) => Does::Mode { mode: None },
        (What::Mode, Some(mode)) => {
            let unknown = || bad(format!("mode: there is no mode `{}`", mode.escape_debug()));
            Does::Mode { mode: Some(GateMode::from_name(mode).ok_or_else(unknown)?) }
        }
        (What::Mode, None) => return Err(bad("mode: say which".into())),
        (_, Some(_)) => return Err(bad("mode: only `mode` takes one".into())),
    };
    let act = GateAct { id: asked.order, gate, does, reason, by: format!("operator/{name}"), at: now };
    let told = operation::act_at_gate(&pages.cloud, act).await.map_err(refused)?;
    let line = ActLine::of(&told, station, now).ok_or_else(|| Problem::internal(&"a gate that was found is gone"))?;
    Ok((StatusCode::ACCEPTED, Json(line)))
}

fn find<'s>(stations: &'s [StationView], gate: &str) -> Result<(&'s StationView, GateId), Problem> {
    let reports = stations.iter().flat_map(|view| view.report.iter().map(move |report| (view, report)));
    let mut gates = reports.flat_map(|(view, report)| report.gates.iter().map(move |gate| (view, gate)));
    match gates.find(|(_, report)| report.gate.as_str() == gate) {
        Some((_, report)) if report.kind == "camera" => {
            Err(bad(format!("gate: {gate} is an entrance camera, which has no door")))
        }
        Some((view, report)) => Ok((view, report.gate.clone())),
        None => {
            let detail = format!("no station has told of a gate `{}`", gate.escape_debug());
            Err(Problem::new(StatusCode::NOT_FOUND, "unknown_gate", detail, "Use a gate's name as the page shows it."))
        }
    }
}

fn bad(detail: String) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_field", detail, "Correct the field and send it again.")
}

fn refused(error: InstructError) -> Problem {
    match error {
        InstructError::Store(StoreError::Instruction(other)) => {
            let next = "Open the gate's form anew and send it again.";
            Problem::new(StatusCode::CONFLICT, "order_used", other.to_string(), next)
        }
        InstructError::Store(error) => error.into(),
        other => bad(other.to_string()),
    }
}
