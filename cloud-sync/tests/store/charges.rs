//! Charges: opened once, moved by steps that are stored first.

use facegate_cloud_sync::store::{ChargeCount, Store, StoreError};
use facegate_domain::billing::Item;
use facegate_domain::charge::{
    AcquirerName, AcquirerToken, Advanced, AuthorisationId, Charge, ChargeError, Event, Instrument, RetryPolicy, Step,
};
use facegate_domain::ids::RiderId;
use facegate_domain::journey::Journey;
use facegate_domain::ledger::{Account, Entry, EntryId};
use facegate_domain::money::Money;

use crate::places::Place;
use crate::world::{after, fares, items_of, settled_ride, settlement};

pub fn card() -> Instrument {
    Instrument::Acquirer { acquirer: AcquirerName::default(), token: AcquirerToken::new("tok_1".to_owned()).unwrap() }
}

pub fn opened(journeys: &[&Journey], instrument: Instrument, at: u64) -> Advanced {
    let items: Vec<Item> = journeys.iter().flat_map(|journey| settlement(journey).items).collect();
    Charge::open(journeys[0].rider(), &items, instrument, after(at)).unwrap()
}

pub async fn top_up(store: &dyn Store, rider: RiderId, minor: i64, name: &str) {
    let amount = Money::from_minor(minor, fares().currency());
    let id = EntryId::of("top-up", name);
    let entry = Entry::transfer(id, after(0), amount, Account::Wallet(rider), Account::BoothCash).unwrap();
    store.bind_account(rider, Instrument::Wallet, vec![entry]).await.unwrap();
}

pub async fn opening_a_charge_again_is_the_same_charge(place: &Place) {
    let store = place.open().await;
    let journey = settled_ride(&*store, RiderId::random()).await;
    let first = store.open_charge(opened(&[&journey], card(), 800)).await.unwrap();
    let again = store.open_charge(opened(&[&journey], Instrument::Wallet, 900)).await.unwrap();
    assert_eq!(again, first, "what is stored stands");
    assert_eq!(store.charge(first.id()).await.unwrap(), Some(first.clone()));
    let item = items_of(&*store, journey.id).await.remove(0);
    assert_eq!(store.item(item.id()).await.unwrap(), Some((item, Some(first.id()))));
    assert!(store.uncharged_items(after(9999), None, 10).await.unwrap().is_empty());
    assert_eq!(store.entries(0, 10).await.unwrap().len(), 1);
    assert_eq!(store.trips(journey.rider()).await.unwrap()[0].charge(), Some(&first));
    assert_eq!(store.overview().await.unwrap().charges, [ChargeCount { state: "due".into(), count: 1 }]);
}

pub async fn an_item_is_in_one_charge(place: &Place) {
    let store = place.open().await;
    let rider = RiderId::random();
    let (one, two) = (settled_ride(&*store, rider).await, settled_ride(&*store, rider).await);
    let first = store.open_charge(opened(&[&one], card(), 800)).await.unwrap();
    let both = opened(&[&two, &one], card(), 801);
    let refused = store.open_charge(both.clone()).await;
    let Err(StoreError::ItemCharged { item, charge }) = refused else { panic!("{refused:?}") };
    assert_eq!((item, charge), (first.items()[0], first.id()));
    assert_eq!(store.charge(both.charge.id()).await.unwrap(), None, "nothing of it is left");
    let waits = items_of(&*store, two.id).await;
    assert_eq!(store.item(waits[0].id()).await.unwrap().unwrap().1, None);
    assert_eq!(store.uncharged_items_of(rider).await.unwrap(), waits);
    assert_eq!(store.uncharged_items(after(9999), None, 10).await.unwrap().len(), 1);
    assert_eq!(store.entries(0, 10).await.unwrap().len(), 1);
}

