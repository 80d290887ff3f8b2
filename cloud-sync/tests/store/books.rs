//! What finance reads and writes: a day rider by rider, settlement files, the close.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use facegate_cloud_sync::store::{
    DayClose, LinePlace, SettlementFile, SettlementRefusal, Span, Store, StoreError, WrittenFile,
};
use facegate_domain::Timestamp;
use facegate_domain::billing::Item;
use facegate_domain::charge::{AuthorisationId, Charge, Event, Found, RetryPolicy};
use facegate_domain::ids::{GateId, RiderId};
use facegate_domain::ledger::{Account, Entry, EntryId};
use facegate_domain::money::Money;
use facegate_domain::reconcile::{DayTotals, Kind, Ours, Outcome, RiderDay, forward, refund_difference};
use facegate_domain::remedy::{Ground, Measure, RemedyEvent, RemedyPolicy, RemedyRequest};
use facegate_domain::settlement::{Header, SettledKind, SettledLine, Settlement};
use futures::TryStreamExt;
use jiff::civil::{Date, date};

use crate::charges::{card, opened};
use crate::places::Place;
use crate::world::{Gate, NOW, after, fares, ride, rider, settle, settled_ride, settlement};

const DAY: Date = date(2026, 11, 18);
const HOUR: Duration = Duration::from_secs(3600);

fn cny(minor: i64) -> Money {
    Money::from_minor(minor, fares().currency())
}

/// A charge of a ride that was captured.
async fn captured(store: &dyn Store, rider: RiderId) -> Charge {
    let journey = settled_ride(store, rider).await;
    let mut charge = store.open_charge(opened(&[&journey], card(), 800)).await.unwrap();
    let authorisation = AuthorisationId::new("auth-1");
    for event in [Event::AuthoriseBegun, Event::Authorised { authorisation }, Event::CaptureBegun, Event::Captured] {
        charge = store.advance_charge(charge.id(), 1, event, after(801), &RetryPolicy::default()).await.unwrap().charge;
    }
    charge
}

fn header(day: Date) -> Header {
    Header { acquirer: "sandbox".into(), date: day, currency: fares().currency() }
}

fn line(reference: &str, key: &str, minor: i64) -> SettledLine {
    let (reference, key) = (reference.to_owned(), key.to_owned());
    SettledLine { kind: SettledKind::Capture, reference, key, amount: cny(minor), fee: cny(3), booked_at: NOW }
}

fn file(day: Date, lines: &[SettledLine], sha256: u8) -> SettlementFile {
    let sum = lines.iter().map(SettledLine::signed_minor).sum();
    let fees = lines.iter().map(|line| line.fee.minor()).sum();
    let lines = lines.len() as u64;
    let settlement = Settlement { header: header(day), lines, sum: cny(sum), fees: cny(fees), sha256: [sha256; 32] };
    SettlementFile {
        settlement,
        name: "a.csv".into(),
        by: "operator/x".into(),
        imported_at: after(2000),
        counts_on: day,
    }
}

async fn close_day(store: &dyn Store, close: DayClose) -> DayClose {
    store.begin_close(close.day, "turn", close.closed_at.plus(HOUR)).await.unwrap();
    store.close_day(close, "turn").await.unwrap()
}

fn close_of(day: Date) -> DayClose {
    DayClose {
        day,
        closed_at: after(750),
        by: "operator/ada".into(),
        note: None,
        forced: Vec::new(),
        totals: DayTotals::new(fares().currency()),
        files: Vec::new(),
    }
}

async fn import(store: &dyn Store, day: Date, lines: &[SettledLine], sha256: u8) -> Result<(), StoreError> {
    let file = file(day, lines, sha256);
    store.begin_settlement(&file.settlement).await?;
    store.add_settled(&header(day), (2..).zip(lines.iter().cloned()).collect()).await?;
    store.finish_settlement(file).await
}

async fn day_of(store: &dyn Store, from: Timestamp, to: Timestamp) -> BTreeMap<RiderId, RiderDay> {
    let pages: Vec<Vec<RiderDay>> = store.rider_days(Span { from, to }).try_collect().await.unwrap();
    let days: Vec<RiderDay> = pages.into_iter().flatten().collect();
    assert!(days.is_sorted_by_key(|day| day.rider), "riders come in their order, each once");
    days.into_iter().map(|day| (day.rider, day)).collect()
}

