//! The cloud loses records; they come back by themselves, from whoever still holds them.

use std::path::Path;
use std::sync::Arc;

use facegate_cloud_sync::cloud::Cloud;
use facegate_domain::ids::GateId;
use facegate_gate_agent::journal::GateJournal;
use facegate_runtime::disk::{Disk, RealDisk};
use facegate_runtime::kv::KvOptions;

use crate::world::{Running, World, eventually, pass};

fn gate() -> GateId {
    GateId::new("north-in").unwrap()
}

/// Removes records from the cloud's disk, behind its back.
async fn remove(state: &Path, sequences: impl IntoIterator<Item = u64>) {
    let options = KvOptions { cache_bytes: 1 << 20, flush_every_ms: None, syncs: true };
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
    let (journal, line) = world.gate().await;
    eventually("the gate has an epoch", async || journal.position().0 == 1).await;
    pass(&journal, 50).await;
    complete(&cloud, 100).await;

    // The cloud's disk loses records; the station keeps them.
    let mut hops = Hops { world: &world, gate: (journal, line), station, cloud: (cloud, running) };
    hops = hops.restart(|_| (), (10..20).chain([99]).collect()).await;
    complete(&hops.cloud.0, 100).await;
    assert_eq!(missing(&hops.cloud.0, 100).await, []);

    // Again, and the station's disk is replaced at the same time: only the gate keeps them.
    let lose_station = |world: &World| std::fs::remove_dir_all(world.path("station")).unwrap();
    hops = hops.restart(lose_station, (30..40).collect()).await;
    complete(&hops.cloud.0, 100).await;
    assert_eq!(hops.cloud.0.store.overview().await.unwrap().taps, 50, "nothing counts twice");

    // Once more, and the gate is replaced as well: nobody holds them, and that is said.
    let lose_both = |world: &World| {
        lose_station(world);
        std::fs::remove_dir_all(world.path("gate")).unwrap();
    };
    hops = hops.restart(lose_both, vec![7]).await;
    let cloud = Arc::clone(&hops.cloud.0);
    eventually("the loss is on record", async || {
        let wanted = cloud.store.wanted(&gate(), 1).await.unwrap();
        wanted.iter().any(|wanted| wanted.range.span.contains(7) && wanted.lost_at.is_some())
    })
    .await;
    let today = cloud.config.audit.days.of(facegate_domain::Clock::now(cloud.clock.as_ref()));
    let report = cloud.auditor.report(today).await.unwrap();
    let line_of_gate = report.lines.iter().find(|line| line.found.epoch == 1).unwrap();
    assert_eq!((line_of_gate.found.lost, line_of_gate.found.refetched), (1, 21));
    drop(cloud);
    hops.stop().await;
}

/// All three, running.
struct Hops<'w> {
    world: &'w World,
    gate: (Arc<GateJournal>, Running),
    station: Running,
    cloud: (Arc<Cloud>, Running),
}

impl<'w> Hops<'w> {
    /// From the gate on: a connection that is still open holds what it leads to.
    async fn stop(self) -> &'w World {
        self.gate.1.stop().await;
        drop(self.gate.0);
        self.station.stop().await;
        self.world.stop_cloud(self.cloud.0, self.cloud.1).await;
        self.world
    }

    /// Stops everything, does something to the disks, removes records from the cloud's, and starts everything again.
    async fn restart(self, meanwhile: impl Fn(&World), lost: Vec<u64>) -> Self {
        let world = self.stop().await;
        meanwhile(world);
        remove(&world.path("cloud"), lost).await;
        let cloud = world.cloud().await;
        cloud.0.auditor.round().await.unwrap();
        assert!(!missing(&cloud.0, 100).await.is_empty(), "the audit finds it");
        let station = world.station().await;
        Self { world, gate: world.gate().await, station, cloud }
    }
}
