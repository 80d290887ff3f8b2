//! Stations and clouds of different versions, by messages made by hand.

use std::time::Duration;

use facegate_domain::habits::{Hours, Regular};
use facegate_domain::ids::{RiderId, StationId};
use facegate_domain::operation::{Instruction, StationMode};
use facegate_domain::policy::Refusal;
use facegate_proto::convert::station::Answer;
use facegate_proto::convert::sync::FeedChange;
use facegate_proto::v1;

use crate::faces::{face, look, probe, template};
use crate::identify::ask;
use crate::world::{NOW, World, eventually};

const ENTRY: v1::Direction = v1::Direction::Entry;

#[tokio::test]
async fn a_change_of_an_unknown_kind_is_passed_over_and_the_feed_goes_on() {
    let world = World::new().await;
    let station = world.station().await;
    let mate = face();
    world.cloud.publish_unknown();
    world.cloud.publish_and_wait(FeedChange::TemplatePut(template(RiderId::random(), &mate))).await;
    assert!(matches!(ask(&mut world.gate(&station).await, &look(&mate), ENTRY).await, Answer::Granted { .. }));
    let version = world.cloud.publish_unknown();
    eventually("also the last one is acknowledged", || async { world.cloud.acknowledged() == version }).await;
    station.stop().await;
}

#[tokio::test]
async fn a_station_that_was_upgraded_re_reads_what_the_new_level_adds_and_nothing_else() {
    let world = World::new().await;
    let station = world.station().await;
    let (mate, north) = (face(), StationId::new("north").unwrap());
    let put = FeedChange::TemplatePut(template(RiderId::random(), &mate));
    world.cloud.publish_and_wait(put.clone()).await;
    station.stop().await;
    world.forget_level().await;
    let closed = FeedChange::Told(Instruction::Mode { station: None, mode: Some(StationMode::Closed) });
    let riders = vec![Regular { rider: RiderId::random(), hours: Hours::NONE.with(8) }];
    let regulars = FeedChange::Regulars { station: north, riders: riders.clone() };
    world.cloud.seen.lock().unwrap().holds = Some(vec![put, closed, regulars]);
    let station = world.station().await;
    let mode = || world.cloud.seen.lock().unwrap().report.as_ref().map(|report| report.mode.clone());
    eventually("it has what was withheld", || async { mode().as_deref() == Some("closed") }).await;
    eventually("all of it", || async { station.station.facts().regulars() == riders }).await;
    let asked = world.cloud.seen.lock().unwrap().reread.clone();
    assert_eq!(asked, [("told".to_owned(), 0), ("regulars/north".to_owned(), 0)]);
    station.stop().await;
    let station = world.station().await;
    eventually("it follows", || async { world.cloud.seen.lock().unwrap().subscribed_after.len() >= 3 }).await;
    let asked = {
        let seen = world.cloud.seen.lock().unwrap();
        (seen.reread.len(), seen.snapshots_asked)
    };
    assert_eq!(asked, (2, 0), "once is enough, without a snapshot");
    station.stop().await;
}

#[tokio::test]
async fn a_station_that_was_upgraded_before_its_cloud_fetches_everything() {
    let world = World::new().await;
    world.cloud.seen.lock().unwrap().knows_no_digests = true;
    let station = world.station().await;
    let mate = face();
    world.cloud.publish_and_wait(FeedChange::TemplatePut(template(RiderId::random(), &mate))).await;
    station.stop().await;
    // As an older station leaves it: a cursor, and no word of what it understood.
    world.forget_level().await;
    let closed = FeedChange::Told(Instruction::Mode { station: None, mode: Some(StationMode::Closed) });
    world.cloud.set_snapshot(vec![FeedChange::TemplatePut(template(RiderId::random(), &mate)), closed]);
    let station = world.station().await;
    let mode = || world.cloud.seen.lock().unwrap().report.as_ref().map(|report| report.mode.clone());
    eventually("it has what was withheld", || async { mode().as_deref() == Some("closed") }).await;
    let closed = Answer::Refused(Refusal::StationClosed);
    assert_eq!(ask(&mut world.gate(&station).await, &look(&mate), ENTRY).await, closed);
    station.stop().await;
    let station = world.station().await;
    eventually("it follows", || async { world.cloud.seen.lock().unwrap().subscribed_after.len() >= 2 }).await;
    assert_eq!(world.cloud.seen.lock().unwrap().snapshots_asked, 1, "once is enough");
    station.stop().await;
}

#[tokio::test]
async fn a_cloud_of_before_is_followed_and_its_snapshots_are_taken() {
    let world = World::new().await;
    world.cloud.seen.lock().unwrap().snapshot_format = 0;
    let mate = face();
    world.cloud.compact(9, vec![FeedChange::TemplatePut(template(RiderId::random(), &mate))]);
    let station = world.station().await;
    eventually("the snapshot is acknowledged", || async { world.cloud.acknowledged() == 9 }).await;
    assert!(matches!(ask(&mut world.gate(&station).await, &look(&mate), ENTRY).await, Answer::Granted { .. }));
    station.stop().await;
}

#[tokio::test]
async fn a_snapshot_of_a_newer_format_is_left_alone_and_faces_wait_for_one_that_is_understood() {
    let world = World::new().await;
    let station = world.station().await;
    let mate = face();
    world.cloud.publish_and_wait(FeedChange::TemplatePut(template(RiderId::random(), &mate))).await;
    station.stop().await;
    world.cloud.seen.lock().unwrap().snapshot_format = 2;
    world.cloud.compact(50, vec![]);
    let station = world.station().await;
    let asked = || world.cloud.seen.lock().unwrap().snapshots_asked;
    eventually("it has tried twice", || async { asked() >= 2 }).await;
    // It has what it had, and cannot know who was erased since.
    let refused = world.gate(&station).await.identify(crate::faces::probe(&look(&mate), ENTRY)).await.unwrap_err();
    assert!(refused.message().contains("catching up"), "{refused}");
    assert_eq!(world.cloud.acknowledged(), 1);
    // The cloud that it understands again is taken at its word.
    world.cloud.seen.lock().unwrap().snapshot_format = 1;
    eventually("the snapshot is acknowledged", || async { world.cloud.acknowledged() == 50 }).await;
    station.stop().await;
}

#[tokio::test]
async fn a_gate_of_before_is_refused_in_words_that_it_reads_and_one_of_today_in_those_of_today() {
    let world = World::new().await;
    let station = world.station().await;
    let (rider, mate) = (RiderId::random(), face());
    world.cloud.publish_and_wait(FeedChange::TemplatePut(template(rider, &mate))).await;
    let until = NOW.plus(Duration::from_secs(3600));
    world.cloud.publish_and_wait(FeedChange::FaceCapped { rider, until }).await;
    let mut gate = world.gate(&station).await;
    let today = probe(&look(&mate), ENTRY);
    // As a gate asks that knows nothing of levels.
    let before = v1::IdentifyRequest { refusal_level: 0, ..today.clone() };
    let tomorrow = v1::IdentifyRequest { refusal_level: Refusal::LEVEL + 1, ..today.clone() };
    for (asked, refusal) in
        [(before, Refusal::NotRecognised), (today, Refusal::CodeAsked), (tomorrow, Refusal::CodeAsked)]
    {
        let answer = Answer::try_from(gate.identify(asked).await.unwrap().into_inner()).unwrap();
        assert_eq!(answer, Answer::Refused(refusal));
        assert!(refusal.words().next.en.contains("ride code"), "either asks for the code");
    }
    station.stop().await;
}
