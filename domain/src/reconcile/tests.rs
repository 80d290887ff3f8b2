use proptest::prelude::*;

use super::*;
use crate::billing::{Item, ItemId, ItemKind};
use crate::charge::ChargeId;
use crate::clock::Timestamp;
use crate::ids::{GateId, RecordId, StationId};
use crate::journey::JourneyId;
use crate::settlement::SettledLine;
use crate::tap::Direction;

const DAY: Date = jiff::civil::date(2026, 11, 29);
const NOON: Timestamp = Timestamp::from_unix_ms(1_795_953_600_000);

fn cny(minor: i64) -> Money {
    Money::from_minor(minor, "CNY".parse().unwrap())
}

fn record(sequence: u64) -> RecordId {
    RecordId { gate: GateId::new("g").unwrap(), epoch: 1, sequence }
}

fn tap(sequence: u64, used: Used) -> TapRow {
    let station = StationId::new("north").unwrap();
    TapRow { id: record(sequence), at: NOON, station, direction: Direction::Entry, used }
}

fn line(kind: SettledKind, reference: &str, key: &str, minor: i64) -> LineRow {
    let (reference, key) = (reference.to_owned(), key.to_owned());
    let line = SettledLine { kind, reference, key, amount: cny(minor), fee: cny(1), booked_at: NOON };
    LineRow { acquirer: "sandbox".into(), date: DAY, line }
}

/// A rider with so many rides of two taps, all on one bill that was captured and settled.
fn good(rider: u8, rides: u64) -> RiderDay {
    let rider = RiderId::from_bytes([rider; 16]);
    let mut day = RiderDay { rider, taps: Vec::new(), rides: Vec::new(), bills: Vec::new() };
    let mut items: Vec<ItemId> = Vec::new();
    for n in 0..rides {
        let id = JourneyId::of(&record(2 * n), &record(2 * n + 1));
        day.taps.extend([2 * n, 2 * n + 1].map(|n| tap(n, Used::Ride { id, exists: true })));
        let kind = ItemKind::Ride { ride: id };
        items.push(Item::new(rider, DAY, cny(400), kind, NOON).id());
    }
    let charge = ChargeId::of(&items);
    for (n, item) in (0..rides).zip(&items) {
        let item = ItemRow { id: *item, amount: cny(400), charge: Some(charge), is_known: true };
        let id = JourneyId::of(&record(2 * n), &record(2 * n + 1));
        day.rides.push(RideRow { id, price: Price::Fare(cny(400)), items: vec![item], superseded: false });
    }
    let sum = cny(400 * i64::try_from(rides).unwrap());
    let settled = vec![line(SettledKind::Capture, &format!("ref-{rider}"), &format!("facegate-{charge}"), sum.minor())];
    day.bills.push(BillRow {
        id: charge,
        day: DAY,
        billed: sum,
        items_come_to: Some(sum),
        amount: sum,
        outcome: Outcome::Captured,
        acquirer: Some("sandbox".into()),
        settled,
    });
    day
}

/// Breaks a good day in one way; says what should be found.
fn plant(day: &mut RiderDay, how: Kind) -> bool {
    let bill = &mut day.bills[0];
    match how {
        Kind::TapWithoutRide => day.taps.push(tap(1000, Used::Nothing)),
        Kind::TapWaits => day.taps.push(tap(1001, Used::Open)),
        Kind::PriceHeld => day.rides.push(RideRow {
            id: JourneyId::of_broken(&record(1002)),
            price: Price::Held,
            items: Vec::new(),
            superseded: false,
        }),
        Kind::RideWithoutItem => day.rides.push(RideRow {
            id: JourneyId::of_broken(&record(1003)),
            price: Price::Fare(cny(300)),
            items: Vec::new(),
            superseded: false,
        }),
        Kind::ItemsDiffer => day.rides[0].price = Price::Fare(cny(401)),
        Kind::ItemMissing => {
            day.rides[0].items[0].is_known = false;
            day.rides[0].items[0].charge = None;
        }
        Kind::ItemWithoutBill => day.rides[0].items[0].charge = None,
        Kind::BillDiffers => bill.items_come_to = Some(cny(1)),
        Kind::BillWithoutOutcome => bill.outcome = Outcome::Waiting("unknown".into()),
        Kind::CaptureNotSettled => bill.settled.clear(),
        _ => return false,
    }
    true
}

fn kinds(found: &[Difference]) -> Vec<Kind> {
    let mut kinds: Vec<Kind> = found.iter().map(|difference| difference.kind).collect();
    kinds.sort_unstable();
    kinds
}

