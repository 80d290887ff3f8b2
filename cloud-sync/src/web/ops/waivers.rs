//! What costs nothing somewhere for some time: what a waiver would change, telling one, the second person's word about one
//! that gives back much, and ending it.

use std::collections::BTreeSet;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use facegate_domain::Timestamp;
use facegate_domain::digest_id::digest_uuid;
use facegate_domain::fares::{Waiver, Waives};
use facegate_domain::ids::StationId;
use facegate_domain::money::Money;
use facegate_domain::waiving::{ProposedWaiver, WaiverReach, WaivingError};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::super::me::{StationLine, stations};
use super::{Fields, Operator, Pages, Problem};
use crate::api::rest::Moment;
use crate::enrolment::{Actor, EnrolmentError};
use crate::store::KeptWaiver;
use crate::waivers::Decision;
use crate::{terms, waivers};

/// A waiver may name every station of a large network.
pub const FORM_BYTES_MAX: usize = 64 << 10;
/// Waivers that are listed; of more only the latest.
const LISTED_MAX: usize = 200;
/// Of those that were asked for lately, the rejected ones are listed beside those that wait.
const LATELY_LISTED: usize = 20;

#[derive(Debug, Serialize)]
pub struct Waivers {
    /// Those that wait for a second person, then those that were rejected lately.
    proposed: Vec<WaiverView>,
    four_eyes_above: Money,
    /// Who is looking, as waivers name him: what he asked for is not his to decide.
    you: String,
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
    /// "to_come", "holds", "over" or, if it was ended before it began, "withdrawn"; "awaiting_approval" or "rejected".
    state: &'static str,
    told_by: Option<String>,
    /// The second person, if one has decided.
    decided_by: Option<String>,
    /// What it may give back, as it was looked up last; of one that waits or was rejected.
    reach: Option<Reach>,
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

/// The second person's word.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Word {
    approves: bool,
    /// The effect that he was shown; of an approval alone.
    shown_minor: Option<i64>,
}

#[derive(Debug, Serialize)]
pub struct Reach {
    rides: u64,
    riders: u64,
    cost: Money,
    expected: Money,
    effect: Money,
    is_part: bool,
}

#[derive(Debug, Serialize)]
pub struct Preview {
    #[serde(flatten)]
    reach: Reach,
    /// A second person would have to decide about it.
    needs_another: bool,
}

pub async fn list(State(pages): State<Pages>, Operator(name): Operator) -> Result<Json<Waivers>, Problem> {
    let (store, config) = (&pages.cloud.store, &pages.cloud.config);
    let mut kept = store.waivers().await?;
    kept.sort_by_key(|kept| std::cmp::Reverse((kept.waiver.from, kept.id)));
    let now = pages.cloud.clock.now();
    let mut proposed = store.awaiting_waivers(LISTED_MAX).await?;
    let lately = store.latest_waivers(LATELY_LISTED).await?;
    proposed.extend(lately.into_iter().filter(|one| !one.approval.waits() && !one.approval.is_done()));
    Ok(Json(Waivers {
        proposed: proposed.into_iter().map(WaiverView::proposed).collect::<Result<_, _>>()?,
        four_eyes_above: Money::from_minor(config.after.remedies.policy.four_eyes_above_minor, config.fares.currency()),
        you: format!("operator/{name}"),
        waivers: kept.into_iter().take(LISTED_MAX).map(|kept| WaiverView::of(kept, now)).collect(),
        stations: stations(&terms::tariff(&pages.cloud).await?),
    }))
}

/// How many settled rides it may change, without telling it.
pub async fn preview(
    State(pages): State<Pages>,
    _who: Operator,
    Fields(told): Fields<Told>,
) -> Result<Json<Preview>, Problem> {
    let reach = waivers::reach(&pages.cloud, &told.waiver()?).await?;
    let needs_another = !waivers::is_for_one(&pages.cloud, &reach).await?;
    Ok(Json(Preview { reach: Reach::of(&reach)?, needs_another }))
}

