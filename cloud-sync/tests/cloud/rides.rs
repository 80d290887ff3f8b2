//! Rides that are not as they should be, and what puts them right: late taps, ends that nobody saw, terms, waivers,
//! stations that no table knows.

use std::time::Duration;

use facegate_cloud_sync::store::{PricedRide, Trip};
use facegate_domain::Timestamp;
use facegate_domain::ids::RiderId;
use facegate_domain::tap::PassageOutcome;
use facegate_proto::v1;
use facegate_proto::v1::instruct_request::Instruction;
use facegate_proto::v1::ops_service_client::OpsServiceClient;
use facegate_runtime::identity::Role;
use serde_json::{Value, json};
use tonic::transport::Channel;

use crate::browser::{App, problem};
use crate::harness::{BEGIN, FARES, TestCloud, code};
use crate::intake::deliver;
use crate::journeys::ride;
use crate::operation::{fares, instruct};
use crate::riding::{Gate, face};

const WEEK: Duration = Duration::from_secs(7 * 86_400);

fn minutes(n: u64) -> Timestamp {
    BEGIN.plus(Duration::from_secs(60 * n))
}

fn ops(cloud: &TestCloud) -> OpsServiceClient<Channel> {
    OpsServiceClient::new(cloud.channel(Role::Operator, "ada"))
}

/// In at north alone.
async fn goes_in(cloud: &TestCloud, rider: RiderId, at: Timestamp) {
    let into = Gate::entry("north").pass(rider, at, face(), PassageOutcome::Passed);
    deliver(cloud, "north", into.into()).await.unwrap();
}

/// The trips once they are as wanted.
pub async fn trips(cloud: &TestCloud, rider: RiderId, are: impl Fn(&[Trip]) -> bool) -> Vec<Trip> {
    let look = async || Some(cloud.cloud.store.trips(rider).await.unwrap()).filter(|trips| are(trips));
    cloud.eventually("the trips", look).await
}

pub fn items(trip: &Trip) -> Vec<i64> {
    trip.items.iter().map(|billed| billed.item.amount().minor()).collect()
}

async fn publish(cloud: &TestCloud, table: &str) {
    instruct(&mut ops(cloud), fares(table)).await.unwrap();
}

/// The table with more before its stations.
fn table_with(rules: &str) -> String {
    FARES.replace("[[station]]\nid = \"north\"", &format!("{rules}\n[[station]]\nid = \"north\""))
}

#[tokio::test]
async fn a_ride_whose_exit_nobody_saw_costs_the_maximum_until_the_exit_comes_late() {
    let cloud = TestCloud::start().await;
    let rider = RiderId::random();
    goes_in(&cloud, rider, BEGIN).await;
    cloud.clock.advance(WEEK);
    let broken = trips(&cloud, rider, |trips| !trips.is_empty()).await.remove(0);
    assert_eq!((broken.priced.ride.exit(), items(&broken)), (None, vec![900]));
    let out = Gate::exit("south").pass(rider, minutes(10), face(), PassageOutcome::Passed);
    deliver(&cloud, "south", out.into()).await.unwrap();
    let now = trips(&cloud, rider, |trips| trips.len() == 2 && trips[1].items.len() == 2).await;
    assert_eq!((items(&now[0]), items(&now[1])), (vec![400], vec![900, -900]));
    let superseded = now[1].priced.superseded.unwrap();
    assert_eq!(superseded.by, Some(now[0].priced.id()));
    assert_eq!(cloud.cloud.store.overview().await.unwrap().journeys, 1);
}

