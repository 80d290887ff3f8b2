//! Making journeys of taps. A journey is settled some time after its exit, so that what arrives late but not too late is
//! simply paired with the rest; an entry or exit whose other end is missing waits much longer. So does what looks like a
//! ride of many hours while a station or gate is behind: the exit and the entry between the two may not be here yet.

mod caught_up;
mod pricing;

use std::sync::Arc;
use std::time::Duration;

use facegate_domain::Clock;
use facegate_domain::fares::Tariff;
use facegate_domain::ids::RiderId;
use facegate_domain::journey::{Journey, Pairing, PairingPolicy, pair};
use facegate_domain::tap::Tap;
use facegate_domain::{Timestamp, journey::Incomplete};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use caught_up::CaughtUp;

use crate::store::{Pricing, RiderTaps, Settlement, Store, StoreError};
use crate::tariffs::Tariffs;

/// Riders looked up at a time.
const RIDERS_PAGE: usize = 256;

/// Pause between two rounds while there are open taps.
const ROUND_MS_MIN: u64 = 50;
const ROUND_MS_MAX: u64 = 1000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SettlingPolicy {
    pub pairing: PairingPolicy,
    /// From the exit (by its gate's clock) to the settled journey.
    pub settle_after: Duration,
    /// How long a tap waits for its other end.
    pub give_up_after: Duration,
    /// A longer ride may be two whose middle has not arrived: it waits until nobody is behind.
    pub ride_expected_max: Duration,
    /// But not longer than this after its exit.
    pub wait_for_stations: Duration,
}

/// Settles until `stop`. `taps_came` wakes it early.
pub async fn run(
    store: Arc<dyn Store>,
    mut tariffs: Tariffs,
    clock: Arc<dyn Clock>,
    policy: SettlingPolicy,
    taps_came: Arc<Notify>,
    stop: CancellationToken,
) {
    let round = Duration::from_millis(
        u64::try_from(policy.settle_after.as_millis() / 4).unwrap_or(ROUND_MS_MAX).clamp(ROUND_MS_MIN, ROUND_MS_MAX),
    );
    let mut caught_up = CaughtUp::default();
    loop {
        let settled = async {
            let tariff = tariffs.now(&*store).await?;
            settle_round(&*store, &tariff, clock.now(), &policy, &mut caught_up, &stop).await
        };
        match settled.await {
            Ok(waiting) => metrics::gauge!("facegate_riders_to_settle").set(waiting as f64),
            Err(error) => tracing::error!(%error, "journeys could not be settled; the next round tries again"),
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = taps_came.notified() => {}
            () = tokio::time::sleep(round) => {}
        }
        // However fast taps come, rounds do not follow each other without a pause.
        tokio::time::sleep(round / 2).await;
    }
}

/// One round over all riders who may have something to settle, by what the stations say at this moment; gives how many
/// there were.
pub async fn settle_all(
    store: &dyn Store,
    tariff: &Tariff,
    now: Timestamp,
    policy: &SettlingPolicy,
) -> Result<usize, StoreError> {
    settle_round(store, tariff, now, policy, &mut CaughtUp::default(), &CancellationToken::new()).await
}

/// Between two riders it heeds `stop`: after a long outage a round has the rides of everybody, and takes minutes.
async fn settle_round(
    store: &dyn Store,
    tariff: &Tariff,
    now: Timestamp,
    policy: &SettlingPolicy,
    caught_up: &mut CaughtUp,
    stop: &CancellationToken,
) -> Result<usize, StoreError> {
    // Asked before any tap is read: what has arrived by then is among them.
    let known_until = caught_up.until(&store.stations().await?);
    let (mut after, mut seen) = (None, 0);
    let (left_by, given_up_by) = (now.minus(policy.settle_after), now.minus(policy.give_up_after));
    loop {
        let riders = store.riders_to_settle(after, RIDERS_PAGE, left_by, given_up_by).await?;
        let Some(last) = riders.last() else { break };
        after = Some(*last);
        seen += riders.len();
        for rider in riders {
            if stop.is_cancelled() {
                return Ok(seen);
            }
            settle_rider(store, tariff, rider, Moment { now, known_until }, policy).await?;
        }
    }
    Ok(seen)
}

/// When a round is made, and up to when every tap has arrived; no station, nobody behind.
#[derive(Debug, Clone, Copy)]
struct Moment {
    now: Timestamp,
    known_until: Option<Timestamp>,
}

