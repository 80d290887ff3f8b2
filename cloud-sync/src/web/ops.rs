//! The ops page: everything at a glance, for staff.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Html;
use facegate_domain::ids::StationId;
use serde::Deserialize;

use super::Pages;
use super::assets::OPS_HTML;
use super::fields::Fields;
use super::problem::Problem;
use super::sign_in::Operator;
use crate::enrolment::Actor;
use crate::store::{Leasehold, Standing, StoreError};
use view::{Findings, OpsView};

pub mod audit;
pub mod gates;
pub mod refunds;
pub mod reserve;
pub mod rides;
pub mod risk;
mod view;
pub mod waivers;

pub async fn page(_who: Operator) -> Html<&'static str> {
    Html(OPS_HTML)
}

/// The operator's decision about a station.
#[derive(Debug, Deserialize)]
pub struct Decision {
    standing: Standing,
}

/// Ends a station's lease, for now or for good, or reinstates it.
pub async fn set_standing(
    State(pages): State<Pages>,
    Operator(name): Operator,
    Path(station): Path<String>,
    Fields(decision): Fields<Decision>,
) -> Result<Json<Leasehold>, Problem> {
    let unknown = |detail: String| {
        let next = "Use a station's name as the page shows it.";
        Problem::new(StatusCode::NOT_FOUND, "unknown_station", detail, next)
    };
    let station = StationId::new(station).map_err(|error| unknown(error.to_string()))?;
    let set = pages.cloud.leases.set_standing(&Actor::new("operator", &name), station, decision.standing).await;
    match set {
        Err(error @ StoreError::UnknownStation(_)) => Err(unknown(error.to_string())),
        set => Ok(Json(set?)),
    }
}

/// What the page asks for every second.
pub async fn overview(State(pages): State<Pages>, _who: Operator) -> Result<Json<OpsView>, Problem> {
    let overview = pages.cloud.store.overview().await?;
    // Listed only when there are any: the lists are read from disk, the counts are at hand.
    let findings = Findings {
        unknown: if overview.passages_unknown > 0 { pages.cloud.store.unknown_passages().await? } else { Vec::new() },
        conflicts: if overview.conflicts > 0 { pages.cloud.store.conflicts().await? } else { Vec::new() },
        acts: pages.cloud.store.latest_acts().await?,
    };
    let rate = pages.passages.per_minute(overview.taps, pages.cloud.clock.monotonic_ms());
    Ok(Json(OpsView::new(overview, &findings, rate, pages.cloud.clock.now())))
}
