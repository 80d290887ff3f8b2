//! From taps to trips with a price.

use std::time::Duration;

use facegate_domain::ids::RiderId;
use facegate_domain::tap::{Evidence, PassageOutcome};
use facegate_domain::{Clock, Timestamp};
use facegate_proto::v1;
use facegate_proto::v1::ops_service_client::OpsServiceClient;
use facegate_runtime::identity::Role;

use crate::harness::{BEGIN, FARES, TestCloud};
use crate::intake::deliver;
use crate::operation::{fares, instruct};
use crate::riding::{Gate, face, ride_code};

/// In at north, ten minutes later out at south, by new gates each time.
pub async fn ride(cloud: &TestCloud, rider: RiderId, at: Timestamp) {
    ride_by(cloud, rider, at, &face(), &face()).await;
}

async fn ride_by(cloud: &TestCloud, rider: RiderId, at: Timestamp, into: &Evidence, out: &Evidence) {
    let number = rider.as_uuid().simple().to_string();
    let mut entry =
        Gate::new("north", &format!("in-{}-{}", &number[..8], at.unix_ms()), facegate_domain::tap::Direction::Entry);
    let mut exit =
        Gate::new("south", &format!("out-{}-{}", &number[..8], at.unix_ms()), facegate_domain::tap::Direction::Exit);
    let later = at.plus(Duration::from_secs(600));
    deliver(cloud, "south", exit.pass(rider, later, out.clone(), PassageOutcome::Passed).into()).await.unwrap();
    deliver(cloud, "north", entry.pass(rider, at, into.clone(), PassageOutcome::Passed).into()).await.unwrap();
}

async fn trips(cloud: &TestCloud, rider: &str) -> Vec<v1::Trip> {
    let request = v1::ListTripsRequest { rider_id: rider.into() };
    cloud.app().list_trips(request).await.unwrap().into_inner().trips
}

#[tokio::test]
async fn all_four_ways_of_face_and_code_pair_into_priced_journeys() {
    let cloud = TestCloud::start().await;
    let rider = cloud.enrol("ada").await;
    let id: RiderId = rider.parse().unwrap();
    let ways = [(face(), face()), (face(), ride_code(1)), (ride_code(2), face()), (ride_code(3), ride_code(4))];
    for (n, (into, out)) in (0..).zip(&ways) {
        ride_by(&cloud, id, BEGIN.plus(Duration::from_secs(3600 * n)), into, out).await;
    }
    cloud.clock.advance(Duration::from_secs(4 * 3600));
    cloud
        .eventually("four trips", async || (cloud.cloud.store.trips(id).await.unwrap().len() == 4).then_some(()))
        .await;
    let mut trips = trips(&cloud, &rider).await;
    trips.reverse();
    let media: Vec<(&str, &str)> = trips.iter().map(|t| (t.entry_medium.as_str(), t.exit_medium.as_str())).collect();
    assert_eq!(media, [("face", "face"), ("face", "code"), ("code", "face"), ("code", "code")]);
    for trip in &trips {
        assert_eq!((trip.entry_station.as_str(), trip.exit_station.as_str()), ("north", "south"));
        assert_eq!((trip.fare_minor, trip.currency.as_str()), (400, "CNY"));
        assert_eq!((trip.lines[0].quantity.as_str(), trip.lines[0].rule.as_str()), ("7 km", "distance over 6 km"));
    }
}

#[tokio::test]
async fn a_published_fare_table_prices_journeys_and_its_cap_counts_those_of_before() {
    let cloud = TestCloud::start().await;
    let mut ops = OpsServiceClient::new(cloud.channel(Role::Operator, "ada"));
    let capped = FARES.replace("[[station]]\nid = \"north\"", &format!("{CAP}\n[[station]]\nid = \"north\""));
    instruct(&mut ops, fares(&capped)).await.unwrap();
    let rider = RiderId::random();
    for n in 1..=3_usize {
        ride(&cloud, rider, BEGIN.plus(Duration::from_secs(3600 * n as u64))).await;
        cloud.clock.advance(Duration::from_secs(2 * 3600));
        let settled = async || (cloud.cloud.store.trips(rider).await.unwrap().len() == n).then_some(());
        cloud.eventually("the trip", settled).await;
    }
    let trips = cloud.cloud.store.trips(rider).await.unwrap();
    let paid: Vec<i64> = trips.iter().rev().map(|trip| trip.priced.fare().unwrap().total().minor()).collect();
    assert_eq!(paid, [400, 400, 200]);
    let said: Vec<String> = trips[0].priced.fare().unwrap().lines().iter().map(|line| line.rule.to_string()).collect();
    assert_eq!(said, ["distance over 6 km", "daily cap: no more in a day"]);

    let euro = capped.replace("CNY", "EUR").replace("name = \"test\"", "name = \"euro\"");
    let v1::instruct_request::Instruction::FareTable(mut other) = fares(&euro) else { panic!("a fare table") };
    other.name = "euro".into();
    let refused = instruct(&mut ops, v1::instruct_request::Instruction::FareTable(other)).await.unwrap_err();
    assert!(refused.message().contains("are valid from the same moment"), "{refused}");
}

const CAP: &str = "cap = [{ name = \"daily cap\", period = \"day\", most_minor = 1000 }]";