#[tokio::test]
async fn an_entry_that_comes_late_between_two_settled_taps_changes_the_ride_at_once() {
    let cloud = TestCloud::start().await;
    let rider = RiderId::random();
    ride(&cloud, rider, BEGIN).await;
    cloud.clock.advance(Duration::from_secs(3600));
    trips(&cloud, rider, |trips| trips.len() == 1 && items(&trips[0]) == [400]).await;
    // He left unseen, and came in again at south before he left there.
    let back = Gate::entry("south").pass(rider, minutes(5), face(), PassageOutcome::Passed);
    deliver(&cloud, "south", back.into()).await.unwrap();
    let is_gone = |trip: &Trip| trip.priced.superseded.is_some();
    let mut now = trips(&cloud, rider, |trips| trips.len() == 2 && trips.iter().any(is_gone)).await;
    now.sort_by_key(|trip| trip.priced.ride.first().at);
    assert_eq!((is_gone(&now[0]), items(&now[0])), (true, vec![400, -400]), "{now:?}");
    assert_eq!((is_gone(&now[1]), now[1].priced.ride.first().at), (false, minutes(5)), "{now:?}");
}

#[tokio::test]
async fn who_tells_the_missing_end_in_time_pays_the_fare_of_what_he_tells() {
    let cloud = TestCloud::start().await;
    publish(&cloud, &table_with("repairs = { within_days = 30, per_month = 2 }")).await;
    let app = App::new(&cloud);
    let name = cloud.enrol("ada").await;
    let rider: RiderId = name.parse().unwrap();
    goes_in(&cloud, rider, BEGIN).await;
    cloud.clock.advance(WEEK);
    let trip = trips(&cloud, rider, |trips| !trips.is_empty()).await.remove(0);
    let path = format!("/v1/riders/{name}/receipts/{}", trip.priced.id());
    let seen = app.call("GET", &path, Value::Null, 200).await;
    assert_eq!((&seen["missing_end"], &seen["exit_station"]), (&json!("exit"), &Value::Null));
    assert!(seen["missing_end_until"].is_string(), "{seen}");
    let tell = format!("{path}/missing-end");
    for (station, wrong) in [("nowhere", "station"), ("", "station")] {
        let body = json!({ "station": station }).to_string();
        let refused = app.send("PUT", &tell, Some("application/json"), body.as_bytes()).await;
        assert_eq!(refused.status().as_u16(), 422, "{station}: {wrong}");
    }
    app.call("PUT", &tell, json!({ "station": "south" }), 204).await;
    let told = trips(&cloud, rider, |trips| trips[0].items.len() == 2).await.remove(0);
    assert_eq!(items(&told), [900, -500]);
    let said: Vec<String> = told.priced.fare().unwrap().lines().iter().map(|line| line.rule.to_string()).collect();
    assert_eq!(said, ["the missing end was south, as you told", "distance over 6 km"]);
    // Telling another station afterwards changes nothing, nor does telling it too late.
    app.call("PUT", &tell, json!({ "station": "north" }), 204).await;
    cloud.clock.advance(5 * WEEK);
    let body = json!({ "station": "south" }).to_string();
    let late = app.send("PUT", &tell, Some("application/json"), body.as_bytes()).await;
    assert_eq!(problem(late).await.0, 422);
    assert_eq!(items(&trips(&cloud, rider, |trips| !trips.is_empty()).await[0]), [900, -500]);
}

