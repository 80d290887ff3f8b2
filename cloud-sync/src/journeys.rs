//! Making journeys of taps. A journey is settled some time after its exit, so that what arrives late but not too late is
//! simply paired with the rest; an entry or exit whose other end is missing waits much longer, and is a broken ride then,
//! until a tap that comes later still makes a whole one of it. So does what looks like a
//! ride of many hours while a station or gate is behind: the exit and the entry between the two may not be here yet.

mod again;
mod answered;
mod caught_up;
mod pricing;

use std::sync::Arc;
use std::time::Duration;

use facegate_domain::Clock;
use facegate_domain::Timestamp;
use facegate_domain::billing::BillingPolicy;
use facegate_domain::charge::ChargeId;
use facegate_domain::fares::Pricer;
use facegate_domain::ids::RiderId;
use facegate_domain::journey::{Journey, PairingPolicy, Ridden, Unsettled, pair, unsettled};
use facegate_domain::tap::{Direction, Tap};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

pub use answered::answered;
use caught_up::CaughtUp;

use crate::store::{Again, Pricing, RiderTaps, Settlement, Store, StoreError};
use crate::tariffs::Tariffs;
use crate::waivers;

/// Riders looked up at a time.
const RIDERS_PAGE: usize = 256;

/// Pause between two rounds while there are open taps.
const ROUND_MS_MIN: u64 = 50;
const ROUND_MS_MAX: u64 = 1000;

#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// When what is settled is billed.
    pub billing: BillingPolicy,
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
        let settled = round_of(&*store, &mut tariffs, &*clock, &policy, &mut caught_up, &stop);
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

/// One round: of what has come, and of what is to be priced anew. Gives how many riders may have had something to settle.
async fn round_of(
    store: &dyn Store,
    tariffs: &mut Tariffs,
    clock: &dyn Clock,
    policy: &SettlingPolicy,
    caught_up: &mut CaughtUp,
    stop: &CancellationToken,
) -> Result<usize, StoreError> {
    let tariff = tariffs.now(store).await?;
    waivers::follow_modes(store, &tariff, tariffs.told(), tariffs.waivers(), clock.now()).await?;
    waivers::spread(store, tariffs.waivers(), policy.pairing.journey_max).await?;
    if tariffs.has_changed() {
        again::held(store).await?;
    }
    let by = By { pricer: &*tariffs.pricer(&tariff), revision: tariffs.revision() };
    let seen = settle_round(store, by, clock.now(), policy, caught_up, stop).await?;
    again::round(store, tariffs, clock.now(), policy, stop).await?;
    Ok(seen)
}

/// One round over all riders who may have something to settle, by what the stations say at this moment; gives how many
/// there were.
pub async fn settle_all(
    store: &dyn Store,
    pricer: &dyn Pricer,
    now: Timestamp,
    policy: &SettlingPolicy,
) -> Result<usize, StoreError> {
    let by = By { pricer, revision: store.tariff_revision().await? };
    settle_round(store, by, now, policy, &mut CaughtUp::default(), &CancellationToken::new()).await
}

/// Who prices, and the revision of the tariff that he does it by.
#[derive(Clone, Copy)]
struct By<'p> {
    pricer: &'p dyn Pricer,
    revision: u64,
}

