//! Snapshots in chunks that are verified and gone on behind.

use facegate_domain::ids::RiderId;
use facegate_proto::snapshot::Chain;
use facegate_proto::v1;
use facegate_proto::v1::change::Change;
use prost::Message;
use tonic::Streaming;

use crate::harness::{BEGIN, TestCloud};
use crate::intake::deliver;
use crate::riding::Gate;

async fn ask(cloud: &TestCloud, resume: Vec<u8>) -> Streaming<v1::SnapshotChunk> {
    let request = v1::SnapshotRequest { feed_level: 2, format: 1, resume, ..Default::default() };
    cloud.station("north").snapshot(request).await.unwrap().into_inner()
}

fn facts(chunk: &v1::SnapshotChunk) -> Vec<Change> {
    let facts = v1::SnapshotFacts::decode(chunk.content.as_slice()).unwrap().facts;
    facts.into_iter().filter_map(|fact| fact.change).collect()
}

/// So many spent codes, each a fact.
async fn spend(cloud: &TestCloud, gate: &mut Gate, codes: std::ops::Range<u64>) {
    let records = codes.map(|n| {
        let evidence =
            facegate_domain::tap::Evidence::Code { nonce: n.to_be_bytes(), checked_online: true, face: None };
        gate.authorise(RiderId::random(), BEGIN, evidence)
    });
    deliver(cloud, "north", records.collect()).await.unwrap();
}

#[tokio::test]
async fn a_snapshot_goes_on_behind_the_last_chunk_that_came_whole_and_adds_up() {
    let cloud = TestCloud::start().await;
    let mut gate = Gate::entry("north");
    spend(&cloud, &mut gate, 0..1800).await;
    let mut chain = Chain::default();
    let mut chunks = ask(&cloud, Vec::new()).await;
    let first = chunks.message().await.unwrap().unwrap();
    chain.take(&first).unwrap();
    let second = chunks.message().await.unwrap().unwrap();
    chain.take(&second).unwrap();
    drop(chunks);
    // The world goes on meanwhile; the snapshot stays of its version.
    spend(&cloud, &mut gate, 1800..1900).await;
    let mut told = facts(&first);
    told.extend(facts(&second));
    let mut chunks = ask(&cloud, second.resume.clone()).await;
    let mut last = second;
    while let Some(chunk) = chunks.message().await.unwrap() {
        chain.take(&chunk).unwrap();
        assert_eq!(chunk.version, first.version);
        told.extend(facts(&chunk));
        last = chunk;
    }
    assert!(last.complete && last.number >= 3, "{last:?}");
    let spent = told.iter().filter(|fact| matches!(fact, Change::CodeNonceSpent(_))).count();
    assert!((1800..=1900).contains(&spent), "{spent}");
}

#[tokio::test]
async fn a_place_in_another_log_or_out_of_reach_begins_anew() {
    let (cloud, other) = (TestCloud::start().await, TestCloud::start().await);
    let mut gate = Gate::entry("north");
    spend(&cloud, &mut gate, 0..1200).await;
    spend(&other, &mut Gate::entry("north"), 0..1200).await;
    let first = ask(&cloud, Vec::new()).await.message().await.unwrap().unwrap();
    let elsewhere = ask(&other, first.resume.clone()).await.message().await.unwrap().unwrap();
    assert_eq!(elsewhere.number, 0);
    let nonsense = ask(&cloud, vec![7; 99]).await.message().await.unwrap().unwrap();
    assert_eq!(nonsense.number, 0);
    let goes_on = ask(&cloud, first.resume.clone()).await.message().await.unwrap().unwrap();
    assert_eq!((goes_on.number, goes_on.version), (1, first.version));
    // Now the log is cut behind its version.
    for n in 2..10 {
        spend(&cloud, &mut gate, n * 1000..(n + 1) * 1000).await;
    }
    let anew = ask(&cloud, first.resume).await.message().await.unwrap().unwrap();
    assert_eq!(anew.number, 0);
    assert!(anew.version > first.version);
}
