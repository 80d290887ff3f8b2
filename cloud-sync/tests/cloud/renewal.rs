//! Certificates renewed over the wire, under the device CA that the cloud holds.

use facegate_proto::v1;
use facegate_proto::v1::renewal_service_client::RenewalServiceClient;
use facegate_runtime::identity::Role;
use tonic::{Code, Status};

use crate::harness::TestCloud;

async fn ask(cloud: &TestCloud, station: &str, request: v1::RenewRequest) -> Result<String, Status> {
    let mut client = RenewalServiceClient::new(cloud.channel(Role::Station, station));
    Ok(client.renew(request).await?.into_inner().certificate)
}

fn on_behalf_of(signing_request: &[u8], role: &str, id: &str) -> v1::RenewRequest {
    v1::RenewRequest { signing_request: signing_request.to_vec(), role: role.into(), id: id.into() }
}

async fn report(cloud: &TestCloud, station: &str, gate: &str) {
    let status = v1::GateStatus { kind: "gate".into(), ..Default::default() };
    let gate = v1::GateReport {
        gate: gate.into(),
        status: Some(status),
        connected: true,
        last_seen_unix_ms: 1,
        ..Default::default()
    };
    let report = v1::StationStatus { gates: vec![gate], ..Default::default() };
    cloud.station(station).report(report).await.unwrap();
}

#[tokio::test]
async fn a_station_renews_itself_and_the_gates_that_it_alone_reports() {
    let cloud = TestCloud::start().await;
    let station = cloud.identity(Role::Station, "north");
    let begin = station.serial();
    let itself = async |signing_request| {
        let asked = v1::RenewRequest { signing_request, ..Default::default() };
        ask(&cloud, "north", asked).await.map_err(|status| status.to_string())
    };
    station.renew(itself).await.unwrap();
    assert_ne!(station.serial(), begin);

    let gate = cloud.identity(Role::Gate, "north-in");
    let through = async |by: &str| {
        let by = by.to_owned();
        let ask = async |request: Vec<u8>| {
            ask(&cloud, &by, on_behalf_of(&request, "gate", "north-in"))
                .await
                .map_err(|status| status.message().to_owned())
        };
        gate.renew(ask).await.map_err(|error| error.to_string())
    };
    assert!(through("north").await.unwrap_err().contains("alone reports"), "it was never reported");
    report(&cloud, "north", "north-in").await;
    through("north").await.unwrap();
    assert!(through("south").await.unwrap_err().contains("alone reports"));
    // Whoever else claims it makes it nobody's.
    report(&cloud, "south", "north-in").await;
    assert!(through("north").await.unwrap_err().contains("alone reports"));

    let audit = cloud.cloud.store.audit_entries(0, 100).await.unwrap();
    let renewed: Vec<_> =
        audit.iter().filter(|line| line.action == "certificate.renew").map(|line| &line.subject).collect();
    assert_eq!(renewed, ["station/north", "gate/north-in"]);
}

#[tokio::test]
async fn nobody_gets_another_role_and_a_broken_request_gets_nothing() {
    let cloud = TestCloud::start().await;
    for (role, id, code) in [
        ("cloud", "main", Code::PermissionDenied),
        ("station", "south", Code::PermissionDenied),
        ("king", "x", Code::InvalidArgument),
        ("gate", "../x", Code::InvalidArgument),
    ] {
        let refused = ask(&cloud, "north", on_behalf_of(b"", role, id)).await.unwrap_err();
        assert_eq!(refused.code(), code, "{role}/{id}: {refused}");
    }
    let broken = ask(&cloud, "north", v1::RenewRequest { signing_request: vec![1, 2, 3], ..Default::default() }).await;
    assert_eq!(broken.unwrap_err().code(), Code::Internal);
    let mut gate = RenewalServiceClient::new(cloud.channel(Role::Gate, "north-in"));
    let refused = gate.renew(v1::RenewRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
}
