//! Settled journeys.

use facegate_cloud_sync::store::{PricedRide, Pricing, Settlement, StoreError};
use facegate_domain::billing::{Item, ItemId, ItemKind};
use facegate_domain::ids::RiderId;
use facegate_domain::journey::{Incomplete, Journey, JourneyId, Ridden, Superseded};
use facegate_domain::money::Money;

use crate::places::Place;
use crate::world::{DAY, Gate, NOW, after, fares, items_of, ride, settle, settlement, settlement_of, tap_of};

pub async fn settling_uses_taps_up_once(place: &Place) {
    let store = place.open().await;
    let rider = RiderId::random();
    let (mut entry, mut exit) = (Gate::entry("north"), Gate::exit("south"));
    let journey = ride(&*store, &mut entry, &mut exit, rider, NOW).await;
    assert_eq!(store.riders_with_open_taps(None, 10).await.unwrap(), [rider]);
    settle(&*store, settlement(&journey), 700).await.unwrap();
    let again = settle(&*store, settlement(&journey), 800).await;
    assert!(matches!(again, Err(StoreError::TapSettled(_))), "{again:?}");
    assert!(store.riders_with_open_taps(None, 10).await.unwrap().is_empty());
    let stored = store.ride(journey.id).await.unwrap().unwrap();
    assert_eq!((stored.ride.whole(), stored.settled_at()), (Some(&journey), after(700)));
    assert_eq!(items_of(&*store, journey.id).await, settlement(&journey).items);
    assert_eq!(store.overview().await.unwrap().journeys, 1);

    // A second exit cannot have the entry that is used up, whatever journey claims it.
    let [left, gone] = exit.passed(rider, after(900));
    store.record_taps(vec![left.clone(), gone], after(900)).await.unwrap();
    let other = Journey::new(journey.entry.clone(), tap_of(&left));
    assert!(matches!(settle(&*store, settlement(&other), 1000).await, Err(StoreError::TapSettled(_))));
    assert_eq!(store.ride(other.id).await.unwrap(), None);
}

pub async fn a_settlement_that_fails_leaves_nothing(place: &Place) {
    let store = place.open().await;
    let rider = RiderId::random();
    let (mut entry, mut exit) = (Gate::entry("north"), Gate::exit("south"));
    let first = ride(&*store, &mut entry, &mut exit, rider, NOW).await;
    let second = ride(&*store, &mut entry, &mut exit, rider, after(2000)).await;
    settle(&*store, settlement(&second), 3000).await.unwrap();
    let mut both = settlement(&first);
    both.rides.extend(settlement(&second).rides);
    assert!(matches!(settle(&*store, both, 3001).await, Err(StoreError::TapSettled(_))));
    assert_eq!(store.ride(first.id).await.unwrap(), None);
    assert_eq!(store.overview().await.unwrap().journeys, 1);
    assert_eq!(store.riders_with_open_taps(None, 10).await.unwrap(), [rider]);
    settle(&*store, settlement(&first), 3002).await.unwrap();
}

pub async fn a_held_price_is_never_waiting_for_a_charge(place: &Place) {
    let store = place.open().await;
    let (mut entry, mut exit) = (Gate::entry("north"), Gate::exit("south"));
    let mut priced = Vec::new();
    for n in 0..5 {
        let journey = ride(&*store, &mut entry, &mut exit, RiderId::random(), after(n)).await;
        let mut settled = settlement(&journey);
        if n == 2 {
            settled.rides[0].1 = Pricing::Held { reason: "a station nobody knows".into() };
            settled.items.clear();
        } else {
            priced.push(settled.items[0].id());
        }
        settle(&*store, settled, 700 + n).await.unwrap();
    }
    priced.sort_unstable();
    let page = async |last: Option<&Item>| store.uncharged_items(after(700), last, 3).await.unwrap();
    let mut waiting = page(None).await;
    waiting.extend(page(waiting.last()).await);
    assert_eq!(waiting.iter().map(Item::id).collect::<Vec<_>>(), priced);
    assert!(page(waiting.last()).await.is_empty());
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
        settle(&*store, settlement(journey), 20_000).await.unwrap();
    }
    let trips = store.trips(rider).await.unwrap();
    let order: Vec<_> = trips.iter().map(|trip| trip.priced.id()).collect();
    assert_eq!(order, [journeys[2].id, journeys[0].id, journeys[1].id]);
    assert!(trips.iter().all(|trip| trip.charge().is_none()));
    assert!(store.trips(RiderId::random()).await.unwrap().is_empty());
}

