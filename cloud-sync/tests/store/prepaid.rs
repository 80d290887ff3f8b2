//! Rides that are paid in advance: an entry asks for a hold, and the bill goes on it.

use facegate_cloud_sync::store::{Settlement, Store};
use facegate_domain::billing::{Item, ItemKind};
use facegate_domain::charge::{AuthorisationId, Call, Charge, ChargeId, Event, Purpose, RetryPolicy};
use facegate_domain::ids::RiderId;
use facegate_domain::ledger::Account;
use facegate_domain::money::Money;
use facegate_domain::tap::Tap;

use crate::charges::card;
use crate::places::Place;
use crate::world::{DAY, Gate, NOW, after, fares, rider, settled_ride, settlement, tap_of};

fn minor(minor: i64) -> Money {
    Money::from_minor(minor, fares().currency())
}

/// The rider goes in; gives his tap.
async fn comes_in(store: &dyn Store, gate: &mut Gate, rider: RiderId, at: u64) -> Tap {
    let [granted, seen] = gate.passed(rider, after(at));
    let tap = tap_of(&granted);
    store.record_taps(vec![granted.clone(), seen.clone()], after(at)).await.unwrap();
    store.record_taps(vec![granted, seen], after(at)).await.unwrap();
    tap
}

async fn step(store: &dyn Store, charge: &Charge, event: Event) -> (Charge, Option<Call>) {
    let (id, attempt) = (charge.id(), charge.attempt());
    let moved = store.advance_charge(id, attempt, event, after(900), &RetryPolicy::default()).await.unwrap();
    (moved.charge, moved.call)
}

/// A hold of 900 for that entry, authorised.
async fn held(store: &dyn Store, tap: &Tap) -> Charge {
    let purpose = Purpose::Hold { until: NOW.plus(DAY) };
    let opened = Charge::ahead(tap.rider, ChargeId::of_hold(&tap.id), purpose, minor(900), card(), after(1));
    let hold = store.open_charge(opened).await.unwrap();
    let (hold, _) = step(store, &hold, Event::AuthoriseBegun).await;
    step(store, &hold, Event::Authorised { authorisation: AuthorisationId::new("h") }).await.0
}

pub async fn an_entry_asks_for_a_hold_once_it_is_said_that_they_are_wanted(place: &Place) {
    let store = place.open().await;
    let rider = rider(&*store).await;
    let (mut gate, mut out) = (Gate::entry("north"), Gate::exit("north"));
    comes_in(&*store, &mut gate, rider, 0).await;
    assert!(store.wanted_holds(10).await.unwrap().is_empty());
    store.want_holds(true);
    let one = comes_in(&*store, &mut gate, rider, 100).await;
    let two = comes_in(&*store, &mut gate, rider, 200).await;
    comes_in(&*store, &mut out, rider, 300).await;
    let mut wanted = store.wanted_holds(10).await.unwrap();
    wanted.sort_by_key(|tap| tap.at);
    assert_eq!(wanted, [one.clone(), two.clone()], "exits ask for nothing, and a tap that is told twice asks once");
    assert_eq!(store.wanted_holds(1).await.unwrap().len(), 1);

    let hold = held(&*store, &one).await;
    assert_eq!(
        store.wanted_holds(10).await.unwrap(),
        std::slice::from_ref(&two),
        "opening it takes the place of asking"
    );
    let let_go = async |tap: &Tap| store.let_hold_go(ChargeId::of_hold(&tap.id), after(400)).await.unwrap();
    assert!(let_go(&two).await, "it is not asked for any more");
    assert!(store.wanted_holds(10).await.unwrap().is_empty());
    assert!(!let_go(&two).await);
    assert!(store.due_charges(after(500), 10).await.unwrap().is_empty(), "a hold waits for its ride");
    assert!(let_go(&one).await && !let_go(&one).await);
    let due = store.due_charges(after(500), 10).await.unwrap();
    assert_eq!(due.iter().map(Charge::id).collect::<Vec<_>>(), [hold.id()], "it goes back now");
}

pub async fn a_bill_goes_on_its_hold_once_and_uses_what_the_rider_has_to_his_credit(place: &Place) {
    let store = place.open().await;
    let rider = rider(&*store).await;
    let journey = settled_ride(&*store, rider).await;
    let ride = settlement(&journey).items.remove(0);
    let nowhere =
        store.bill_hold(ChargeId::of_hold(&journey.entry.id), std::slice::from_ref(&ride), after(700)).await.unwrap();
    assert_eq!(nowhere, None, "there is no such hold");
    // A ride of before comes to 100 less.
    let kind = ItemKind::Adjustment { of: journey.id, number: 1 };
    let back = Item::new(rider, ride.day(), minor(-100), kind, NOW);
    let items = vec![back.clone()];
    let seen = store.settlements(rider).await.unwrap();
    store.settle(Settlement { items, ..Settlement::of(rider, seen) }, after(750)).await.unwrap();
    store.open_charge(Charge::open(rider, &[back], card(), after(760)).unwrap()).await.unwrap();

    let hold = held(&*store, &journey.entry).await;
    let billed = store.bill_hold(hold.id(), std::slice::from_ref(&ride), after(800)).await.unwrap().unwrap();
    assert_eq!((billed.id(), billed.amount(), billed.asked()), (hold.id(), minor(300), minor(900)));
    assert_eq!(store.item(ride.id()).await.unwrap(), Some((ride.clone(), Some(hold.id()))));
    assert_eq!(store.credit(rider, fares().currency()).await.unwrap(), None, "the credit is used");
    assert_eq!(store.bill_hold(hold.id(), &[ride], after(801)).await.unwrap(), None, "it is a bill now");
    assert!(!store.let_hold_go(hold.id(), after(801)).await.unwrap());
    let (capturing, call) = step(&*store, &billed, Event::CaptureBegun).await;
    assert!(matches!(call, Some(Call::Capture { amount, .. }) if amount == minor(300)), "{call:?}");
    step(&*store, &capturing, Event::Captured).await;
    let balance = async |account| store.balance(account, fares().currency()).await.unwrap().minor();
    assert_eq!((balance(Account::RiderReceivable(rider)).await, balance(Account::AcquirerReceivable).await), (0, 300));
    assert!(store.is_balanced().await.unwrap() && store.has_paid(rider).await.unwrap());
}
