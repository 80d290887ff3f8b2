//! Random histories of a rider, delivered in random order, some taps twice and some late, with everything settled and
//! adjusted after each delivery, as the cloud does it: the net of each travel day must be that of the bill of all taps
//! at once, and the rides that stand those that all taps make.

#[path = "../../../domain/tests/model/books.rs"]
mod books;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use facegate_domain::Timestamp;
use facegate_domain::fares::rider::{Coupon, HeldPass, Repair};
use facegate_domain::fares::{Bill, FareTable, Ride, RiderTerms, Tariff};
use facegate_domain::gate::GateMode;
use facegate_domain::ids::{GateId, RecordId, RiderId, StationId};
use facegate_domain::journey::{Incomplete, JourneyId, PairingPolicy, pair};
use facegate_domain::tap::{Direction, Medium, Tap};
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};

use books::Books;

const TABLE: &str = include_str!("../../../domain/fares/all-rules.toml");
const STATIONS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
/// Monday, 3 March 2025, half past four in the morning in the table's zone.
const BEGIN_MS: i64 = 1_740_947_400_000;

/// Rounds of settling once all has arrived.
const ROUNDS_AT_LAST: usize = 3;

/// How many of the histories failed; each is printed with its seed.
pub fn check(first: u64, cases: u64) -> Result<u64> {
    let tariff = tariff()?;
    let mut failures = 0;
    for seed in first..first + cases {
        if let Err(error) = case(&tariff, seed) {
            println!("seed {seed}: {error:#}");
            failures += 1;
        }
    }
    Ok(failures)
}

/// The table, and on Wednesday in the small hours one with other prices, so that it changes in mid-journey.
fn tariff() -> Result<Tariff> {
    let later = TABLE
        .replace("name = \"all rules\"", "name = \"all rules, dearer\"")
        .replace("valid_from = \"2025-01-01T04:30:00", "valid_from = \"2025-03-05T00:15:00")
        .replace("price_minor = 300 }", "price_minor = 330 }");
    Ok(Tariff::new(vec![Arc::new(FareTable::parse(TABLE)?), Arc::new(FareTable::parse(&later)?)])?)
}

fn case(tariff: &Tariff, seed: u64) -> Result<()> {
    let mut random = StdRng::seed_from_u64(seed);
    let taps = history(&mut random);
    let terms = terms(&mut random, &taps);
    let whole = bill(tariff, &taps, &terms);
    let mut arriving: Vec<&Tap> = taps.iter().collect();
    let again: Vec<&Tap> = taps.iter().filter(|_| random.random_bool(0.3)).collect();
    arriving.extend(again);
    arriving.shuffle(&mut random);
    let mut books = Books::default();
    while !arriving.is_empty() {
        let some = random.random_range(1..=arriving.len());
        let arrived: Vec<Tap> = arriving.drain(..some).cloned().collect();
        books.take_in(&arrived);
        // Which of them are given up by now, or wait for a station that is behind, is chance.
        let waits: u64 = if random.random_bool(0.5) { 0 } else { random.random() };
        books.settle(tariff, &terms, |tap| (waits >> (tap.id.sequence % 64)) & 1 == 0).map_err(anyhow::Error::msg)?;
    }
    // What one round opens again the next one settles.
    for _ in 0..ROUNDS_AT_LAST {
        books.settle(tariff, &terms, |_| true).map_err(anyhow::Error::msg)?;
    }
    let standing: BTreeSet<JourneyId> =
        books.rides.values().filter(|kept| kept.stands).map(|kept| kept.ride.id()).collect();
    let expected: BTreeSet<JourneyId> = whole.rides.iter().map(|billed| billed.ride).collect();
    anyhow::ensure!(standing == expected, "other rides stand than all taps make");
    for (day, net) in books.net() {
        let expected = whole.of_day(tariff, day)?.minor();
        anyhow::ensure!(net == expected, "{day}: {net} billed in all, {expected} is due");
    }
    let billed: BTreeSet<_> = books.net().into_keys().collect();
    anyhow::ensure!(whole.rides.iter().all(|ride| billed.contains(&ride.day)), "a day was not billed");
    Ok(())
}

