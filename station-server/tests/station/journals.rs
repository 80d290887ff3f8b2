//! The gates' journals: each record once, in order, durable, and on to the cloud.

use facegate_domain::ids::RiderId;
use facegate_domain::policy::Refusal;
use facegate_proto::convert::station::Answer;
use facegate_proto::v1;
use facegate_proto::v1::station_service_client::StationServiceClient;
use facegate_runtime::identity::Role;
use tonic::Code;
use tonic::transport::Channel;

use crate::faces::{authorised, passed, sequences};
use crate::world::{World, eventually};

type Gate = StationServiceClient<Channel>;

async fn register(gate: &mut Gate, epoch: u32, next_sequence: u64) -> v1::RegisterResponse {
    let request = v1::RegisterRequest { epoch, next_sequence, ..v1::RegisterRequest::default() };
    gate.register(request).await.unwrap().into_inner()
}

/// Delivers records of one journal; gives the sequence awaited next and how many conflicts there were.
async fn deliver(gate: &mut Gate, records: Vec<v1::GateRecord>) -> (u64, usize) {
    let answer = gate.deliver(v1::DeliverRequest { records, ..Default::default() }).await.unwrap().into_inner();
    assert_eq!(answer.marks.len(), 1);
    (answer.marks[0].next_sequence, answer.conflicts.len())
}

async fn delivered(world: &World, count: usize) -> Vec<v1::GateRecord> {
    eventually("the cloud has the records", || async { world.cloud.seen.lock().unwrap().delivered.len() >= count })
        .await;
    world.cloud.seen.lock().unwrap().delivered.clone()
}

#[tokio::test]
async fn records_are_taken_once_in_order_and_handed_on() {
    let world = World::new().await;
    let station = world.station().await;
    let mut gate = world.gate(&station).await;
    let registered = register(&mut gate, 0, 0).await;
    assert_eq!((registered.epoch, registered.station.as_str(), registered.delivered_next_sequence), (1, "north", 0));
    let record = |sequence| passed("north-in", 1, sequence);
    assert_eq!(deliver(&mut gate, vec![record(0), record(1), record(2)]).await, (3, 0));
    // Again, as after a lost answer, and with news.
    assert_eq!(deliver(&mut gate, vec![record(1), record(2), record(3)]).await, (4, 0));
    // After a gap, and in the wrong order: only what fits is taken.
    assert_eq!(deliver(&mut gate, vec![record(5), record(6)]).await, (4, 0));
    assert_eq!(deliver(&mut gate, vec![record(5), record(4)]).await, (5, 0));
    assert_eq!(deliver(&mut gate, vec![record(5), record(5), record(6)]).await, (7, 0));
    assert_eq!(register(&mut gate, 1, 7).await.delivered_next_sequence, 7);
    assert_eq!(sequences(&delivered(&world, 7).await), [0, 1, 2, 3, 4, 5, 6]);
    station.stop().await;
}

#[tokio::test]
async fn the_same_identity_with_another_content_is_reported_and_changes_nothing() {
    let world = World::new().await;
    let station = world.station().await;
    let mut gate = world.gate(&station).await;
    register(&mut gate, 0, 0).await;
    let original = authorised("north-in", 1, 0, [1; 8]);
    let forged = authorised("north-in", 1, 0, [2; 8]);
    assert_eq!(deliver(&mut gate, vec![original.clone()]).await, (1, 0));
    assert_eq!(deliver(&mut gate, vec![forged.clone(), passed("north-in", 1, 1)]).await, (2, 1));
    // Within one batch too.
    let twice = vec![authorised("north-in", 1, 2, [3; 8]), authorised("north-in", 1, 2, [4; 8])];
    let answer =
        gate.deliver(v1::DeliverRequest { records: twice.clone(), ..Default::default() }).await.unwrap().into_inner();
    assert_eq!(answer.conflicts, vec![twice[1].id.clone().unwrap()]);
    assert_eq!(delivered(&world, 3).await, [original.clone(), passed("north-in", 1, 1), twice[0].clone()]);
    // And it is still known after a restart.
    station.stop().await;
    let station = world.station().await;
    let mut gate = world.gate(&station).await;
    assert_eq!(deliver(&mut gate, vec![forged]).await, (3, 1));
    assert_eq!(deliver(&mut gate, vec![original]).await, (3, 0));
    station.stop().await;
}

#[tokio::test]
async fn a_gate_hands_over_its_own_records_only() {
    let world = World::new().await;
    let station = world.station().await;
    let mut gate = world.gate(&station).await;
    register(&mut gate, 0, 0).await;
    let refused = async |gate: &mut Gate, record: v1::GateRecord, code: Code, named: &str| {
        // A good record before the bad one is not taken either.
        let records = vec![passed("north-in", 1, 0), record];
        let status = gate.deliver(v1::DeliverRequest { records, ..Default::default() }).await.unwrap_err();
        assert_eq!(status.code(), code, "{status}");
        assert!(status.message().contains(named), "{status}");
    };
    refused(&mut gate, passed("north-out", 1, 0), Code::InvalidArgument, "north-out").await;
    let elsewhere = v1::GateRecord { station: "south".into(), ..passed("north-in", 1, 1) };
    refused(&mut gate, elsewhere, Code::InvalidArgument, "south").await;
    refused(&mut gate, v1::GateRecord { body: None, ..passed("north-in", 1, 1) }, Code::InvalidArgument, "body").await;
    refused(&mut gate, passed("north-in", 2, 0), Code::FailedPrecondition, "register").await;
    assert_eq!(deliver(&mut gate, vec![passed("north-in", 1, 0)]).await, (1, 0));
    assert_eq!(delivered(&world, 1).await.len(), 1);
    station.stop().await;
}

