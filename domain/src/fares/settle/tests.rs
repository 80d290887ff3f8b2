use std::sync::Arc;

use super::*;
use crate::fares::FareTable;
use crate::fares::worked::Case;
use crate::journey::{PairingPolicy, pair};

const TABLE: &str = r#"
name = "capped"
valid_from = "2025-01-01T04:30:00+08:00"
currency = "CNY"
maximum_fare_minor = 900
zone = "+08:00"
station = [{ id = "a" }, { id = "b" }]
link = [{ from = "a", to = "b", metres = 5000 }]
band = [{ from_m = 0, price_minor = 200 }]
transfer = [{ name = "second", within_s = 7200, count_max = 1, price_minor = 0, pays = "before_and_transfer" }]
"#;

fn journeys(tariff: &Tariff, taps: &[&str]) -> Vec<Journey> {
    let taps: Vec<String> = taps.iter().map(|tap| format!("\"2025-03-03T{tap}\"")).collect();
    let case: Case = toml::from_str(&format!("name = \"x\"\ntaps = [{}]", taps.join(", "))).unwrap();
    pair(&case.taps(tariff).unwrap(), &PairingPolicy::default()).journeys
}

/// Settles the groups one after the other; the totals in that order, and the lines of the last.
fn settled(tariff: &Tariff, groups: &[&[Journey]]) -> (Vec<i64>, Vec<String>) {
    let mut before: Vec<(Journey, Fare)> = Vec::new();
    for group in groups {
        let earlier: Vec<Settled<'_>> =
            before.iter().map(|(journey, fare)| Settled { journey, fare: Some(fare) }).collect();
        let prices = tariff.settle(&earlier, group, &RiderTerms::default());
        before.extend(group.iter().cloned().zip(prices.into_iter().map(Result::unwrap)));
    }
    let lines = before.last().map(|(_, fare)| fare.lines().iter().map(|line| line.rule.to_string()).collect());
    (before.iter().map(|(_, fare)| fare.total().minor()).collect(), lines.unwrap_or_default())
}

#[test]
fn what_was_settled_too_early_is_adjusted_on_a_later_journey_and_never_edited() {
    let tariff = Tariff::new(vec![Arc::new(FareTable::parse(TABLE).unwrap())]).unwrap();
    let taps = ["08:00 a in", "08:20 b out", "08:30 b in", "08:50 a out", "12:00 a in", "12:20 b out"];
    let [first, second, third] = &journeys(&tariff, &taps)[..] else { panic!("three journeys") };
    let one = std::slice::from_ref::<Journey>;
    assert_eq!(settled(&tariff, &[&[first.clone(), second.clone(), third.clone()]]).0, [200, 0, 200]);
    assert_eq!(settled(&tariff, &[one(first), one(second), one(third)]).0, [200, 0, 200]);
    // The second was settled before the first arrived: it costs nothing now, and that comes off the first.
    let (totals, lines) = settled(&tariff, &[one(second), one(first)]);
    assert_eq!(totals, [200, 0]);
    assert_eq!(lines[1], format!("adjusts journey {}, priced anew by what has become known since", second.id));
    // All orders come to the same.
    for order in [[first, third, second], [second, first, third], [second, third, first], [third, second, first]] {
        let groups = order.map(one);
        assert_eq!(settled(&tariff, &groups).0.iter().sum::<i64>(), 400, "{order:?}");
    }
}

#[test]
fn a_credit_that_one_journey_cannot_carry_comes_off_the_next() {
    let dear = TABLE.replace("price_minor = 200", "price_minor = 800");
    let cheap = TABLE.replace("count_max = 1", "count_max = 9");
    let (dear, cheap) = (
        Tariff::new(vec![Arc::new(FareTable::parse(&dear).unwrap())]).unwrap(),
        Tariff::new(vec![Arc::new(FareTable::parse(&cheap).unwrap())]).unwrap(),
    );
    let taps = [
        "08:00 a in",
        "08:20 b out",
        "12:00 b in",
        "12:20 a out",
        "16:00 a in",
        "16:20 b out",
        "20:00 a in",
        "20:20 b out",
    ];
    let journeys = journeys(&dear, &taps);
    // Charged by a table with a wrong price, which was put right then: 600 too much.
    let wrong = dear.settle(&[], &journeys[..1], &RiderTerms::default()).remove(0).unwrap();
    let mut before = vec![(journeys[0].clone(), wrong)];
    let mut totals = Vec::new();
    for journey in &journeys[1..] {
        let earlier: Vec<Settled<'_>> =
            before.iter().map(|(journey, fare)| Settled { journey, fare: Some(fare) }).collect();
        let fare = cheap.settle(&earlier, std::slice::from_ref(journey), &RiderTerms::default()).remove(0).unwrap();
        totals.push(fare.total().minor());
        before.push((journey.clone(), fare));
    }
    assert_eq!(totals, [0, 0, 0], "three rides of 200 each are taken off the 600");
}

#[test]
fn a_held_journey_is_charged_with_the_next_once_it_has_a_price() {
    let tariff = Tariff::new(vec![Arc::new(FareTable::parse(TABLE).unwrap())]).unwrap();
    let journeys = journeys(&tariff, &["08:00 a in", "08:20 b out", "12:00 b in", "12:20 a out"]);
    let held = Settled { journey: &journeys[0], fare: None };
    let fare = tariff.settle(&[held], &journeys[1..], &RiderTerms::default()).remove(0).unwrap();
    assert_eq!(fare.total().minor(), 400);
}