/// Of all taps, once nobody waits for a missing end any more.
fn bill(tariff: &Tariff, taps: &[Tap], terms: &RiderTerms) -> Bill {
    let mut pairing = pair(taps, &PairingPolicy::default());
    let never_left = std::mem::take(&mut pairing.open).into_iter();
    pairing.incomplete.extend(never_left.map(|entry| Incomplete::MissingExit { entry }));
    tariff.bill(&Ride::of(&pairing), terms)
}

/// Up to thirty taps within four days, most of them rides as people make them, some torn.
fn history(random: &mut StdRng) -> Vec<Tap> {
    let mut taps = Vec::new();
    let mut at = BEGIN_MS;
    for _ in 0..random.random_range(1..16) {
        at += random.random_range(0..6 * 3_600_000_i64) / if random.random_bool(0.5) { 12 } else { 1 };
        let pick = |random: &mut StdRng| STATIONS[random.random_range(0..STATIONS.len())];
        let (from, to) = (pick(random), pick(random));
        if random.random_bool(0.9) {
            taps.push(tap(taps.len(), from, Direction::Entry, at));
        }
        let longest = if random.random_bool(0.1) { 14_400_000 } else { 2_400_000 };
        at += random.random_range(1_000..longest);
        if random.random_bool(0.9) {
            taps.push(tap(taps.len(), to, Direction::Exit, at));
        }
        // Seen by face and by code.
        if random.random_bool(0.1) && !taps.is_empty() {
            let mut second = taps[taps.len() - 1].clone();
            second.id.sequence = taps.len() as u64;
            second.medium = Medium::Code;
            second.at = second.at.plus(Duration::from_secs(random.random_range(0..8)));
            taps.push(second);
        }
    }
    taps
}

fn tap(sequence: usize, station: &str, direction: Direction, at: i64) -> Tap {
    let name = |text: String| GateId::new(text).unwrap_or_else(|_| unreachable!("made of letters and a hyphen"));
    Tap {
        id: RecordId { gate: name(format!("{station}-{}", direction.name())), epoch: 1, sequence: sequence as u64 },
        rider: RiderId::from_bytes([1; 16]),
        station: StationId::new(station).unwrap_or_else(|_| unreachable!("one letter")),
        direction,
        medium: Medium::Face,
        mode: GateMode::Normal,
        at: Timestamp::from_unix_ms(at),
    }
}

fn terms(random: &mut StdRng, taps: &[Tap]) -> RiderTerms {
    let day = |random: &mut StdRng| format!("2025-03-0{}", random.random_range(3..7));
    let category = [None, Some("student"), Some("senior")][random.random_range(0..3)].map(str::to_owned);
    let mut terms = RiderTerms { category, ..RiderTerms::default() };
    let parsed = |text: String| text.parse().context("a day of March");
    if let (true, Ok(first_day)) = (random.random_bool(0.2), parsed(day(random))) {
        let pass = ["three rides", "week in zone 1"][random.random_range(0..2)].to_owned();
        terms.passes.push(HeldPass { pass, first_day });
    }
    if let (true, Ok(first_day), Ok(last_day)) =
        (random.random_bool(0.2), parsed(day(random)), parsed("2025-03-08".to_owned()))
    {
        terms.coupons.push(Coupon { discount: "referral".to_owned(), rides: 2, first_day, last_day });
    }
    if let (true, Some(tap)) = (random.random_bool(0.3), taps.choose(random)) {
        let station = taps[random.random_range(0..taps.len())].station.clone();
        let made_at = tap.at.plus(Duration::from_secs(random.random_range(0..10) * 86_400));
        terms.repairs.push(Repair { tap: tap.id.clone(), station, made_at });
    }
    terms
}