#[tokio::test]
async fn a_gate_whose_disk_is_lost_or_older_gets_a_new_epoch() {
    let world = World::new().await;
    let station = world.station().await;
    let mut gate = world.gate(&station).await;
    assert_eq!(register(&mut gate, 0, 0).await.epoch, 1);
    assert_eq!(register(&mut gate, 1, 0).await.epoch, 1);
    let records = (0..3).map(|sequence| passed("north-in", 1, sequence)).collect();
    assert_eq!(deliver(&mut gate, records).await, (3, 0));
    assert_eq!(register(&mut gate, 1, 2).await.epoch, 2, "an older disk");
    assert_eq!(register(&mut gate, 0, 0).await.epoch, 3, "a lost disk");
    assert_eq!(register(&mut gate, 1, 9).await.epoch, 4, "a disk from before");
    assert_eq!(register(&mut gate, 9, 40).await.epoch, 10, "a disk of an epoch that this station never issued");
    // What is left of older epochs may still be delivered, also where this station does not know their beginning.
    assert_eq!(deliver(&mut gate, vec![passed("north-in", 1, 3)]).await, (4, 0));
    assert_eq!(deliver(&mut gate, vec![passed("north-in", 9, 38), passed("north-in", 9, 39)]).await, (40, 0));
    let mut other = world.call(&station, Role::Gate, "north-out").await;
    assert_eq!(register(&mut other, 0, 0).await.epoch, 1, "epochs are each gate's own");
    station.stop().await;
}

#[tokio::test]
async fn a_station_that_lost_its_disk_issues_no_epoch_that_was_used_before() {
    let world = World::new().await;
    world.cloud.seen.lock().unwrap().known_epochs = vec![("north-in".into(), 5)];
    world.cloud.seen.lock().unwrap().refuses_reports = Some(tonic::Status::unavailable("the test's cloud is away"));
    let station = world.station().await;
    let mut gate = world.gate(&station).await;
    let mut waiting = gate.clone();
    let waiting = tokio::spawn(async move { register(&mut waiting, 0, 0).await.epoch });
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert!(!waiting.is_finished(), "it waits for the cloud's word");
    world.cloud.seen.lock().unwrap().refuses_reports = None;
    assert_eq!(waiting.await.unwrap(), 6, "the gate's disk was lost as well");
    assert_eq!(register(&mut gate, 6, 0).await.epoch, 6);
    station.stop().await;
}

#[tokio::test]
async fn records_wait_for_the_cloud_and_lose_nothing() {
    let world = World::new().await;
    world.cloud.seen.lock().unwrap().refuses_deliveries = true;
    let station = world.station().await;
    let mut gate = world.gate(&station).await;
    register(&mut gate, 0, 0).await;
    for sequence in 0..20 {
        deliver(&mut gate, vec![passed("north-in", 1, sequence)]).await;
    }
    let backlog = || world.cloud.seen.lock().unwrap().report.as_ref().map(|report| report.backlog);
    eventually("the backlog is reported", || async { backlog() == Some(20) }).await;
    station.stop().await;
    let station = world.station().await;
    world.cloud.seen.lock().unwrap().refuses_deliveries = false;
    assert_eq!(sequences(&delivered(&world, 20).await), (0..20).collect::<Vec<_>>());
    eventually("nothing is left", || async { backlog() == Some(0) }).await;
    station.stop().await;
}

#[tokio::test]
async fn a_cloud_that_lost_records_gets_them_again() {
    let world = World::new().await;
    let station = world.station().await;
    let mut gate = world.gate(&station).await;
    register(&mut gate, 0, 0).await;
    let records = (0..5).map(|sequence| passed("north-in", 1, sequence)).collect();
    deliver(&mut gate, records).await;
    delivered(&world, 5).await;
    world.cloud.lose_deliveries();
    deliver(&mut gate, vec![passed("north-in", 1, 5)]).await;
    let mut again = sequences(&delivered(&world, 6).await);
    again.sort_unstable();
    assert_eq!(again, [0, 1, 2, 3, 4, 5]);
    station.stop().await;
}

#[tokio::test]
async fn a_lost_index_is_rebuilt_from_the_journal() {
    let world = World::new().await;
    let station = world.station().await;
    let mut gate = world.gate(&station).await;
    register(&mut gate, 0, 0).await;
    let spent = authorised("north-in", 1, 1, [6; 8]);
    deliver(&mut gate, vec![passed("north-in", 1, 0), spent.clone(), passed("north-in", 1, 2)]).await;
    delivered(&world, 3).await;
    station.stop().await;
    std::fs::remove_dir_all(world.dir().join("data/state")).unwrap();

    let station = world.station().await;
    let mut gate = world.gate(&station).await;
    assert_eq!(register(&mut gate, 1, 3).await.epoch, 2, "it cannot know that nobody else writes epoch 1");
    assert_eq!(deliver(&mut gate, vec![spent]).await, (3, 0));
    assert_eq!(deliver(&mut gate, vec![authorised("north-in", 1, 1, [7; 8])]).await, (3, 1));
    assert_eq!(deliver(&mut gate, vec![passed("north-in", 1, 3)]).await, (4, 0));
    let replayed = crate::codes::present(&mut gate, RiderId::random(), [6; 8]).await;
    assert_eq!(replayed, Answer::Refused(Refusal::CodeReplayed));
    assert_eq!(sequences(&delivered(&world, 4).await), [0, 1, 2, 3]);
    station.stop().await;
}
