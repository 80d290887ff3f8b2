//! Two machines that show one certificate.

use std::time::Duration;

use facegate_proto::v1;
use facegate_proto::v1::ops_service_client::OpsServiceClient;
use facegate_runtime::identity::Role;
use tonic::{Code, Status, Streaming};

use crate::harness::TestCloud;

async fn report(cloud: &TestCloud, installation: u8) -> Result<(), Status> {
    let status = v1::StationStatus { installation: vec![installation; 16], ..Default::default() };
    cloud.station("north").report(status).await.map(drop)
}

async fn follow(cloud: &TestCloud, installation: u8) -> Result<(), Status> {
    followed(cloud, vec![installation; 16]).await.map(drop)
}

async fn followed(cloud: &TestCloud, installation: Vec<u8>) -> Result<Streaming<v1::Change>, Status> {
    let request = v1::SubscribeRequest { installation, ..Default::default() };
    cloud.station("north").subscribe(request).await.map(tonic::Response::into_inner)
}

/// Reads until the stream ends, whatever comes.
async fn end_of(mut changes: Streaming<v1::Change>) {
    while let Ok(Some(_)) = changes.message().await {}
}

#[tokio::test]
async fn the_newer_of_two_live_machines_is_refused_and_told_what_to_do() {
    let cloud = TestCloud::start().await;
    follow(&cloud, 1).await.unwrap();
    report(&cloud, 1).await.unwrap();
    for refused in [follow(&cloud, 2).await.unwrap_err(), report(&cloud, 2).await.unwrap_err()] {
        assert_eq!(refused.code(), Code::AlreadyExists);
        let said = refused.message();
        assert!(said.contains("tell claim-station north 02020202") && said.contains("01010101"), "{said}");
    }
    let snapshot = v1::SnapshotRequest { installation: vec![2; 16], ..Default::default() };
    assert!(cloud.station("north").snapshot(snapshot).await.is_err(), "no face is handed to it");
    report(&cloud, 1).await.unwrap();
    // A station of before says nothing of itself.
    cloud.station("north").report(v1::StationStatus::default()).await.unwrap();
}

#[tokio::test]
async fn a_replaced_machine_takes_over_once_the_old_one_is_silent_and_the_old_one_stays_out() {
    let cloud = TestCloud::start().await;
    report(&cloud, 1).await.unwrap();
    cloud.clock.advance(Duration::from_secs(9));
    assert!(report(&cloud, 2).await.is_err());
    cloud.clock.advance(Duration::from_secs(1));
    report(&cloud, 2).await.unwrap();
    assert!(report(&cloud, 1).await.is_err());
    let cloud = cloud.restart().await;
    assert!(report(&cloud, 1).await.is_err(), "also after a restart of the cloud");
}

#[tokio::test]
async fn the_operator_decides_at_once() {
    let cloud = TestCloud::start().await;
    report(&cloud, 1).await.unwrap();
    let claim = v1::ClaimStationRequest { station: "north".into(), installation: vec![2; 16] };
    let mut other = OpsServiceClient::new(cloud.channel(Role::Monitor, "watch"));
    assert_eq!(other.claim_station(claim.clone()).await.unwrap_err().code(), Code::PermissionDenied);
    let mut ops = OpsServiceClient::new(cloud.channel(Role::Operator, "ada"));
    ops.claim_station(claim).await.unwrap();
    report(&cloud, 2).await.unwrap();
    assert!(report(&cloud, 1).await.is_err());
    let audit = cloud.cloud.store.audit_entries(0, 10).await.unwrap();
    assert!(audit.iter().any(|line| line.action == "stations.claim" && line.actor == "operator/ada"));
}

#[tokio::test]
async fn the_stream_of_a_machine_that_was_displaced_is_cut_and_nothing_more_reaches_it() {
    let cloud = TestCloud::start().await;
    let displaced = followed(&cloud, vec![1; 16]).await.unwrap();
    let of_before = followed(&cloud, vec![]).await.unwrap();
    report(&cloud, 1).await.unwrap();
    cloud.clock.advance(Duration::from_secs(11));
    report(&cloud, 2).await.unwrap();
    let stays = followed(&cloud, vec![2; 16]).await.unwrap();
    let patience = Duration::from_secs(30);
    tokio::time::timeout(patience, end_of(displaced)).await.expect("the cloud cuts it");
    // Faces enrolled from now on reach the machine that counts, and neither stream that was let be was cut.
    cloud.enrol("ada").await;
    for mut changes in [stays, of_before] {
        let put = async {
            while let Some(change) = changes.message().await.unwrap() {
                if matches!(change.change, Some(v1::change::Change::TemplatePut(_))) {
                    return;
                }
            }
            panic!("it was cut too");
        };
        tokio::time::timeout(patience, put).await.expect("the face comes");
    }
    let asked = v1::RereadRequest { set: "denied".into(), buckets: vec![0], installation: vec![1; 16] };
    let refused = cloud.station("north").reread(asked).await.map(drop).unwrap_err();
    assert_eq!(refused.code(), Code::AlreadyExists);
}
