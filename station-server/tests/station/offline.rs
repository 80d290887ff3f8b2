//! Cut off from the cloud: how long riders are still let through is the operator's choice.

use std::time::Duration;

use facegate_domain::Clock;
use facegate_domain::ids::RiderId;
use facegate_domain::policy::Refusal;
use facegate_proto::convert::station::Answer;
use facegate_proto::convert::sync::FeedChange;
use facegate_proto::v1;
use tonic::Status;

use crate::codes::code;
use crate::faces::{face, look, probe, template};
use crate::world::{Running, World, eventually};

const HOUR: Duration = Duration::from_secs(3600);
const TOO_LONG: Answer = Answer::Refused(Refusal::OfflineTooLong);

/// A new code of some rider, shown now.
async fn present(world: &World, station: &Running) -> Answer {
    let rider = RiderId::random();
    let nonce = std::array::from_fn(|i| rider.as_bytes()[i]);
    let mut gate = world.gate(station).await;
    gate.present_code(code(rider, nonce, world.clock.now())).await.unwrap().into_inner().try_into().unwrap()
}

fn passes(answer: &Answer) -> bool {
    matches!(answer, Answer::Granted { .. })
}

fn cut_off(world: &World, cut: bool) {
    let away = || Status::unavailable("the test's cloud is away");
    world.cloud.seen.lock().unwrap().refuses_reports = cut.then(away);
}

async fn in_touch(world: &World) {
    world.cloud.seen.lock().unwrap().report = None;
    for _ in 0..2 {
        // The second report begins after the answer to the first was taken in.
        world.cloud.seen.lock().unwrap().report = None;
        eventually("a report", || async { world.cloud.seen.lock().unwrap().report.is_some() }).await;
    }
}

#[tokio::test]
async fn riders_pass_for_the_days_allowed_and_then_nobody_does_also_after_a_restart() {
    let world = World::new().await;
    let limits = "[offline]\ndeny_list_age_max_s = 3600\ndays_max = 2\n";
    let station = world.station_with(limits, None).await;
    let (rider, shown) = (RiderId::random(), face());
    world.cloud.publish_and_wait(FeedChange::TemplatePut(template(rider, &shown))).await;
    in_touch(&world).await;
    cut_off(&world, true);
    assert!(passes(&present(&world, &station).await));
    world.clock.advance(2 * HOUR);
    assert!(passes(&present(&world, &station).await), "a stale deny list is a warning here");
    world.clock.advance(47 * HOUR);
    assert_eq!(present(&world, &station).await, TOO_LONG);
    let mut gate = world.gate(&station).await;
    let answer = gate.identify(probe(&look(&shown), v1::Direction::Entry)).await.unwrap().into_inner();
    assert_eq!(Answer::try_from(answer).unwrap(), TOO_LONG);
    station.stop().await;

    let station = world.station_with(limits, None).await;
    assert_eq!(present(&world, &station).await, TOO_LONG, "a restart is no word from the cloud");
    cut_off(&world, false);
    in_touch(&world).await;
    assert!(passes(&present(&world, &station).await));
    station.stop().await;
}

#[tokio::test]
async fn an_operator_may_refuse_everybody_when_the_deny_list_is_stale() {
    let world = World::new().await;
    let limits = "[offline]\ndeny_list_age_max_s = 3600\ndeny_list_stale = \"refuse\"\n";
    let station = world.station_with(limits, None).await;
    in_touch(&world).await;
    cut_off(&world, true);
    assert!(passes(&present(&world, &station).await));
    world.clock.advance(2 * HOUR);
    assert_eq!(present(&world, &station).await, TOO_LONG);
    cut_off(&world, false);
    in_touch(&world).await;
    assert!(passes(&present(&world, &station).await));
    station.stop().await;
}