/// Waives in the operator's name, or asks for it.
pub async fn tell(
    State(pages): State<Pages>,
    Operator(name): Operator,
    Fields(told): Fields<Told>,
) -> Result<(StatusCode, Json<WaiverView>), Problem> {
    let (actor, waiver) = (Actor::new("operator", &name), told.waiver()?);
    let id = digest_uuid("told waiver", [actor.as_str(), told.order.trim()]);
    let proposed = waivers::tell(&pages.cloud, &actor, id, waiver).await?;
    let status = if proposed.approval.waits() { StatusCode::ACCEPTED } else { StatusCode::CREATED };
    Ok((status, Json(shown(&pages, proposed).await?)))
}

/// The second person's word.
pub async fn decide(
    State(pages): State<Pages>,
    Operator(name): Operator,
    Path(id): Path<String>,
    Fields(word): Fields<Word>,
) -> Result<Json<WaiverView>, Problem> {
    let decision = match (word.approves, word.shown_minor) {
        (true, Some(shown_minor)) => Decision::Approve { shown_minor },
        (true, None) => return Err(bad("shown_minor", "say what it was shown to give back, in minor units")),
        (false, _) => Decision::Reject,
    };
    let decided = waivers::decide(&pages.cloud, &Actor::new("operator", &name), waiver_id(&id)?, decision).await?;
    Ok(Json(shown(&pages, decided).await?))
}

/// One that holds as it is kept, since it may have been ended by now.
async fn shown(pages: &Pages, proposed: ProposedWaiver) -> Result<WaiverView, Problem> {
    if !proposed.approval.is_done() {
        return WaiverView::proposed(proposed);
    }
    let kept = pages.cloud.store.waivers().await?.into_iter().find(|kept| kept.id == proposed.id);
    let kept = kept.ok_or_else(|| Problem::internal(&"a waiver that was told is not kept"))?;
    Ok(WaiverView::of(kept, pages.cloud.clock.now()))
}

fn waiver_id(id: &str) -> Result<Uuid, Problem> {
    id.parse().map_err(|_| bad("waiver", &format!("`{id}` is no waiver's id")))
}

pub async fn end(
    State(pages): State<Pages>,
    Operator(name): Operator,
    Path(id): Path<String>,
    Fields(end): Fields<End>,
) -> Result<Json<WaiverView>, Problem> {
    let id = waiver_id(&id)?;
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
        let state = waivers::standing(&kept.waiver, now);
        let Waiver { reason, waives, stations, from, until } = kept.waiver;
        Self {
            id: kept.id.to_string(),
            reason,
            waives,
            stations,
            from: Moment(from),
            until: (until != waivers::FOR_EVER).then_some(Moment(until)),
            state,
            told_by: kept.told_by,
            decided_by: kept.confirmed_by,
            reach: None,
            follows: kept.follows,
            is_spreading: kept.spreads.is_some(),
        }
    }

    fn proposed(proposed: ProposedWaiver) -> Result<Self, Problem> {
        let (approval, Waiver { reason, waives, stations, from, until }) = (proposed.approval, proposed.waiver);
        Ok(Self {
            id: proposed.id.to_string(),
            reason,
            waives,
            stations,
            from: Moment(from),
            until: Some(Moment(until)),
            state: approval.state.name(),
            told_by: Some(approval.asked_by),
            decided_by: approval.decided_by,
            reach: Some(Reach::of(&proposed.reach)?),
            follows: None,
            is_spreading: false,
        })
    }
}

impl Reach {
    fn of(reach: &WaiverReach) -> Result<Self, Problem> {
        let WaiverReach { rides, riders, cost, expected, is_part } = *reach;
        let effect = reach.effect().map_err(|error| EnrolmentError::from(WaivingError::from(error)))?;
        Ok(Self { rides, riders, cost, expected, effect, is_part })
    }
}
