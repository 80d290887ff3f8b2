//! The leased key: what a station may recognise, with it and without.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use facegate_domain::Clock;
use facegate_domain::ids::RiderId;
use facegate_domain::policy::Refusal;
use facegate_proto::convert::station::{Answer, probe_to_wire};
use facegate_proto::convert::sync::FeedChange;
use facegate_proto::v1;
use facegate_runtime::identity::Role;
use facegate_station_server::lease::NoFaces;
use tonic::Code;

use crate::faces::{face, look, probe, template};
use crate::identify::ask;
use crate::world::{Running, World, eventually};

/// What the cloud says to a station that asks for a lease.
#[derive(Debug, Clone, Copy)]
pub enum Leases {
    /// 72 hours, from the head on, of another key for each generation.
    Given {
        generation: u32,
    },
    Revoked,
    /// The whole cloud is away.
    Unreachable,
}

impl Default for Leases {
    fn default() -> Self {
        Self::Given { generation: 1 }
    }
}

const ENTRY: v1::Direction = v1::Direction::Entry;

/// Whether this face is recognised; the error says why faces are refused.
async fn recognised(
    world: &World,
    station: &Running,
    face: &facegate_domain::face::Embedding,
) -> Result<bool, tonic::Status> {
    let answer = world.gate(station).await.identify(probe(&look(face), ENTRY)).await?;
    Ok(matches!(Answer::try_from(answer.into_inner()).unwrap(), Answer::Granted { .. }))
}

async fn refused(world: &World, station: &Running, face: &facegate_domain::face::Embedding, why: &str) {
    let status = recognised(world, station, face).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status}");
    assert!(status.message().contains(why) && status.message().contains("ride code"), "{status}");
}

