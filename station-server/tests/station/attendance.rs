//! Gates that stay connected: commands to them, their status to the cloud.

use std::time::Duration;

use facegate_domain::code::CodeIssuer;
use facegate_proto::convert::sync::FeedChange;
use facegate_proto::v1;
use facegate_runtime::identity::Role;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::world::{NOW, World, eventually};

async fn next_keys(commands: &mut tonic::Streaming<v1::GateCommand>) -> (String, Vec<Vec<u8>>) {
    loop {
        let command = commands.message().await.unwrap().expect("the stream goes on");
        match command.command.unwrap() {
            v1::gate_command::Command::IssuerKeys(keys) => return (command.id, keys.keys),
            v1::gate_command::Command::StationMode(told) => assert_eq!(told.mode, "normal"),
            v1::gate_command::Command::ToldGate(told) => {
                assert_eq!((told.mode.as_str(), &*told.order_id), ("normal", ""));
            }
            v1::gate_command::Command::Ping(ping) => assert_eq!(ping.station_unix_ms, NOW.unix_ms()),
            other => panic!("nothing else was asked: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_gate_is_seen_by_the_cloud_and_learns_new_issuer_keys() {
    let world = World::new().await;
    let station = world.station().await;
    let gate_of = |id: &str| {
        let seen = world.cloud.seen.lock().unwrap();
        seen.report.as_ref().and_then(|report| report.gates.iter().find(|gate| gate.gate == id).cloned())
    };
    eventually("gates are reported before they come", || async { gate_of("north-in").is_some_and(|g| !g.connected) })
        .await;

    let (statuses, queue) = mpsc::channel(4);
    statuses.send(v1::GateStatus { face_passages: 12, ..v1::GateStatus::default() }).await.unwrap();
    let mut gate = world.gate(&station).await;
    let mut commands = gate.attend(ReceiverStream::new(queue)).await.unwrap().into_inner();
    let (first_id, keys) = next_keys(&mut commands).await;
    assert!(keys.is_empty());
    let issuer = CodeIssuer::from_secret(&[5; 32]).public();
    world.cloud.publish(FeedChange::IssuerKeys(vec![issuer]));
    let (second_id, keys) = tokio::time::timeout(Duration::from_secs(5), next_keys(&mut commands)).await.unwrap();
    assert_eq!(keys, [issuer.to_bytes().to_vec()]);
    assert_ne!(first_id, second_id);
    let there = |g: v1::GateReport| g.connected && g.status.is_some_and(|s| s.face_passages == 12);
    eventually("the gate is reported", || async { gate_of("north-in").is_some_and(there) }).await;
    let reported = gate_of("north-in").unwrap();
    assert_eq!(reported.last_seen_unix_ms, NOW.unix_ms());
    let ends = world.identity(Role::Gate, "north-in").expires_at().unix_ms();
    assert!((reported.certificate_ends_unix_ms - ends).abs() < 60_000, "the certificate that it showed");
    assert_eq!(gate_of("north-out").unwrap().certificate_ends_unix_ms, 0, "it has not come yet");

    drop(statuses);
    eventually("its end is reported", || async { gate_of("north-in").is_some_and(|g| !g.connected) }).await;
    station.stop().await;
}

#[tokio::test]
async fn a_station_stops_though_gates_are_connected() {
    let world = World::new().await;
    let station = world.station().await;
    let (_statuses, queue) = mpsc::channel(4);
    let mut gate = world.gate(&station).await;
    let mut commands = gate.attend(ReceiverStream::new(queue)).await.unwrap().into_inner();
    next_keys(&mut commands).await;
    tokio::time::timeout(Duration::from_secs(4), station.stop()).await.expect("stops before calls are cut off");
}