fn kinds(day: &RiderDay) -> Vec<Kind> {
    forward(day.bills.first().map_or(DAY, |bill| bill.day), day).into_iter().map(|found| found.kind).collect()
}

pub async fn a_day_is_read_rider_by_rider_with_what_became_of_each_tap(place: &Place) {
    let store = place.open().await;
    let paid = captured(&*store, rider(&*store).await).await;
    let waits = rider(&*store).await;
    settled_ride(&*store, waits).await;
    let inside = rider(&*store).await;
    let entered = Gate::entry("north").passed(inside, NOW);
    store.record_taps(entered.into(), NOW).await.unwrap();
    let days = day_of(&*store, NOW, after(3600)).await;
    assert_eq!(days.len(), 3);
    let bill = &days[&paid.rider()].bills[0];
    assert_eq!(
        (&bill.outcome, bill.billed, bill.items_come_to),
        (&Outcome::Captured, paid.amount(), Some(paid.amount()))
    );
    assert_eq!(kinds(&days[&paid.rider()]), [Kind::CaptureNotSettled]);
    assert_eq!(kinds(&days[&waits]), [Kind::ItemWithoutBill]);
    assert_eq!(kinds(&days[&inside]), [Kind::TapWaits]);
    import(&*store, DAY, &[line("r-1", paid.key().as_str(), paid.amount().minor())], 1).await.unwrap();
    let days = day_of(&*store, NOW, after(3600)).await;
    assert_eq!(kinds(&days[&paid.rider()]), [], "it is settled now");
    // The day ends between the two taps: the ride is the next one's.
    let first = day_of(&*store, NOW, after(300)).await;
    let before = &first[&paid.rider()];
    assert_eq!((before.taps.len(), before.rides.len(), kinds(before)), (1, 0, vec![]));
    let next = day_of(&*store, after(300), after(3600)).await;
    assert_eq!((next.len(), next[&waits].rides.len()), (2, 1));
    assert!(day_of(&*store, after(3600), after(7200)).await.is_empty());
}

pub async fn many_riders_are_told_each_once(place: &Place) {
    let store = place.open().await;
    let mut riders = Vec::new();
    let mut gate = Gate::entry("north");
    for _ in 0..2300 {
        riders.push(RiderId::random());
    }
    for some in riders.chunks(500) {
        let records = some.iter().flat_map(|rider| gate.passed(*rider, NOW)).collect();
        store.record_taps(records, NOW).await.unwrap();
    }
    let days = day_of(&*store, NOW, after(1)).await;
    riders.sort();
    assert!(days.keys().eq(&riders) && days.values().all(|day| day.taps.len() == 1));
}

