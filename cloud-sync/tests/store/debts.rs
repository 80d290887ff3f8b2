//! What charges make of their rider: debts, the deny list and its reasons, credits, several instruments, wallets.

use std::collections::BTreeSet;

use facegate_cloud_sync::store::{Store, StoreError};
use facegate_domain::billing::{Item, ItemKind};
use facegate_domain::charge::{
    AcquirerName, AcquirerToken, AuthorisationId, Bound, Change, Charge, ChargeError, ChargeId, Decline, Event,
    IdempotencyKey, Instrument, InstrumentProblem, Limits, Purpose, RetryPolicy,
};
use facegate_domain::deny::DenyReason;
use facegate_domain::ids::RiderId;
use facegate_domain::ledger::{Account, Entry, EntryId};
use facegate_domain::money::Money;

use crate::charges::{card, opened, top_up};
use crate::places::Place;
use crate::world::{Gate, NOW, after, fares, rider, settled_ride, settlement};

fn minor(minor: i64) -> Money {
    Money::from_minor(minor, fares().currency())
}

fn token(name: &str) -> Instrument {
    Instrument::Acquirer { acquirer: AcquirerName::default(), token: AcquirerToken::new(name).unwrap() }
}

async fn step(store: &dyn Store, charge: &Charge, event: Event) -> Charge {
    let (id, attempt) = (charge.id(), charge.attempt());
    store.advance_charge(id, attempt, event, after(900), &RetryPolicy::default()).await.unwrap().charge
}

/// A charge of 400 that is owed.
async fn debt(store: &dyn Store, rider: RiderId) -> Charge {
    let journey = settled_ride(store, rider).await;
    let charge = store.open_charge(opened(&[&journey], card(), 800)).await.unwrap();
    let begun = step(store, &charge, Event::AuthoriseBegun).await;
    let declined = step(store, &begun, Event::Declined(Decline::soft("no_funds"))).await;
    step(store, &declined, Event::NoneLeft { again_at: None }).await
}

async fn pay(store: &dyn Store, charge: &Charge) -> Charge {
    let authorisation = AuthorisationId::new("a");
    let mut charge = charge.clone();
    for event in [
        Event::Chosen(token("tok_other").into()),
        Event::AuthoriseBegun,
        Event::Authorised { authorisation },
        Event::CaptureBegun,
        Event::Captured,
    ] {
        charge = step(store, &charge, event).await;
    }
    charge
}

pub async fn a_debt_denies_its_rider_until_the_last_one_is_paid(place: &Place) {
    let store = place.open().await;
    let rider = rider(&*store).await;
    let (one, two) = (debt(&*store, rider).await, debt(&*store, rider).await);
    assert_eq!(store.denied_for(rider).await.unwrap(), BTreeSet::from([DenyReason::Debt]));
    assert_eq!(store.debts(rider).await.unwrap().len(), 2);
    assert!(!store.has_paid(rider).await.unwrap());
    assert!(store.due_charges(after(99_999), 10).await.unwrap().is_empty(), "nobody is left to ask");
    assert_eq!(store.ask_for_debts(rider, after(950)).await.unwrap(), 2);
    assert_eq!(store.due_charges(after(950), 10).await.unwrap().len(), 2);

    let current = store.charge(one.id()).await.unwrap().unwrap();
    pay(&*store, &current).await;
    assert!(store.is_denied(rider).await.unwrap(), "one is left");
    store.set_denied(rider, true).await.unwrap();
    pay(&*store, &store.charge(two.id()).await.unwrap().unwrap()).await;
    assert_eq!(store.denied_for(rider).await.unwrap(), BTreeSet::from([DenyReason::Operator]));
    assert!(store.is_denied(rider).await.unwrap(), "a debt that is paid lifts no operator's denial");
    assert!(store.set_denied(rider, false).await.unwrap());
    assert!(!store.is_denied(rider).await.unwrap());
    assert!(store.debts(rider).await.unwrap().is_empty() && store.has_paid(rider).await.unwrap());
    assert_eq!(store.balance(Account::RiderReceivable(rider), fares().currency()).await.unwrap(), minor(0));
}

