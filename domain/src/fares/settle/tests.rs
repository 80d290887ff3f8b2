use std::sync::Arc;

use super::*;
use crate::fares::FareTable;
use crate::fares::worked::Case;
use crate::journey::{PairingPolicy, Ridden, pair};

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

fn tariff(table: &str) -> Tariff {
    Tariff::new(vec![Arc::new(FareTable::parse(table).unwrap())]).unwrap()
}

fn rides(tariff: &Tariff, taps: &[&str]) -> Vec<Ridden> {
    let taps: Vec<String> = taps.iter().map(|tap| format!("\"2025-03-03T{tap}\"")).collect();
    let case: Case = toml::from_str(&format!("name = \"x\"\ntaps = [{}]", taps.join(", "))).unwrap();
    let pairing = pair(&case.taps(tariff).unwrap(), &PairingPolicy::default());
    let whole = pairing.journeys.into_iter().map(Ridden::from);
    whole.chain(pairing.incomplete.into_iter().map(Ridden::from)).collect()
}

/// Settles the groups one after the other; the items of each ride, in the order of `all`.
fn items(tariff: &Tariff, all: &[Ridden], groups: &[&[usize]]) -> Vec<Vec<i64>> {
    let mut items: Vec<Vec<i64>> = vec![Vec::new(); all.len()];
    let mut settled: Vec<usize> = Vec::new();
    for group in groups {
        let before: Vec<Settled<'_>> = settled
            .iter()
            .map(|at| {
                let posted = Money::from_minor(items[*at].iter().sum(), tariff.currency());
                Settled { ride: (&all[*at]).into(), posted, held: false, stands: true }
            })
            .collect();
        let new: Vec<Ride<'_>> = group.iter().map(|at| (&all[*at]).into()).collect();
        let since = new.iter().map(|ride| ride.began()).min().unwrap();
        let settling = tariff.settle(&before, &new, since, &RiderTerms::default()).unwrap();
        for (at, billed) in group.iter().zip(&settling.new) {
            items[*at].push(billed.total().unwrap().minor());
        }
        for change in settling.changes {
            let at = all.iter().position(|ride| ride.id() == change.ride).unwrap();
            items[at].push(change.amount.minor());
        }
        settled.extend(*group);
    }
    items
}

#[test]
fn what_was_settled_too_early_is_adjusted_at_once_and_never_edited() {
    let tariff = tariff(TABLE);
    let taps = ["08:00 a in", "08:20 b out", "08:30 b in", "08:50 a out", "12:00 a in", "12:20 b out"];
    let all = rides(&tariff, &taps);
    assert_eq!(items(&tariff, &all, &[&[0, 1, 2]]), [vec![200], vec![0], vec![200]]);
    assert_eq!(items(&tariff, &all, &[&[0], &[1], &[2]]), [vec![200], vec![0], vec![200]]);
    // The second was settled before the first arrived: it costs nothing now.
    assert_eq!(items(&tariff, &all[..2], &[&[1], &[0]]), [vec![200], vec![200, -200]]);
    for order in [[0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let in_turn = order.map(|at| [at]);
        let settled = items(&tariff, &all, &in_turn.each_ref().map(<[usize; 1]>::as_slice));
        let net: Vec<i64> = settled.iter().map(|items| items.iter().sum()).collect();
        assert_eq!(net, [200, 0, 200], "{order:?}");
    }
}

#[test]
fn a_broken_ride_costs_the_maximum_until_its_other_end_makes_it_whole() {
    let tariff = tariff(TABLE);
    let broken = rides(&tariff, &["08:20 b out"]).remove(0);
    let whole = rides(&tariff, &["08:00 a in", "08:20 b out"]).remove(0);
    let nothing = RiderTerms::default();
    let first = tariff.settle(&[], &[(&broken).into()], broken.first().at, &nothing).unwrap();
    assert_eq!(first.new[0].total().unwrap().minor(), 900);
    let posted = first.new[0].total().unwrap();
    let before = [Settled { ride: (&broken).into(), posted, held: false, stands: false }];
    let later = tariff.settle(&before, &[(&whole).into()], whole.first().at, &nothing).unwrap();
    assert_eq!(later.new[0].total().unwrap().minor(), 200);
    let [change] = &later.changes[..] else { panic!("one change") };
    assert_eq!((change.ride, &change.price, change.amount.minor()), (broken.id(), &None, -900));
}

#[test]
fn a_held_ride_is_told_of_once_it_has_a_price_even_if_that_is_nothing() {
    for (minor, table) in [(200, TABLE.to_owned()), (0, TABLE.replace("price_minor = 200", "price_minor = 0"))] {
        let tariff = tariff(&table);
        let all = rides(&tariff, &["08:00 a in", "08:20 b out"]);
        let posted = Money::zero(tariff.currency());
        let held = Settled { ride: (&all[0]).into(), posted, held: true, stands: true };
        let settling = tariff.settle(&[held], &[], all[0].first().at, &RiderTerms::default()).unwrap();
        let [change] = &settling.changes[..] else { panic!("one change") };
        assert_eq!(change.amount.minor(), minor);
        let priced = Settled { held: false, posted: change.amount, ..held };
        let again = tariff.settle(&[priced], &[], all[0].first().at, &RiderTerms::default()).unwrap();
        assert_eq!(again, Settling::default());
    }
}
