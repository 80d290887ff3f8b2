//! Taps taken in over the wire: again, in disorder, with gaps, and in contradiction.

use std::time::Duration;

use facegate_domain::ids::{GateId, RiderId};
use facegate_domain::tap::{Direction, GateRecord, PassageOutcome, RecordBody};
use facegate_proto::v1;
use tonic::{Code, Status};

use crate::harness::{BEGIN, TestCloud};
use crate::riding::{Gate, face, ride_code};

pub async fn deliver(
    cloud: &TestCloud,
    station: &str,
    records: Vec<GateRecord>,
) -> Result<v1::DeliverResponse, Status> {
    let records = records.into_iter().map(Into::into).collect();
    cloud
        .station(station)
        .deliver(v1::DeliverRequest { records, ..Default::default() })
        .await
        .map(tonic::Response::into_inner)
}

fn next_sequences(answer: &v1::DeliverResponse) -> Vec<u64> {
    answer.marks.iter().map(|mark| mark.next_sequence).collect()
}

#[tokio::test]
async fn a_delivery_may_come_again_and_in_any_order() {
    let cloud = TestCloud::start().await;
    let mut gate = Gate::entry("north");
    let mut records: Vec<GateRecord> =
        (0..5).flat_map(|_| gate.pass(RiderId::random(), BEGIN, face(), PassageOutcome::Passed)).collect();
    records.reverse();
    let answer = deliver(&cloud, "north", records.clone()).await.unwrap();
    assert_eq!((next_sequences(&answer), answer.conflicts.len()), (vec![10], 0));
    records.extend(records.clone());
    let again = deliver(&cloud, "north", records).await.unwrap();
    assert_eq!(again, answer);
    assert_eq!(cloud.cloud.store.overview().await.unwrap().taps, 5);
}

#[tokio::test]
async fn a_gap_is_reported_until_it_is_closed() {
    let cloud = TestCloud::start().await;
    let mut gate = Gate::entry("north");
    let records: Vec<GateRecord> =
        (0..4).flat_map(|_| gate.pass(RiderId::random(), BEGIN, face(), PassageOutcome::Passed)).collect();
    let keep = |kept: &[usize]| kept.iter().map(|i| records[*i].clone()).collect();
    let answer = deliver(&cloud, "north", keep(&[0, 1, 3, 6, 7])).await.unwrap();
    assert_eq!(next_sequences(&answer), [2]);
    let gaps = cloud.cloud.store.gaps().await.unwrap();
    let ranges: Vec<(u64, u64)> = gaps.iter().map(|gap| (gap.first_missing, gap.last_missing)).collect();
    assert_eq!(ranges, [(2, 2), (4, 5)]);
    let answer = deliver(&cloud, "north", keep(&[2, 5, 4])).await.unwrap();
    assert_eq!(next_sequences(&answer), [8]);
    assert!(cloud.cloud.store.gaps().await.unwrap().is_empty());
    assert_eq!(cloud.cloud.store.overview().await.unwrap().taps, 4);
}

#[tokio::test]
async fn the_same_identity_with_another_content_is_an_alarm_and_not_applied() {
    let cloud = TestCloud::start().await;
    let mut gate = Gate::entry("north");
    let [granted, seen] = gate.pass(RiderId::random(), BEGIN, face(), PassageOutcome::TurnedBack);
    deliver(&cloud, "north", vec![granted.clone(), seen.clone()]).await.unwrap();
    let mut forged = seen;
    let RecordBody::Passage(passage) = &mut forged.body else { panic!("a passage") };
    passage.outcome = PassageOutcome::Passed;
    for _ in 0..2 {
        let answer = deliver(&cloud, "north", vec![granted.clone(), forged.clone()]).await.unwrap();
        assert_eq!(answer.conflicts, [v1::RecordId::from(forged.id.clone())]);
        assert_eq!(next_sequences(&answer), [2]);
    }
    let overview = cloud.cloud.store.overview().await.unwrap();
    assert_eq!((overview.taps, overview.conflicts), (0, 1));
    assert_eq!(cloud.cloud.store.conflicts().await.unwrap()[0].refused, forged);
}

#[tokio::test]
async fn a_passage_that_nobody_knows_is_reported_and_never_a_charge() {
    let cloud = TestCloud::start().await;
    let rider: RiderId = cloud.enrol("ada").await.parse().unwrap();
    let (mut entry, mut exit) = (Gate::entry("north"), Gate::exit("south"));
    let unknown = entry.pass(rider, BEGIN, face(), PassageOutcome::Unknown);
    let alone = entry.authorise(rider, BEGIN, face());
    deliver(&cloud, "north", [unknown.as_slice(), &[alone]].concat()).await.unwrap();
    let later = BEGIN.plus(Duration::from_secs(600));
    deliver(&cloud, "south", exit.pass(rider, later, face(), PassageOutcome::Passed).into()).await.unwrap();
    cloud.clock.advance(Duration::from_secs(3600));
    // Another rider's journey tells that a round has gone by.
    crate::journeys::ride(&cloud, RiderId::random(), BEGIN).await;
    cloud
        .eventually("a round", async || (cloud.cloud.store.overview().await.unwrap().journeys == 1).then_some(()))
        .await;
    let overview = cloud.cloud.store.overview().await.unwrap();
    assert_eq!((overview.passages_unknown, overview.taps), (1, 3));
    assert_eq!(cloud.cloud.store.unknown_passages().await.unwrap()[0].rider, rider);
    assert!(cloud.cloud.store.trips(rider).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_station_delivers_its_own_records_alone() {
    let cloud = TestCloud::start().await;
    let records: Vec<GateRecord> =
        Gate::entry("south").pass(RiderId::random(), BEGIN, face(), PassageOutcome::Passed).into();
    let refused = deliver(&cloud, "north", records).await.unwrap_err();
    assert_eq!(refused.code(), Code::PermissionDenied);
    assert!(refused.message().contains("south"), "{refused}");
    assert_eq!(cloud.cloud.store.overview().await.unwrap().taps, 0);
}

#[tokio::test]
async fn a_code_that_opened_two_gates_is_found() {
    let cloud = TestCloud::start().await;
    let rider = RiderId::random();
    for station in ["north", "south"] {
        let pass = Gate::entry(station).pass(rider, BEGIN, ride_code(3), PassageOutcome::Passed);
        deliver(&cloud, station, pass.into()).await.unwrap();
    }
    assert_eq!(cloud.cloud.store.overview().await.unwrap().codes_replayed, 1);
}

#[tokio::test]
async fn what_is_not_a_record_is_refused_by_its_field() {
    let cloud = TestCloud::start().await;
    let mut record: v1::GateRecord =
        Gate::new("north", "g", Direction::Exit).authorise(RiderId::random(), BEGIN, face()).into();
    record.body = None;
    let request = v1::DeliverRequest { records: vec![record], ..Default::default() };
    let refused = cloud.station("north").deliver(request).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("body"), "{refused}");
    assert!(cloud.cloud.store.marks(&GateId::new("g").unwrap()).await.unwrap().is_empty());
}
