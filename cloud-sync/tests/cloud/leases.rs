//! Leases of the stations' keys, and the operator's word about them.

use std::time::Duration;

use facegate_cloud_sync::retention;
use facegate_proto::v1;
use facegate_runtime::identity::Role;
use tonic::Code;

use crate::browser::{Browser, problem};
use crate::feed::subscribe;
use crate::harness::{OPERATOR, OPERATOR_PASSWORD, TestCloud};

async fn lease(cloud: &TestCloud, station: &str) -> Result<v1::LeaseResponse, tonic::Status> {
    cloud.station(station).lease(v1::LeaseRequest::default()).await.map(tonic::Response::into_inner)
}

async fn report(cloud: &TestCloud, station: &str) -> v1::ReportResponse {
    cloud.station(station).report(v1::StationStatus::default()).await.unwrap().into_inner()
}

/// As an operator does on the page; gives the status.
async fn decide(cloud: &TestCloud, station: &str, standing: &str) -> u16 {
    let mut browser = Browser::new(cloud);
    browser.sign_in(OPERATOR, OPERATOR_PASSWORD).await;
    let path = format!("/ops/stations/{station}/standing");
    browser.post(&path, &format!("standing={standing}")).await.status().as_u16()
}

#[tokio::test]
async fn a_station_has_a_key_of_its_own_that_stays_and_learns_what_it_must_have_applied() {
    let cloud = TestCloud::start().await;
    cloud.enrol("ada").await;
    let first = lease(&cloud, "north").await.unwrap();
    assert_eq!((first.key.len(), first.valid_for_ms, first.generation), (32, 72 * 3_600_000, 1));
    assert_eq!(first.required_version, *cloud.cloud.store.head().borrow());
    assert!(!format!("{first:?}").contains(&format!("{:?}", first.key)));
    cloud.enrol("bea").await;
    let cloud = cloud.restart().await;
    let renewed = lease(&cloud, "north").await.unwrap();
    assert_eq!(renewed.key, first.key);
    assert!(renewed.required_version > first.required_version);
    assert_ne!(lease(&cloud, "south").await.unwrap().key, first.key);
    for role in [Role::Gate, Role::Monitor, Role::Integrator] {
        let mut other = v1::sync_service_client::SyncServiceClient::new(cloud.channel(role, "north"));
        assert_eq!(
            other.lease(v1::LeaseRequest::default()).await.unwrap_err().code(),
            Code::PermissionDenied,
            "{role}"
        );
    }
}

#[tokio::test]
async fn a_revoked_station_gets_neither_key_nor_faces_and_another_key_when_it_is_reinstated() {
    let cloud = TestCloud::start().await;
    let before = lease(&cloud, "north").await.unwrap();
    assert_eq!(decide(&cloud, "north", "revoked").await, 200);
    assert_eq!(decide(&cloud, "nowhere", "revoked").await, 404);
    assert_eq!(decide(&cloud, "north", "promoted").await, 422);
    let cloud = cloud.restart().await;
    assert_eq!(lease(&cloud, "north").await.unwrap_err().code(), Code::PermissionDenied);
    let after = v1::SubscribeRequest::default();
    assert_eq!(cloud.station("north").subscribe(after).await.map(drop).unwrap_err().code(), Code::PermissionDenied);
    let snapshot = cloud.station("north").snapshot(v1::SnapshotRequest::default()).await.map(drop);
    assert_eq!(snapshot.unwrap_err().code(), Code::PermissionDenied);
    assert!(report(&cloud, "north").await.lease_revoked, "its records and reports are taken all the same");
    assert!(!report(&cloud, "south").await.lease_revoked);

    assert_eq!(decide(&cloud, "north", "active").await, 200);
    let answer = report(&cloud, "north").await;
    assert_eq!((answer.lease_revoked, answer.lease_generation), (false, 2));
    let again = lease(&cloud, "north").await.unwrap();
    assert_eq!(again.generation, 2);
    assert_ne!(again.key, before.key);
    let audit = cloud.cloud.store.audit_entries(0, 100).await.unwrap();
    let said = |line: &&facegate_cloud_sync::store::AuditEntry| line.actor == format!("operator/{OPERATOR}");
    let actions: Vec<_> = audit.iter().filter(said).map(|line| line.action.as_str()).collect();
    assert!(actions.contains(&"station.revoked") && actions.contains(&"station.active"), "{actions:?}");
}

#[tokio::test]
async fn nobody_but_an_operator_decides_about_stations() {
    let cloud = TestCloud::start().await;
    lease(&cloud, "north").await.unwrap();
    let answer = Browser::new(&cloud).post("/ops/stations/north/standing", "standing=revoked").await;
    assert_eq!(answer.status(), 303, "led to the sign-in");
    let mut stranger = Browser::new(&cloud);
    stranger.sign_in(OPERATOR, OPERATOR_PASSWORD).await;
    let form = ("/ops/stations/north/standing", "standing=revoked");
    let elsewhere = stranger.post_from(Some("https://evil.example"), form.0, form.1).await;
    assert_eq!(problem(elsewhere).await, (403, "cross_origin".into()));
    assert!(lease(&cloud, "north").await.is_ok());
}

#[tokio::test]
async fn a_decommissioned_station_keeps_receipts_open_only_until_its_lease_is_over() {
    let cloud = TestCloud::start().await;
    let rider = cloud.enrol("ada").await;
    lease(&cloud, "gone").await.unwrap();
    drop(subscribe(&cloud, "stays", 0).await);
    let erase = v1::EraseRiderRequest { rider_id: rider };
    let receipt = cloud.app().erase_rider(erase).await.unwrap().into_inner();
    let outstanding = async || {
        let asked = v1::GetErasureRequest { erasure_id: receipt.erasure_id.clone() };
        cloud.app().get_erasure(asked).await.unwrap().into_inner().outstanding_stations
    };
    assert_eq!(decide(&cloud, "gone", "decommissioned").await, 200);
    retention::pass(&cloud.cloud).await.unwrap();
    assert_eq!(outstanding().await, ["gone", "stays"], "it may search for three days more");
    cloud.clock.advance(Duration::from_secs(73 * 3600));
    retention::pass(&cloud.cloud).await.unwrap();
    assert_eq!(outstanding().await, ["stays"]);

    let second = cloud.enrol("bea").await;
    let erase = v1::EraseRiderRequest { rider_id: second };
    let receipt = cloud.app().erase_rider(erase).await.unwrap().into_inner();
    assert_eq!(receipt.outstanding_stations, ["stays"], "nor does a later one wait for it");
}
