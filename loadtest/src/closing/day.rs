//! A day that is right: riders, their taps, what they are billed, what the acquirer settles.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use facegate_cloud_sync::store::{Pricing, Settlement};
use facegate_domain::Timestamp;
use facegate_domain::billing::{Item, ItemKind};
use facegate_domain::charge::{AcquirerName, AcquirerToken, Instrument};
use facegate_domain::fares::{FareTable, Tariff};
use facegate_domain::ids::{GateId, RecordId, RiderId, StationId};
use facegate_domain::journey::{Journey, Ridden};
use facegate_domain::money::Money;
use facegate_domain::score::{Similarity, Tier};
use facegate_domain::tap::{
    Authorisation, Direction, Evidence, GateRecord, GateStamp, Passage, PassageOutcome, RecordBody, Tap,
};
use facegate_domain::travel_day::TravelDays;
use jiff::civil::Date;

pub const ACQUIRER: &str = "sandbox";
pub const CURRENCY: &str = "CNY";
/// Taps of a rider: there and back.
pub const TAPS: u64 = 4;
const STATIONS: usize = 40;
/// A city's day begins early.
const BEGINS: Duration = Duration::from_secs(5 * 3600);

pub fn yesterday() -> Date {
    let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    now.yesterday().unwrap_or(now)
}

/// The gates of the city, and how far their journals are.
#[derive(Debug)]
pub struct City {
    pub day: Date,
    begin: Timestamp,
    /// Next sequences, an entry and an exit gate to a station.
    next: Vec<[u64; 2]>,
    tariff: Tariff,
}

impl City {
    pub fn new(day: Date) -> Result<Self> {
        let days = TravelDays::new("UTC", "00:00")?;
        let begin = days.end(day.yesterday().context("a day before the first")?).plus(BEGINS);
        let names: Vec<String> = (0..STATIONS).map(|n| format!("station-{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let table = FareTable::parse(&crate::trial::fares(&names, &[1500; STATIONS - 1]))?;
        Ok(Self { day, begin, next: vec![[0; 2]; STATIONS], tariff: Tariff::new(vec![Arc::new(table)])? })
    }

    /// When a rider's first tap is: they come all day.
    pub fn at(&self, rider: u64) -> Timestamp {
        self.begin.plus(Duration::from_millis(rider.wrapping_mul(7919) % (12 * 3_600_000)))
    }

    /// An authorisation and its passage at a station, written by its gate.
    pub fn pass(
        &mut self,
        station: usize,
        direction: Direction,
        rider: RiderId,
        at: Timestamp,
    ) -> Result<[GateRecord; 2]> {
        let station = station % STATIONS;
        let way = usize::from(direction == Direction::Exit);
        let sequence = self.next[station][way];
        self.next[station][way] += 2;
        let gate = GateId::new(format!("station-{station}-{}", direction.name()))?;
        let name = StationId::new(format!("station-{station}"))?;
        let record = |sequence, body| GateRecord {
            id: RecordId { gate: gate.clone(), epoch: 1, sequence },
            station: name.clone(),
            stamp: GateStamp { wall: at, monotonic_ms: sequence },
            body,
        };
        let evidence =
            Evidence::Face { similarity: Similarity::from_cosine(0.8), tier: Tier::City, risk: 1e-8, frames: 3 };
        Ok([
            record(sequence, RecordBody::Authorisation(Authorisation::new(rider, direction, evidence))),
            record(sequence + 1, RecordBody::Passage(Passage::new(sequence, PassageOutcome::Passed))),
        ])
    }

    /// A rider's ride there and his ride back, or the first alone, with the records of their taps.
    pub fn rides(&mut self, n: u64, rider: RiderId, rides: usize) -> Result<(Vec<GateRecord>, Vec<Journey>)> {
        let from = usize::try_from(n % STATIONS as u64)?;
        let to = from + 3 + usize::try_from(n % 11)?;
        let (mut records, mut journeys) = (Vec::new(), Vec::new());
        for (from, to, hours) in [(from, to, 0), (to, from, 6)].into_iter().take(rides) {
            let at = self.at(n).plus(Duration::from_secs(hours * 3600));
            let entry = self.pass(from, Direction::Entry, rider, at)?;
            let exit = self.pass(to, Direction::Exit, rider, at.plus(Duration::from_secs(1200)))?;
            let tap = |record: &GateRecord| Tap::once_passed(record).context("an authorisation is a tap once passed");
            journeys.push(Journey::new(tap(&entry[0])?, tap(&exit[0])?));
            records.extend(entry.into_iter().chain(exit));
        }
        Ok((records, journeys))
    }

    /// The rides priced, with an item each.
    pub fn settlement(&self, rider: RiderId, journeys: &[Journey]) -> Result<Settlement> {
        let mut settlement = Settlement::of(rider, 0);
        for journey in journeys {
            let fare = self.tariff.price(journey)?;
            let ride = Ridden::Whole(journey.clone());
            let kind = ItemKind::Ride { ride: ride.id() };
            settlement.items.push(Item::new(rider, self.day, fare.total(), kind, journey.exit.at));
            settlement.rides.push((ride, Pricing::ours(fare)));
        }
        Ok(settlement)
    }

    pub fn money(minor: i64) -> Result<Money> {
        Ok(Money::from_minor(minor, CURRENCY.parse()?))
    }
}

pub fn card(n: u64) -> Result<Instrument> {
    let token = AcquirerToken::new(format!("tok_{n}"))?;
    Ok(Instrument::Acquirer { acquirer: AcquirerName::new(ACQUIRER)?, token })
}
