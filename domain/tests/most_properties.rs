//! What is held at an entry is enough for the ride: over random histories by every fare table there is, no ride to another
//! station costs more than was said when it began, staying too long aside.
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::{Arc, LazyLock};

use facegate_domain::fares::rider::{Coupon, HeldPass};
use facegate_domain::fares::{Billed, FareTable, Ride, RiderTerms, Rule, Tariff};
use facegate_domain::gate::GateMode;
use facegate_domain::ids::{GateId, RecordId, RiderId, StationId};
use facegate_domain::journey::{PairingPolicy, pair};
use facegate_domain::money::Money;
use facegate_domain::tap::{Direction, Medium, Tap};
use proptest::prelude::*;

/// Each published table, and the one with every rule.
static TARIFFS: LazyLock<Vec<(String, Tariff)>> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fares");
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".toml") && !name.ends_with(".examples.toml"))
        .collect();
    names.sort();
    let tariff = |name: &String| {
        let table = FareTable::parse(&std::fs::read_to_string(folder.join(name)).unwrap()).unwrap();
        Tariff::new(vec![Arc::new(table)]).unwrap()
    };
    names.iter().map(|name| (name.clone(), tariff(name))).collect()
});

/// Rides of some days: where in and out, minutes before and during.
fn rides() -> impl Strategy<Value = Vec<(usize, usize, i64, i64)>> {
    let pause = prop_oneof![3 => 1..40_i64, 2 => 40..300_i64, 1 => 300..2000_i64];
    proptest::collection::vec((any::<usize>(), any::<usize>(), pause, 2..90_i64), 1..12)
}

fn taps(tariff: &Tariff, rides: &[(usize, usize, i64, i64)], missing: u16, begin_min: i64) -> Vec<Tap> {
    let table = &tariff.tables()[0];
    // Of a large network a few stations, so that he comes back to where he was.
    let stations: Vec<&StationId> = table.stations().collect();
    let some = stations.len().min(7);
    let mut minute = begin_min;
    let mut taps = Vec::new();
    for (number, (from, to, pause, stays)) in (0_u64..).zip(rides) {
        minute += pause;
        let mut passes = |station: &StationId, direction: Direction, minute: i64| {
            taps.push(Tap {
                id: RecordId { gate: GateId::new(direction.name()).unwrap(), epoch: 1, sequence: number },
                rider: RiderId::from_bytes([1; 16]),
                station: station.clone(),
                direction,
                medium: Medium::Face,
                mode: GateMode::Normal,
                at: table.valid_from().plus(std::time::Duration::from_secs(60 * u64::try_from(minute).unwrap())),
            });
        };
        let at = |chosen: usize| stations[(chosen % some) * stations.len() / some];
        passes(at(*from), Direction::Entry, minute);
        minute += stays;
        if missing >> number & 1 == 0 {
            passes(at(*to), Direction::Exit, minute);
        }
    }
    taps
}

fn terms(tariff: &Tariff, taps: &[Tap], holds: u8) -> RiderTerms {
    let first_day = tariff.tables()[0].calendar().moment(taps[0].at).day;
    let last_day = first_day.checked_add(jiff::Span::new().days(3)).unwrap();
    let pass = |name: &str| HeldPass { pass: name.to_owned(), first_day };
    let coupon = Coupon { discount: "referral".to_owned(), rides: 2, first_day, last_day };
    let has = |bit: u8| holds >> bit & 1 == 1;
    RiderTerms {
        category: has(0).then(|| if has(1) { "student" } else { "senior" }.to_owned()),
        passes: [(2, "three rides"), (3, "week in zone 1")]
            .into_iter()
            .filter(|(bit, _)| has(*bit))
            .map(|(_, name)| pass(name))
            .collect(),
        coupons: has(4).then_some(coupon).into_iter().collect(),
        ..RiderTerms::default()
    }
}

