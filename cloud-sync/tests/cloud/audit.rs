//! The end-of-day audit: what is missing is asked for, comes back or is called lost, and finance reads all of it.

use std::time::Duration;

use facegate_cloud_sync::store::AuditedDay;
use facegate_domain::ids::RiderId;
use facegate_domain::tap::{GateRecord, PassageOutcome};
use facegate_proto::v1;
use facegate_runtime::disk::{Disk, RealDisk};
use facegate_runtime::kv::KvOptions;
use jiff::civil::{Date, date};

use crate::browser::{Browser, problem};
use crate::harness::{BEGIN, OPERATOR, OPERATOR_PASSWORD, TestCloud};
use crate::intake::deliver;
use crate::riding::{Gate, face};

/// The travel day of `BEGIN`, which is at 11:06 UTC.
const DAY: Date = date(2026, 11, 18);

/// `count` riders pass, two records each.
pub fn passages(gate: &mut Gate, count: usize) -> Vec<GateRecord> {
    (0..count).flat_map(|_| gate.pass(RiderId::random(), BEGIN, face(), PassageOutcome::Passed)).collect()
}

pub fn without(records: &[GateRecord], missing: &[u64]) -> Vec<GateRecord> {
    records.iter().filter(|record| !missing.contains(&record.id.sequence)).cloned().collect()
}

fn only(records: &[GateRecord], wanted: &[u64]) -> Vec<GateRecord> {
    records.iter().filter(|record| wanted.contains(&record.id.sequence)).cloned().collect()
}

/// The station reports: it handed everything below `next` on, and we acknowledged it. Gives what is asked for.
async fn report(cloud: &TestCloud, next: u64) -> Vec<(u64, u64)> {
    let gate = || "north-in".to_owned();
    let status = v1::GateStatus { journal_epoch: 1, journal_next_sequence: next, ..Default::default() };
    let journal = v1::StationJournal { gate: gate(), epoch: 1, next_sequence: next, acknowledged_next_sequence: next };
    let now = facegate_domain::Clock::now(cloud.clock.as_ref()).unix_ms();
    let seen = v1::GateReport {
        gate: gate(),
        status: Some(status),
        connected: true,
        last_seen_unix_ms: now,
        ..Default::default()
    };
    let status = v1::StationStatus { gates: vec![seen], journals: vec![journal], ..Default::default() };
    let answer = cloud.station("north").report(status).await.unwrap().into_inner();
    answer.missing.iter().map(|range| (range.first, range.last)).collect()
}

async fn not_held(cloud: &TestCloud, first: u64, last: u64) {
    let not_held = vec![v1::JournalRange { gate: "north-in".into(), epoch: 1, first, last }];
    cloud.station("north").deliver(v1::DeliverRequest { not_held, ..Default::default() }).await.unwrap();
}

/// To the hour after the day's end, and an audit.
async fn close(cloud: &TestCloud) {
    cloud.clock.advance(Duration::from_secs(19 * 3600));
    cloud.cloud.auditor.round().await.unwrap();
}

async fn stored(cloud: &TestCloud) -> Vec<AuditedDay> {
    let gate = Gate::entry("north").gate;
    cloud.cloud.store.audited(&gate, 1, DAY).await.unwrap()
}

/// Revision, records here, records expected, missing spans, re-fetched, lost.
fn told(line: &AuditedDay) -> (u32, u64, u64, Vec<(u64, u64)>, u64, u64) {
    let found = &line.found;
    let missing = found.missing.iter().map(|span| (span.first, span.last)).collect();
    (line.revision, found.count, found.expected, missing, found.refetched, found.lost)
}

