//! The cloud loses records; they come back by themselves, from whoever still holds them.

use std::path::Path;
use std::sync::Arc;

use facegate_cloud_sync::cloud::Cloud;
use facegate_domain::ids::GateId;
use facegate_runtime::disk::{Disk, RealDisk};
use facegate_runtime::kv::KvOptions;

use crate::world::{World, eventually, pass};

fn gate() -> GateId {
    GateId::new("north-in").unwrap()
}

/// Removes records from the cloud's disk, behind its back.
async fn remove(state: &Path, sequences: impl IntoIterator<Item = u64>) {
    let options = KvOptions { cache_bytes: 1 << 20, flush_every_ms: None };
    let core = RealDisk.database(&state.join("core"), options).unwrap();
    for sequence in sequences {
        let key = [b"record/north-in\0".as_slice(), &1u32.to_be_bytes(), &sequence.to_be_bytes()].concat();
        assert!(core.root().contains(&key).unwrap(), "{sequence} was there");
        core.root().remove(key).unwrap();
    }
    core.commit().await.unwrap();
}

async fn missing(cloud: &Cloud, end: u64) -> Vec<(u64, u64)> {
    let spans = cloud.store.missing_spans(&gate(), 1, end, 100).await.unwrap();
    spans.iter().map(|span| (span.first, span.last)).collect()
}

async fn complete(cloud: &Cloud, end: u64) {
    eventually("the cloud has all records", async || {
        let arrivals = cloud.store.arrivals(Some(&gate())).await.unwrap();
        arrivals.iter().any(|arrival| (arrival.epoch, arrival.next_sequence) == (1, end))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_records_come_back_from_the_station_then_from_the_gate_and_else_are_called_lost() {
    let world = World::new();
    let (cloud, running) = world.cloud().await;
    let station = world.station().await;
    let (journal, line) = world.gate();
    eventually("the gate has an epoch", async || journal.position().0 == 1).await;
    pass(&journal, 50).await;
    complete(&cloud, 100).await;

    // The cloud's disk loses records; the station keeps them.
    world.stop_cloud(cloud, running).await;
    remove(&world.path("cloud"), (10..20).chain([99])).await;
    let (cloud, running) = world.cloud().await;
    cloud.auditor.round().await.unwrap();
    complete(&cloud, 100).await;
    assert_eq!(missing(&cloud, 100).await, []);

    // Again, and the station's disk is replaced at the same time: only the gate keeps them.
    station.stop().await;
    std::fs::remove_dir_all(world.path("station")).unwrap();
    world.stop_cloud(cloud, running).await;
    remove(&world.path("cloud"), 30..40).await;
    let (cloud, running) = world.cloud().await;
    cloud.auditor.round().await.unwrap();
    assert_eq!(missing(&cloud, 100).await, [(30, 39)]);
    let station = world.station().await;
    complete(&cloud, 100).await;
    assert_eq!(cloud.store.overview().await.unwrap().taps, 50, "nothing counts twice");

    // Once more, and the gate is replaced as well: nobody holds them, and that is said.
    line.stop().await;
    drop(journal);
    std::fs::remove_dir_all(world.path("gate")).unwrap();
    station.stop().await;
    std::fs::remove_dir_all(world.path("station")).unwrap();
    world.stop_cloud(cloud, running).await;
    remove(&world.path("cloud"), [7]).await;
    let (cloud, running) = world.cloud().await;
    cloud.auditor.round().await.unwrap();
    let station = world.station().await;
    let (journal, line) = world.gate();
    eventually("the loss is on record", async || {
        let wanted = cloud.store.wanted(&gate(), 1).await.unwrap();
        wanted.iter().any(|wanted| wanted.range.span.contains(7) && wanted.lost_at.is_some())
    })
    .await;
    let today = cloud.config.audit.days.of(facegate_domain::Clock::now(cloud.clock.as_ref()));
    let report = cloud.auditor.report(today).await.unwrap();
    let line_of_gate = report.lines.iter().find(|line| line.found.epoch == 1).unwrap();
    assert_eq!((line_of_gate.found.lost, line_of_gate.found.refetched), (1, 21));
    line.stop().await;
    drop(journal);
    station.stop().await;
    world.stop_cloud(Arc::clone(&cloud), running).await;
}
