//! Entrance cameras: who is expected, and who is nobody's business.

use std::time::Duration;

use facegate_domain::face::Embedding;
use facegate_domain::ids::RiderId;
use facegate_domain::score::Tier;
use facegate_domain::tap::Evidence;
use facegate_proto::convert::station::{Answer, probe_to_wire};
use facegate_proto::convert::sync::FeedChange;
use facegate_proto::v1;
use facegate_runtime::identity::Role;
use tonic::Code;

use crate::faces::{face, look, template};
use crate::identify::ask;
use crate::world::{Running, World};

pub async fn sight(world: &World, station: &Running, face: &Embedding) {
    let mut camera = world.call(station, Role::Camera, "north-hall").await;
    camera.sight(v1::SightRequest { probe: Some(probe_to_wire(face, 2)) }).await.unwrap();
}

pub async fn tier(world: &World, station: &Running, face: &Embedding) -> Tier {
    match ask(&mut world.gate(station).await, face, v1::Direction::Entry).await {
        Answer::Granted { evidence: Some(Evidence::Face { tier, .. }), .. } => tier,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_rider_seen_at_the_entrance_is_expected_for_minutes() {
    let world = World::new().await;
    let station = world.station().await;
    let (seen, unseen) = (face(), face());
    world.cloud.publish(FeedChange::TemplatePut(template(RiderId::random(), &unseen)));
    world.cloud.publish_and_wait(FeedChange::TemplatePut(template(RiderId::random(), &seen))).await;
    sight(&world, &station, &look(&seen)).await;
    sight(&world, &station, &face()).await;
    assert_eq!(tier(&world, &station, &look(&seen)).await, Tier::Expected);
    assert_eq!(tier(&world, &station, &look(&unseen)).await, Tier::City);
    world.clock.advance(Duration::from_secs(601));
    assert_eq!(tier(&world, &station, &look(&seen)).await, Tier::City);
    station.stop().await;
}

#[tokio::test]
async fn sightings_leave_no_trace_on_the_disk_and_can_be_switched_off() {
    let world = World::new().await;
    let mate = face();
    let station = world.station().await;
    world.cloud.publish_and_wait(FeedChange::TemplatePut(template(RiderId::random(), &mate))).await;
    sight(&world, &station, &look(&mate)).await;
    assert_eq!(tier(&world, &station, &look(&mate)).await, Tier::Expected);
    station.stop().await;
    let station = world.station_with("sightings = { enabled = false }", None).await;
    assert_eq!(tier(&world, &station, &look(&mate)).await, Tier::City, "memory only");
    sight(&world, &station, &look(&mate)).await;
    assert_eq!(tier(&world, &station, &look(&mate)).await, Tier::City, "switched off");
    station.stop().await;
}

#[tokio::test]
async fn a_bad_sighting_is_refused_like_any_probe() {
    let world = World::new().await;
    let station = world.station().await;
    let mut camera = world.call(&station, Role::Camera, "north-hall").await;
    let probe = v1::Probe { model: "sface-2021dec".into(), embedding: vec![0; 512], frames: 1 };
    let status = camera.sight(v1::SightRequest { probe: Some(probe) }).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    station.stop().await;
}
