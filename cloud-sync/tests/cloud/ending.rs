//! What ends by itself.

use std::time::Duration;

use facegate_cloud_sync::retention;
use facegate_domain::ids::RiderId;
use facegate_domain::tap::PassageOutcome;

use crate::feed::{Change, next, subscribe};
use crate::harness::{BEGIN, TestCloud};
use crate::intake::deliver;
use crate::riding::{Gate, face, ride_code};

const DAY: Duration = Duration::from_secs(86_400);

#[tokio::test]
async fn a_face_that_nobody_uses_is_withdrawn_and_one_whose_rider_shows_his_code_is_not() {
    let cloud = TestCloud::start().await;
    let (unused, by_code, new) = (cloud.enrol("ada").await, cloud.enrol("bea").await, "cid");
    cloud.clock.advance(200 * DAY);
    let at = BEGIN.plus(200 * DAY);
    let tap = Gate::entry("north").pass(by_code.parse().unwrap(), at, ride_code(1), PassageOutcome::Passed);
    deliver(&cloud, "north", tap.into()).await.unwrap();
    let new = cloud.enrol(new).await;
    cloud.clock.advance(165 * DAY);
    assert_eq!(retention::pass(&cloud.cloud).await.unwrap().withdrawn, 0, "not a moment early");
    cloud.clock.advance(Duration::from_secs(1));
    // The server's own loop does it at the start.
    let cloud = cloud.restart().await;
    let has_face =
        async |rider: &str| cloud.cloud.store.rider(rider.parse().unwrap()).await.unwrap().unwrap().face.is_some();
    cloud.eventually("it is withdrawn", async || (!has_face(&unused).await).then_some(())).await;
    assert!(has_face(&by_code).await && has_face(&new).await);
    assert_eq!(retention::pass(&cloud.cloud).await.unwrap().withdrawn, 0);
    let audit = cloud.cloud.store.audit_entries(0, 100).await.unwrap();
    let line = audit.iter().find(|line| line.actor == "system/retention").unwrap();
    assert_eq!((line.action.as_str(), line.subject.as_str()), ("rider.face-unused", unused.as_str()));
    let rider = cloud.cloud.store.rider(unused.parse().unwrap()).await.unwrap().unwrap();
    let receipt = cloud.cloud.store.erasure(rider.withdrawal.unwrap()).await.unwrap().unwrap();
    assert!(rider.erasure.is_none() && receipt.is_final());
}

#[tokio::test]
async fn an_entry_without_an_exit_ends_on_the_feed() {
    let cloud = TestCloud::start().await;
    let head = *cloud.cloud.store.head().borrow();
    let mut changes = subscribe(&cloud, "south", head).await;
    let entry = Gate::entry("north").pass(RiderId::random(), BEGIN, face(), PassageOutcome::Passed);
    deliver(&cloud, "north", entry.into()).await.unwrap();
    assert!(matches!(next(&mut changes).await.change, Some(Change::EnteredSystem(_))));
    cloud.clock.advance(DAY);
    assert_eq!(retention::pass(&cloud.cloud).await.unwrap().entries_ended, 0);
    cloud.clock.advance(Duration::from_secs(1));
    assert_eq!(retention::pass(&cloud.cloud).await.unwrap().entries_ended, 1);
    assert!(matches!(next(&mut changes).await.change, Some(Change::LeftSystem(_))));
    assert_eq!(cloud.cloud.store.overview().await.unwrap().in_system, 0);
}
