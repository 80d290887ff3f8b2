//! Snapshots whose connection breaks, or whose chunks are damaged.

use facegate_domain::ids::RiderId;
use facegate_proto::convert::station::Answer;
use facegate_proto::convert::sync::FeedChange;
use facegate_proto::v1;

use crate::faces::{face, look, template};
use crate::identify::ask;
use crate::leases::Leases;
use crate::world::{World, eventually};

/// Nine riders, two to a chunk.
async fn world_with_snapshot() -> (World, facegate_domain::face::Embedding) {
    let world = World::new().await;
    let mate = face();
    let mut facts: Vec<_> = (0..8).map(|_| FeedChange::TemplatePut(template(RiderId::random(), &face()))).collect();
    facts.push(FeedChange::TemplatePut(template(RiderId::random(), &mate)));
    world.cloud.compact(20, facts);
    (world, mate)
}

async fn has_all(world: &World, mate: &facegate_domain::face::Embedding) {
    let station = world.station().await;
    eventually("the snapshot is acknowledged", || async { world.cloud.acknowledged() == 20 }).await;
    let answer = ask(&mut world.gate(&station).await, &look(mate), v1::Direction::Entry).await;
    assert!(matches!(answer, Answer::Granted { .. }));
    assert_eq!(world.cloud.seen.lock().unwrap().report.as_ref().unwrap().templates, 9);
    station.stop().await;
}

/// The first chunk of each attempt.
fn attempts(world: &World) -> Vec<u64> {
    world.cloud.seen.lock().unwrap().snapshots_from.clone()
}

#[tokio::test]
async fn a_snapshot_goes_on_where_its_connection_broke() {
    let (world, mate) = world_with_snapshot().await;
    world.cloud.seen.lock().unwrap().breaks_after = vec![3, 1];
    has_all(&world, &mate).await;
    assert_eq!(attempts(&world), [0, 3, 4]);
}

#[tokio::test]
async fn a_damaged_chunk_is_refused_and_asked_for_again() {
    let (world, mate) = world_with_snapshot().await;
    world.cloud.seen.lock().unwrap().damages = Some(2);
    has_all(&world, &mate).await;
    assert_eq!(attempts(&world), [0, 2]);
}

#[tokio::test]
async fn a_cloud_that_cannot_go_on_begins_anew_and_nothing_is_mixed() {
    let (world, mate) = world_with_snapshot().await;
    {
        let mut seen = world.cloud.seen.lock().unwrap();
        seen.breaks_after = vec![2];
        seen.refuses_to_resume = true;
    }
    has_all(&world, &mate).await;
    assert_eq!(attempts(&world), [0, 0]);
}

#[tokio::test]
async fn what_was_staged_before_a_restart_under_another_key_is_not_gone_on_with() {
    let world = World::new().await;
    world.cloud.compact(20, (0..140).map(|_| FeedChange::TemplatePut(template(RiderId::random(), &face()))).collect());
    world.cloud.seen.lock().unwrap().breaks_after = vec![40];
    world.cloud.holds_snapshots.send_replace(true);
    let station = world.station().await;
    let kept = || station.station.store.staged().unwrap().map(|(_, progress)| progress.chain.next);
    eventually("32 chunks are kept", || async { kept() == Some(32) }).await;
    station.stop().await;
    world.cloud.lease(Leases::Given { generation: 2 });
    world.cloud.holds_snapshots.send_replace(false);
    let station = world.station().await;
    eventually("the snapshot is acknowledged", || async { world.cloud.acknowledged() == 20 }).await;
    assert_eq!(attempts(&world), [0, 0]);
    assert_eq!(world.cloud.seen.lock().unwrap().report.as_ref().unwrap().templates, 140);
    assert!(station.station.store.staged().unwrap().is_none());
    station.stop().await;
}
