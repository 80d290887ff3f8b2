//! Records that the cloud lost come back: from the station's journal, else from the gate, else they are called lost.

use std::time::Duration;

use facegate_proto::v1;
use facegate_proto::v1::station_service_client::StationServiceClient;
use facegate_runtime::identity::Role;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

use crate::faces::{passed, sequences};
use crate::world::{Running, World, eventually};

/// Small segments, so that a few hundred records fill several; nothing is kept for its own sake.
const SMALL: &str = "[journal]\nsegment_bytes_max = 4096\ntotal_bytes_max = 8192\n";

async fn register(gate: &mut StationServiceClient<Channel>) {
    gate.register(v1::RegisterRequest::default()).await.unwrap();
}

async fn deliver(gate: &mut StationServiceClient<Channel>, sequences: std::ops::Range<u64>) {
    let records = sequences.map(|sequence| passed("north-in", 1, sequence)).collect();
    gate.deliver(v1::DeliverRequest { records, ..Default::default() }).await.unwrap();
}

fn held(world: &World) -> Vec<u64> {
    let mut held = sequences(&world.cloud.seen.lock().unwrap().delivered);
    held.sort_unstable();
    held
}

async fn until_held(world: &World, expected: Vec<u64>) {
    eventually("the cloud has them all", || async { held(world) == expected }).await;
}

#[tokio::test]
async fn what_the_cloud_lost_comes_from_the_stations_journal_also_after_a_restart() {
    let world = World::new().await;
    let station = world.station().await;
    let mut gate = world.gate(&station).await;
    register(&mut gate).await;
    deliver(&mut gate, 0..300).await;
    until_held(&world, (0..300).collect()).await;
    world.cloud.lose(|_, sequence| (100..120).contains(&sequence) || sequence == 7 || sequence >= 290);
    until_held(&world, (0..300).collect()).await;
    station.stop().await;
    world.cloud.lose(|_, sequence| sequence < 5);
    let station = world.station().await;
    until_held(&world, (0..300).collect()).await;
    assert!(world.cloud.seen.lock().unwrap().not_held.is_empty());
    station.stop().await;
}

/// The gate's line, with what it is asked for.
async fn attend(world: &World, station: &Running) -> (mpsc::Sender<v1::GateStatus>, tonic::Streaming<v1::GateCommand>) {
    let (statuses, queue) = mpsc::channel(4);
    let mut gate = world.gate(station).await;
    (statuses, gate.attend(ReceiverStream::new(queue)).await.unwrap().into_inner())
}

async fn asked(commands: &mut tonic::Streaming<v1::GateCommand>) -> Vec<v1::JournalRange> {
    let next = async {
        loop {
            let command = commands.message().await.unwrap().expect("the line holds");
            if let Some(v1::gate_command::Command::Redeliver(asked)) = command.command {
                return asked.ranges;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), next).await.expect("the gate is asked")
}

#[tokio::test]
async fn what_the_station_let_go_of_comes_from_the_gate_and_the_rest_is_called_lost() {
    let world = World::new().await;
    let station = world.station_with(SMALL, None).await;
    let mut gate = world.gate(&station).await;
    register(&mut gate).await;
    for start in (0..600).step_by(20) {
        deliver(&mut gate, start..start + 20).await;
        until_held(&world, (0..start + 20).collect()).await;
    }
    world.cloud.lose(|_, sequence| (10..13).contains(&sequence) || sequence == 20);
    let (_statuses, mut commands) = attend(&world, &station).await;
    let ranges: Vec<_> = asked(&mut commands).await.iter().map(|range| (range.first, range.last)).collect();
    assert_eq!(ranges, [(10, 10), (11, 11), (12, 12), (20, 20)]);
    // A stranger's word about this journal counts for nothing, nor does the gate's about what it was not asked for.
    let gone = |first, last| v1::JournalRange { gate: "north-in".into(), epoch: 1, first, last };
    let mut other = world.call(&station, Role::Gate, "north-out").await;
    other.deliver(v1::DeliverRequest { not_held: vec![gone(10, 10)], ..Default::default() }).await.unwrap();
    // The gate has two of them, in whatever order, and not the others.
    let records = vec![passed("north-in", 1, 20), passed("north-in", 1, 11)];
    let not_held = vec![gone(10, 10), gone(12, 12), gone(300, 301)];
    let answer = gate.deliver(v1::DeliverRequest { records, not_held, behind: 0 }).await.unwrap().into_inner();
    assert_eq!((answer.marks[0].next_sequence, answer.conflicts.len()), (600, 0));
    until_held(&world, (0..600).filter(|sequence| ![10, 12].contains(sequence)).collect()).await;
    let told =
        || world.cloud.seen.lock().unwrap().not_held.iter().map(|range| (range.first, range.last)).collect::<Vec<_>>();
    eventually("the loss is told", || async { told() == [(10, 10), (12, 12)] }).await;
    // What came twice is in the journal twice, and nothing is awaited but what follows.
    station.stop().await;
    std::fs::remove_dir_all(world.dir().join("data/state")).unwrap();
    let station = world.station_with(SMALL, None).await;
    let mut gate = world.gate(&station).await;
    gate.register(v1::RegisterRequest { epoch: 1, next_sequence: 601, ..Default::default() }).await.unwrap();
    deliver(&mut gate, 600..601).await;
    eventually("what follows arrives", || async { held(&world).last() == Some(&600) }).await;
    station.stop().await;
}

#[tokio::test]
async fn a_full_journal_refuses_with_a_reason_and_loses_nothing() {
    let world = World::new().await;
    world.cloud.seen.lock().unwrap().refuses_deliveries = true;
    let station = world.station_with(SMALL, None).await;
    let mut gate = world.gate(&station).await;
    register(&mut gate).await;
    let mut next = 0;
    let refused = loop {
        let records = vec![passed("north-in", 1, next)];
        match gate.deliver(v1::DeliverRequest { records, ..Default::default() }).await {
            Ok(answer) => next = answer.into_inner().marks[0].next_sequence,
            Err(refused) => break refused,
        }
    };
    assert_eq!(refused.code(), tonic::Code::ResourceExhausted, "{refused}");
    assert!(refused.message().contains("full"), "{refused}");
    let waiting = || world.cloud.seen.lock().unwrap().report.as_ref().map_or(0, |r| r.journal_waiting_percent);
    eventually("the share is told", || async { waiting() >= 80 }).await;
    world.cloud.seen.lock().unwrap().refuses_deliveries = false;
    until_held(&world, (0..next).collect()).await;
    // There is room as soon as the station has taken note of the cloud's acknowledgement.
    eventually("the gate's next record is taken", || {
        let mut gate = gate.clone();
        let records = vec![passed("north-in", 1, next)];
        async move { gate.deliver(v1::DeliverRequest { records, ..Default::default() }).await.is_ok() }
    })
    .await;
    until_held(&world, (0..=next).collect()).await;
    eventually("there is room", || async { waiting() < 80 }).await;
    station.stop().await;
}

#[tokio::test]
async fn a_station_that_is_put_off_waits_and_comes_again() {
    let world = World::new().await;
    world.cloud.seen.lock().unwrap().refuses_deliveries = true;
    let station = world.station().await;
    let mut gate = world.gate(&station).await;
    register(&mut gate).await;
    deliver(&mut gate, 0..1200).await;
    {
        let mut seen = world.cloud.seen.lock().unwrap();
        seen.refuses_deliveries = false;
        seen.puts_off = 5;
    }
    until_held(&world, (0..1200).collect()).await;
    assert_eq!(world.cloud.seen.lock().unwrap().puts_off, 0);
    station.stop().await;
}