pub async fn a_late_word_about_an_earlier_attempt_is_refused(place: &Place) {
    let store = place.open().await;
    let rider = rider(&*store).await;
    let owed = debt(&*store, rider).await;
    let second = step(&*store, &owed, Event::Chosen(token("tok_other").into())).await;
    let begun = step(&*store, &second, Event::AuthoriseBegun).await;
    let late = Event::Authorised { authorisation: AuthorisationId::new("of-the-first") };
    let refused = store.advance_charge(begun.id(), 1, late, after(901), &RetryPolicy::default()).await;
    assert!(
        matches!(refused, Err(StoreError::Charge(ChargeError::OtherAttempt { now: 2, told: 1, .. }))),
        "{refused:?}"
    );
    assert_eq!(store.charge(begun.id()).await.unwrap(), Some(begun.clone()));
    assert!(!store.hurry_charge(owed.id(), after(900)).await.unwrap(), "it is looked at already");
    let waits = step(&*store, &begun, Event::TakenOn).await;
    assert!(waits.next_at() > after(900));
    assert!(store.hurry_charge(owed.id(), after(900)).await.unwrap());
    assert_eq!(store.due_charges(after(900), 10).await.unwrap().len(), 1);
}

pub async fn a_credit_is_used_by_the_next_bill_and_once(place: &Place) {
    let store = place.open().await;
    let rider = rider(&*store).await;
    let journey = settled_ride(&*store, rider).await;
    let ride = settlement(&journey).items.remove(0);
    let kind = ItemKind::Adjustment { of: journey.id, number: 1 };
    let back = Item::new(rider, ride.day(), minor(-900), kind, NOW);
    let mut settlement = facegate_cloud_sync::store::Settlement::of(rider, store.settlements(rider).await.unwrap());
    settlement.items = vec![back.clone()];
    store.settle(settlement, after(750)).await.unwrap();
    let both = Charge::open(rider, &[ride, back], card(), after(800)).unwrap();
    let settled = store.open_charge(both).await.unwrap();
    assert_eq!((settled.state().name(), settled.amount()), ("settled", minor(0)));
    let credit = async || store.credit(rider, fares().currency()).await.unwrap().map(|credit| credit.amount);
    assert_eq!(credit().await, Some(minor(500)));
    assert!(store.due_charges(after(9999), 10).await.unwrap().is_empty(), "there is nothing to collect");
    let mut amounts = Vec::new();
    for _ in 0..2 {
        let journey = settled_ride(&*store, rider).await;
        let charge = store.open_charge(opened(&[&journey], card(), 810)).await.unwrap();
        amounts.push((charge.amount().minor(), charge.credit_used().minor()));
    }
    assert_eq!((amounts, credit().await), (vec![(0, 400), (300, 100)], None));
    let owed = store.balance(Account::RiderReceivable(rider), fares().currency()).await.unwrap();
    assert_eq!(owed, minor(300), "what is owed is what is collected");
}

pub async fn instruments_are_added_ordered_and_removed(place: &Place) {
    let store = place.open().await;
    let rider = rider(&*store).await;
    let change = async |change| store.change_instruments(rider, Some(change), Vec::new(), after(1)).await;
    change(Change::Add(token("tok_a").into())).await.unwrap();
    let limits = Limits { amount_max_minor: Some(500), ..Limits::default() };
    let list = change(Change::Add(Bound { instrument: Instrument::Wallet, limits })).await.unwrap();
    assert_eq!(store.instruments(rider).await.unwrap(), list);
    assert_eq!(store.account(rider).await.unwrap(), Some(token("tok_a")));
    change(Change::Reorder(vec![Instrument::Wallet.id(), token("tok_a").id()])).await.unwrap();
    assert_eq!(store.account(rider).await.unwrap(), Some(Instrument::Wallet));
    let refused = change(Change::Remove(token("tok_z").id())).await;
    assert!(matches!(refused, Err(StoreError::Instruments(InstrumentProblem::Unknown))), "{refused:?}");
    change(Change::Remove(Instrument::Wallet.id())).await.unwrap();
    assert_eq!(store.instruments(rider).await.unwrap().iter().count(), 1);
    let nobody = store.change_instruments(RiderId::random(), None, Vec::new(), after(1)).await;
    assert!(matches!(nobody, Err(StoreError::UnknownRider(_))), "{nobody:?}");
}