/// Between two riders it heeds `stop`: after a long outage a round has the rides of everybody, and takes minutes. It ends
/// early when the tariff is changed: what is left is settled by the new one in the next.
async fn settle_round(
    store: &dyn Store,
    by: By<'_>,
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
            match settle_rider(store, by, (rider, None), Moment { now, known_until }, policy).await {
                Err(StoreError::TariffChanged(_)) => return Ok(seen),
                settled => settled?,
            }
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

/// A settlement that another replica was faster than is made again, so often at most in one round.
const TRIES_MAX: u32 = 3;

async fn settle_rider(
    store: &dyn Store,
    by: By<'_>,
    (rider, again): (RiderId, Option<Again>),
    moment: Moment,
    policy: &SettlingPolicy,
) -> Result<(), StoreError> {
    for _ in 0..TRIES_MAX {
        // Asked before anything that the settlement rests on is read.
        let seen = store.settlements(rider).await?;
        let found = unsettled_of(store, rider, moment, policy).await?;
        if found.is_empty() && again.is_none() {
            return Ok(());
        }
        let settlement = pricing::price(store, by.pricer, rider, (found, again), &policy.billing, moment.now).await?;
        tell(&settlement);
        let settlement = Settlement { seen, tariff: Some(by.revision), ..settlement };
        let no_bill = unbilled_entries(&settlement, &policy.billing);
        match store.settle(settlement, moment.now).await {
            // Somebody else was faster, and what he settled is to be looked at with the rest.
            Err(StoreError::TapSettled(_) | StoreError::SettledMeanwhile(_)) => {}
            // The round after the close settles it.
            Err(StoreError::DayClosing(_)) => return Ok(()),
            Err(error) => return Err(error),
            Ok(()) => {
                for hold in no_bill {
                    store.let_hold_go(hold, moment.now).await?;
                }
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The holds of entries that no bill will come of: of rides that cost nothing, and of second presentations. They go back
/// at once, or, should a crash come between, when they end by themselves.
fn unbilled_entries(settlement: &Settlement, billing: &BillingPolicy) -> Vec<ChargeId> {
    if billing.prepaid.is_none() {
        return Vec::new();
    }
    let free = |(ride, pricing): &(Ridden, Pricing)| {
        let free = pricing.fare().is_some_and(|fare| !fare.total().is_positive());
        ride.entry().filter(|_| free).cloned()
    };
    let seconds = settlement.merged.iter().filter(|tap| tap.direction == Direction::Entry).cloned();
    let entries = seconds.chain(settlement.rides.iter().filter_map(free));
    entries.map(|entry| ChargeId::of_hold(&entry.id)).collect()
}

fn tell(settlement: &Settlement) {
    metrics::counter!("facegate_journeys_total").increment(settlement.rides.len() as u64);
    let new = settlement.rides.iter().map(|(ride, pricing)| (ride.id(), pricing));
    for (ride, pricing) in new.chain(settlement.repriced.iter().map(|(ride, pricing)| (*ride, pricing))) {
        if let Pricing::Held { reason } = pricing {
            tracing::error!(?ride, reason, "the ride has no price; it is held and not charged");
        }
    }
}

/// What can be settled of the rider now.
async fn unsettled_of(
    store: &dyn Store,
    rider: RiderId,
    moment: Moment,
    policy: &SettlingPolicy,
) -> Result<Unsettled, StoreError> {
    let reach = policy.pairing.journey_max + policy.pairing.merge_window;
    let taps = store.taps_to_pair(rider, reach).await?;
    let Some(first) = taps.taps.first().filter(|_| !taps.settled.is_empty()) else {
        return Ok(ripe(&taps, &[], moment, policy));
    };
    let standing = store.rides_since(rider, first.at).await?.into_iter();
    let standing: Vec<Ridden> = standing.filter(|ride| ride.superseded.is_none()).map(|ride| ride.ride).collect();
    Ok(ripe(&taps, &standing, moment, policy))
}

/// What looks like a second presentation may be the next ride, if the tap elsewhere between the two is on its way.
fn ripe(taps: &RiderTaps, standing: &[Ridden], moment: Moment, policy: &SettlingPolicy) -> Unsettled {
    let now = moment.now;
    let settles = |at: Timestamp| at.plus(policy.settle_after) <= now;
    let is_ripe = |ride: &Ridden| match ride {
        Ridden::Whole(journey) => settles(journey.exit.at) && is_whole(journey, moment, policy),
        Ridden::Broken(incomplete) => incomplete.tap().at.plus(policy.give_up_after) <= now,
    };
    let is_second = |tap: &Tap| settles(tap.at) && all_is_known(tap.at, moment, policy);
    unsettled(pair(&taps.taps, &policy.pairing), &taps.settled, standing, is_ripe, is_second)
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
