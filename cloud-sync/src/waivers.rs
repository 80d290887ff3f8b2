//! What costs nothing somewhere for some time: as the operator tells afterwards, and as long as a station is fare-free or
//! open in an emergency. Rides that were settled before are priced anew.

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

use facegate_domain::Timestamp;
use facegate_domain::digest_id::digest_uuid;
use facegate_domain::fares::{Line, Rule, Tariff, Waiver, Waives};
use facegate_domain::ids::{RiderId, StationId};
use facegate_domain::money::Money;
use facegate_domain::operation::{Instructions, StationMode};
use facegate_domain::waiving::{ProposedWaiver, WaiverReach, WaiverRequest, WaivingError};
use uuid::Uuid;

use crate::audit_report;
use crate::cloud::Cloud;
use crate::enrolment::{Actor, EnrolmentError};
use crate::store::{KeptWaiver, PricedRide, Store, StoreError, WAIVERS_LATELY_MAX};

/// Rides looked at a time.
const RIDES_PAGE: usize = 512;
/// Rides looked at to say what a waiver may change; a week of a whole city is too much for somebody who waits.
const LOOKED_AT_MAX: usize = 100_000;

/// What rides to come may cost is looked up in whole weeks before.
const WEEK: Duration = Duration::from_secs(7 * 86_400);

/// As long as the mode lasts.
pub const FOR_EVER: Timestamp = Timestamp::from_unix_ms(i64::MAX);

/// Waives what the operator names, whenever it was; what may give back more than one person decides about waits for another.
/// `id` is drawn by whoever tells, so that telling twice is telling once.
pub async fn tell(cloud: &Cloud, actor: &Actor, id: Uuid, waiver: Waiver) -> Result<ProposedWaiver, EnrolmentError> {
    let reach = reach(cloud, &waiver).await?;
    let request = WaiverRequest { id, waiver, reach, by: actor.as_str().to_owned() };
    let (policy, now) = (&cloud.config.after.remedies.policy, cloud.clock.now());
    match cloud.store.propose_waiver(request, policy, now).await {
        Err(StoreError::Waiving(WaivingError::OtherWords(_))) => {
            refuse("order", "another waiver was told under it: draw a new one")
        }
        told => Ok(told?),
    }
}

/// The second person's word about a waiver that waits. Whoever approves names the effect that he was shown: if it has grown
/// considerably since, nothing happens, and the waiver is listed with what it would give back now.
///
/// Errors: `Waiving`.
pub async fn decide(
    cloud: &Cloud,
    actor: &Actor,
    id: Uuid,
    decision: Decision,
) -> Result<ProposedWaiver, EnrolmentError> {
    let approves = match decision {
        Decision::Reject => false,
        Decision::Approve { shown_minor } => {
            let proposed = cloud.store.proposed_waiver(id).await?.ok_or(WaivingError::Unknown(id))?;
            // Whether he may decide at all comes first.
            proposed.decide(true, actor.as_str())?;
            let reach = reach(cloud, &proposed.waiver).await?;
            cloud.store.show_waiver(id, reach).await?;
            let shown = Money::from_minor(shown_minor, reach.cost.currency());
            if reach.outgrows(shown).map_err(WaivingError::from)? {
                let now = reach.effect().map_err(WaivingError::from)?;
                return Err(WaivingError::Grown { shown, now }.into());
            }
            true
        }
    };
    Ok(cloud.store.decide_waiver(id, approves, actor.as_str(), cloud.clock.now()).await?)
}

/// What the second person says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Having been shown that so much may be given back.
    Approve {
        shown_minor: i64,
    },
    Reject,
}

fn refuse<T>(field: &'static str, problem: impl Into<String>) -> Result<T, EnrolmentError> {
    Err(EnrolmentError::BadField { field, problem: problem.into() })
}

async fn check(cloud: &Cloud, waiver: &Waiver) -> Result<(), EnrolmentError> {
    if waiver.reason.trim().is_empty() || waiver.reason.len() > 200 {
        return refuse("reason", "give 1 to 200 bytes; riders read it");
    }
    if waiver.until <= waiver.from {
        return refuse("until", "it is not after its beginning");
    }
    let tariff = crate::terms::tariff(cloud).await?;
    let known = |station: &StationId| tariff.tables().iter().any(|table| table.stations().any(|of| of == station));
    if waiver.stations.as_ref().is_some_and(|named| named.is_empty() || !named.iter().all(known)) {
        return refuse("stations", "name stations of a fare table, or none for all");
    }
    Ok(())
}