#[tokio::test]
async fn what_is_missing_is_asked_for_and_each_change_of_a_closed_day_is_a_revision() {
    let cloud = TestCloud::start().await;
    let records = passages(&mut Gate::entry("north"), 10);
    deliver(&cloud, "north", without(&records, &[3, 4, 9, 18, 19])).await.unwrap();
    assert_eq!(report(&cloud, 20).await, [(3, 4), (9, 9), (18, 19)], "inside and at the end");
    cloud.cloud.auditor.round().await.unwrap();
    assert!(stored(&cloud).await.is_empty(), "the day is not over");
    let open = cloud.cloud.auditor.report(DAY).await.unwrap();
    assert!(open.preliminary);
    assert_eq!(told(&open.lines[0]), (0, 15, 20, vec![(3, 4), (9, 9), (18, 19)], 0, 0));

    deliver(&cloud, "north", only(&records, &[4, 19])).await.unwrap();
    close(&cloud).await;
    assert_eq!(told(&stored(&cloud).await[0]), (1, 17, 20, vec![(3, 3), (9, 9), (18, 18)], 2, 0));
    assert_eq!(report(&cloud, 20).await, [(3, 3), (9, 9), (18, 18)], "until it comes");

    not_held(&cloud, 9, 9).await;
    not_held(&cloud, 5, 5).await;
    assert_eq!(report(&cloud, 20).await, [(3, 3), (18, 18)], "what nobody holds is not asked for every second");
    deliver(&cloud, "north", only(&records, &[3, 18])).await.unwrap();
    assert_eq!(report(&cloud, 20).await, []);
    cloud.cloud.auditor.round().await.unwrap();
    cloud.cloud.auditor.round().await.unwrap();
    let lines = stored(&cloud).await;
    assert_eq!(lines.len(), 2, "a round that finds nothing new is no revision");
    assert_eq!(told(&lines[0]).1, 17, "what was printed stays");
    assert_eq!(told(&lines[1]), (2, 19, 20, vec![(9, 9)], 4, 1));
    assert_eq!((lines[1].found.taps, lines[1].found.passages_unknown), (9, 1));

    // A day later it is asked for again: an old disk may have come back.
    cloud.clock.advance(Duration::from_secs(25 * 3600));
    assert_eq!(report(&cloud, 20).await, [(9, 9)]);
    deliver(&cloud, "north", only(&records, &[9])).await.unwrap();
    cloud.cloud.auditor.round().await.unwrap();
    let last = stored(&cloud).await.pop().unwrap();
    assert_eq!(told(&last), (3, 20, 20, vec![], 5, 0));
    assert_eq!((last.found.taps, last.found.passages_unknown), (10, 0));
}

#[tokio::test]
async fn records_deleted_behind_its_back_are_found_by_the_audit_and_come_back() {
    let cloud = TestCloud::start().await;
    let records = passages(&mut Gate::entry("north"), 10);
    deliver(&cloud, "north", records.clone()).await.unwrap();
    assert_eq!(report(&cloud, 20).await, []);
    let cloud = cloud
        .restart_after(|dir| {
            let options = KvOptions { cache_bytes: 1 << 20, flush_every_ms: None, syncs: true };
            let core = RealDisk.database(&dir.join("state/core"), options).unwrap();
            for sequence in [6_u64, 7, 19] {
                let key = [b"record/north-in\0".as_slice(), &1u32.to_be_bytes(), &sequence.to_be_bytes()].concat();
                assert!(core.root().contains(&key).unwrap());
                core.root().remove(key).unwrap();
            }
            futures::executor::block_on(core.commit()).unwrap();
        })
        .await;
    close(&cloud).await;
    assert_eq!(told(&stored(&cloud).await[0]), (1, 17, 20, vec![(6, 7), (19, 19)], 0, 0));
    assert_eq!(report(&cloud, 20).await, [(6, 7), (19, 19)]);
    let answer = deliver(&cloud, "north", only(&records, &[6, 7, 19])).await.unwrap();
    assert_eq!(answer.marks[0].next_sequence, 20);
    cloud.cloud.auditor.round().await.unwrap();
    assert_eq!(told(&stored(&cloud).await[1]), (2, 20, 20, vec![], 3, 0));
    assert_eq!(cloud.cloud.store.overview().await.unwrap().taps, 10, "nothing counts twice");
}

