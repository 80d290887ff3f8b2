//! Stations, the overview, leases.

use std::time::Duration;

use facegate_cloud_sync::store::StationReport;

use crate::places::Place;
use crate::world::{NOW, after, enrolled, settled_ride, station};

pub async fn a_station_is_known_from_its_first_subscription_on(place: &Place) {
    let store = place.open().await;
    store.station_joined(station("south"), NOW).await.unwrap();
    store.station_joined(station("north"), NOW).await.unwrap();
    let report = StationReport { applied_version: 7, backlog: 3, ..StationReport::default() };
    store.record_report(station("north"), report.clone(), after(5)).await.unwrap();
    store.station_joined(station("north"), after(6)).await.unwrap();
    store.record_report(station("west"), StationReport::default(), after(7)).await.unwrap();
    let views = store.stations().await.unwrap();
    let seen: Vec<_> =
        views.iter().map(|view| (view.station.as_str(), view.last_seen, view.report.is_some())).collect();
    assert_eq!(seen, [("north", after(6), true), ("south", NOW, false), ("west", after(7), true)]);
    assert_eq!(views[0].report, Some(report), "joining again forgets no report");
}

pub async fn the_overview_counts_what_is_there(place: &Place) {
    let store = place.open().await;
    let empty = store.overview().await.unwrap();
    assert_eq!((empty.head_version, empty.riders, empty.taps), (0, 0, 0));
    assert!(empty.charges.is_empty() && empty.stations.is_empty() && empty.ledger_balanced);
    let face = enrolled(&*store).await;
    settled_ride(&*store, face.rider).await;
    store.station_joined(station("north"), NOW).await.unwrap();
    let overview = store.overview().await.unwrap();
    let counted = (overview.riders, overview.enrolled, overview.taps, overview.journeys, overview.in_system);
    assert_eq!(counted, (1, 1, 2, 1, 0));
    assert_eq!((overview.head_version, overview.stations.len()), (*store.head().borrow(), 1));
}

pub async fn a_lease_is_held_by_one_until_it_ends(place: &Place) {
    let store = place.open().await;
    let minute = Duration::from_secs(60);
    let hold = async |by: &str, at| store.hold_lease("charging", by, after(at), minute).await.unwrap();
    assert!(hold("one", 0).await);
    assert!(!hold("two", 59).await, "one holds it");
    assert!(hold("one", 30).await, "and renews it");
    assert!(!hold("two", 89).await);
    assert!(hold("two", 90).await, "until it ends");
    store.end_lease("charging", "one").await.unwrap();
    assert!(!hold("one", 91).await, "only the holder gives it back");
    store.end_lease("charging", "two").await.unwrap();
    assert!(hold("one", 92).await);
    assert!(store.hold_lease("another", "two", after(92), minute).await.unwrap());
}
