//! Being forgotten, as far as the last station.

use facegate_proto::v1;
use tonic::Code;

use crate::feed::{Change, next, subscribe};
use crate::harness::{TestCloud, code};

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
