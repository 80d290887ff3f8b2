//! Bills against random tap histories by a table with every rule: order and repetition make no difference, no ride costs
//! less than nothing, and what a rider pays in a day keeps to the caps.
#![allow(clippy::unwrap_used)]

#[path = "model/books.rs"]
mod books;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use facegate_domain::Timestamp;
use facegate_domain::fares::{FareTable, Ride, RiderTerms, Rule, Tariff};
use facegate_domain::gate::GateMode;
use facegate_domain::ids::{GateId, RecordId, RiderId, StationId};
use facegate_domain::journey::{Incomplete, Pairing, PairingPolicy, pair};
use facegate_domain::tap::{Direction, Medium, Tap};
use proptest::prelude::*;

use books::Books;

const TABLE: &str = include_str!("../fares/all-rules.toml");
const BEGIN_MS: i64 = 1_740_947_400_000;

fn history() -> impl Strategy<Value = Vec<Tap>> {
    let tap = (0..6_usize, any::<bool>(), 1..200_i64);
    proptest::collection::vec(tap, 0..24).prop_map(|raw| {
        let mut minute = 0;
        (0..)
            .zip(raw)
            .map(|(sequence, (station, entry, minutes))| {
                minute += minutes;
                let station = ["a", "b", "c", "d", "e", "f"][station];
                let direction = if entry { Direction::Entry } else { Direction::Exit };
                let gate = GateId::new(format!("{station}-{}", direction.name())).unwrap();
                Tap {
                    id: RecordId { gate, epoch: 1, sequence },
                    rider: RiderId::from_bytes([1; 16]),
                    station: StationId::new(station).unwrap(),
                    direction,
                    medium: Medium::Face,
                    mode: GateMode::Normal,
                    at: Timestamp::from_unix_ms(BEGIN_MS + minute * 60_000),
                }
            })
            .collect()
    })
}

fn tariff() -> Tariff {
    Tariff::new(vec![Arc::new(FareTable::parse(TABLE).unwrap())]).unwrap()
}

fn terms(category: usize) -> RiderTerms {
    let category = [None, Some("student"), Some("senior")][category].map(str::to_owned);
    RiderTerms { category, ..RiderTerms::default() }
}

/// Nobody waits for a missing end any more.
fn all_given_up(taps: &[Tap]) -> Pairing {
    let mut pairing = pair(taps, &PairingPolicy::default());
    let never_left = std::mem::take(&mut pairing.open).into_iter();
    pairing.incomplete.extend(never_left.map(|entry| Incomplete::MissingExit { entry }));
    pairing
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_charged_in_any_order_of_arrival_comes_to_the_bill(
        (taps, arrived) in history().prop_flat_map(|taps| (Just(taps.clone()), Just(taps).prop_shuffle())),
        some in 1..6_usize,
        category in 0..3_usize,
        unripe in any::<u64>(),
    ) {
        let (tariff, terms) = (tariff(), terms(category));
        let bill = |taps: &[Tap]| tariff.bill(&Ride::of(&all_given_up(taps)), &terms);
        let mut books = Books::default();
        for until in (some..arrived.len()).step_by(some) {
            books.take_in(&arrived[..until]);
            let ripe = |tap: &Tap| (unripe.rotate_left(u32::try_from(until).unwrap()) >> (tap.id.sequence % 64)) & 1 == 0;
            books.settle(&tariff, &terms, ripe).unwrap();
        }
        books.take_in(&arrived);
        // What a round opens again the next one settles.
        for _ in 0..3 {
            books.settle(&tariff, &terms, |_| true).unwrap();
        }
        let whole = bill(&taps);
        prop_assert_eq!(bill(&arrived), whole.clone());
        let standing: BTreeSet<_> = books.rides.values().filter(|kept| kept.stands).map(|kept| kept.ride.id()).collect();
        prop_assert_eq!(standing, whole.rides.iter().map(|billed| billed.ride).collect::<BTreeSet<_>>());
        for billed in &whole.rides {
            let kept = &books.rides[&billed.ride];
            let net: i64 = kept.items.iter().map(|item| item.minor()).sum();
            prop_assert_eq!(net, billed.total().map_or(0, facegate_domain::money::Money::minor), "{:?} {:?}", kept, billed);
        }
        for (day, net) in books.net() {
            prop_assert_eq!(net, whole.of_day(&tariff, day).unwrap().minor(), "{}", day);
        }
    }

    #[test]
    fn no_ride_costs_less_than_nothing_and_no_day_more_than_its_cap(taps in history(), category in 0..3_usize) {
        let tariff = tariff();
        let bill = tariff.bill(&Ride::of(&pair(&taps, &PairingPolicy::default())), &terms(category));
        let mut capped: BTreeMap<_, i64> = BTreeMap::new();
        for billed in &bill.rides {
            let Ok(fare) = &billed.price else { continue };
            prop_assert!(!fare.total().is_negative(), "{fare:?}");
            let beyond = |rule: &Rule| matches!(rule, Rule::Overstay { .. } | Rule::MaximumFare | Rule::SameStation);
            if !fare.lines().iter().any(|line| beyond(&line.rule)) {
                *capped.entry(billed.day).or_default() += fare.total().minor();
            }
        }
        prop_assert!(capped.values().all(|paid| *paid <= 1200), "{capped:?}");
    }
}
