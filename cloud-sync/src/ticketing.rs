//! An external ticketing system that prices rides, as the running metro has it: each settled ride is told to it, and waits
//! until it answers, which may take long and come in any order. Over HTTPS under mutual TLS:
//!
//! | call | body | answer |
//! |---|---|---|
//! | `POST /v1/rides` | `{"rides": [Told]}` | 2xx: they are there; telling again is harmless |
//! | `POST /v1/prices` | `{"ride_ids": […]}` | `{"prices": [Price]}` of those that have one, and of any that cost otherwise than it said |
//!
//! A price has a version, from 1 on. One of a higher version than the last makes an adjustment of the difference, with the
//! next number; what was said before is never edited. It is asked also while no ride waits, or it could not change its mind.
//!
//! Nothing is kept of what was told: after a restart every ride that waits is told once more.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use facegate_domain::billing::BillingPolicy;
use facegate_domain::fares::{ExternalPrice, NoPrice, Tariff};
use facegate_domain::journey::JourneyId;
use facegate_domain::money::{Currency, InvalidCurrency};
use facegate_domain::tap::Tap;
use facegate_domain::{Clock, Timestamp};
use facegate_runtime::http;
use facegate_runtime::identity::{DeviceIdentity, Role};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::journeys::answered;
use crate::store::{PricedRide, Pricing, Store, StoreError};
use crate::tariffs::Tariffs;

/// Rides told or asked about at a time.
const RIDES_PAGE: usize = 200;

/// How it is spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketingConfig {
    /// Such as `https://tickets.example:8443`.
    pub address: String,
    pub answer_within: Duration,
    pub ask_every: Duration,
}