async fn takes_codes(world: &World, station: &Running, nonce: u8) {
    let request = v1::PresentCodeRequest {
        rider: RiderId::random().as_bytes().to_vec(),
        nonce: vec![nonce; 8],
        issued_at_unix_ms: world.clock.now().unix_ms(),
        direction: ENTRY.into(),
        face: None,
    };
    let answer = world.gate(station).await.present_code(request).await.unwrap().into_inner();
    assert!(matches!(answer.try_into().unwrap(), Answer::Granted { .. }));
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(|entry| entry.unwrap()) {
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[tokio::test]
async fn started_without_the_cloud_it_takes_codes_and_recognises_once_a_lease_comes() {
    let world = World::new().await;
    let mate = face();
    let station = world.station().await;
    world.cloud.publish_and_wait(FeedChange::TemplatePut(template(RiderId::random(), &mate))).await;
    station.stop().await;

    world.cloud.lease(Leases::Unreachable);
    let station = world.station_as_it_starts("", None).await;
    refused(&world, &station, &mate, "no lease").await;
    let mut camera = world.call(&station, Role::Camera, "north-hall").await;
    let sighting = v1::SightRequest { probe: Some(probe_to_wire(&look(&mate), 2)) };
    assert_eq!(camera.sight(sighting).await.unwrap_err().code(), Code::Unavailable);
    takes_codes(&world, &station, 1).await;
    world.cloud.lease(Leases::Given { generation: 1 });
    // Its next try is some seconds away by its clock.
    world.clock.advance(Duration::from_secs(60));
    eventually("the lease comes", || async { recognised(&world, &station, &mate).await.is_ok_and(|yes| yes) }).await;
    station.stop().await;
}

#[tokio::test]
async fn an_old_disk_opens_with_the_lease_and_is_not_searched_before_it_has_caught_up() {
    let world = World::new().await;
    let (data, old) = (world.dir().join("data"), world.dir().join("old"));
    let (erased, stays) = (face(), face());
    let rider = RiderId::random();
    let station = world.station().await;
    world.cloud.publish(FeedChange::TemplatePut(template(RiderId::random(), &stays)));
    world.cloud.publish_and_wait(FeedChange::TemplatePut(template(rider, &erased))).await;
    station.stop().await;
    copy(&data, &old);
    let station = world.station().await;
    assert!(recognised(&world, &station, &erased).await.unwrap());
    world.cloud.publish_and_wait(FeedChange::RiderRemoved(rider)).await;
    station.stop().await;

    // The whole data directory of before, with what the device had seen by then.
    std::fs::remove_dir_all(&data).unwrap();
    copy(&old, &data);
    world.cloud.holds_changes(true);
    let station = world.station().await;
    refused(&world, &station, &erased, "catching up").await;
    refused(&world, &station, &stays, "catching up").await;
    takes_codes(&world, &station, 1).await;
    world.cloud.holds_changes(false);
    eventually("it has caught up", || async { recognised(&world, &station, &stays).await.is_ok_and(|yes| yes) }).await;
    assert_eq!(
        ask(&mut world.gate(&station).await, &look(&erased), ENTRY).await,
        Answer::Refused(Refusal::NotRecognised)
    );
    station.stop().await;
    assert!(!data.join("keys/station-templates.key").exists());
}

#[tokio::test]
async fn cut_off_for_longer_than_its_lease_it_recognises_nobody_until_it_has_a_new_one() {
    let world = World::new().await;
    let mate = face();
    let station = world.station().await;
    world.cloud.publish_and_wait(FeedChange::TemplatePut(template(RiderId::random(), &mate))).await;
    world.cloud.lease(Leases::Unreachable);
    let hour = Duration::from_secs(3600);
    world.clock.advance(71 * hour);
    assert!(recognised(&world, &station, &mate).await.unwrap(), "three days are what a lease is for");
    world.clock.advance(hour);
    refused(&world, &station, &mate, "is over").await;
    takes_codes(&world, &station, 1).await;
    world.cloud.lease(Leases::Given { generation: 1 });
    world.clock.advance(Duration::from_secs(60));
    eventually("it goes on", || async { recognised(&world, &station, &mate).await.is_ok_and(|yes| yes) }).await;
    station.stop().await;
}

#[tokio::test]
async fn a_lease_is_renewed_when_a_third_of_it_is_over() {
    let world = World::new().await;
    let station = world.station().await;
    let asked = || world.cloud.seen.lock().unwrap().leases_asked;
    assert_eq!(asked(), 1);
    world.clock.advance(Duration::from_secs(21 * 3600));
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(asked(), 1, "not before");
    world.clock.advance(Duration::from_secs(5 * 3600));
    eventually("it is renewed", || async { asked() == 2 }).await;
    station.stop().await;
}

#[tokio::test]
async fn the_operator_ends_a_lease_at_once_and_the_next_is_of_another_key() {
    let world = World::new().await;
    let mate = face();
    let station = world.station().await;
    let put = FeedChange::TemplatePut(template(RiderId::random(), &mate));
    world.cloud.publish_and_wait(put.clone()).await;
    world.cloud.set_snapshot(vec![put]);
    world.cloud.lease(Leases::Revoked);
    eventually("the report's answer tells it", || async { recognised(&world, &station, &mate).await.is_err() }).await;
    refused(&world, &station, &mate, "operator").await;
    takes_codes(&world, &station, 1).await;

    world.cloud.lease(Leases::Given { generation: 2 });
    eventually("it recognises again", || async { recognised(&world, &station, &mate).await.is_ok_and(|yes| yes) })
        .await;
    let sealed_anew = || world.cloud.seen.lock().unwrap().snapshots_asked == 1;
    eventually("everything is fetched under the new key", || async { sealed_anew() }).await;
    let in_use = || station.station.facts().key_id() == station.station.leases.key_id();
    eventually("and in use", || async { in_use() }).await;
    assert!(recognised(&world, &station, &mate).await.unwrap());
    station.stop().await;
    // The new key opens what is on the disk.
    let station = world.station().await;
    assert!(recognised(&world, &station, &mate).await.unwrap());
    assert_eq!(world.cloud.seen.lock().unwrap().snapshots_asked, 1);
    station.stop().await;
}

#[tokio::test]
async fn templates_sealed_under_another_key_are_fetched_anew() {
    let world = World::new().await;
    let mate = face();
    let station = world.station().await;
    let put = FeedChange::TemplatePut(template(RiderId::random(), &mate));
    world.cloud.publish_and_wait(put.clone()).await;
    station.stop().await;
    // As an upgrade finds them: with a key of their own on the disk, which the leased one is not.
    std::fs::write(world.dir().join("data/keys/station-templates.key"), [9; 32]).unwrap();
    world.cloud.set_snapshot(vec![put]);
    world.cloud.lease(Leases::Given { generation: 3 });
    let station = world.station().await;
    eventually("they are there", || async { recognised(&world, &station, &mate).await.is_ok_and(|yes| yes) }).await;
    assert_eq!(world.cloud.seen.lock().unwrap().snapshots_asked, 1);
    assert!(!world.dir().join("data/keys/station-templates.key").exists());
    station.stop().await;
}

#[tokio::test]
async fn a_station_whose_lease_the_operator_has_ended_has_neither_key_nor_templates_in_its_memory() {
    let world = World::new().await;
    let (mate, denied) = (face(), RiderId::random());
    let station = world.station().await;
    world.cloud.publish(FeedChange::Denied(denied));
    world.cloud.publish_and_wait(FeedChange::TemplatePut(template(RiderId::random(), &mate))).await;
    assert!(recognised(&world, &station, &mate).await.unwrap());
    let searched = Arc::downgrade(&station.station.facts());
    world.cloud.lease(Leases::Revoked);
    eventually("what was searched is no more", || async { searched.upgrade().is_none() }).await;
    let leases = &station.station.leases;
    assert_eq!((leases.key().err(), leases.generation()), (Some(NoFaces::Revoked), 0));
    let facts = station.station.facts();
    assert!(facts.gallery().is_none() && facts.key_id().is_none());
    assert!(facts.is_denied(denied), "whom it must not let pass it knows all the same");
    let told = || world.cloud.seen.lock().unwrap().report.as_ref().map(|r| (r.templates, r.recognises));
    eventually("it says so", || async { told() == Some((0, false)) }).await;
    takes_codes(&world, &station, 1).await;
    station.stop().await;
}

#[tokio::test]
async fn a_snapshot_on_its_way_in_is_given_up_when_the_operator_ends_the_lease() {
    let world = World::new().await;
    world.cloud.compact(20, (0..140).map(|_| FeedChange::TemplatePut(template(RiderId::random(), &face()))).collect());
    world.cloud.holds_snapshots.send_replace(true);
    let station = world.station().await;
    let kept = || station.station.store.staged().unwrap().is_some();
    eventually("some of it is kept", || async { kept() }).await;
    world.cloud.lease(Leases::Revoked);
    eventually("it is given up", || async { !kept() }).await;
    let staged = world.dir().join("data/gallery/facts-b");
    let files = || walk(&staged);
    eventually("its files too", || async { files() == 0 }).await;
    station.stop().await;
}

/// Files below a directory.
fn walk(dir: &Path) -> usize {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    entries.map(|entry| entry.unwrap().path()).map(|path| if path.is_dir() { walk(&path) } else { 1 }).sum()
}
