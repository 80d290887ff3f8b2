//! Each promise, broken: the checks must see it.

use facegate_cloud_sync::store::{Posted, PriceAt, Pricing};
use facegate_domain::Timestamp;
use facegate_domain::billing::ItemKind;
use facegate_domain::charge::{AcquirerName, AcquirerToken, AuthorisationId, Event, RetryPolicy};
use facegate_domain::fares::{Fare, Line, Quantity, Rule};
use facegate_domain::gate::GateMode;
use facegate_domain::ids::{GateId, StationId};
use facegate_domain::journey::{Journey, Ridden};
use facegate_domain::ledger::EntryId;
use facegate_domain::money::Money;
use facegate_domain::tap::Medium;

use super::*;

fn id(gate: &str, sequence: u64) -> RecordId {
    RecordId { gate: GateId::new(gate).unwrap(), epoch: 1, sequence }
}

fn tap(gate: &str, sequence: u64, direction: Direction) -> Tap {
    Tap {
        id: id(gate, sequence),
        rider: RiderId::from_bytes([7; 16]),
        station: StationId::new("s0").unwrap(),
        direction,
        medium: Medium::Face,
        mode: GateMode::Normal,
        at: Timestamp::from_unix_ms(i64::try_from(sequence).unwrap() * 60_000),
    }
}

/// One ride, paid by the acquirer, as it should be.
fn one_ride() -> Books {
    let (entry, exit) = (tap("s0-in", 0, Direction::Entry), tap("s1-out", 2, Direction::Exit));
    let crossed = [&entry, &exit].map(|tap| Crossed { tap: tap.id.clone(), rider: tap.rider, way: tap.direction });
    let taps = vec![(vec![0], entry.clone()), (vec![1], exit.clone())];
    let journey = Journey::new(entry, exit);
    let currency = "CNY".parse().unwrap();
    let amount = Money::from_minor(300, currency);
    let rule = Rule::DistanceBand { from_m: 0, up_to_m: None };
    let fare = Fare::new("test", currency, vec![Line { rule, quantity: Quantity::Metres(9), amount }]).unwrap();
    let token = AcquirerToken::new("tok_ok_1").unwrap();
    let (now, retry) = (Timestamp::from_unix_ms(0), RetryPolicy::default());
    let kind = ItemKind::Ride { ride: journey.id };
    let item = Item::new(journey.rider(), jiff::civil::date(2026, 11, 30), amount, kind, now);
    let card = Instrument::Acquirer { acquirer: AcquirerName::default(), token };
    let opened = Charge::open(journey.rider(), std::slice::from_ref(&item), card, now).unwrap();
    let authorisation = AuthorisationId::new("a");
    let steps = [Event::AuthoriseBegun, Event::Authorised { authorisation }, Event::CaptureBegun, Event::Captured];
    let charge = steps.iter().fold(opened.charge, |charge, event| charge.apply(event, now, &retry).unwrap().charge);
    let account = Account { captures: 1, taken: amount, ..Account::new(amount, false) };
    let entries = vec![capture(&charge)];
    Books {
        crossed: crossed.to_vec(),
        taps,
        used: BTreeSet::from([vec![0], vec![1]]),
        acquirer: BTreeMap::from([(charge.key().clone(), account)]),
        priced: vec![PricedRide {
            ride: Ridden::Whole(journey),
            prices: vec![PriceAt { at: now, pricing: Pricing::ours(fare) }],
            items: vec![Posted { item: item.id(), amount }],
            superseded: None,
        }],
        items: vec![item],
        charges: vec![charge],
        entries,
        gaps_and_conflicts: 0,
    }
}

fn capture(charge: &Charge) -> Entry {
    let (id, at) = (EntryId::of("capture", charge.id()), Timestamp::from_unix_ms(0));
    let (from, to) = (LedgerAccount::RiderReceivable(charge.rider()), LedgerAccount::AcquirerReceivable);
    Entry::transfer(id, at, charge.amount(), from, to).unwrap()
}

fn broken(books: &Books) -> BTreeSet<Broken> {
    let findings = books.taps().into_iter().chain(books.journeys()).chain(books.charges()).chain(books.ledger());
    findings.map(|(promise, _)| promise).collect()
}

#[test]
fn a_ride_as_it_should_be_breaks_nothing() {
    assert_eq!(broken(&one_ride()), BTreeSet::new());
}

#[test]
fn a_tap_that_is_lost_of_another_or_in_no_journey_is_found() {
    let breaks: [fn(&mut Books); 5] = [
        |books| drop(books.taps.pop()),
        |books| books.taps[0].1.rider = RiderId::from_bytes([8; 16]),
        |books| assert!(books.used.remove(&vec![1])),
        |books| books.gaps_and_conflicts = 1,
        |books| books.charges.clear(),
    ];
    for (number, damage) in breaks.into_iter().enumerate() {
        let mut books = one_ride();
        damage(&mut books);
        assert!(broken(&books).contains(&Broken::TapLost), "case {number}");
    }
}

#[test]
fn what_is_counted_or_taken_twice_is_found() {
    let breaks: [fn(&mut Books); 6] = [
        |books| books.items.push(books.items[0].clone()),
        |books| books.taps.push((vec![0], tap("s0-in", 9, Direction::Entry))),
        |books| books.priced.push(books.priced[0].clone()),
        |books| books.charges.push(books.charges[0].clone()),
        |books| books.acquirer.values_mut().for_each(|account| account.captures = 2),
        |books| drop(books.crossed.pop()),
    ];
    for (number, damage) in breaks.into_iter().enumerate() {
        let mut books = one_ride();
        damage(&mut books);
        assert!(broken(&books).contains(&Broken::DoubleCharge), "case {number}");
    }
}

#[test]
fn books_that_differ_from_what_the_acquirer_has_taken_are_found() {
    let breaks: [fn(&mut Books); 3] = [
        |books| books.entries.clear(),
        |books| books.acquirer.values_mut().for_each(|account| account.taken = Money::zero(account.taken.currency())),
        |books| {
            let key = IdempotencyKey::new("facegate-nobody");
            drop(books.acquirer.insert(key, Account::new(books.charges[0].amount(), false)));
        },
    ];
    for (number, damage) in breaks.into_iter().enumerate() {
        let mut books = one_ride();
        damage(&mut books);
        assert!(broken(&books).contains(&Broken::Ledger), "case {number}");
    }
}