pub async fn rides_since_a_moment_are_those_that_ended_then_or_later(place: &Place) {
    let store = place.open().await;
    let rider = RiderId::random();
    let (mut entry, mut exit) = (Gate::entry("north"), Gate::exit("south"));
    let mut journeys = Vec::new();
    for n in [1, 0, 2] {
        let journey = ride(&*store, &mut entry, &mut exit, rider, after(n * 5000)).await;
        settle(&*store, settlement(&journey), 20_000).await.unwrap();
        journeys.push(journey);
    }
    let since =
        async |at| -> Vec<_> { store.rides_since(rider, at).await.unwrap().iter().map(PricedRide::id).collect() };
    let (first, middle, last) = (&journeys[1], &journeys[0], &journeys[2]);
    assert_eq!(since(first.exit.at).await, [first.id, middle.id, last.id]);
    assert_eq!(since(middle.exit.at).await, [middle.id, last.id]);
    assert_eq!(since(last.exit.at).await, [last.id]);
    assert!(since(last.exit.at.plus(std::time::Duration::from_millis(1))).await.is_empty());
    assert!(store.rides_since(RiderId::random(), first.exit.at).await.unwrap().is_empty());
}

pub async fn giving_up_moves_the_rider_out_and_bills_the_broken_ride(place: &Place) {
    let store = place.open().await;
    let rider = RiderId::random();
    let mut gate = Gate::entry("north");
    let [granted, seen] = gate.passed(rider, NOW);
    store.record_taps(vec![granted.clone(), seen], NOW).await.unwrap();
    assert_eq!(store.overview().await.unwrap().in_system, 1);
    let broken = Ridden::Broken(Incomplete::MissingExit { entry: tap_of(&granted) });
    let settlement = settlement_of(rider, std::slice::from_ref(&broken));
    settle(&*store, settlement.clone(), 10).await.unwrap();
    let overview = store.overview().await.unwrap();
    assert_eq!((overview.in_system, overview.head_version, overview.journeys), (0, 2, 0));
    assert!(store.riders_with_open_taps(None, 10).await.unwrap().is_empty());
    assert!(matches!(settle(&*store, settlement, 11).await, Err(StoreError::TapSettled(_))));
    let trips = store.trips(rider).await.unwrap();
    assert_eq!((trips.len(), &trips[0].priced.ride), (1, &broken));
    assert_eq!(store.uncharged_items(after(9999), None, 9).await.unwrap(), items_of(&*store, broken.id()).await);
}

pub async fn of_two_settlements_that_rest_on_the_same_one_comes_too_late(place: &Place) {
    let store = place.open().await;
    let rider = RiderId::random();
    let (mut entry, mut exit) = (Gate::entry("north"), Gate::exit("south"));
    let first = ride(&*store, &mut entry, &mut exit, rider, NOW).await;
    let second = ride(&*store, &mut entry, &mut exit, rider, after(2000)).await;
    store.settle(settlement(&first), after(3000)).await.unwrap();
    let late = store.settle(settlement(&second), after(3000)).await;
    assert!(matches!(late, Err(StoreError::SettledMeanwhile(who)) if who == rider), "{late:?}");
    assert_eq!(store.ride(second.id).await.unwrap(), None);
    // Nor is anything adjusted twice, should somebody count wrongly.
    let adjusts = |minor: i64| {
        let kind = ItemKind::Adjustment { of: first.id, number: 1 };
        let amount = Money::from_minor(minor, fares().currency());
        let item = Item::new(rider, jiff::civil::date(2026, 11, 18), amount, kind, after(3100));
        Settlement { items: vec![item], ..Settlement::of(rider, 0) }
    };
    settle(&*store, adjusts(-100), 3100).await.unwrap();
    let again = settle(&*store, adjusts(-300), 3100).await;
    assert!(matches!(again, Err(StoreError::SettledMeanwhile(_))), "{again:?}");
    let items = items_of(&*store, first.id).await;
    assert_eq!(items.iter().map(|item| item.amount().minor()).collect::<Vec<_>>(), [400, -100]);
    settle(&*store, settlement(&second), 3200).await.unwrap();
}

