//! The change feed where it is not smooth.

use facegate_domain::ids::{ModelId, RiderId};
use facegate_domain::policy::Refusal;
use facegate_proto::convert::station::Answer;
use facegate_proto::convert::sync::FeedChange;
use facegate_proto::v1;

use crate::faces::{face, face_of, look, template};
use crate::identify::ask;
use crate::world::{World, eventually};

const ENTRY: v1::Direction = v1::Direction::Entry;

#[tokio::test]
async fn a_station_too_far_behind_takes_a_snapshot_and_follows_on() {
    let world = World::new().await;
    let station = world.station().await;
    let (kept, erased, denied, late) = (face(), face(), RiderId::random(), face());
    let keeper = RiderId::random();
    world.cloud.publish(FeedChange::TemplatePut(template(keeper, &kept)));
    world.cloud.publish(FeedChange::Denied(denied));
    world.cloud.publish_and_wait(FeedChange::TemplatePut(template(RiderId::random(), &erased))).await;
    station.stop().await;
    // While it is away, one rider is erased and another comes, and the log is cut.
    let newcomer = face();
    let facts = vec![
        FeedChange::TemplatePut(template(keeper, &kept)),
        FeedChange::TemplatePut(template(RiderId::random(), &newcomer)),
        FeedChange::CodeNonceSpent { nonce: [7; 8], issued_at: crate::world::NOW },
    ];
    world.cloud.compact(50, facts);
    let station = world.station().await;
    eventually("the snapshot is acknowledged", || async { world.cloud.acknowledged() == 50 }).await;
    let mut gate = world.gate(&station).await;
    assert!(matches!(ask(&mut gate, &look(&kept), ENTRY).await, Answer::Granted { rider, .. } if rider == keeper));
    assert!(matches!(ask(&mut gate, &look(&newcomer), ENTRY).await, Answer::Granted { .. }));
    assert_eq!(ask(&mut gate, &erased, ENTRY).await, Answer::Refused(Refusal::NotRecognised));
    assert!(
        matches!(crate::codes::present(&mut gate, denied, [1; 8]).await, Answer::Granted { .. }),
        "allowed meanwhile"
    );
    let replayed = crate::codes::present(&mut gate, denied, [7; 8]).await;
    assert_eq!(replayed, Answer::Refused(Refusal::CodeReplayed));
    world.cloud.publish_and_wait(FeedChange::TemplatePut(template(RiderId::random(), &late))).await;
    assert!(matches!(ask(&mut gate, &look(&late), ENTRY).await, Answer::Granted { .. }));
    station.stop().await;
    // The snapshot is what it finds on its disk, too.
    let station = world.station().await;
    let mut gate = world.gate(&station).await;
    assert!(matches!(ask(&mut gate, &look(&newcomer), ENTRY).await, Answer::Granted { .. }));
    assert_eq!(ask(&mut gate, &erased, ENTRY).await, Answer::Refused(Refusal::NotRecognised));
    let follows_from = || world.cloud.seen.lock().unwrap().subscribed_after.last().copied();
    eventually("it follows from the snapshot's successor", || async { follows_from() == Some(51) }).await;
    station.stop().await;
}

#[tokio::test]
async fn a_cursor_beyond_the_log_means_that_the_cloud_was_restored_and_its_word_counts() {
    let world = World::new().await;
    let station = world.station().await;
    let (forgotten, known) = (face(), face());
    world.cloud.publish(FeedChange::TemplatePut(template(RiderId::random(), &forgotten)));
    world.cloud.publish_and_wait(FeedChange::TemplatePut(template(RiderId::random(), &known))).await;
    station.stop().await;
    world.cloud.compact(1, vec![FeedChange::TemplatePut(template(RiderId::random(), &known))]);
    let station = world.station().await;
    eventually("the station steps back", || async { world.cloud.acknowledged() == 1 }).await;
    let mut gate = world.gate(&station).await;
    assert!(matches!(ask(&mut gate, &look(&known), ENTRY).await, Answer::Granted { .. }));
    assert_eq!(ask(&mut gate, &forgotten, ENTRY).await, Answer::Refused(Refusal::NotRecognised));
    station.stop().await;
}

#[tokio::test]
async fn a_template_of_another_model_is_left_out_and_the_feed_goes_on() {
    let world = World::new().await;
    let station = world.station().await;
    let (foreign, mate) = (face_of(&ModelId::new("arcface-r50").unwrap(), 128), face());
    world.cloud.publish(FeedChange::TemplatePut(template(RiderId::random(), &foreign)));
    world.cloud.publish_and_wait(FeedChange::TemplatePut(template(RiderId::random(), &mate))).await;
    assert_eq!(world.cloud.seen.lock().unwrap().report.as_ref().unwrap().templates, 1);
    assert!(matches!(ask(&mut world.gate(&station).await, &look(&mate), ENTRY).await, Answer::Granted { .. }));
    station.stop().await;
    let station = world.station().await;
    assert!(matches!(ask(&mut world.gate(&station).await, &look(&mate), ENTRY).await, Answer::Granted { .. }));
    station.stop().await;
}
