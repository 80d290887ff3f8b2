//! The change feed as stations follow it.

use std::time::Duration;

use facegate_domain::ids::RiderId;
use facegate_domain::tap::PassageOutcome;
use facegate_proto::v1;
pub use facegate_proto::v1::change::Change;
use tonic::{Code, Streaming};

use crate::harness::{BEGIN, TestCloud};
use crate::intake::deliver;
use crate::riding::{Gate, face, ride_code};

pub async fn subscribe(cloud: &TestCloud, station: &str, after_version: u64) -> Streaming<v1::Change> {
    subscribe_for(cloud, station, after_version, 1).await
}

/// As a station that understands changes up to `feed_level`.
pub async fn subscribe_for(
    cloud: &TestCloud,
    station: &str,
    after_version: u64,
    feed_level: u32,
) -> Streaming<v1::Change> {
    let request = v1::SubscribeRequest { after_version, feed_level, ..Default::default() };
    cloud.station(station).subscribe(request).await.unwrap().into_inner()
}

pub async fn next(changes: &mut Streaming<v1::Change>) -> v1::Change {
    let message = tokio::time::timeout(Duration::from_secs(20), changes.message()).await;
    message.expect("a change within 20 s").unwrap().expect("the stream goes on")
}

/// A whole snapshot in one, as a station of the first level is sent it.
pub async fn snapshot(cloud: &TestCloud, station: &str) -> v1::SnapshotChunk {
    snapshot_for(cloud, station, 1).await
}

/// The same for a station that understands changes up to `feed_level`.
pub async fn snapshot_for(cloud: &TestCloud, station: &str, feed_level: u32) -> v1::SnapshotChunk {
    let request = v1::SnapshotRequest { feed_level, ..Default::default() };
    let mut chunks = cloud.station(station).snapshot(request).await.unwrap().into_inner();
    let mut whole = v1::SnapshotChunk::default();
    while let Some(chunk) = chunks.message().await.unwrap() {
        assert!(!whole.complete, "nothing follows the last chunk");
        whole.version = chunk.version;
        whole.complete = chunk.complete;
        whole.facts.extend(chunk.facts);
    }
    assert!(whole.complete);
    whole
}

#[tokio::test]
async fn a_station_resumes_from_its_cursor_and_then_hears_live() {
    let cloud = TestCloud::start().await;
    cloud.enrol("ada").await;
    cloud.enrol("bea").await;
    let mut all = subscribe(&cloud, "north", 0).await;
    let first: Vec<v1::Change> = vec![next(&mut all).await, next(&mut all).await, next(&mut all).await];
    assert_eq!(first.iter().map(|change| change.version).collect::<Vec<_>>(), [1, 2, 3]);
    assert!(matches!(first[0].change, Some(Change::IssuerKeys(_))));

    let mut resumed = subscribe(&cloud, "south", 2).await;
    assert_eq!(next(&mut resumed).await, first[2]);
    cloud.enrol("cid").await;
    let live = (next(&mut all).await, next(&mut resumed).await);
    assert_eq!(live.0, live.1);
    assert_eq!(live.0.version, 4);
}

#[tokio::test]
async fn a_cursor_beyond_the_log_is_told_to_take_a_snapshot() {
    let cloud = TestCloud::start().await;
    let ahead = v1::SubscribeRequest { after_version: 99, ..Default::default() };
    let refused = cloud.station("north").subscribe(ahead).await.map(drop).unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange);
    assert!(refused.message().contains("snapshot"), "{refused}");
}

#[tokio::test]
async fn a_station_too_far_behind_takes_a_snapshot() {
    let cloud = TestCloud::start().await;
    cloud.enrol("ada").await;
    let mut gate = Gate::entry("north");
    for batch in 0..8_u64 {
        let codes = (0..1000).map(|n| (batch * 1000 + n).to_be_bytes());
        let records = codes.map(|nonce| {
            let evidence = facegate_domain::tap::Evidence::Code { nonce, checked_online: true, face: None };
            gate.authorise(RiderId::random(), BEGIN, evidence)
        });
        deliver(&cloud, "north", records.collect()).await.unwrap();
    }
    let behind = v1::SubscribeRequest { after_version: 2, ..Default::default() };
    let refused = cloud.station("south").subscribe(behind).await.map(drop).unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("snapshot"), "{refused}");
    let whole = snapshot(&cloud, "south").await;
    assert_eq!(whole.version, 8002);
    let faces = whole.facts.iter().filter(|fact| matches!(fact.change, Some(Change::TemplatePut(_))));
    assert_eq!(faces.count(), 1);
    cloud.enrol("bea").await;
    let mut changes = subscribe(&cloud, "south", whole.version).await;
    assert!(matches!(next(&mut changes).await.change, Some(Change::TemplatePut(_))));
}