/// Why it was not told or did not answer. Everything waits until it does.
#[derive(Debug, thiserror::Error)]
pub enum TicketingError {
    #[error("the ticketing system is out of reach or answers otherwise than agreed: {0}")]
    Http(#[from] reqwest::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// One ride as it is told.
#[derive(Debug, Serialize, Deserialize)]
pub struct Told {
    pub ride_id: String,
    pub rider_id: String,
    /// None if nobody saw it.
    pub entry: Option<End>,
    pub exit: Option<End>,
    /// Rides that were told before and do not stand any more, now that this one is known.
    pub replaces: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct End {
    pub station: String,
    pub medium: String,
    pub at_unix_ms: i64,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Upload {
    pub rides: Vec<Told>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Asked {
    pub ride_ids: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub struct Prices {
    pub prices: Vec<Price>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Price {
    pub ride_id: String,
    /// Rises when the price is changed.
    #[serde(default = "first")]
    pub version: u32,
    pub currency: String,
    pub lines: Vec<PriceLine>,
}

/// Of who never changes a price.
const fn first() -> u32 {
    1
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PriceLine {
    pub said: String,
    pub amount_minor: i64,
}

/// A client of the system.
#[derive(Debug, Clone)]
pub struct Ticketing {
    client: reqwest::Client,
    base: String,
}

impl Ticketing {
    pub fn new(identity: &DeviceIdentity, config: &TicketingConfig) -> Result<Self, reqwest::Error> {
        let client = http::client(identity, Role::Ticketing).timeout(config.answer_within).build()?;
        Ok(Self { client, base: config.address.trim_end_matches('/').to_owned() })
    }

    async fn tell(&self, rides: Vec<Told>) -> Result<(), TicketingError> {
        let call = self.client.post(format!("{}/v1/rides", self.base)).json(&Upload { rides });
        call.send().await?.error_for_status()?;
        Ok(())
    }

    async fn ask(&self, rides: &[JourneyId]) -> Result<Vec<Price>, TicketingError> {
        let asked = Asked { ride_ids: rides.iter().map(ToString::to_string).collect() };
        let answer = self.client.post(format!("{}/v1/prices", self.base)).json(&asked).send().await?;
        Ok(answer.error_for_status()?.json::<Prices>().await?.prices)
    }
}

/// Tells and asks until `stop`.
pub async fn run(
    store: Arc<dyn Store>,
    ticketing: Ticketing,
    (mut tariffs, billing): (Tariffs, BillingPolicy),
    clock: Arc<dyn Clock>,
    ask_every: Duration,
    stop: CancellationToken,
) {
    let mut told = BTreeSet::new();
    loop {
        let passed = async {
            let tariff = tariffs.now(&*store).await?;
            pass(&*store, &ticketing, (&tariff, &billing), &mut told, clock.now()).await
        };
        if let Err(error) = passed.await {
            tracing::warn!(%error, "rides wait for their prices; they are told and asked about again");
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            () = tokio::time::sleep(ask_every) => {}
        }
    }
}

/// Tells what was not told yet, and asks about all that waits; gives how many have a price by that.
pub async fn pass(
    store: &dyn Store,
    ticketing: &Ticketing,
    (tariff, billing): (&Tariff, &BillingPolicy),
    told: &mut BTreeSet<JourneyId>,
    now: Timestamp,
) -> Result<usize, TicketingError> {
    let (mut after, mut priced, mut waiting) = (None, 0, BTreeSet::new());
    loop {
        let rides = store.rides_priced_elsewhere(after, RIDES_PAGE).await?;
        if rides.is_empty() && after.is_some() {
            break;
        }
        // Asked once even if no ride waits.
        let is_last = rides.len() < RIDES_PAGE;
        after = rides.last().map(PricedRide::id);
        let ids: Vec<JourneyId> = rides.iter().map(PricedRide::id).collect();
        let mut new = Vec::new();
        for ride in rides.iter().filter(|ride| !told.contains(&ride.id())) {
            new.push(as_told(store, ride).await?);
        }
        if !new.is_empty() {
            ticketing.tell(new).await?;
        }
        waiting.extend(ids.iter().copied());
        told.extend(ids.iter().copied());
        for price in ticketing.ask(&ids).await? {
            let asked = rides.iter().find(|ride| ride.id().to_string() == price.ride_id).cloned();
            let ride = match asked {
                Some(ride) => ride,
                None => match told_before(store, &price).await? {
                    Some(ride) => ride,
                    None => continue,
                },
            };
            let was_waiting = ride.waits_elsewhere();
            let is_done = answered(store, tariff, &ride, pricing(price, tariff.currency()), billing, now).await?;
            priced += usize::from(is_done && was_waiting);
            if is_done && !was_waiting {
                tracing::info!(ride = %ride.id(), "the ticketing system has changed its price");
            }
        }
        if is_last {
            break;
        }
    }
    told.retain(|ride| waiting.contains(ride));
    metrics::gauge!("facegate_rides_priced_elsewhere_waiting").set((waiting.len() - priced.min(waiting.len())) as f64);
    Ok(priced)
}

/// A ride of ours that has a price, or is held for a person to look at, if that is what is priced.
async fn told_before(store: &dyn Store, price: &Price) -> Result<Option<PricedRide>, StoreError> {
    let Ok(id) = price.ride_id.parse::<JourneyId>() else { return Ok(None) };
    store.ride(id).await
}

async fn as_told(store: &dyn Store, priced: &PricedRide) -> Result<Told, StoreError> {
    let (ride, rider) = (&priced.ride, priced.ride.rider());
    let end = |tap: &Tap| End {
        station: tap.station.to_string(),
        medium: tap.medium.name().to_owned(),
        at_unix_ms: tap.at.unix_ms(),
    };
    let of_then = store.rides_since(rider, ride.first().at).await?;
    let replaced = of_then.iter().filter(|old| old.superseded.is_some_and(|gone| gone.by == Some(priced.id())));
    Ok(Told {
        ride_id: priced.id().to_string(),
        rider_id: rider.to_string(),
        entry: ride.entry().map(end),
        exit: ride.exit().map(end),
        replaces: replaced.map(|old| old.id().to_string()).collect(),
    })
}

/// What it answers, or that a person must look at it.
fn pricing(price: Price, expected: Currency) -> Pricing {
    // One of version 0 is taken for the first.
    let version = price.version.max(1);
    let fare = price.currency.parse().map_err(|error: InvalidCurrency| error.to_string()).and_then(|currency| {
        let lines = price.lines.into_iter().map(|line| (line.said, line.amount_minor)).collect();
        ExternalPrice { currency, lines }.fare("ticketing system", expected).map_err(|error: NoPrice| error.to_string())
    });
    match fare {
        Ok(fare) => Pricing::Priced { fare, version },
        Err(error) => Pricing::Held { reason: format!("the ticketing system's answer is no price: {error}") },
    }
}