pub async fn a_settlement_file_counts_wholly_and_once(place: &Place) {
    let store = place.open().await;
    let paid = captured(&*store, rider(&*store).await).await;
    let lines = [line("r-1", paid.key().as_str(), 400), line("r-2", "somebody-else", 250)];
    let held = async || store.balance(Account::OperatorBank, fares().currency()).await.unwrap().minor();
    // Begun and left: nothing of it counts.
    store.begin_settlement(&file(DAY, &lines, 1).settlement).await.unwrap();
    store.add_settled(&header(DAY), vec![(2, line("r-9", paid.key().as_str(), 1))]).await.unwrap();
    assert_eq!((held().await, store.settled_lines("sandbox", DAY, None, 10).await.unwrap().len()), (0, 0));
    assert!(store.settlement_files(DAY).await.unwrap().is_empty());
    import(&*store, DAY, &lines, 1).await.unwrap();
    assert_eq!(held().await, 644);
    assert_eq!(store.balance(Account::AcquirerReceivable, fares().currency()).await.unwrap().minor(), 400 - 650);
    let told = store.settled_lines("sandbox", DAY, None, 1).await.unwrap();
    let rest = store.settled_lines("sandbox", DAY, Some(&LinePlace::of(&told[0].line)), 10).await.unwrap();
    assert_eq!((told[0].line.reference.as_str(), rest.len(), rest[0].line.clone()), ("r-2", 1, lines[0].clone()));
    let known = store.known_of(&[rest[0].clone(), told[0].clone()]).await.unwrap();
    assert!(matches!(&known[0], (Ours::Bill(bill), Some(whose)) if bill.id == paid.id() && *whose == paid.rider()));
    assert_eq!(known[1], (Ours::Nothing, None));
    let again = import(&*store, DAY, &lines, 1).await;
    assert!(matches!(again, Err(StoreError::Settlement(SettlementRefusal::Imported { .. }))), "{again:?}");
    let corrected = import(&*store, DAY, &lines[..1], 2).await;
    assert!(matches!(corrected, Err(StoreError::Settlement(SettlementRefusal::Differs { .. }))), "{corrected:?}");
    let next = DAY.tomorrow().unwrap();
    let doubled = import(&*store, next, &[line("r-3", "x", 5), lines[1].clone()], 3).await;
    let Err(StoreError::Settlement(SettlementRefusal::SettledBefore { line: 3, date, .. })) = doubled else {
        panic!("{doubled:?}");
    };
    assert_eq!((date, held().await), (DAY, 644));
    // What is left of the refused one is in nobody's way.
    import(&*store, next, &[line("r-3", "x", 5)], 4).await.unwrap();
    let files = store.settlement_files(DAY).await.unwrap();
    assert_eq!(files.iter().map(|file| file.settlement.header.date).collect::<Vec<_>>(), [DAY, next]);
    assert_eq!(store.settlement_files(next).await.unwrap().len(), 1);
    assert!(store.trial_balance().await.unwrap().is_balanced());
    let audit = store.audit_entries(0, 100).await.unwrap();
    assert_eq!(audit.iter().filter(|line| line.action == "books.settlement").count(), 2);
}

pub async fn a_refund_and_a_chargeback_are_known_by_their_entries(place: &Place) {
    let store = place.open().await;
    let paid = captured(&*store, rider(&*store).await).await;
    let mut back = line("cb-1", paid.key().as_str(), 400);
    back.kind = SettledKind::Chargeback;
    import(&*store, DAY, &[back], 1).await.unwrap();
    let row = store.settled_lines("sandbox", DAY, None, 10).await.unwrap();
    assert!(matches!(store.known_of(&row).await.unwrap()[0].0, Ours::Bill(_)), "not posted yet");
    let id = EntryId::of("chargeback", format_args!("{}/cb-1", paid.id()));
    let entry = Entry::transfer(id, after(900), cny(400), Account::AcquirerReceivable, Account::Disputed).unwrap();
    for _ in 0..2 {
        store.post_entry(entry.clone(), "operator/x", "books.chargeback", "cb-1").await.unwrap();
    }
    assert_eq!(store.posted(&[entry.id().clone(), EntryId::of("x", 1)]).await.unwrap(), [true, false]);
    assert_eq!(store.known_of(&row).await.unwrap()[0].0, Ours::Posted(cny(400)));
    let audit = store.audit_entries(0, 100).await.unwrap();
    assert_eq!(audit.iter().filter(|line| line.action == "books.chargeback").count(), 1);
}

pub async fn what_comes_after_the_close_is_late_and_the_days_before_are_not(place: &Place) {
    let store = place.open().await;
    let early = settled_ride(&*store, rider(&*store).await).await;
    let day = store.item(store.ride(early.id).await.unwrap().unwrap().items[0].item).await.unwrap().unwrap().0.day();
    let close = close_of(day);
    close_day(&*store, close).await;
    let late = settled_ride(&*store, rider(&*store).await).await;
    let all = Span { from: NOW, to: after(90_000) };
    let found = store.late_items(all, None, 10).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].at, found[0].item.kind().ride()), (after(700), Some(late.id)));
    let place_of_it = (found[0].at, found[0].item.id());
    assert!(store.late_items(all, Some(place_of_it), 10).await.unwrap().is_empty());
    assert!(store.late_items(Span { from: NOW, to: after(700) }, None, 10).await.unwrap().is_empty());
}