pub async fn a_ride_that_comes_late_supersedes_a_broken_one_whose_other_taps_are_open_again(place: &Place) {
    let store = place.open().await;
    let rider = RiderId::random();
    let (mut entry, mut exit) = (Gate::entry("north"), Gate::exit("south"));
    // In and out hours later, as it looks; in between he left and came back.
    let [granted, seen] = entry.passed(rider, NOW);
    let [left, gone] = exit.passed(rider, after(9000));
    let long = Journey::new(tap_of(&granted), tap_of(&left));
    store.record_taps(vec![granted.clone(), seen, left, gone], after(9000)).await.unwrap();
    settle(&*store, settlement(&long), 9700).await.unwrap();
    let [first_left, first_gone] = exit.passed(rider, after(600));
    store.record_taps(vec![first_left.clone(), first_gone], after(9800)).await.unwrap();
    let short = Journey::new(tap_of(&granted), tap_of(&first_left));
    assert!(matches!(settle(&*store, settlement(&short), 9900).await, Err(StoreError::TapSettled(_))));
    let mut superseding = settlement(&short);
    superseding.superseded = vec![Superseded { ride: long.id, by: Some(short.id) }];
    settle(&*store, superseding, 9900).await.unwrap();

    let taps = store.taps_to_pair(rider, DAY).await.unwrap();
    assert_eq!(taps.settled, [short.entry.id.clone(), short.exit.id.clone()].into());
    assert_eq!(store.riders_with_open_taps(None, 10).await.unwrap(), [rider]);
    let stored = store.ride(long.id).await.unwrap().unwrap();
    assert_eq!(stored.superseded.map(|superseded| (superseded.at, superseded.by)), Some((after(9900), Some(short.id))));
    assert_eq!((store.overview().await.unwrap().journeys, store.trips(rider).await.unwrap().len()), (1, 2));
    let unknown = JourneyId::of_broken(&long.entry.id);
    let mut wrong = Settlement::of(rider, 0);
    wrong.superseded = vec![Superseded { ride: unknown, by: None }];
    let refused = settle(&*store, wrong, 9950).await;
    assert!(matches!(refused, Err(StoreError::UnknownJourney(id)) if id == unknown), "{refused:?}");
}

pub async fn what_may_be_billed_later_is_not_told_before(place: &Place) {
    let store = place.open().await;
    let (mut entry, mut exit) = (Gate::entry("north"), Gate::exit("south"));
    let mut ids = Vec::new();
    for (n, bill_at) in (0..).zip([900, 800, 1000]) {
        let journey = ride(&*store, &mut entry, &mut exit, RiderId::random(), after(n)).await;
        let mut settled = settlement(&journey);
        let item = &settled.items[0];
        settled.items = vec![Item::new(item.rider(), item.day(), item.amount(), item.kind().clone(), after(bill_at))];
        ids.push(settled.items[0].id());
        settle(&*store, settled, 700).await.unwrap();
    }
    let told = async |until| -> Vec<ItemId> {
        store.uncharged_items(after(until), None, 9).await.unwrap().iter().map(Item::id).collect()
    };
    assert_eq!(told(799).await, []);
    assert_eq!(told(900).await, [ids[1], ids[0]]);
    assert_eq!(told(1000).await, [ids[1], ids[0], ids[2]]);
}
