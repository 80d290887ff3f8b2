//! Who may call what.

use std::time::Duration;

use facegate_proto::v1;
use facegate_proto::v1::ops_service_client::OpsServiceClient;
use facegate_runtime::identity::Role;
use tonic::Code;

use crate::harness::TestCloud;

#[tokio::test]
async fn every_service_admits_its_own_role_alone() {
    let cloud = TestCloud::start().await;
    let rider = || v1::CreateRiderRequest { display_name: "x".into() };
    for role in [Role::Gate, Role::Camera, Role::Station, Role::Monitor, Role::Cloud, Role::Acquirer] {
        let mut app = v1::enrolment_service_client::EnrolmentServiceClient::new(cloud.channel(role, "other"));
        assert_eq!(app.create_rider(rider()).await.unwrap_err().code(), Code::PermissionDenied, "{role}");
    }
    let mut gate = v1::sync_service_client::SyncServiceClient::new(cloud.channel(Role::Integrator, "metro-app"));
    let refused =
        gate.subscribe(v1::SubscribeRequest { after_version: 0, ..Default::default() }).await.map(drop).unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert_eq!(gate.deliver(v1::DeliverRequest::default()).await.unwrap_err().code(), Code::PermissionDenied);

    let mut ops = OpsServiceClient::new(cloud.channel(Role::Station, "north"));
    assert_eq!(ops.overview(v1::OverviewRequest {}).await.unwrap_err().code(), Code::PermissionDenied);
    let mut ops = OpsServiceClient::new(cloud.channel(Role::Monitor, "watch"));
    assert!(ops.overview(v1::OverviewRequest {}).await.unwrap().into_inner().ledger_balanced);
}

#[tokio::test]
async fn a_client_without_a_device_identity_does_not_get_past_the_handshake() {
    let cloud = TestCloud::start().await;
    let ca = cloud.dir.path().join("tls/ca.pem");
    let client = facegate_runtime::http::client_without_identity(&ca).unwrap().timeout(Duration::from_secs(5));
    let refused = client.build().unwrap().get(cloud.uri()).send().await;
    assert!(refused.is_err(), "{refused:?}");
}
