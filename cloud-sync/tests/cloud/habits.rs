//! Regulars: computed from entries, told to their own station alone, gone with the face.

use std::time::Duration;

use facegate_cloud_sync::habits::refresh_if_due;
use facegate_domain::ids::RiderId;
use facegate_domain::tap::PassageOutcome;
use facegate_proto::convert::sync::FEED_LEVEL;
use facegate_proto::v1;

use crate::feed::{Change, next, snapshot_for, subscribe_for};
use crate::harness::{BEGIN, TestCloud};
use crate::intake::deliver;
use crate::riding::{Gate, face, ride_code};

const DAY: Duration = Duration::from_secs(86_400);

fn bytes(rider: &str) -> Vec<u8> {
    rider.parse::<RiderId>().unwrap().as_bytes().to_vec()
}

async fn regulars(changes: &mut tonic::Streaming<v1::Change>) -> (String, Vec<Vec<u8>>) {
    loop {
        if let Some(Change::Regulars(regulars)) = next(changes).await.change {
            return (regulars.station, regulars.riders.into_iter().map(|regular| regular.rider).collect());
        }
    }
}

#[tokio::test]
async fn who_comes_on_three_days_is_a_regular_of_that_station_and_others_learn_nothing_of_it() {
    let cloud = TestCloud::start().await;
    let (often, seldom, by_code) = (cloud.enrol("ada").await, cloud.enrol("bea").await, RiderId::random());
    let computed = async || cloud.cloud.store.regulars_computed_at().await.unwrap();
    cloud.eventually("the server computes them at its start", computed).await;
    let mut gate = Gate::entry("north");
    for day in 1..=3 {
        let at = BEGIN.minus(day * DAY);
        let mut records = gate.pass(often.parse().unwrap(), at, face(), PassageOutcome::Passed).to_vec();
        records.extend(gate.pass(by_code, at, ride_code(u8::try_from(day).unwrap()), PassageOutcome::Passed));
        if day < 3 {
            records.extend(gate.pass(seldom.parse().unwrap(), at, face(), PassageOutcome::Passed));
        }
        deliver(&cloud, "north", records).await.unwrap();
    }
    let head = *cloud.cloud.store.head().borrow();
    let mut north = subscribe_for(&cloud, "north", head, FEED_LEVEL).await;
    let mut south = subscribe_for(&cloud, "south", head, FEED_LEVEL).await;
    assert_eq!(refresh_if_due(&cloud.cloud).await.unwrap(), None, "not before a day has passed");
    cloud.clock.advance(DAY);
    refresh_if_due(&cloud.cloud).await.unwrap();
    assert_eq!(regulars(&mut north).await, ("north".into(), vec![bytes(&often)]));
    assert_eq!(regulars(&mut south).await, ("north".into(), vec![]));
    let known = async |station| {
        let facts = snapshot_for(&cloud, station, FEED_LEVEL).await.facts;
        let known = |fact: &v1::Change| matches!(&fact.change, Some(Change::Regulars(r)) if !r.riders.is_empty());
        facts.iter().any(known)
    };
    assert!(known("north").await && !known("south").await);
    let head = *cloud.cloud.store.head().borrow();
    cloud.clock.advance(DAY);
    refresh_if_due(&cloud.cloud).await.unwrap();
    assert_eq!(*cloud.cloud.store.head().borrow(), head, "nothing new is not told");

    cloud.app().erase_rider(v1::EraseRiderRequest { rider_id: often }).await.unwrap();
    assert!(!known("north").await);
    cloud.clock.advance(DAY);
    refresh_if_due(&cloud.cloud).await.unwrap();
    assert!(cloud.cloud.store.regulars(&"north".parse().unwrap()).await.unwrap().is_empty());
}