pub async fn a_new_instrument_is_verified_when_its_rider_comes_in(place: &Place) {
    let store = place.open().await;
    let rider = rider(&*store).await;
    store.bind_account(rider, card(), Vec::new()).await.unwrap();
    assert!(store.first_rides(10).await.unwrap().is_empty(), "he has not come in");
    let mut gate = Gate::entry("north");
    let [granted, seen] = gate.passed(rider, NOW);
    let entry = granted.id.clone();
    store.record_taps(vec![granted, seen], NOW).await.unwrap();
    let first = store.first_rides(10).await.unwrap();
    assert_eq!(first.iter().map(|first| (first.rider, &first.entry)).collect::<Vec<_>>(), [(rider, &entry)]);

    let ahead = |instrument: Instrument| {
        let id = ChargeId::of_verification(&entry, instrument.id());
        Charge::ahead(rider, id, Purpose::Verification, minor(100), instrument, after(800))
    };
    let charge = store.open_charge(ahead(card())).await.unwrap();
    assert!(store.first_rides(10).await.unwrap().is_empty());
    let begun = step(&*store, &charge, Event::AuthoriseBegun).await;
    let declined = step(&*store, &begun, Event::Declined(Decline::hard("stolen"))).await;
    assert!(!store.is_denied(rider).await.unwrap(), "there may be another");
    step(&*store, &declined, Event::NoneLeft { again_at: None }).await;
    assert_eq!(store.denied_for(rider).await.unwrap(), BTreeSet::from([DenyReason::Instrument]));
    assert!(store.entries(0, 10).await.unwrap().is_empty(), "nothing is owed");

    // He may not ride to show the next one, so that one is verified at once.
    store.bind_account(rider, token("tok_other"), Vec::new()).await.unwrap();
    assert_eq!(store.first_rides(10).await.unwrap().len(), 1);
    let charge = store.open_charge(ahead(token("tok_other"))).await.unwrap();
    let begun = step(&*store, &charge, Event::AuthoriseBegun).await;
    let authorised = step(&*store, &begun, Event::Authorised { authorisation: AuthorisationId::new("v") }).await;
    let voiding = step(&*store, &authorised, Event::VoidBegun).await;
    step(&*store, &voiding, Event::Voided).await;
    assert!(!store.is_denied(rider).await.unwrap());
    store.bind_account(rider, token("tok_other"), Vec::new()).await.unwrap();
    let [granted, seen] = gate.passed(rider, after(5000));
    store.record_taps(vec![granted, seen], after(5000)).await.unwrap();
    assert!(store.first_rides(10).await.unwrap().is_empty(), "it was shown to pay");
}

pub async fn a_wallet_holds_releases_and_gives_out_no_more_than_it_has(place: &Place) {
    let store = place.open().await;
    let rider = rider(&*store).await;
    top_up(&*store, rider, 700, "first").await;
    top_up(&*store, rider, 700, "first").await;
    let key = |name: &str| IdempotencyKey::new(name);
    let hold = async |name, amount| store.hold_in_wallet(&key(name), rider, minor(amount), None, after(1)).await;
    assert!(hold("a", 500).await.unwrap() && hold("a", 500).await.unwrap());
    assert!(hold("a", 400).await.is_err(), "one key is one amount");
    assert!(!hold("b", 201).await.unwrap());
    let funds = async || -store.balance(Account::Wallet(rider), fares().currency()).await.unwrap().minor();
    assert_eq!(funds().await, 200);
    for _ in 0..2 {
        store.release_hold(&key("a"), minor(300), after(2)).await.unwrap();
    }
    let held = store.wallet_hold(&key("a")).await.unwrap().unwrap();
    assert_eq!((held.rider, held.amount, held.released, funds().await), (rider, minor(500), minor(200), 400));
    assert!(matches!(store.release_hold(&key("z"), minor(0), after(2)).await, Err(StoreError::UnknownHold(_))));

    let out = |amount, name: &str| {
        let id = EntryId::of("withdraw", format_args!("{rider}/{name}"));
        Entry::transfer(id, after(3), minor(amount), Account::BoothCash, Account::Wallet(rider)).unwrap()
    };
    let refused = store.withdraw(rider, out(401, "one")).await;
    assert!(matches!(refused, Err(StoreError::WalletShort { funds }) if funds == minor(400)), "{refused:?}");
    for _ in 0..2 {
        store.withdraw(rider, out(400, "two")).await.unwrap();
    }
    assert_eq!(funds().await, 0);
    let movements = store.wallet_movements(rider, None, 10).await.unwrap();
    let ids: Vec<_> = movements.iter().map(|(_, entry)| entry.id().as_str().split('/').next().unwrap()).collect();
    assert_eq!(ids, ["withdraw", "release", "hold", "top-up"]);
    let older = store.wallet_movements(rider, Some(movements[1].0), 1).await.unwrap();
    assert_eq!(older, movements[2..3]);
    assert!(store.is_balanced().await.unwrap());
}