pub async fn a_day_is_closed_once_and_stays(place: &Place) {
    let store = place.open().await;
    let mut totals = DayTotals::new(fares().currency());
    totals.taps = 7;
    let files = vec![WrittenFile { name: "bills.csv".into(), bytes: 3, sha256: "ab".repeat(32) }];
    let close = DayClose {
        day: DAY,
        closed_at: after(9000),
        by: "operator/ada".into(),
        note: None,
        forced: Vec::new(),
        totals,
        files,
    };
    assert_eq!(close_day(&*store, close.clone()).await, close);
    let other = DayClose { by: "operator/bob".into(), closed_at: after(9999), ..close.clone() };
    assert_eq!(close_day(&*store, other.clone()).await, close, "the first stands");
    let next = DayClose { day: DAY.tomorrow().unwrap(), ..other };
    close_day(&*store, next.clone()).await;
    assert_eq!(store.closed_days(10).await.unwrap(), [next.clone(), close.clone()]);
    assert_eq!(store.closed_days(1).await.unwrap(), [next]);
    drop(store);
    let store = place.open().await;
    assert_eq!(store.closed_day(DAY).await.unwrap(), Some(close));
    assert_eq!(store.closed_day(date(2020, 1, 1)).await.unwrap(), None);
    let audit = store.audit_entries(0, 100).await.unwrap();
    let lines: Vec<&str> = audit.iter().map(|line| line.subject.as_str()).collect();
    assert!(lines.len() == 2 && lines[0].starts_with("2026-11-18 differences=0 bills.csv=abab"), "{lines:?}");
}

/// A ride of its own gates that is not settled.
async fn unsettled_ride(store: &dyn Store) -> facegate_domain::journey::Journey {
    let (mut entry, mut exit) = (Gate::entry("north"), Gate::exit("south"));
    for gate in [&mut entry, &mut exit] {
        gate.gate = GateId::new(format!("g-{}", uuid::Uuid::new_v4().simple())).unwrap();
    }
    ride(store, &mut entry, &mut exit, rider(store).await, NOW).await
}

pub async fn nothing_is_added_to_a_day_while_it_is_closed(place: &Place) {
    let store = place.open().await;
    let (one, two) = (unsettled_ride(&*store).await, unsettled_ride(&*store).await);
    let day = settlement(&one).items[0].day();
    let all = Span { from: NOW, to: after(90_000) };
    store.begin_close(day.yesterday().unwrap(), "turn", after(2000)).await.unwrap();
    settle(&*store, settlement(&two), 800).await.unwrap();
    store.begin_close(day, "turn", after(2000)).await.unwrap();
    let waits = settle(&*store, settlement(&one), 801).await;
    assert!(matches!(waits, Err(StoreError::DayClosing(of)) if of == day), "{waits:?}");
    assert!(store.ride(one.id).await.unwrap().is_none(), "nothing of it is stored");
    store.give_close_up("somebody").await.unwrap();
    let other = store.close_day(close_of(day), "somebody").await;
    assert!(matches!(other, Err(StoreError::CloseOverdue(_))), "{other:?}");
    store.close_day(close_of(day), "turn").await.unwrap();
    assert!(store.late_items(all, None, 10).await.unwrap().is_empty(), "what was settled before is of the day");
    settle(&*store, settlement(&one), 802).await.unwrap();
    assert_eq!(store.late_items(all, None, 10).await.unwrap().len(), 1);

    // Whoever has begun and never ended is in nobody's way for long, and cannot end it any more.
    let next = day.tomorrow().unwrap();
    let three = unsettled_ride(&*store).await;
    let mut late = settlement(&three);
    let item = &late.items[0];
    late.items = vec![Item::new(item.rider(), next, item.amount(), item.kind().clone(), item.bill_at())];
    store.begin_close(next, "turn", after(2000)).await.unwrap();
    assert!(settle(&*store, late.clone(), 1999).await.is_err());
    settle(&*store, late, 2000).await.unwrap();
    let overdue = store.close_day(close_of(next), "turn").await;
    assert!(matches!(overdue, Err(StoreError::CloseOverdue(_))), "{overdue:?}");
    store.begin_close(next, "turn", after(4000)).await.unwrap();
    store.give_close_up("turn").await.unwrap();
    settle(&*store, settlement(&unsettled_ride(&*store).await), 2001).await.unwrap();
}

