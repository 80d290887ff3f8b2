//! The ops page: everything at a glance, for staff.

use axum::Json;
use axum::extract::State;
use axum::response::Html;

use super::Pages;
use super::assets::OPS_HTML;
use super::problem::Problem;
use super::sign_in::Operator;
use view::{Findings, OpsView};

pub mod audit;
mod view;

pub async fn page(_who: Operator) -> Html<&'static str> {
    Html(OPS_HTML)
}

/// What the page asks for every second.
pub async fn overview(State(pages): State<Pages>, _who: Operator) -> Result<Json<OpsView>, Problem> {
    let overview = pages.cloud.store.overview().await?;
    // Listed only when there are any: the lists are read from disk, the counts are at hand.
    let findings = Findings {
        unknown: if overview.passages_unknown > 0 { pages.cloud.store.unknown_passages().await? } else { Vec::new() },
        conflicts: if overview.conflicts > 0 { pages.cloud.store.conflicts().await? } else { Vec::new() },
    };
    let rate = pages.passages.per_minute(overview.taps, pages.cloud.clock.monotonic_ms());
    Ok(Json(OpsView::new(overview, &findings, rate, pages.cloud.clock.now())))
}