/// What this waiver may give back, without telling it.
///
/// Errors: `BadField`, as telling it would.
pub async fn reach(cloud: &Cloud, waiver: &Waiver) -> Result<WaiverReach, EnrolmentError> {
    check(cloud, waiver).await?;
    let settled = sum(cloud, waiver).await?;
    let expected = match weeks_before(waiver, cloud.clock.now()) {
        Some(before) => sum(cloud, &before).await?,
        None => Sum::none(cloud),
    };
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    Ok(WaiverReach {
        rides: count(settled.rides),
        riders: count(settled.riders.len()),
        cost: settled.cost,
        expected: expected.cost,
        is_part: settled.is_part || expected.is_part,
    })
}

/// Whether one person may tell a waiver that reaches so far now.
pub async fn is_for_one(cloud: &Cloud, reach: &WaiverReach) -> Result<bool, EnrolmentError> {
    let lately = cloud.store.latest_waivers(WAIVERS_LATELY_MAX).await?;
    Ok(ProposedWaiver::is_for_one(reach, &lately, &cloud.config.after.remedies.policy, cloud.clock.now())?)
}

/// The part of its time that is still to come, so many whole weeks ago that it was over by now. None if it is over.
fn weeks_before(waiver: &Waiver, now: Timestamp) -> Option<Waiver> {
    let weeks = waiver.until.since(now).as_millis().div_ceil(WEEK.as_millis());
    let ago = Duration::from_millis(u64::try_from(weeks.saturating_mul(WEEK.as_millis())).unwrap_or(u64::MAX));
    let (from, until) = (waiver.from.max(now).minus(ago), waiver.until.minus(ago));
    (weeks > 0).then(|| Waiver { from, until, ..waiver.clone() })
}

/// Settled rides that cost something and that a waiver covers.
struct Sum {
    rides: usize,
    riders: BTreeSet<RiderId>,
    cost: Money,
    /// There were more rides in its time than are looked at.
    is_part: bool,
}

impl Sum {
    fn none(cloud: &Cloud) -> Self {
        let cost = Money::zero(cloud.config.fares.currency());
        Self { rides: 0, riders: BTreeSet::new(), cost, is_part: false }
    }
}

async fn sum(cloud: &Cloud, waiver: &Waiver) -> Result<Sum, EnrolmentError> {
    let (mut sum, mut after, mut looked_at) = (Sum::none(cloud), None, 0);
    let until = waiver.until.plus(cloud.config.settling.pairing.journey_max);
    while looked_at < LOOKED_AT_MAX {
        let page = cloud.store.rides_ended(waiver.from, until, after, RIDES_PAGE).await?;
        let Some(last) = page.last() else { return Ok(sum) };
        after = Some((last.ride.last().at, last.id()));
        looked_at += page.len();
        for (priced, total) in page.iter().filter_map(|priced| Some((priced, may_change(waiver, priced)?))) {
            sum.rides += 1;
            sum.riders.insert(priced.ride.rider());
            sum.cost = sum.cost.checked_add(total).map_err(|error| EnrolmentError::Internal(error.to_string()))?;
        }
    }
    Ok(Sum { is_part: true, ..sum })
}

/// What the ride costs now, if that may change.
fn may_change(waiver: &Waiver, priced: &PricedRide) -> Option<Money> {
    let (ride, fare) = (&priced.ride, priced.fare().filter(|_| priced.superseded.is_none())?);
    let is_covered = [ride.first(), ride.last()].into_iter().any(|tap| waiver.covers(&tap.station, tap.at));
    let is_meant = match waiver.waives {
        Waives::Fare => true,
        Waives::MissingExit => ride.exit().is_none(),
        Waives::Disruption => {
            let odd = |line: &Line| matches!(line.rule, Rule::SameStation | Rule::Overstay { .. });
            ride.whole().is_none() || fare.lines().iter().any(odd)
        }
    };
    (is_covered && is_meant && fare.total().is_positive()).then(|| fare.total())
}

/// A waiver that was told waives nothing from `at` on, or from now on; what it waived after that is charged again. One
/// that has not begun by then never holds.
///
/// Errors: `BadField` if there is none, if it follows a station's mode, or if it is over by then.
pub async fn end(cloud: &Cloud, actor: &Actor, id: Uuid, at: Option<Timestamp>) -> Result<KeptWaiver, EnrolmentError> {
    loop {
        let Some(kept) = cloud.store.waivers().await?.into_iter().find(|kept| kept.id == id) else {
            return refuse("waiver", "there is none of this id: list those that there are");
        };
        if let Some(station) = &kept.follows {
            return refuse("waiver", format!("it follows the mode of {station}: tell the station another mode"));
        }
        let at = at.unwrap_or_else(|| cloud.clock.now()).max(kept.waiver.from);
        if at >= kept.waiver.until {
            return refuse(
                "at",
                "the waiver is over by then: name an earlier moment to take back what it waived since",
            );
        }
        let spreads = kept
            .spreads
            .as_ref()
            .map_or_else(|| at..kept.waiver.until, |before| before.start.min(at)..before.end.max(kept.waiver.until));
        let ended = Waiver { until: at, ..kept.waiver.clone() };
        let subject = format!("{id} at {}", audit_report::moment(at));
        cloud.store.audit(actor.as_str(), "fares.end-waiver", &subject, cloud.clock.now()).await?;
        let ended = KeptWaiver { waiver: ended, spreads: Some(spreads), ..kept.clone() };
        // Else somebody was faster, and what he left is looked at.
        if cloud.store.change_waiver(&kept, ended.clone()).await? {
            return Ok(ended);
        }
    }
}

