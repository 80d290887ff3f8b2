//! What costs nothing somewhere for some time: what a waiver would change, telling one, and ending it.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use facegate_domain::Timestamp;
use facegate_domain::digest_id::digest_uuid;
use facegate_domain::fares::{Waiver, Waives};
use facegate_domain::ids::StationId;
use facegate_domain::money::Money;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::super::me::{StationLine, stations};
use super::{Fields, Operator, Pages, Problem};
use crate::api::rest::Moment;
use crate::enrolment::Actor;
use crate::store::KeptWaiver;
use crate::{terms, waivers};

/// A waiver may name every station of a large network.
pub const FORM_BYTES_MAX: usize = 64 << 10;
/// Waivers that are listed; of more only the latest.
const LISTED_MAX: usize = 200;

#[derive(Debug, Serialize)]
pub struct Waivers {
    /// The latest beginning first.
    waivers: Vec<WaiverView>,
    stations: Vec<StationLine>,
}

#[derive(Debug, Serialize)]
pub struct WaiverView {
    id: String,
    reason: String,
    waives: Waives,
    /// None: all.
    stations: Option<BTreeSet<StationId>>,
    from: Moment,
    /// None: as long as the station's mode lasts.
    until: Option<Moment>,
    /// "to_come", "holds", "over" or, if it was ended before it began, "withdrawn".
    state: &'static str,
    told_by: Option<String>,
    /// The station whose mode it follows.
    follows: Option<StationId>,
    /// Settled rides are still being found whose price it changes.
    is_spreading: bool,
}

/// What the form says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Told {
    /// Drawn by the page for each form, so that a form sent twice is one waiver.
    order: String,
    waives: Waives,
    /// Ids with commas between; empty: all.
    stations: String,
    /// RFC 3339, such as `2026-11-22T13:00:00+08:00`.
    from: String,
    until: String,
    reason: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct End {
    /// None: now.
    at: Option<String>,
}

#[derive(Debug, Serialize)]
pub struct Reach {
    rides: usize,
    riders: usize,
    cost: Money,
    is_part: bool,
}

pub async fn list(State(pages): State<Pages>, _who: Operator) -> Result<Json<Waivers>, Problem> {
    let mut kept = pages.cloud.store.waivers().await?;
    kept.sort_by_key(|kept| std::cmp::Reverse((kept.waiver.from, kept.id)));
    let now = pages.cloud.clock.now();
    let waivers = kept.into_iter().take(LISTED_MAX).map(|kept| WaiverView::of(kept, now)).collect();
    Ok(Json(Waivers { waivers, stations: stations(&terms::tariff(&pages.cloud).await?) }))
}

/// How many settled rides it may change, without telling it.
pub async fn preview(
    State(pages): State<Pages>,
    _who: Operator,
    Fields(told): Fields<Told>,
) -> Result<Json<Reach>, Problem> {
    let reach = waivers::reach(&pages.cloud, &told.waiver()?).await?;
    Ok(Json(Reach { rides: reach.rides, riders: reach.riders, cost: reach.cost, is_part: reach.is_part }))
}

/// Waives in the operator's name.
pub async fn tell(
    State(pages): State<Pages>,
    Operator(name): Operator,
    Fields(told): Fields<Told>,
) -> Result<(StatusCode, Json<WaiverView>), Problem> {
    let (actor, waiver) = (Actor::new("operator", &name), told.waiver()?);
    let id = digest_uuid("told waiver", [actor.as_str(), told.order.trim()]);
    waivers::tell(&pages.cloud, &actor, id, waiver).await?;
    let kept = pages.cloud.store.waivers().await?.into_iter().find(|kept| kept.id == id);
    let kept = kept.ok_or_else(|| Problem::internal(&"a waiver that was just told is not kept"))?;
    Ok((StatusCode::CREATED, Json(WaiverView::of(kept, pages.cloud.clock.now()))))
}

pub async fn end(
    State(pages): State<Pages>,
    Operator(name): Operator,
    Path(id): Path<String>,
    Fields(end): Fields<End>,
) -> Result<Json<WaiverView>, Problem> {
    let id: Uuid = id.parse().map_err(|_| bad("waiver", &format!("`{id}` is no waiver's id")))?;
    let at = end.at.as_deref().map(|at| moment("at", at)).transpose()?;
    let kept = waivers::end(&pages.cloud, &Actor::new("operator", &name), id, at).await?;
    Ok(Json(WaiverView::of(kept, pages.cloud.clock.now())))
}

impl Told {
    fn waiver(&self) -> Result<Waiver, Problem> {
        let order = self.order.trim();
        if order.is_empty() || order.len() > 64 || order.chars().any(char::is_control) {
            return Err(bad("order", "give the waiver a name of 1 to 64 bytes to tell it by"));
        }
        let named = self.stations.split(',').map(str::trim).filter(|station| !station.is_empty());
        let stations: BTreeSet<StationId> =
            named.map(StationId::new).collect::<Result<_, _>>().map_err(|error| bad("stations", &error.to_string()))?;
        Ok(Waiver {
            reason: self.reason.trim().to_owned(),
            waives: self.waives,
            stations: (!stations.is_empty()).then_some(stations),
            from: moment("from", &self.from)?,
            until: moment("until", &self.until)?,
        })
    }
}

fn moment(field: &str, text: &str) -> Result<Timestamp, Problem> {
    let read: jiff::Timestamp = text
        .trim()
        .parse()
        .map_err(|_| bad(field, &format!("`{text}` is no moment; write it like 2026-11-22T13:00:00+08:00")))?;
    Ok(Timestamp::from_unix_ms(read.as_millisecond()))
}

fn bad(field: &str, detail: &str) -> Problem {
    let next = "Correct the field and send it again.";
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "bad_field", format!("{field}: {detail}"), next)
}

impl WaiverView {
    fn of(kept: KeptWaiver, now: Timestamp) -> Self {
        let Waiver { reason, waives, stations, from, until } = kept.waiver;
        let state = if until <= from {
            "withdrawn"
        } else if until <= now {
            "over"
        } else if from <= now {
            "holds"
        } else {
            "to_come"
        };
        Self {
            id: kept.id.to_string(),
            reason,
            waives,
            stations,
            from: Moment(from),
            until: (until != waivers::FOR_EVER).then_some(Moment(until)),
            state,
            told_by: kept.told_by,
            follows: kept.follows,
            is_spreading: kept.spreads.is_some(),
        }
    }
}