#[test]
fn a_day_that_fits_has_no_difference() {
    assert_eq!(forward(DAY, &good(1, 3)), Vec::new());
    let free =
        RideRow { id: JourneyId::of_broken(&record(9)), price: Price::Fare(cny(0)), items: vec![], superseded: false };
    let mut day = good(1, 1);
    day.rides.push(free);
    // Given back: what it was billed and the adjustment come to nothing.
    let mut gone = day.rides[0].clone();
    gone.superseded = true;
    let back = ItemRow { amount: cny(-400), ..gone.items[0] };
    gone.items.push(back);
    day.rides.push(gone);
    assert_eq!(forward(DAY, &day), Vec::new());
    let mut totals = DayTotals::new(cny(0).currency());
    totals.add_rider(DAY, &day);
    assert_eq!((totals.taps, totals.rides.count, totals.rides_superseded, totals.captured.minor), (2, 2, 1, 400));
}

#[test]
fn a_bill_of_another_day_is_not_looked_at() {
    let mut day = good(1, 1);
    day.bills[0].day = DAY.tomorrow().unwrap();
    day.bills[0].outcome = Outcome::Waiting("due".into());
    assert_eq!(forward(DAY, &day), Vec::new());
}

#[test]
fn a_line_is_held_against_what_the_books_know_of_its_key() {
    let day = good(1, 2);
    let bill = &day.bills[0];
    let row = bill.settled[0].clone();
    let found = |row: &LineRow, ours: Ours| kinds(&backward(row, &ours, None));
    assert_eq!(found(&row, Ours::Bill(bill.clone())), []);
    assert_eq!(found(&row, Ours::Nothing), [Kind::SettledNotOurs]);
    let with = |amount, outcome| Ours::Bill(BillRow { amount: cny(amount), outcome, ..bill.clone() });
    assert_eq!(found(&row, with(799, Outcome::Captured)), [Kind::SettledAmountDiffers]);
    assert_eq!(found(&row, with(800, Outcome::Debt)), [Kind::SettledNotCaptured]);
    let mut late = row.clone();
    late.date = DAY.tomorrow().unwrap();
    assert_eq!(found(&late, with(800, Outcome::Captured)), [Kind::SettledTwice], "the first is of the day before");
    let alone = BillRow { settled: vec![late.clone()], ..bill.clone() };
    assert_eq!(found(&late, Ours::Bill(alone)), [Kind::SettledOnAnotherDate]);
    let back = line(SettledKind::Chargeback, "c", &row.line.key, 800);
    assert_eq!(found(&back, Ours::Bill(bill.clone())), [Kind::ChargebackNotPosted]);
    assert_eq!(found(&back, Ours::Posted(cny(800))), []);
    assert_eq!(found(&back, Ours::Posted(cny(700))), [Kind::SettledAmountDiffers]);
    assert_eq!(found(&line(SettledKind::Refund, "r", "x", 5), Ours::Bill(bill.clone())), [Kind::RefundNotOurs]);
}

#[test]
fn every_kind_says_what_it_is_and_what_to_do() {
    for kind in Kind::ALL {
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        assert!(kind.says().ends_with('.') && kind.next_action().ends_with('.'), "{}", kind.name());
    }
}

proptest! {
    /// Whatever is planted in which rider's day, in whatever order the rows come, is found, and nothing else is.
    #[test]
    fn exactly_what_was_planted_is_found(
        rides in 1_u64..5,
        planted in prop::collection::btree_set(prop::sample::select(Kind::ALL.to_vec()), 0..4),
        order in prop::collection::vec(any::<prop::sample::Index>(), 8),
    ) {
        let mut day = good(1, rides);
        // Those that change the same thing in the same ride would hide each other.
        let of_items = [Kind::ItemMissing, Kind::ItemWithoutBill];
        let of_outcome = [Kind::BillWithoutOutcome, Kind::CaptureNotSettled];
        let clash = |of: &[Kind]| of.iter().filter(|kind| planted.contains(kind)).count() > 1;
        prop_assume!(!clash(&of_items) && !clash(&of_outcome));
        let planted: Vec<Kind> = planted.into_iter().filter(|kind| plant(&mut day, *kind)).collect();
        for (n, index) in order.iter().enumerate() {
            let (taps, rides) = (day.taps.len(), day.rides.len());
            day.taps.swap(n % taps, index.index(taps));
            day.rides.swap(n % rides, index.index(rides));
        }
        let found = forward(DAY, &day);
        prop_assert_eq!(kinds(&found), planted);
        let mut totals = DayTotals::new(cny(0).currency());
        found.iter().for_each(|difference| totals.add_difference(difference));
        prop_assert_eq!(totals.differences_count(), found.len() as u64);
    }
}