/// Many settle while somebody closes the day: each item was there when the match began, or is late.
pub async fn at_the_moment_of_a_close_every_item_is_of_the_day_or_late(place: &Place) {
    let store: Arc<dyn Store> = place.open().await;
    let mut rides = Vec::new();
    for _ in 0..40 {
        rides.push(unsettled_ride(&*store).await);
    }
    let day = settlement(&rides[0]).items[0].day();
    let settling = rides.into_iter().enumerate().map(|(n, ride)| {
        let store = Arc::clone(&store);
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(n as u64 * 2)).await;
            while let Err(error) = settle(&*store, settlement(&ride), 800).await {
                assert!(matches!(error, StoreError::DayClosing(_)), "{error}");
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
    });
    let settling: Vec<_> = settling.collect();
    tokio::time::sleep(Duration::from_millis(30)).await;
    store.begin_close(day, "turn", after(9000)).await.unwrap();
    let seen = day_of(&*store, NOW, after(3600)).await;
    let seen: usize = seen.values().flat_map(|day| &day.rides).map(|ride| ride.items.len()).sum();
    tokio::time::sleep(Duration::from_millis(30)).await;
    store.close_day(close_of(day), "turn").await.unwrap();
    for task in settling {
        task.await.unwrap();
    }
    let late = store.late_items(Span { from: NOW, to: after(9000) }, None, 100).await.unwrap().len();
    assert_eq!(seen + late, 40, "{seen} of the day and {late} late");
}

pub async fn refunds_through_an_acquirer_are_told_until_a_file_has_them(place: &Place) {
    let store = place.open().await;
    let paid = captured(&*store, rider(&*store).await).await;
    let request = RemedyRequest {
        order: "a".into(),
        rider: paid.rider(),
        measure: Measure::Refund { charge: paid.id() },
        amount: cny(150),
        ground: Ground::Price,
        reason: "the gate was broken".into(),
        by: "operator/a".into(),
    };
    let policy = RemedyPolicy { four_eyes_above_minor: 1000 };
    let remedy = store.ask_remedy(request, &policy, after(900)).await.unwrap();
    let all = Span { from: NOW, to: after(2000) };
    assert!(store.hurry_remedy(remedy.id(), after(800)).await.is_ok_and(|hurried| hurried));
    assert_eq!(store.due_remedies(after(800), 10).await.unwrap().len(), 1, "it is looked at now");
    let found = Found::Captured { authorisation: AuthorisationId::new("auth-1") };
    for event in [RemedyEvent::Charge(found), RemedyEvent::Begun, RemedyEvent::Refunded] {
        assert!(store.refunds(all, None, 10).await.unwrap().is_empty(), "not booked yet");
        let _ = store.advance_remedy(remedy.id(), event, after(1000), &RetryPolicy::default()).await.unwrap();
    }
    let refunds = store.refunds(all, None, 10).await.unwrap();
    assert_eq!((refunds.len(), refunds[0].at, refunds[0].row.amount), (1, after(1000), cny(150)));
    let lacks = refund_difference(&refunds[0].row).unwrap();
    assert_eq!((lacks.kind, lacks.about.key), (Kind::RefundNotSettled, remedy.key().to_string()));
    let place_of_it = (refunds[0].at, refunds[0].row.id);
    assert!(store.refunds(all, Some(place_of_it), 10).await.unwrap().is_empty());
    assert!(store.refunds(Span { from: NOW, to: after(1000) }, None, 10).await.unwrap().is_empty());
    let mut back = line("re-1", remedy.key().as_str(), 150);
    back.kind = SettledKind::Refund;
    import(&*store, DAY, &[back], 1).await.unwrap();
    let refunds = store.refunds(all, None, 10).await.unwrap();
    assert_eq!(refund_difference(&refunds[0].row), None);
}