async fn settle_rider(
    store: &dyn Store,
    tariff: &Tariff,
    rider: RiderId,
    moment: Moment,
    policy: &SettlingPolicy,
) -> Result<(), StoreError> {
    let reach = policy.pairing.journey_max + policy.pairing.merge_window;
    let taps = store.taps_to_pair(rider, reach).await?;
    let pairing = pair(&taps.taps, &policy.pairing);
    let Some((journeys, merged, given_up)) = ripe(&taps, pairing, moment, policy) else { return Ok(()) };
    let forgotten = !journeys.is_empty() && is_forgotten(store, rider).await?;
    let mut journeys = pricing::price(store, tariff, rider, journeys).await?;
    if forgotten {
        journeys = journeys.into_iter().map(|(journey, pricing)| (journey, uncollectable(pricing))).collect();
    }
    for (journey, pricing) in &journeys {
        metrics::counter!("facegate_journeys_total").increment(1);
        if let Pricing::Held { reason } = pricing {
            tracing::error!(journey = ?journey.id, reason, "the journey has no price; it is held and not charged");
        }
    }
    let settlement = Settlement { rider, journeys, merged, given_up };
    match store.settle(settlement, moment.now).await {
        // Somebody else was faster: the next round sees it.
        Err(StoreError::TapSettled(_)) => Ok(()),
        other => other,
    }
}

/// Whether nobody knows any more how this rider pays, and nobody ever will.
async fn is_forgotten(store: &dyn Store, rider: RiderId) -> Result<bool, StoreError> {
    let erased = store.rider(rider).await?.is_some_and(|rider| rider.erasure.is_some());
    Ok(erased && store.account(rider).await?.is_none())
}

/// A ride of a rider who is forgotten: revenue that is lost, and said to be.
fn uncollectable(pricing: Pricing) -> Pricing {
    let Pricing::Priced { fare } = pricing else { return pricing };
    metrics::counter!("facegate_journeys_uncollectable_total").increment(1);
    let cost = fare.total();
    let reason =
        format!("uncollectable: the rider and how he paid were forgotten before this ride of {cost} was known");
    Pricing::Held { reason }
}

type Ripe = (Vec<Journey>, Vec<Tap>, Vec<Incomplete>);

/// What can be settled now; None if nothing can. A journey of which one tap is used up already came too late to be
/// paired as it should have been: it stays open, and is given up at last.
fn ripe(taps: &RiderTaps, pairing: Pairing, moment: Moment, policy: &SettlingPolicy) -> Option<Ripe> {
    let now = moment.now;
    let open = |tap: &Tap| !taps.settled.contains(&tap.id);
    let settles = |at: Timestamp| at.plus(policy.settle_after) <= now;
    let given_up = |at: Timestamp| at.plus(policy.give_up_after) <= now;

    let (mut journeys, mut lone) = (Vec::new(), Vec::new());
    for journey in pairing.journeys {
        match (open(&journey.entry), open(&journey.exit)) {
            (true, true) if settles(journey.exit.at) && is_whole(&journey, moment, policy) => journeys.push(journey),
            (true, false) => lone.push(Incomplete::MissingExit { entry: journey.entry }),
            (false, true) => lone.push(Incomplete::MissingEntry { exit: journey.exit }),
            _ => {}
        }
    }
    // What looks like a second presentation may be the next ride, if the tap elsewhere between the two is on its way.
    let is_second = |tap: &Tap| open(tap) && settles(tap.at) && all_is_known(tap.at, moment, policy);
    let merged: Vec<Tap> = pairing.merged.into_iter().filter(is_second).collect();
    let never_left = pairing.open.into_iter().map(|entry| Incomplete::MissingExit { entry });
    lone.extend(pairing.incomplete.into_iter().chain(never_left).filter(|incomplete| open(incomplete.tap())));
    lone.retain(|incomplete| given_up(incomplete.tap().at));
    let nothing = journeys.is_empty() && merged.is_empty() && lone.is_empty();
    (!nothing).then_some((journeys, merged, lone))
}

/// Whether no exit and no entry can be missing between the two ends.
fn is_whole(journey: &Journey, moment: Moment, policy: &SettlingPolicy) -> bool {
    journey.duration() <= policy.ride_expected_max || all_is_known(journey.exit.at, moment, policy)
}

/// Whether every tap until `at` is here, or was waited for long enough. A tap takes up to `settle_after` to arrive over
/// lines that are whole, so that is how long they must have been.
fn all_is_known(at: Timestamp, moment: Moment, policy: &SettlingPolicy) -> bool {
    moment.known_until.is_none_or(|known_until| at.plus(policy.settle_after) <= known_until)
        || at.plus(policy.wait_for_stations) <= moment.now
}