#[tokio::test]
async fn a_station_that_does_not_read_hurts_nobody() {
    let cloud = TestCloud::start().await;
    let stuck = subscribe(&cloud, "stuck", 0).await;
    // What waits for one that takes nothing, seen from inside.
    let (store, stop) = (std::sync::Arc::clone(&cloud.cloud.store), cloud.cloud.stop.clone());
    let mut waiting = facegate_cloud_sync::feed::subscribe(store, 0, 2, stop).await.unwrap();
    let mut brisk = subscribe(&cloud, "brisk", 0).await;
    let mut gate = Gate::entry("north");
    // Far more changes than a connection buffers.
    for batch in 0..10_u64 {
        let records = (0..600).map(|n| {
            let nonce = (batch * 600 + n).to_be_bytes();
            let evidence = facegate_domain::tap::Evidence::Code { nonce, checked_online: true, face: None };
            gate.authorise(RiderId::random(), BEGIN, evidence)
        });
        deliver(&cloud, "north", records.collect()).await.unwrap();
        // The others hear each batch before the next is there.
        let head = *cloud.cloud.store.head().borrow();
        while next(&mut brisk).await.version < head {}
    }
    let head = *cloud.cloud.store.head().borrow();
    assert_eq!(head, 6001);
    assert!(waiting.len() <= 1024, "{} changes wait for a station that takes none", waiting.len());
    // Once it reads, it misses nothing.
    let mut last = 0;
    while last < head {
        let change = waiting.recv().await.unwrap().unwrap();
        assert_eq!(change.version, last + 1);
        last = change.version;
    }
    drop(stuck);
}

#[tokio::test]
async fn entering_leaving_and_spent_codes_are_told_and_a_snapshot_agrees() {
    let cloud = TestCloud::start().await;
    let rider: RiderId = cloud.enrol("ada").await.parse().unwrap();
    let (mut entry, mut exit) = (Gate::entry("north"), Gate::exit("south"));
    let mut changes = subscribe(&cloud, "north", 2).await;

    deliver(&cloud, "north", entry.pass(rider, BEGIN, face(), PassageOutcome::Passed).into()).await.unwrap();
    let entered = next(&mut changes).await.change;
    assert!(matches!(&entered, Some(Change::EnteredSystem(e)) if e.rider == rider.as_bytes()), "{entered:?}");
    let facts = snapshot(&cloud, "north").await.facts;
    let inside = |facts: &[v1::Change]| facts.iter().any(|f| matches!(f.change, Some(Change::EnteredSystem(_))));
    assert!(inside(&facts), "{facts:?}");

    let later = BEGIN.plus(Duration::from_secs(600));
    deliver(&cloud, "south", exit.pass(rider, later, ride_code(9), PassageOutcome::Passed).into()).await.unwrap();
    let spent = next(&mut changes).await.change;
    assert!(matches!(&spent, Some(Change::CodeNonceSpent(s)) if s.nonce == [9; 8]), "{spent:?}");
    assert!(matches!(next(&mut changes).await.change, Some(Change::LeftSystem(_))));
    let whole = snapshot(&cloud, "north").await;
    assert!(!inside(&whole.facts));
    assert_eq!(whole.version, *cloud.cloud.store.head().borrow());
    let kinds =
        |kind: fn(&Change) -> bool| whole.facts.iter().filter_map(|f| f.change.as_ref()).filter(|c| kind(c)).count();
    assert_eq!(kinds(|c| matches!(c, Change::TemplatePut(_))), 1);
    assert_eq!(kinds(|c| matches!(c, Change::IssuerKeys(_))), 1);
    assert_eq!(kinds(|c| matches!(c, Change::CodeNonceSpent(_))), 1);
}

#[tokio::test]
async fn an_exit_that_arrives_before_its_entry_leaves_nobody_inside() {
    let cloud = TestCloud::start().await;
    let rider = RiderId::random();
    let later = BEGIN.plus(Duration::from_secs(600));
    let out = Gate::exit("south").pass(rider, later, face(), PassageOutcome::Passed);
    let into = Gate::entry("north").pass(rider, BEGIN, face(), PassageOutcome::Passed);
    deliver(&cloud, "south", out.into()).await.unwrap();
    deliver(&cloud, "north", into.into()).await.unwrap();
    assert_eq!(cloud.cloud.store.overview().await.unwrap().in_system, 0);
}