#[tokio::test]
async fn what_a_rider_is_and_has_bought_prices_todays_rides_anew_and_is_kept_once() {
    let cloud = TestCloud::start().await;
    let rules = "category = [{ name = \"student\", pays_bp = 5000 }]\n\
        pass = [{ name = \"week\", days = 7, price_minor = 2500 }]\n\
        discount = [{ name = \"friends\", pays_bp = 0, coupon = true }]";
    publish(&cloud, &table_with(rules)).await;
    let app = App::new(&cloud);
    let (name, friend) = (cloud.enrol("ada").await, cloud.enrol("bob").await);
    let rider: RiderId = name.parse().unwrap();
    ride(&cloud, rider, BEGIN).await;
    cloud.clock.advance(Duration::from_secs(3600));
    trips(&cloud, rider, |trips| trips.len() == 1 && items(&trips[0]) == [400]).await;
    let path = |of: &str| format!("/v1/riders/{name}/{of}");
    let student = json!({ "category": "student", "evidence": "student_card", "last_day": "2027-09-30" });
    app.call("PUT", &path("category"), student.clone(), 204).await;
    app.call("PUT", &path("category"), student, 204).await;
    trips(&cloud, rider, |trips| items(&trips[0]) == [400, -200]).await;
    let today = "2026-11-18";
    let pass = json!({ "pass": "week", "order": "o-1", "first_day": today });
    let bought = app.call("POST", &path("passes"), pass.clone(), 201).await;
    assert_eq!(app.call("POST", &path("passes"), pass, 201).await, bought);
    trips(&cloud, rider, |trips| items(&trips[0]) == [400, -200, -200]).await;
    let friends = json!({ "discount": "friends", "rides": 2, "first_day": today, "last_day": "2026-12-31",
        "referred_by": friend });
    app.call("POST", &path("coupons"), friends.clone(), 204).await;
    app.call("POST", &path("coupons"), friends, 204).await;
    let terms = app.call("GET", &path("terms"), Value::Null, 200).await;
    let count = |of: &str| terms[of].as_array().unwrap().len();
    assert_eq!((count("categories"), count("passes"), count("coupons")), (1, 1, 1), "{terms}");
    let his = app.call("GET", &format!("/v1/riders/{friend}/terms"), Value::Null, 200).await;
    assert_eq!(his["coupons"].as_array().unwrap().len(), 1);
    for (path, wrong) in [
        ("category", json!({ "category": "king", "evidence": "crown", "last_day": "2027-09-30" })),
        ("category", json!({ "category": "student", "evidence": "card", "last_day": "2020-09-30" })),
        ("category", json!({ "category": "student", "evidence": "card", "last_day": "soon" })),
    ] {
        let (path, body) = (self::path(&name, path), wrong.to_string());
        let refused = app.send("PUT", &path, Some("application/json"), body.as_bytes()).await;
        assert_eq!(problem(refused).await.0, 422, "{wrong}");
    }
    // What was bought is billed once.
    let item = facegate_domain::billing::PurchaseId::of(rider, "o-1");
    assert_eq!(bought["purchase_id"], item.to_string());
}

fn path(name: &str, of: &str) -> String {
    format!("/v1/riders/{name}/{of}")
}

#[tokio::test]
async fn what_is_waived_afterwards_and_what_was_ridden_while_it_was_free_costs_nothing() {
    let cloud = TestCloud::start().await;
    let rider = RiderId::random();
    ride(&cloud, rider, BEGIN).await;
    cloud.clock.advance(Duration::from_secs(3600));
    trips(&cloud, rider, |trips| trips.len() == 1 && items(&trips[0]) == [400]).await;
    let waive = |until: Timestamp| v1::WaiveRequest {
        reason: "a storm".into(),
        waives: "fare".into(),
        stations: vec!["north".into()],
        from_unix_ms: BEGIN.minus(Duration::from_secs(60)).unix_ms(),
        until_unix_ms: until.unix_ms(),
    };
    let unknown = v1::WaiveRequest { stations: vec!["nowhere".into()], ..waive(minutes(5)) };
    assert!(ops(&cloud).waive(unknown).await.unwrap_err().message().contains("stations"));
    assert!(ops(&cloud).waive(waive(BEGIN.minus(WEEK))).await.is_err());
    let waits = ops(&cloud).waive(waive(minutes(5))).await.unwrap().into_inner();
    assert_eq!(waits.state, "awaiting_approval", "it gives back more than one person decides about");
    let word = v1::DecideWaiverRequest { waiver_id: waits.waiver_id, approves: true, shown_minor: 400 };
    let same = ops(&cloud).decide_waiver(word.clone()).await.unwrap_err();
    assert_eq!((same.code(), code(&same)), (tonic::Code::PermissionDenied, "same_person"));
    let mut another = OpsServiceClient::new(cloud.channel(Role::Operator, "bob"));
    assert_eq!(another.decide_waiver(word).await.unwrap().into_inner().state, "done");
    let waived = trips(&cloud, rider, |trips| trips[0].items.len() == 2).await.remove(0);
    assert_eq!(items(&waived), [400, -400]);
    assert!(waived.priced.fare().unwrap().lines().iter().any(|line| line.rule.to_string() == "waived: a storm"));

    let mode = |mode: &str| Instruction::Mode(v1::StationMode { station: "south".into(), mode: mode.into() });
    instruct(&mut ops(&cloud), mode("fare_free")).await.unwrap();
    let open = async || {
        let waivers = cloud.cloud.store.waivers().await.unwrap();
        waivers.into_iter().find(|kept| kept.follows.is_some())
    };
    let begun = cloud.eventually("the mode is followed", open).await.waiver.from;
    ride(&cloud, rider, begun.plus(Duration::from_secs(60))).await;
    cloud.clock.advance(Duration::from_secs(1800));
    instruct(&mut ops(&cloud), mode("")).await.unwrap();
    let closed = async || open().await.filter(|kept| kept.waiver.until < minutes(1_000_000));
    cloud.eventually("its end too", closed).await;
    let free = trips(&cloud, rider, |trips| trips.len() == 2).await.remove(0);
    assert_eq!((items(&free), free.priced.fare().unwrap().total().minor()), (vec![], 0));
}

