//! The outbox of notices to riders.

use std::sync::Arc;
use std::time::Duration;

use facegate_cloud_sync::store::{ErasureId, Store};
use facegate_domain::charge::{AuthorisationId, Decline, Event, Instrument, RetryPolicy};
use facegate_domain::ids::RiderId;
use facegate_domain::notice::{NoticeRest, Told};

use crate::charges::{card, opened, top_up};
use crate::places::Place;
use crate::world::{after, rider, settled_ride};

const REST: NoticeRest = NoticeRest { first: Duration::from_secs(10), max: Duration::from_secs(60) };

async fn kinds(store: &dyn Store, rider: RiderId) -> Vec<(u64, &'static str)> {
    let mut told = Vec::new();
    let due = store.due_notices(after(100_000), 1000).await.unwrap();
    let mut next = due.into_iter().find(|notice| notice.rider == rider);
    while let Some(notice) = next {
        told.push((notice.number, notice.told.kind()));
        next = store.notice_delivered(rider, notice.number, after(2000)).await.unwrap();
    }
    told
}

pub async fn notices_are_numbered_and_delivered_one_after_the_other(place: &Place) {
    let store = place.open().await;
    let rider = rider(&*store).await;
    settled_ride(&*store, rider).await;
    assert!(store.due_notices(after(5000), 10).await.unwrap().is_empty(), "nobody delivers notices");
    store.keep_notices(true);
    let journeys = [settled_ride(&*store, rider).await, settled_ride(&*store, rider).await];
    let due = store.due_notices(after(5000), 10).await.unwrap();
    assert_eq!(due.len(), 1, "one of a rider at a time");
    assert_eq!((due[0].rider, due[0].number, due[0].at), (rider, 1, after(700)));
    assert!(matches!(due[0].told, Told::TripPriced { journey, .. } if journey == journeys[0].id));
    assert!(store.due_notices(after(699), 10).await.unwrap().is_empty());
    assert_eq!(store.notice_delivered(rider, 2, after(800)).await.unwrap(), None, "not before the first");
    let next = store.notice_delivered(rider, 1, after(800)).await.unwrap().unwrap();
    assert!(matches!(next.told, Told::TripPriced { journey, .. } if journey == journeys[1].id));
    assert_eq!(store.notice_delivered(rider, 1, after(801)).await.unwrap(), None, "a repetition");
    drop(store);
    let store = place.open().await;
    store.keep_notices(true);
    assert_eq!(store.due_notices(after(5000), 10).await.unwrap(), [next], "what waits is there after a restart");
    assert_eq!(store.notice_delivered(rider, 2, after(900)).await.unwrap(), None);
    assert!(store.due_notices(after(5000), 10).await.unwrap().is_empty());
    settled_ride(&*store, rider).await;
    assert_eq!(store.due_notices(after(5000), 10).await.unwrap()[0].number, 3);
}

pub async fn a_trip_and_its_charge_are_told_in_their_transactions(place: &Place) {
    let store = place.open().await;
    store.keep_notices(true);
    let retry = RetryPolicy::default();
    let by_card = rider(&*store).await;
    let journey = settled_ride(&*store, by_card).await;
    let charge = store.open_charge(opened(&[&journey], card(), 800)).await.unwrap().id();
    let authorisation = AuthorisationId::new("a-1".to_owned());
    for event in [Event::AuthoriseBegun, Event::Authorised { authorisation }, Event::CaptureBegun, Event::Captured] {
        let _ = store.advance_charge(charge, 1, event, after(810), &retry).await.unwrap();
    }
    assert!(store.advance_charge(charge, 1, Event::Captured, after(811), &retry).await.is_err());
    assert_eq!(kinds(&*store, by_card).await, [(1, "trip_priced"), (2, "charged")]);

    let by_wallet = rider(&*store).await;
    top_up(&*store, by_wallet, 100, "little").await;
    let journey = settled_ride(&*store, by_wallet).await;
    let charge = store.open_charge(opened(&[&journey], Instrument::Wallet, 800)).await.unwrap().id();
    let short = Event::Declined(Decline::soft("too little"));
    for event in [Event::AuthoriseBegun, short, Event::NoneLeft { again_at: None }] {
        let _ = store.advance_charge(charge, 1, event, after(810), &retry).await.unwrap();
    }
    assert_eq!(kinds(&*store, by_wallet).await, [(1, "trip_priced"), (2, "charge_failed"), (3, "denied")]);
}

pub async fn one_that_fails_holds_that_riders_alone(place: &Place) {
    let store = place.open().await;
    store.keep_notices(true);
    let [one, two] = [rider(&*store).await, rider(&*store).await];
    for rider in [one, one, two] {
        settled_ride(&*store, rider).await;
    }
    for (at, until) in [(1000, 1010), (1010, 1030), (1030, 1070), (1070, 1130)] {
        store.notice_failed(one, 1, after(at), &REST).await.unwrap();
        let due =
            async |at| store.due_notices(after(at), 10).await.unwrap().iter().map(|n| n.rider).collect::<Vec<_>>();
        assert_eq!(due(until - 1).await, [two]);
        assert_eq!(due(until).await, [two, one]);
    }
    store.notice_failed(one, 2, after(5000), &REST).await.unwrap();
    assert_eq!(store.notices_of(one).await.unwrap().troubles, 4, "the second was not tried");
    let next = store.notice_delivered(one, 1, after(1100)).await.unwrap();
    assert_eq!(next.map(|notice| notice.number), Some(2), "at once after the first");
    assert_eq!(store.notices_of(one).await.unwrap().troubles, 0);
}

pub async fn an_erased_rider_is_told_nothing_more(place: &Place) {
    let store = place.open().await;
    store.keep_notices(true);
    let [gone, stays] = [rider(&*store).await, rider(&*store).await];
    for rider in [gone, stays] {
        settled_ride(&*store, rider).await;
    }
    store.erase_rider(ErasureId::random(), gone, after(900)).await.unwrap();
    settled_ride(&*store, gone).await;
    let due = store.due_notices(after(9000), 10).await.unwrap();
    assert_eq!(due.iter().map(|notice| notice.rider).collect::<Vec<_>>(), [stays]);
    assert_eq!(store.notice_delivered(gone, 1, after(950)).await.unwrap(), None, "one that was under way");
}

pub async fn commands_at_once_leave_no_gap(place: &Place) {
    let store = place.open().await;
    store.keep_notices(true);
    let rider = rider(&*store).await;
    let mut telling = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let store = Arc::clone(&store);
        telling.spawn(async move { store.tell_rider(rider, after(700), Told::Admitted).await.unwrap() });
    }
    telling.join_all().await;
    let told = kinds(&*store, rider).await;
    assert_eq!(told, (1..=8).map(|number| (number, "admitted")).collect::<Vec<_>>());
}
