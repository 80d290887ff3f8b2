//! Riders who have paid by face alone as much as the operator allows in a day.

use std::time::Duration;

use facegate_domain::ids::RiderId;
use facegate_domain::policy::Refusal;
use facegate_proto::convert::station::Answer;
use facegate_proto::convert::sync::FeedChange;
use facegate_proto::v1;

use crate::faces::{face, look, template};
use crate::identify::ask;
use crate::world::{NOW, World};

const ENTRY: v1::Direction = v1::Direction::Entry;
const EXIT: v1::Direction = v1::Direction::Exit;

#[tokio::test]
async fn who_has_reached_the_limit_is_asked_for_his_code_at_entries_until_the_day_ends() {
    let world = World::new().await;
    let station = world.station().await;
    let (rider, mate) = (RiderId::random(), face());
    world.cloud.publish_and_wait(FeedChange::TemplatePut(template(rider, &mate))).await;
    let mut gate = world.gate(&station).await;
    let granted = |answer: &Answer| matches!(answer, Answer::Granted { rider: found, .. } if *found == rider);
    assert!(granted(&ask(&mut gate, &look(&mate), ENTRY).await));
    let until = NOW.plus(Duration::from_secs(3600));
    world.cloud.publish_and_wait(FeedChange::FaceCapped { rider, until }).await;
    assert_eq!(ask(&mut gate, &look(&mate), ENTRY).await, Answer::Refused(Refusal::CodeAsked));
    assert!(granted(&ask(&mut gate, &look(&mate), EXIT).await), "whoever is inside may leave");
    world.clock.advance(Duration::from_secs(3600));
    assert!(granted(&ask(&mut gate, &look(&mate), ENTRY).await), "the day is over");
    station.stop().await;
}