/// Each in at a station that no table knows, out at south, an hour ago.
pub async fn from_nowhere(cloud: &TestCloud, riders: &[RiderId]) {
    for (n, rider) in riders.iter().enumerate() {
        let gate = |way: &str| format!("nowhere-{way}-{n}");
        let mut entry = Gate::new("nowhere", &gate("in"), facegate_domain::tap::Direction::Entry);
        let mut exit = Gate::new("south", &gate("out"), facegate_domain::tap::Direction::Exit);
        let into = entry.pass(*rider, BEGIN, face(), PassageOutcome::Passed);
        let out = exit.pass(*rider, minutes(10), face(), PassageOutcome::Passed);
        deliver(cloud, "nowhere", into.into()).await.unwrap();
        deliver(cloud, "south", out.into()).await.unwrap();
    }
    cloud.clock.advance(Duration::from_secs(3600));
}

#[tokio::test]
async fn a_held_ride_is_listed_and_let_go_by_a_person_or_by_a_table_that_knows_it() {
    let cloud = TestCloud::start().await;
    let (one, two) = (RiderId::random(), RiderId::random());
    from_nowhere(&cloud, &[one, two]).await;
    let all = v1::HeldRidesRequest::default();
    let held = async || {
        let held = ops(&cloud).held_rides(all.clone()).await.unwrap().into_inner().rides;
        Some(held).filter(|held| held.len() == 2)
    };
    let held = cloud.eventually("both are held", held).await;
    assert!(held.iter().all(|ride| ride.reason.contains("no station nowhere")), "{held:?}");
    let his = held.iter().find(|ride| ride.rider_id == one.to_string()).unwrap();
    let release = |price_minor, reason: &str| v1::ReleaseRideRequest {
        ride_id: his.ride_id.clone(),
        price_minor,
        reason: reason.into(),
    };
    assert!(ops(&cloud).release_ride(release(Some(-1), "x")).await.is_err());
    assert!(ops(&cloud).release_ride(release(Some(250), "")).await.is_err());
    ops(&cloud).release_ride(release(Some(250), "the depot's gate")).await.unwrap();
    let released = trips(&cloud, one, |trips| !trips[0].items.is_empty()).await.remove(0);
    assert_eq!(items(&released), [250]);
    let line = &released.priced.fare().unwrap().lines()[0];
    assert_eq!(line.rule.to_string(), "priced by hand: the depot's gate");
    assert!(ops(&cloud).release_ride(release(None, "")).await.is_err(), "it is held no longer");

    let known = format!(
        "{}[[station]]\nid = \"nowhere\"\n[[link]]\nfrom = \"nowhere\"\nto = \"south\"\nmetres = 1000\n",
        *FARES
    );
    publish(&cloud, &known).await;
    trips(&cloud, two, |trips| items(&trips[0]) == [300]).await;
    // What a person said holds until a rule prices the ride.
    trips(&cloud, one, |trips| items(&trips[0]) == [250]).await;
    let left = cloud.cloud.store.held_rides(None, 10).await.unwrap();
    assert_eq!(left.iter().map(PricedRide::id).collect::<Vec<_>>(), []);
}
