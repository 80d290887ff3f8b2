//! Whoever is told that a record is kept, is told after the system call that put it on the disk: seen by `strace` at the
//! gate, the station and the cloud, and that one sync serves all that wait.

use std::sync::Arc;
use std::time::Duration;

use facegate_domain::ids::{GateId, RecordId, StationId};
use facegate_domain::tap::{GateRecord, GateStamp, Passage, PassageOutcome, RecordBody};
use facegate_domain::{Clock, Timestamp};
use facegate_proto::v1;
use facegate_proto::v1::station_service_client::StationServiceClient;
use facegate_proto::v1::sync_service_client::SyncServiceClient;
use facegate_runtime::clock::SystemClock;
use facegate_runtime::disk::RealDisk;
use facegate_runtime::identity::Role;
use facegate_runtime::journal::{Journal, JournalOptions};

use crate::trace::{acknowledge, at_each_acknowledgement, trace};
use crate::world::{World, authorisation};

/// Records of the children that wait for one after the other.
const RECORDS: u64 = 8;
/// Appends that wait at the same time, and what a frame of each takes in the journal.
const AT_ONCE: u64 = 400;
const PAYLOAD: usize = 100;
const FRAME: u64 = 28 + PAYLOAD as u64;

fn is_segment(file: &str) -> bool {
    file.ends_with(".seg")
}

/// A sync for each acknowledgement, done before it.
fn one_after_the_other(child: &str, of: impl Fn(&str) -> bool) {
    let seen = at_each_acknowledgement(&trace(child), of);
    assert_eq!(seen.len() as u64, RECORDS, "{child}: {seen:?}");
    let mut before = 0;
    for (_, synced, syncs) in seen {
        assert!(syncs > before && synced > 0, "{child}: acknowledged after {syncs} syncs, {before} at the one before");
        before = syncs;
    }
}

#[test]
fn a_gate_opens_after_the_sync() {
    one_after_the_other("synced::child_gate", is_segment);
}

#[test]
fn a_station_acknowledges_after_the_sync() {
    one_after_the_other("synced::child_station", is_segment);
}

#[test]
fn the_cloud_acknowledges_after_the_sync() {
    one_after_the_other("synced::child_cloud", |file| file.ends_with("/core/db"));
}

#[test]
fn one_sync_serves_all_that_wait_and_nobody_is_told_before_it() {
    let seen = at_each_acknowledgement(&trace("synced::child_group"), is_segment);
    assert_eq!(seen.len() as u64, AT_ONCE);
    for (told, (_, synced, _)) in (1..).zip(&seen) {
        assert!(told * FRAME <= *synced, "{told} were told when {synced} bytes were synced");
    }
    let (_, _, syncs) = seen[seen.len() - 1];
    assert!(syncs < AT_ONCE / 4, "{syncs} syncs for {AT_ONCE} that waited together");
}

#[tokio::test]
#[ignore = "run under strace by the test above"]
async fn child_gate() {
    let world = World::new();
    let (journal, _memory, _clock) = world.journal();
    journal.adopt(1, StationId::new("north").unwrap(), 0).unwrap();
    for _ in 0..RECORDS {
        journal.authorise(authorisation()).await.unwrap();
        acknowledge();
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "run under strace by the test above"]
async fn child_station() {
    let world = World::new();
    let (_cloud, _running) = world.cloud().await;
    let station = world.station().await;
    let mut gate = StationServiceClient::new(world.channel(Role::Gate, "north-in", Role::Station));
    gate.register(v1::RegisterRequest::default()).await.unwrap();
    for sequence in 0..RECORDS {
        let records = vec![record(sequence)];
        let answer = gate.deliver(v1::DeliverRequest { records, ..Default::default() }).await.unwrap().into_inner();
        assert_eq!(answer.marks[0].next_sequence, sequence + 1);
        acknowledge();
    }
    station.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "run under strace by the test above"]
async fn child_cloud() {
    let world = World::new();
    let (cloud, running) = world.cloud().await;
    let mut station = SyncServiceClient::new(world.channel(Role::Station, "north", Role::Cloud));
    for sequence in 0..RECORDS {
        let records = vec![record(sequence)];
        let answer = station.deliver(v1::DeliverRequest { records, ..Default::default() }).await.unwrap().into_inner();
        assert_eq!(answer.marks[0].next_sequence, sequence + 1);
        acknowledge();
    }
    world.stop_cloud(cloud, running).await;
}

#[tokio::test]
#[ignore = "run under strace by the test above"]
async fn child_group() {
    let folder = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(Arc::new(RealDisk), folder.path(), JournalOptions::default()).unwrap();
    let appends = (0..AT_ONCE).map(|_| {
        let journal = journal.clone();
        tokio::spawn(async move {
            journal.append(vec![7; PAYLOAD]).await.unwrap();
            acknowledge();
        })
    });
    for append in appends.collect::<Vec<_>>() {
        append.await.unwrap();
    }
    // The mark after the last commit is not synced, and nobody waits for it.
    tokio::time::sleep(Duration::from_millis(1)).await;
}

fn record(sequence: u64) -> v1::GateRecord {
    let passage = Passage::new(sequence, PassageOutcome::TurnedBack);
    let wall: Timestamp = SystemClock::new().now();
    let record = GateRecord {
        id: RecordId { gate: GateId::new("north-in").unwrap(), epoch: 1, sequence },
        station: StationId::new("north").unwrap(),
        stamp: GateStamp { wall, monotonic_ms: sequence },
        body: RecordBody::Passage(passage),
    };
    record.into()
}