#[tokio::test]
async fn a_journey_settles_only_after_its_time_and_a_late_entry_still_pairs() {
    let cloud = TestCloud::start().await;
    let rider = RiderId::random();
    let mut entry = Gate::entry("north");
    let mut exit = Gate::exit("south");
    let out = exit.pass(rider, BEGIN, face(), PassageOutcome::Passed);
    deliver(&cloud, "south", out.into()).await.unwrap();
    // Two days on, and other riders' journeys are settled: this one waits for its entry.
    cloud.clock.advance(Duration::from_secs(2 * 86_400));
    ride(&cloud, RiderId::random(), BEGIN).await;
    cloud
        .eventually("a round", async || (cloud.cloud.store.overview().await.unwrap().journeys == 1).then_some(()))
        .await;
    assert!(cloud.cloud.store.trips(rider).await.unwrap().is_empty());

    let into = entry.pass(rider, BEGIN.minus(Duration::from_secs(900)), face(), PassageOutcome::Passed);
    deliver(&cloud, "north", into.into()).await.unwrap();
    let trips = cloud
        .eventually("the trip", async || {
            Some(cloud.cloud.store.trips(rider).await.unwrap()).filter(|trips| !trips.is_empty())
        })
        .await;
    assert_eq!(trips[0].priced.ride.whole().unwrap().duration(), Duration::from_secs(900));
}

#[tokio::test]
async fn a_station_that_the_fares_do_not_know_holds_the_journey() {
    let cloud = TestCloud::start().await;
    let rider = RiderId::random();
    let into = Gate::entry("nowhere").pass(rider, BEGIN, face(), PassageOutcome::Passed);
    let out = Gate::exit("south").pass(rider, BEGIN.plus(Duration::from_secs(60)), face(), PassageOutcome::Passed);
    deliver(&cloud, "nowhere", into.into()).await.unwrap();
    deliver(&cloud, "south", out.into()).await.unwrap();
    cloud.clock.advance(Duration::from_secs(3600));
    let trips = cloud
        .eventually("the trip", async || {
            Some(cloud.cloud.store.trips(rider).await.unwrap()).filter(|trips| !trips.is_empty())
        })
        .await;
    assert!(trips[0].priced.fare().is_none() && trips[0].charge().is_none(), "{trips:?}");
    assert!(cloud.cloud.store.uncharged_items(cloud.clock.now(), None, 10).await.unwrap().is_empty());
}

async fn report(cloud: &TestCloud, station: &str, backlog: u64) {
    let status = v1::StationStatus { backlog, ..v1::StationStatus::default() };
    cloud.station(station).report(status).await.unwrap();
}

#[tokio::test]
async fn who_leaves_and_comes_back_by_a_station_that_is_cut_off_made_two_rides_and_not_one_of_hours() {
    let cloud = TestCloud::start().await;
    let rider = RiderId::random();
    let minutes = |n: u64| BEGIN.plus(Duration::from_secs(60 * n));
    report(&cloud, "north", 0).await;
    // To work by north in the morning and home again in the evening; north is cut off all day.
    let into = Gate::entry("south").pass(rider, BEGIN, face(), PassageOutcome::Passed);
    let out = Gate::exit("south").pass(rider, minutes(560), face(), PassageOutcome::Passed);
    deliver(&cloud, "south", into.into()).await.unwrap();
    deliver(&cloud, "south", out.into()).await.unwrap();
    cloud.clock.advance(Duration::from_secs(60 * 600));
    report(&cloud, "south", 0).await;
    ride(&cloud, RiderId::random(), minutes(500)).await;
    cloud
        .eventually("a ride of usual length", async || {
            (cloud.cloud.store.overview().await.unwrap().journeys == 1).then_some(())
        })
        .await;
    assert!(cloud.cloud.store.trips(rider).await.unwrap().is_empty(), "nine hours from south to south are no ride");

    let out = Gate::exit("north").pass(rider, minutes(20), face(), PassageOutcome::Passed);
    let into = Gate::entry("north").pass(rider, minutes(540), face(), PassageOutcome::Passed);
    report(&cloud, "north", 4).await;
    deliver(&cloud, "north", out.into()).await.unwrap();
    deliver(&cloud, "north", into.into()).await.unwrap();
    report(&cloud, "north", 0).await;
    let trips = cloud
        .eventually("both rides", async || {
            Some(cloud.cloud.store.trips(rider).await.unwrap()).filter(|trips| trips.len() == 2)
        })
        .await;
    assert!(
        trips.iter().all(|trip| trip.priced.ride.whole().unwrap().duration() == Duration::from_secs(1200)),
        "{trips:?}"
    );
}

#[tokio::test]
async fn a_station_that_stays_away_holds_nobody_up_for_ever() {
    let cloud = TestCloud::start().await;
    let rider = RiderId::random();
    report(&cloud, "north", 0).await;
    let into = Gate::entry("south").pass(rider, BEGIN, face(), PassageOutcome::Passed);
    let out = Gate::exit("middle").pass(rider, BEGIN.plus(Duration::from_secs(7200)), face(), PassageOutcome::Passed);
    deliver(&cloud, "south", into.into()).await.unwrap();
    deliver(&cloud, "middle", out.into()).await.unwrap();
    cloud.clock.advance(Duration::from_secs(4 * 86_400));
    cloud
        .eventually("the trip", async || (cloud.cloud.store.trips(rider).await.unwrap().len() == 1).then_some(()))
        .await;
}