/// What it costs, staying too long aside; None if it is held, for its missing exit, or for leaving where he came in.
fn cost(billed: &Billed) -> Option<i64> {
    let fare = billed.price.as_ref().ok()?;
    let lines = || fare.lines().iter();
    if lines().any(|line| matches!(line.rule, Rule::MaximumFare | Rule::SameStation)) {
        return None;
    }
    let seen = lines().filter(|line| !matches!(line.rule, Rule::Overstay { .. }));
    Some(seen.map(|line| line.amount.minor()).sum())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_held_at_an_entry_is_enough_for_the_ride(
        table in any::<prop::sample::Index>(),
        rides in rides(),
        (missing, holds) in (prop_oneof![2 => Just(0), 1 => any::<u16>()], any::<u8>()),
        // From the middle of the first day of the table on, so that all of it is within.
        begin_min in 0..20_000_i64,
    ) {
        let (name, tariff) = &TARIFFS[table.index(TARIFFS.len())];
        let taps = taps(tariff, &rides, missing, begin_min);
        let terms = terms(tariff, &taps, holds);
        let pairing = pair(&taps, &PairingPolicy::default());
        let mut all = Ride::of(&pairing);
        all.sort_by_key(|ride| ride.began());
        let bill = tariff.bill(&all, &terms);
        for (number, ride) in all.iter().enumerate() {
            let known = tariff.bill(&all[..number], &terms);
            // Of two rides that cannot both be true a later one may speak against an earlier one.
            let same = known.rides.iter().zip(&bill.rides).all(|(known, finally)| known.price == finally.price);
            let Some(cost) = cost(&bill.rides[number]).filter(|_| same) else { continue };
            if ride.first().direction != Direction::Entry {
                continue;
            }
            let most = tariff.most_after(&all[..number], ride.first(), &terms).unwrap();
            prop_assert!(cost <= most.minor(), "{name}: {cost} > {most} for {:?} of {:#?}", ride, bill);
        }
    }

    /// Who has reached his cap is asked for nothing, however dear the way would be.
    #[test]
    fn nothing_is_held_of_who_has_paid_all_that_a_day_can_cost(minor in 1..2000_i64, cap in 1..2000_i64) {
        let text = format!(
            "name = \"t\"\nvalid_from = \"2026-01-01T00:00:00Z\"\ncurrency = \"CNY\"\nmaximum_fare_minor = {minor}\n\
             station = [{{ id = \"a\" }}, {{ id = \"b\" }}]\nlink = [{{ from = \"a\", to = \"b\", metres = 9 }}]\n\
             band = [{{ from_m = 0, price_minor = {minor} }}]\ncap = [{{ name = \"day\", period = \"day\", most_minor = {cap} }}]\n"
        );
        let tariff = Tariff::new(vec![Arc::new(FareTable::parse(&text).unwrap())]).unwrap();
        let rides: Vec<_> = (0..8).map(|n| (n, n + 1, 10, 10)).collect();
        let taps = taps(&tariff, &rides, 0, 600);
        let pairing = pair(&taps, &PairingPolicy::default());
        let all = Ride::of(&pairing);
        let mut paid = Money::zero(tariff.currency());
        for (number, ride) in all.iter().enumerate() {
            let most = tariff.most_after(&all[..number], ride.first(), &RiderTerms::default()).unwrap();
            prop_assert!(paid.checked_add(most).unwrap().minor() <= cap, "{paid} and {most}");
            paid = paid.checked_add(tariff.bill(&all[..=number], &RiderTerms::default()).rides[number].total().unwrap()).unwrap();
            prop_assert!(paid.minor() <= cap && !most.is_negative());
            if paid.minor() == cap && number + 1 < all.len() {
                let next = tariff.most_after(&all[..=number], all[number + 1].first(), &RiderTerms::default()).unwrap();
                prop_assert_eq!(next.minor(), 0);
            }
        }
    }
}