#[tokio::test]
async fn an_old_epochs_audit_stays_and_what_the_old_hardware_holds_may_come_later() {
    let cloud = TestCloud::start().await;
    let old = passages(&mut Gate::entry("north"), 5);
    deliver(&cloud, "north", old[..6].to_vec()).await.unwrap();
    let new = passages(&mut Gate::entry("north"), 2).into_iter().map(|mut record| {
        record.id.epoch = 2;
        record
    });
    deliver(&cloud, "north", new.collect()).await.unwrap();
    close(&cloud).await;
    let report = cloud.cloud.auditor.report(DAY).await.unwrap();
    let lines: Vec<_> = report.lines.iter().map(|line| (line.found.epoch, line.found.count)).collect();
    assert_eq!((lines, report.preliminary), (vec![(1, 6), (2, 4)], false));
    // Weeks later somebody connects the old hardware.
    cloud.clock.advance(Duration::from_secs(30 * 86_400));
    deliver(&cloud, "north", old[6..].to_vec()).await.unwrap();
    cloud.cloud.auditor.round().await.unwrap();
    let report = cloud.cloud.auditor.report(DAY).await.unwrap();
    let lines: Vec<_> = report.lines.iter().map(|line| (line.revision, line.found.epoch, line.found.count)).collect();
    assert_eq!(lines, [(2, 1, 10), (1, 2, 4)]);
    assert_eq!(cloud.cloud.store.overview().await.unwrap().taps, 7);
}

#[tokio::test]
async fn finance_reads_a_page_and_a_file_behind_the_operators_sign_in() {
    let cloud = TestCloud::start().await;
    let records = passages(&mut Gate::entry("north"), 10);
    deliver(&cloud, "north", without(&records, &[3, 4])).await.unwrap();
    report(&cloud, 20).await;
    let mut browser = Browser::new(&cloud);
    let path = format!("/ops/audit/{DAY}");
    assert_eq!(browser.get(&path).await.status(), 303, "to the sign-in");
    browser.sign_in(OPERATOR, OPERATOR_PASSWORD).await;
    let page = browser.get(&path).await.text().await.unwrap();
    assert!(page.contains("2 records missing") && page.contains("has not been closed yet"), "{page}");
    close(&cloud).await;
    browser.sign_in(OPERATOR, OPERATOR_PASSWORD).await;
    let page = browser.get(&path).await.text().await.unwrap();
    assert!(page.contains("<b>north-in</b> epoch 1: 3-4") && !page.contains("has not been closed yet"), "{page}");
    assert!(!page.contains("{") && !page.contains("style=") && !page.contains("<script"), "{page}");
    let file = browser.get(&format!("{path}.csv")).await;
    assert_eq!(file.headers()["content-type"], "text/csv; charset=utf-8");
    let text = file.text().await.unwrap();
    let line = text.lines().nth(1).unwrap();
    assert!(
        line.starts_with("2026-11-18,north-in,1,1,") && line.ends_with(",0,19,18,20,2,3-4,0,0,8,1,0,false"),
        "{line}"
    );
    let latest = browser.get("/ops/audit").await;
    assert_eq!(latest.headers()["location"], path.as_str());
    assert_eq!(problem(browser.get("/ops/audit/yesterday").await).await, (404, "no_such_day".into()));
    let empty = browser.get("/ops/audit/2020-01-01").await.text().await.unwrap();
    assert!(empty.contains("rel=\"next\""));
    let to_come = browser.get("/ops/audit/9000-01-01").await.text().await.unwrap();
    assert!(to_come.contains("rel=\"prev\"") && !to_come.contains("rel=\"next\""), "{to_come}");
    assert!(empty.contains("No gate wrote anything"), "{empty}");
}
