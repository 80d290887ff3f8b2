//! Certificates that are nearly over, renewed over the lines that there are: the station's by the cloud, a gate's through
//! its station.

use std::sync::Arc;
use std::time::Duration;

use facegate_domain::Clock;
use facegate_gate_agent::renewal::keep_renewed;
use facegate_proto::v1;
use facegate_proto::v1::station_service_client::StationServiceClient;
use facegate_runtime::clock::SystemClock;
use facegate_runtime::identity::{DeviceIdentity, Role};
use tokio_util::sync::CancellationToken;

use crate::world::{World, eventually};

const DAY: Duration = Duration::from_secs(86_400);

/// The certificate on the disk, as the next start would have it.
fn on_the_disk(of: &DeviceIdentity) -> DeviceIdentity {
    DeviceIdentity::load(of.paths()).unwrap()
}

/// Whether it counts for weeks.
fn is_fresh(identity: &DeviceIdentity) -> bool {
    identity.expires_at() > SystemClock::new().now().plus(20 * DAY)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_station_renews_itself_at_the_cloud_and_its_gates_through_itself() {
    let mut world = World::new();
    let (cloud, cloud_runs) = world.cloud().await;
    world.issued_ago = 25 * DAY;
    let station_runs = world.station().await;
    // The same files; the station has read its own already.
    let paths_of_station = world.path("tls").join("station-north.pem");
    let (gate_journal, gate_runs) = world.gate().await;
    let (_, gate) = world.tls(Role::Gate, "north-in");
    assert!(!is_fresh(&gate));
    let before = gate.serial();

    let reported = async || {
        let stations = cloud.store.stations().await.unwrap();
        let mut gates = stations.iter().filter_map(|view| view.report.as_ref()).flat_map(|report| &report.gates);
        // Named from the station's config at first; what it is, the gate has to say.
        gates.any(|gate| gate.kind == "gate")
    };
    eventually("the station reports its gate", reported).await;
    let (stop, clock) = (CancellationToken::new(), Arc::new(SystemClock::new()));
    let through = world.channel_of(&gate, Role::Station);
    let renewing = tokio::spawn(keep_renewed(gate.clone(), through, clock, stop.clone()));
    eventually("the gate has another certificate", async || gate.serial() != before).await;
    assert!(is_fresh(&gate) && is_fresh(&on_the_disk(&gate)), "in use and on the disk");
    assert_eq!(on_the_disk(&gate).serial(), gate.serial());

    let mut paths = gate.paths().clone();
    paths.key = paths_of_station.with_file_name("station-north-key.pem");
    paths.cert = paths_of_station;
    eventually("so has the station", async || is_fresh(&DeviceIdentity::load(&paths).unwrap())).await;
    // Both are taken by the other side at the next handshake.
    let mut client = StationServiceClient::new(world.channel_of(&gate, Role::Station));
    client.register(v1::RegisterRequest::default()).await.unwrap();
    let audit = cloud.store.audit_entries(0, 100).await.unwrap();
    let renewals = audit.iter().filter(|line| line.action == "certificate.renew");
    let mut renewed: Vec<_> = renewals.map(|line| (line.actor.as_str(), line.subject.as_str())).collect();
    renewed.sort_unstable();
    assert_eq!(renewed, [("station/north", "gate/north-in"), ("station/north", "station/north")]);

    stop.cancel();
    renewing.await.unwrap();
    drop(gate_journal);
    gate_runs.stop().await;
    station_runs.stop().await;
    cloud_runs.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_station_renews_no_gate_of_another_station() {
    use facegate_proto::v1::renewal_service_client::RenewalServiceClient;
    let world = World::new();
    let (cloud, cloud_runs) = world.cloud().await;
    let station_runs = world.station().await;
    let (_, stranger) = world.tls(Role::Gate, "south-in");
    let client = RenewalServiceClient::new(world.channel_of(&stranger, Role::Station));
    let refused = stranger
        .renew(async |signing_request| {
            let asked = v1::RenewRequest { signing_request, ..Default::default() };
            let answer = client.clone().renew(asked).await.map_err(|status| status.message().to_owned())?;
            Ok(answer.into_inner().certificate)
        })
        .await;
    assert!(refused.unwrap_err().to_string().contains("is not of station `north`"));
    station_runs.stop().await;
    world.stop_cloud(cloud, cloud_runs).await;
}
