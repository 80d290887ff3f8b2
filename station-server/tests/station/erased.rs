//! What was erased here does not come back, whatever the feed says, and tiers forget by themselves.

use std::time::Duration;

use facegate_domain::habits::{Hours, Regular};
use facegate_domain::ids::{RiderId, StationId};
use facegate_domain::policy::Refusal;
use facegate_domain::score::Tier;
use facegate_domain::tap::Evidence;
use facegate_proto::convert::station::Answer;
use facegate_proto::convert::sync::FeedChange;
use facegate_proto::v1;

use crate::faces::{face, look, record_id, template};
use crate::identify::ask;
use crate::world::{NOW, Running, World, eventually};

const ENTRY: v1::Direction = v1::Direction::Entry;
const EXIT: v1::Direction = v1::Direction::Exit;
const HOUR: Duration = Duration::from_secs(3600);

async fn tier(world: &World, station: &Running, face: &facegate_domain::face::Embedding, at: v1::Direction) -> Tier {
    match ask(&mut world.gate(station).await, &look(face), at).await {
        Answer::Granted { evidence: Some(Evidence::Face { tier, .. }), .. } => tier,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_template_that_was_removed_is_refused_from_the_feed_and_from_a_snapshot_and_reported() {
    let world = World::new().await;
    let station = world.station().await;
    let (rider, gone, mate) = (RiderId::random(), face(), face());
    let template_of_gone = template(rider, &gone);
    let put = FeedChange::TemplatePut(template_of_gone.clone());
    world.cloud.publish(put.clone());
    world.cloud.publish_and_wait(FeedChange::RiderRemoved(rider)).await;
    let nobody = Answer::Refused(Refusal::NotRecognised);

    // A cloud that was put back from a backup says it once more.
    world.cloud.publish_and_wait(put.clone()).await;
    assert_eq!(ask(&mut world.gate(&station).await, &look(&gone), ENTRY).await, nobody);
    let told = || {
        let seen = world.cloud.seen.lock().unwrap();
        seen.come_back.contains(&template_of_gone.id.as_bytes().to_vec())
    };
    eventually("the cloud is told", || async { told() }).await;
    station.stop().await;

    world.cloud.seen.lock().unwrap().come_back.clear();
    let facts = vec![put, FeedChange::TemplatePut(template(RiderId::random(), &mate))];
    world.cloud.compact(50, facts);
    let station = world.station().await;
    eventually("the snapshot is acknowledged", || async { world.cloud.acknowledged() == 50 }).await;
    assert_eq!(ask(&mut world.gate(&station).await, &look(&gone), ENTRY).await, nobody);
    assert_eq!(tier(&world, &station, &mate, ENTRY).await, Tier::City);
    eventually("the cloud is told again", || async { told() }).await;
    assert_eq!(world.cloud.seen.lock().unwrap().report.as_ref().unwrap().come_back_refused, 1);
    station.stop().await;
    let station = world.station().await;
    assert_eq!(ask(&mut world.gate(&station).await, &look(&gone), ENTRY).await, nobody, "after a start too");
    station.stop().await;
}

#[tokio::test]
async fn an_exit_is_granted_without_an_entry_and_an_entry_ends_while_the_cloud_is_away() {
    let world = World::new().await;
    let station = world.station().await;
    let (rider, mate) = (RiderId::random(), face());
    world.cloud.publish_and_wait(FeedChange::TemplatePut(template(rider, &mate))).await;
    assert_eq!(tier(&world, &station, &mate, EXIT).await, Tier::City, "nobody is kept in for want of an entry");
    let entered = FeedChange::EnteredSystem { rider, entry: record_id("south-in", 1, 0) };
    world.cloud.publish_and_wait(entered).await;
    assert_eq!(tier(&world, &station, &mate, EXIT).await, Tier::InSystem);
    station.stop().await;

    // It counts from when it was heard of, over a start too.
    world.clock.advance(26 * HOUR);
    let station = world.station().await;
    assert_eq!(tier(&world, &station, &mate, EXIT).await, Tier::InSystem);
    world.clock.advance(HOUR + Duration::from_secs(1));
    eventually("it ends", || async { tier(&world, &station, &mate, EXIT).await == Tier::City }).await;
    station.stop().await;
    let station = world.station().await;
    assert_eq!(tier(&world, &station, &mate, EXIT).await, Tier::City, "on the disk too");
    station.stop().await;
}

#[tokio::test]
async fn a_regular_is_one_in_his_hours_at_his_station_until_he_leaves() {
    let world = World::new().await;
    let station = world.station().await;
    let (rider, mate, elsewhere) = (RiderId::random(), face(), face());
    let other = RiderId::random();
    world.cloud.publish(FeedChange::TemplatePut(template(rider, &mate)));
    world.cloud.publish(FeedChange::TemplatePut(template(other, &elsewhere)));
    let hour = u32::try_from(NOW.unix_ms() / 3_600_000 % 24).unwrap();
    let hours = Hours::NONE.with(hour);
    let regulars = |name, rider| FeedChange::Regulars {
        station: StationId::new(name).unwrap(),
        riders: vec![Regular { rider, hours }],
    };
    world.cloud.publish(regulars("north", rider));
    world.cloud.publish_and_wait(regulars("south", other)).await;
    assert_eq!(tier(&world, &station, &mate, ENTRY).await, Tier::Regulars);
    assert_eq!(tier(&world, &station, &elsewhere, ENTRY).await, Tier::City, "another station's");
    station.stop().await;
    let station = world.station().await;
    assert_eq!(tier(&world, &station, &mate, ENTRY).await, Tier::Regulars, "after a start too");
    world.clock.advance(2 * HOUR);
    eventually("his hour is over", || async { tier(&world, &station, &mate, ENTRY).await == Tier::City }).await;
    world.clock.advance(22 * HOUR);
    eventually("the next day", || async { tier(&world, &station, &mate, ENTRY).await == Tier::Regulars }).await;

    world.cloud.publish_and_wait(FeedChange::RiderRemoved(rider)).await;
    let regulars = || {
        let seen = world.cloud.seen.lock().unwrap();
        let tiers = seen.report.as_ref().unwrap().tiers.clone();
        tiers.into_iter().find(|tier| tier.tier == Tier::Regulars.name()).unwrap()
    };
    eventually("he is in no tier", || async { regulars().riders == 0 }).await;
    assert!(
        regulars().decisions >= 1 && regulars().added == 0,
        "two riders are told apart without a tier: {:?}",
        regulars()
    );
    station.stop().await;
}
