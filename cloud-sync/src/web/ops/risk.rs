//! What was decided about risk, with the reasons.

use axum::Json;
use axum::extract::State;
use facegate_domain::risk::RiskDecision;
use serde::Serialize;

use super::{Operator, Pages, Problem};
use crate::api::rest::Moment;

const LISTED_MAX: usize = 50;

#[derive(Debug, Serialize)]
pub struct RiskLine {
    tap: String,
    rider: String,
    at: Moment,
    /// "log", "ask_code", "hold" or "deny".
    measure: &'static str,
    /// Each rule that was met, with what it saw.
    why: Vec<String>,
}

/// The latest decisions.
pub async fn log(State(pages): State<Pages>, _who: Operator) -> Result<Json<Vec<RiskLine>>, Problem> {
    let decisions = pages.cloud.store.risk_log(LISTED_MAX).await?;
    Ok(Json(decisions.iter().map(RiskLine::from).collect()))
}

impl From<&RiskDecision> for RiskLine {
    fn from(decision: &RiskDecision) -> Self {
        let why = |finding: &facegate_domain::risk::Finding| format!("{}: {}", finding.rule.name(), finding.saw);
        Self {
            tap: decision.tap.to_string(),
            rider: decision.rider.to_string(),
            at: Moment(decision.at),
            measure: decision.measure.name(),
            why: decision.findings.iter().map(why).collect(),
        }
    }
}