/// "to_come", "holds", "over" or, if it was ended before it began, "withdrawn".
pub fn standing(waiver: &Waiver, now: Timestamp) -> &'static str {
    if waiver.until <= waiver.from {
        "withdrawn"
    } else if waiver.until <= now {
        "over"
    } else if waiver.from <= now {
        "holds"
    } else {
        "to_come"
    }
}

fn waived_by(mode: StationMode) -> Option<Waives> {
    match mode {
        StationMode::FareFree => Some(Waives::Fare),
        StationMode::EmergencyOpen => Some(Waives::Disruption),
        StationMode::Normal | StationMode::Closed => None,
    }
}

/// Begins and ends the waivers of stations whose mode has changed since the last look. Another replica may look at the
/// same time: both name the next waiver of a station alike.
pub async fn follow_modes(
    store: &dyn Store,
    tariff: &Tariff,
    told: &Instructions,
    waivers: &[KeptWaiver],
    now: Timestamp,
) -> Result<(), StoreError> {
    let stations: BTreeSet<&StationId> = tariff.tables().iter().flat_map(|table| table.stations()).collect();
    for station in stations {
        let mode = told.mode_of(station);
        let waives = waived_by(mode);
        let following = waivers.iter().filter(|kept| kept.follows.as_ref() == Some(station));
        let open = following.clone().find(|kept| kept.waiver.until == FOR_EVER);
        if open.map(|kept| kept.waiver.waives) == waives {
            continue;
        }
        if let Some(open) = open {
            let waiver = Waiver { until: now, ..open.waiver.clone() };
            let ended = KeptWaiver { waiver, spreads: Some(now..FOR_EVER), ..open.clone() };
            store.change_waiver(open, ended).await?;
        }
        if let Some(waives) = waives {
            let number = following.count();
            let id = digest_uuid("waiver", [station.to_string(), number.to_string()]);
            let reason = match mode {
                StationMode::EmergencyOpen => format!("{station} was open in an emergency"),
                _ => format!("{station} was free of charge"),
            };
            let stations = Some([station.clone()].into());
            let waiver = Waiver { reason, waives, stations, from: now, until: FOR_EVER };
            let (told_by, confirmed_by, follows) = (None, None, Some(station.clone()));
            store.add_waiver(KeptWaiver { id, waiver, told_by, confirmed_by, follows, spreads: None }).await?;
        }
    }
    Ok(())
}

/// Finds the riders whose settled rides these waivers may change, and has them priced anew. They must be known to whoever
/// prices: it is what he last read of the store.
pub async fn spread(store: &dyn Store, waivers: &[KeptWaiver], longest: std::time::Duration) -> Result<(), StoreError> {
    for kept in waivers {
        let Some(Range { start: from, end }) = kept.spreads else { continue };
        // A ride that begins within the time may end after it.
        let until = end.plus(longest);
        let (mut after, mut found) = (None, 0);
        loop {
            let rides = store.rides_ended(from, until, after, RIDES_PAGE).await?;
            let Some(last) = rides.last() else { break };
            after = Some((last.ride.last().at, last.id()));
            let at_one =
                |station: &StationId| kept.waiver.stations.as_ref().is_none_or(|stations| stations.contains(station));
            let touched = rides.iter().filter(|priced| priced.superseded.is_none());
            let touched = touched.filter(|priced| priced.ride.taps().any(|tap| at_one(&tap.station)));
            let riders: Vec<_> = touched.map(|priced| priced.ride.rider()).collect();
            let began = rides.iter().map(|priced| priced.ride.first().at).min().unwrap_or(from);
            if !riders.is_empty() {
                found += riders.len();
                store.reprice(&riders, began).await?;
            }
        }
        tracing::info!(waiver = %kept.id, rides = found, "settled rides that it may change are priced anew");
        // One that was ended meanwhile spreads anew.
        store.change_waiver(kept, KeptWaiver { spreads: None, ..kept.clone() }).await?;
    }
    Ok(())
}
