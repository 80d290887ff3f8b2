//! Settled journeys.

use facegate_cloud_sync::store::{Pricing, Settlement, Store, StoreError};
use facegate_domain::ids::RiderId;
use facegate_domain::journey::{Incomplete, Journey};

use crate::places::Place;
use crate::world::{Gate, NOW, after, ride, settlement, tap_of};

pub async fn settling_uses_taps_up_once(place: &Place) {
    let store = place.open().await;
    let rider = RiderId::random();
    let (mut entry, mut exit) = (Gate::entry("north"), Gate::exit("south"));
    let journey = ride(&*store, &mut entry, &mut exit, rider, NOW).await;
    assert_eq!(store.riders_with_open_taps(None, 10).await.unwrap(), [rider]);
    store.settle(settlement(&journey), after(700)).await.unwrap();
    let again = store.settle(settlement(&journey), after(800)).await;
    assert!(matches!(again, Err(StoreError::TapSettled(_))), "{again:?}");
    assert!(store.riders_with_open_taps(None, 10).await.unwrap().is_empty());
    let stored = store.journey(journey.id).await.unwrap().unwrap();
    assert_eq!((&stored.journey, stored.settled_at, stored.charge), (&journey, after(700), None));
    assert_eq!(store.overview().await.unwrap().journeys, 1);

    // A second exit cannot have the entry that is used up, whatever journey claims it.
    let [left, gone] = exit.passed(rider, after(900));
    store.record_taps(vec![left.clone(), gone], after(900)).await.unwrap();
    let other = Journey::new(journey.entry.clone(), tap_of(&left));
    assert!(matches!(store.settle(settlement(&other), after(1000)).await, Err(StoreError::TapSettled(_))));
    assert_eq!(store.journey(other.id).await.unwrap(), None);
}

pub async fn a_settlement_that_fails_leaves_nothing(place: &Place) {
    let store = place.open().await;
    let rider = RiderId::random();
    let (mut entry, mut exit) = (Gate::entry("north"), Gate::exit("south"));
    let first = ride(&*store, &mut entry, &mut exit, rider, NOW).await;
    let second = ride(&*store, &mut entry, &mut exit, rider, after(2000)).await;
    store.settle(settlement(&second), after(3000)).await.unwrap();
    let mut both = settlement(&first);
    both.journeys.extend(settlement(&second).journeys);
    assert!(matches!(store.settle(both, after(3001)).await, Err(StoreError::TapSettled(_))));
    assert_eq!(store.journey(first.id).await.unwrap(), None);
    assert_eq!(store.overview().await.unwrap().journeys, 1);
    assert_eq!(store.riders_with_open_taps(None, 10).await.unwrap(), [rider]);
    store.settle(settlement(&first), after(3002)).await.unwrap();
}

pub async fn a_held_price_is_never_waiting_for_a_charge(place: &Place) {
    let store = place.open().await;
    let (mut entry, mut exit) = (Gate::entry("north"), Gate::exit("south"));
    let mut priced = Vec::new();
    for n in 0..5 {
        let journey = ride(&*store, &mut entry, &mut exit, RiderId::random(), after(n)).await;
        let mut settled = settlement(&journey);
        if n == 2 {
            settled.journeys[0].1 = Pricing::Held { reason: "a station nobody knows".into() };
        } else {
            priced.push(journey.id);
        }
        store.settle(settled, after(700 + n)).await.unwrap();
    }
    let mut waiting = store.uncharged_journeys(None, 3).await.unwrap();
    waiting.extend(store.uncharged_journeys(waiting.last(), 3).await.unwrap());
    assert_eq!(waiting.iter().map(|priced| priced.journey.id).collect::<Vec<_>>(), priced);
    assert!(store.uncharged_journeys(waiting.last(), 3).await.unwrap().is_empty());
}

pub async fn trips_are_told_the_latest_first(place: &Place) {
    let store = place.open().await;
    let rider = RiderId::random();
    let (mut entry, mut exit) = (Gate::entry("north"), Gate::exit("south"));
    let mut journeys = Vec::new();
    for n in [1, 0, 2] {
        journeys.push(ride(&*store, &mut entry, &mut exit, rider, after(n * 5000)).await);
    }
    for journey in &journeys {
        store.settle(settlement(journey), after(20_000)).await.unwrap();
    }
    let trips = store.trips(rider).await.unwrap();
    let order: Vec<_> = trips.iter().map(|trip| trip.journey.journey.id).collect();
    assert_eq!(order, [journeys[2].id, journeys[0].id, journeys[1].id]);
    assert!(trips.iter().all(|trip| trip.charge.is_none()));
    assert!(store.trips(RiderId::random()).await.unwrap().is_empty());
}

pub async fn journeys_since_a_moment_are_those_that_ended_then_or_later(place: &Place) {
    let store = place.open().await;
    let rider = RiderId::random();
    let (mut entry, mut exit) = (Gate::entry("north"), Gate::exit("south"));
    let mut journeys = Vec::new();
    for n in [1, 0, 2] {
        let journey = ride(&*store, &mut entry, &mut exit, rider, after(n * 5000)).await;
        store.settle(settlement(&journey), after(20_000)).await.unwrap();
        journeys.push(journey);
    }
    let since = async |at| -> Vec<_> {
        store.journeys_since(rider, at).await.unwrap().into_iter().map(|priced| priced.journey.id).collect()
    };
    let (first, middle, last) = (&journeys[1], &journeys[0], &journeys[2]);
    assert_eq!(since(first.exit.at).await, [first.id, middle.id, last.id]);
    assert_eq!(since(middle.exit.at).await, [middle.id, last.id]);
    assert_eq!(since(last.exit.at).await, [last.id]);
    assert!(since(last.exit.at.plus(std::time::Duration::from_millis(1))).await.is_empty());
    assert!(store.journeys_since(RiderId::random(), first.exit.at).await.unwrap().is_empty());
}

pub async fn giving_up_moves_the_rider_out(place: &Place) {
    let store = place.open().await;
    let rider = RiderId::random();
    let mut gate = Gate::entry("north");
    let [granted, seen] = gate.passed(rider, NOW);
    store.record_taps(vec![granted.clone(), seen], NOW).await.unwrap();
    assert_eq!(store.overview().await.unwrap().in_system, 1);
    let given_up = vec![Incomplete::MissingExit { entry: tap_of(&granted) }];
    let settlement = Settlement { rider, journeys: Vec::new(), merged: Vec::new(), given_up };
    store.settle(settlement.clone(), after(10)).await.unwrap();
    let overview = store.overview().await.unwrap();
    assert_eq!((overview.in_system, overview.head_version, overview.journeys), (0, 2, 0));
    assert!(store.riders_with_open_taps(None, 10).await.unwrap().is_empty());
    assert!(matches!(store.settle(settlement, after(11)).await, Err(StoreError::TapSettled(_))));
    let store: &dyn Store = &*store;
    assert!(store.trips(rider).await.unwrap().is_empty());
}
