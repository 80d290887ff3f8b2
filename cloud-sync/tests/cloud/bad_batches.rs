//! Batches as they should not be: each handled exactly or refused clearly, and nothing lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use facegate_domain::ids::RiderId;
use facegate_domain::tap::{GateRecord, PassageOutcome};
use facegate_proto::v1;
use tonic::{Code, Status};

use crate::harness::{BEGIN, TestCloud};
use crate::intake::deliver;
use crate::riding::{Gate, face};

fn passages(count: usize) -> Vec<GateRecord> {
    let mut gate = Gate::entry("north");
    (0..count).flat_map(|_| gate.pass(RiderId::random(), BEGIN, face(), PassageOutcome::Passed)).collect()
}

/// Code of the refusal, or the marks.
type Expected = Result<Vec<(u32, u64)>, Code>;

#[tokio::test]
async fn every_kind_of_bad_batch_has_its_answer() {
    let good = passages(3);
    let twice = [good.clone(), good.clone()].concat();
    let backwards: Vec<_> = good.iter().rev().cloned().collect();
    let in_epoch = |epoch: u32| {
        good.iter().cloned().map(move |mut record| {
            record.id.epoch = epoch;
            record
        })
    };
    let foreign =
        [good.clone(), Gate::entry("south").pass(RiderId::random(), BEGIN, face(), PassageOutcome::Passed).to_vec()];
    let table: Vec<(&str, Vec<GateRecord>, Expected, u64)> = vec![
        ("empty", vec![], Ok(vec![]), 0),
        ("duplicates within", twice, Ok(vec![(1, 6)]), 3),
        ("again", good.clone(), Ok(vec![(1, 6)]), 3),
        ("backwards", backwards, Ok(vec![(1, 6)]), 3),
        ("an epoch that the station knows and we do not", in_epoch(7).collect(), Ok(vec![(7, 6)]), 6),
        ("two epochs mixed", in_epoch(7).chain(in_epoch(1)).collect(), Ok(vec![(1, 6), (7, 6)]), 6),
        ("a record of another station among them", foreign.concat(), Err(Code::PermissionDenied), 6),
        ("too many at once", vec![good[0].clone(); 20_001], Err(Code::InvalidArgument), 6),
    ];
    let cloud = TestCloud::start().await;
    for (kind, records, expected, taps) in table {
        let answer = deliver(&cloud, "north", records).await;
        let marks = |answer: v1::DeliverResponse| {
            assert!(answer.conflicts.is_empty(), "{kind}");
            let mut marks: Vec<_> = answer.marks.iter().map(|mark| (mark.epoch, mark.next_sequence)).collect();
            marks.sort_unstable();
            marks
        };
        assert_eq!(answer.map(marks).map_err(|status: Status| status.code()), expected, "{kind}");
        assert_eq!(cloud.cloud.store.overview().await.unwrap().taps, taps, "{kind}");
    }
}

#[tokio::test]
async fn records_from_the_future_are_taken_and_listed_once() {
    let cloud = TestCloud::start().await;
    let mut gate = Gate::entry("north");
    let at = |s: u64| BEGIN.plus(Duration::from_secs(s));
    let mut pass = |s| gate.pass(RiderId::random(), at(s), face(), PassageOutcome::Passed);
    let records = [pass(0), pass(299), pass(400), pass(86_400 * 400)].concat();
    for _ in 0..2 {
        let answer = deliver(&cloud, "north", records.clone()).await.unwrap();
        assert_eq!(answer.marks[0].next_sequence, 8);
        cloud.clock.advance(Duration::from_secs(1));
    }
    let listed = cloud.cloud.store.skewed(100).await.unwrap();
    assert_eq!(listed.iter().map(|s| s.record.sequence).collect::<Vec<_>>(), [4, 5, 6, 7]);
    assert!(listed.iter().all(|skewed| skewed.received == BEGIN), "the first time it came");
    assert_eq!(cloud.cloud.store.overview().await.unwrap().taps, 4, "nothing is lost");
    let report = cloud.cloud.auditor.report(jiff::civil::date(2026, 11, 18)).await.unwrap();
    assert_eq!(report.lines[0].found.count, 8, "a day that has not come yet is none");
}

#[tokio::test]
async fn a_backlog_waits_its_turn_and_live_traffic_never_does() {
    let cloud = TestCloud::start().await;
    let records = passages(5);
    let wire: Vec<v1::GateRecord> = records.iter().cloned().map(Into::into).collect();
    let intakes = &cloud.cloud.intakes;
    let places: Vec<_> = (0..4).map(|_| intakes.admit(5000).unwrap().expect("a place")).collect();
    let mut station = cloud.station("north");
    let backlog = v1::DeliverRequest { records: wire.clone(), behind: 100_000, ..Default::default() };
    let later = station.deliver(backlog.clone()).await.unwrap_err();
    assert_eq!(later.code(), Code::ResourceExhausted, "{later}");
    let hint = later.metadata().get("retry-after-ms").unwrap().to_str().unwrap();
    assert!(hint.parse::<u64>().unwrap() > 0, "{hint}");
    assert_eq!(cloud.cloud.store.overview().await.unwrap().taps, 0);
    for behind in [0, 999] {
        let live = v1::DeliverRequest { records: wire.clone(), behind, ..Default::default() };
        station.deliver(live).await.unwrap();
    }
    drop(places);
    let answer = station.deliver(backlog).await.unwrap().into_inner();
    assert_eq!(answer.marks[0].next_sequence, 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_stations_that_return_at_once_take_turns_and_all_arrive() {
    const STATIONS: usize = 24;
    let cloud = TestCloud::start().await;
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let returning = (0..STATIONS).map(|number| {
        let (cloud, now, most) = (Arc::clone(&cloud.cloud), Arc::clone(&now), Arc::clone(&most));
        tokio::spawn(async move {
            let mut gate = Gate::entry(&format!("s{number}"));
            for waiting in [5000, 3000, 1000] {
                let place = loop {
                    match cloud.intakes.admit(waiting) {
                        Ok(place) => break place,
                        Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                    }
                };
                assert!(place.is_some());
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                let mut pass = |_| gate.pass(RiderId::random(), BEGIN, face(), PassageOutcome::Passed);
                let records = (0..20).flat_map(&mut pass).collect();
                cloud.intakes.deliver(&gate.station, records).await.unwrap();
                now.fetch_sub(1, Ordering::SeqCst);
            }
        })
    });
    let returning: Vec<_> = returning.collect();
    let mut live = Gate::entry("live");
    while !returning.iter().all(tokio::task::JoinHandle::is_finished) {
        let pass = live.pass(RiderId::random(), BEGIN, face(), PassageOutcome::Passed);
        deliver(&cloud, "live", pass.into()).await.expect("live traffic is never refused");
    }
    for station in returning {
        station.await.unwrap();
    }
    let most = most.load(Ordering::SeqCst);
    assert!((1..=4).contains(&most), "{most} backlogs were taken in at a time");
    let taps = cloud.cloud.store.overview().await.unwrap().taps;
    assert_eq!(taps, (STATIONS * 60) as u64 + live.next / 2);
}
