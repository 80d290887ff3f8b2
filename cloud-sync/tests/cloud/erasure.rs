//! Being forgotten, as far as the last station.

use std::time::Duration;

use facegate_cloud_sync::retention;
use facegate_cloud_sync::store::{Pricing, Trip};
use facegate_domain::Clock;
use facegate_domain::charge::Instrument;
use facegate_domain::ids::RiderId;
use facegate_proto::v1;
use tonic::Code;

use crate::feed::{Change, next, subscribe};
use crate::harness::{BEGIN, TestCloud, code};
use crate::journeys::ride;

async fn receipt(cloud: &TestCloud, erasure_id: &str) -> v1::ErasureReceipt {
    let request = v1::GetErasureRequest { erasure_id: erasure_id.into() };
    cloud.app().get_erasure(request).await.unwrap().into_inner()
}

async fn report(cloud: &TestCloud, station: &str, applied_version: u64) {
    let status = v1::StationStatus { applied_version, ..Default::default() };
    cloud.station(station).report(status).await.unwrap();
}

#[tokio::test]
async fn a_receipt_is_final_only_when_every_station_has_confirmed() {
    let cloud = TestCloud::start().await;
    let rider = cloud.enrol("ada").await;
    for station in ["north", "south"] {
        drop(subscribe(&cloud, station, 0).await);
    }
    let erase = v1::EraseRiderRequest { rider_id: rider.clone() };
    let asked = cloud.app().erase_rider(erase.clone()).await.unwrap().into_inner();
    assert_eq!(asked.outstanding_stations, ["north", "south"]);
    assert!(!asked.r#final);
    assert_eq!(cloud.app().erase_rider(erase).await.unwrap().into_inner(), asked);

    let removal = *cloud.cloud.store.head().borrow();
    report(&cloud, "north", removal).await;
    assert_eq!(receipt(&cloud, &asked.erasure_id).await.outstanding_stations, ["south"]);
    report(&cloud, "south", removal - 1).await;
    assert!(!receipt(&cloud, &asked.erasure_id).await.r#final, "south has not applied the removal");
    report(&cloud, "south", removal).await;
    let last = receipt(&cloud, &asked.erasure_id).await;
    assert!(last.r#final && last.outstanding_stations.is_empty());

    let cloud = cloud.restart().await;
    assert!(receipt(&cloud, &asked.erasure_id).await.r#final);
    assert_eq!(code(&enrol_again(&cloud, &rider).await), "erased_rider");
    let unknown = v1::GetErasureRequest { erasure_id: rider };
    assert_eq!(cloud.app().get_erasure(unknown).await.unwrap_err().code(), Code::NotFound);
}

async fn enrol_again(cloud: &TestCloud, rider: &str) -> tonic::Status {
    crate::harness::enrol(&mut cloud.app(), rider, b"ada").await.unwrap_err()
}

#[tokio::test]
async fn a_station_that_comes_later_never_hears_of_the_face() {
    let cloud = TestCloud::start().await;
    let (gone, stays) = (cloud.enrol("ada").await, cloud.enrol("bea").await);
    cloud.app().erase_rider(v1::EraseRiderRequest { rider_id: gone.clone() }).await.unwrap();
    let mut changes = subscribe(&cloud, "late", 0).await;
    let (mut faces, mut removed) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        match next(&mut changes).await.change.unwrap() {
            Change::TemplatePut(put) => faces.push(put.template.unwrap().rider),
            Change::RiderRemoved(rider) => removed.push(rider.rider),
            Change::IssuerKeys(_) => {}
            other => panic!("{other:?}"),
        }
    }
    let bytes = |id: &str| id.parse::<facegate_domain::ids::RiderId>().unwrap().as_bytes().to_vec();
    assert_eq!((faces, removed), (vec![bytes(&stays)], vec![bytes(&gone)]));

    let snapshot = crate::feed::snapshot(&cloud, "late").await;
    let put = |change: &v1::Change| matches!(change.change, Some(Change::TemplatePut(_)));
    assert_eq!(snapshot.facts.iter().filter(|fact| put(fact)).count(), 1);
}

/// The trips of a rider, the latest first, once there are so many.
async fn trips(cloud: &TestCloud, rider: RiderId, count: usize) -> Vec<Trip> {
    let all = async || Some(cloud.cloud.store.trips(rider).await.unwrap()).filter(|trips| trips.len() == count);
    cloud.eventually("the trips", all).await
}

#[tokio::test]
async fn a_ride_that_is_handed_in_after_its_rider_has_left_is_paid_for_as_long_as_it_is_kept_how() {
    let cloud = TestCloud::start().await;
    let rider = cloud.enrol("ada").await;
    let id: RiderId = rider.parse().unwrap();
    cloud.cloud.store.bind_account(id, Instrument::Wallet, Vec::new()).await.unwrap();
    let erase = v1::EraseRiderRequest { rider_id: rider.clone() };
    let asked = cloud.app().erase_rider(erase).await.unwrap().into_inner();
    let kept = Duration::from_secs(14 * 86_400);
    assert!(asked.r#final && !asked.account_forgotten, "his face is gone at once, how he pays is not");
    assert_eq!(asked.account_kept_until_unix_ms, BEGIN.plus(kept).unix_ms());
    // The gates were cut off, and tell of it only now.
    cloud.clock.advance(Duration::from_secs(86_400));
    retention::pass(&cloud.cloud).await.unwrap();
    ride(&cloud, id, BEGIN.minus(Duration::from_secs(3600))).await;
    trips(&cloud, id, 1).await;
    let charged = async || cloud.cloud.store.trips(id).await.unwrap()[0].charge().cloned();
    cloud.eventually("it is charged", charged).await;

    cloud.clock.advance(kept);
    assert_eq!(retention::pass(&cloud.cloud).await.unwrap().accounts_forgotten, 1);
    assert!(receipt(&cloud, &asked.erasure_id).await.account_forgotten);
    ride(&cloud, id, BEGIN.plus(Duration::from_secs(3600))).await;
    // Its exit came first, and is too old to be waited with: for a moment it may stand for the maximum alone.
    let whole = async || {
        let late = cloud.cloud.store.trips(id).await.unwrap().remove(0);
        let Some(Pricing::Held { reason }) = late.priced.pricing() else { return None };
        (reason.starts_with("uncollectable") && reason.contains("4.00 CNY")).then_some(late)
    };
    let late = cloud.eventually("the late ride, whole", whole).await;
    assert!(late.charge().is_none());
    assert_eq!(
        cloud.cloud.store.uncharged_items(cloud.clock.now(), None, 10).await.unwrap(),
        [],
        "nor is it tried for ever"
    );
}