pub async fn a_charge_of_an_unknown_item_is_refused(place: &Place) {
    let store = place.open().await;
    let elsewhere = Place::new(place.backend).await;
    let journey = settled_ride(&*elsewhere.open().await, RiderId::random()).await;
    let refused = store.open_charge(opened(&[&journey], card(), 800)).await;
    assert!(
        matches!(refused, Err(StoreError::UnknownItem(id)) if id == settlement(&journey).items[0].id()),
        "{refused:?}"
    );
    let id = opened(&[&journey], card(), 800).charge.id();
    let moved = store.advance_charge(id, 1, Event::AuthoriseBegun, after(801), &RetryPolicy::default()).await;
    assert!(matches!(moved, Err(StoreError::UnknownCharge(_))), "{moved:?}");
    assert!(store.entries(0, 10).await.unwrap().is_empty());
    elsewhere.remove().await;
}

pub async fn steps_are_stored_and_impossible_ones_refused(place: &Place) {
    let store = place.open().await;
    let journey = settled_ride(&*store, RiderId::random()).await;
    let charge = store.open_charge(opened(&[&journey], card(), 800)).await.unwrap();
    let authorisation = AuthorisationId::new("a-1".to_owned());
    let step = async |event| store.advance_charge(charge.id(), 1, event, after(810), &RetryPolicy::default()).await;
    let begun = step(Event::AuthoriseBegun).await.unwrap();
    assert!(begun.call.is_some(), "the call may be made once the step is stored");
    let twice = step(Event::AuthoriseBegun).await;
    assert!(matches!(twice, Err(StoreError::Charge(ChargeError::Impossible { .. }))), "{twice:?}");
    let _ = step(Event::Authorised { authorisation }).await.unwrap();
    let _ = step(Event::CaptureBegun).await.unwrap();
    assert!(matches!(store.charge(charge.id()).await.unwrap().unwrap().next_step(), Step::Query(_)));
    let done = step(Event::Captured).await.unwrap();
    assert_eq!(store.charge(charge.id()).await.unwrap(), Some(done.charge.clone()));
    assert!(done.charge.is_finished() && store.due_charges(after(99_999), 10).await.unwrap().is_empty());
    assert_eq!(store.entries(0, 10).await.unwrap().len(), 2);
    let currency = fares().currency();
    let balance = async |account| store.balance(account, currency).await.unwrap().minor();
    let owed = balance(Account::RiderReceivable(journey.rider())).await;
    assert_eq!(
        (owed, balance(Account::AcquirerReceivable).await, balance(Account::OperatorRevenue).await),
        (0, 400, -400)
    );
    let counts = store.overview().await.unwrap().charges;
    let nonzero: Vec<_> = counts.into_iter().filter(|count| count.count > 0).collect();
    assert_eq!(nonzero, [ChargeCount { state: "captured".into(), count: 1 }]);
}

pub async fn due_charges_are_told_the_longest_waiting_first(place: &Place) {
    let store = place.open().await;
    let mut ids = Vec::new();
    for at in [820, 810, 830] {
        let journey = settled_ride(&*store, RiderId::random()).await;
        ids.push(store.open_charge(opened(&[&journey], card(), at)).await.unwrap().id());
    }
    let due = async |at, max| {
        let due = store.due_charges(after(at), max).await.unwrap();
        due.iter().map(Charge::id).collect::<Vec<_>>()
    };
    assert_eq!(due(840, 10).await, [ids[1], ids[0], ids[2]]);
    assert_eq!(due(840, 2).await, [ids[1], ids[0]]);
    assert_eq!(due(815, 10).await, [ids[1]]);
    // One that found nobody rests, and makes room for those behind it.
    let retry = RetryPolicy::default();
    let _ = store.advance_charge(ids[1], 1, Event::AuthoriseBegun, after(840), &retry).await.unwrap();
    let _ = store.advance_charge(ids[1], 1, Event::NotReached, after(840), &retry).await.unwrap();
    assert_eq!(due(840, 1).await, [ids[0]]);
}
