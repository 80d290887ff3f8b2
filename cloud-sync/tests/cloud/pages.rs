//! The pages of staff in a real browser, against the real cloud.

use facegate_domain::Timestamp;
use facegate_domain::ids::RiderId;
use facegate_domain::ledger::Account;
use facegate_proto::v1;
use serde_json::{Value, json};

use crate::audit::{passages, without};
use crate::harness::{BEGIN, OPERATOR, OPERATOR_PASSWORD, SECOND_OPERATOR, TestCloud};
use crate::intake::deliver;
use crate::journeys::ride;
use crate::refunds::paid_ride;
use crate::rides::{from_nowhere, items, trips};
use crate::riding::Gate;
use crate::run::drive;

/// What every script is given, and more.
fn given(cloud: &TestCloud, more: &Value) -> Value {
    let mut given = json!({"base": cloud.web_uri(), "operator": OPERATOR, "second": SECOND_OPERATOR,
        "password": OPERATOR_PASSWORD});
    let more = more.as_object().unwrap().clone();
    given.as_object_mut().unwrap().extend(more);
    given
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn held_rides_and_waivers_are_decided_about() {
    let cloud = TestCloud::start().await;
    let [charged, dropped, rider] = [1, 2, 3].map(|n| RiderId::from_bytes([n; 16]));
    ride(&cloud, rider, BEGIN).await;
    from_nowhere(&cloud, &[charged, dropped]).await;
    trips(&cloud, rider, |trips| trips.len() == 1 && items(&trips[0]) == [400]).await;
    let both = async || (cloud.cloud.store.held_rides(None, 9).await.unwrap().len() == 2).then_some(());
    cloud.eventually("both are held", both).await;
    let title = |rider: RiderId| format!("{rider} – click to copy");
    let more = json!({"charged": title(charged), "dropped": title(dropped)});
    drive("cloud/rides.mjs", &given(&cloud, &more)).await;
    assert_eq!(items(&trips(&cloud, charged, |trips| !trips[0].items.is_empty()).await[0]), [250]);
    trips(&cloud, rider, |trips| items(&trips[0]) == [400, -400]).await;
    let kept = cloud.cloud.store.waivers().await.unwrap();
    assert_eq!(kept.len(), 2, "{kept:?}");
    let withdrawn = kept.iter().find(|kept| kept.waiver.reason == "new year").unwrap();
    assert_eq!(withdrawn.waiver.until, withdrawn.waiver.from);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_person_asks_for_a_refund_and_another_approves_it() {
    let cloud = TestCloud::start().await;
    let (rider, _) = paid_ride(&cloud).await;
    drive("cloud/refunds.mjs", &given(&cloud, &json!({ "rider": rider.to_string() }))).await;
    let balance = cloud.cloud.store.balance(Account::Wallet(rider), "CNY".parse().unwrap()).await.unwrap();
    assert_eq!(balance.minor(), -5000, "all of it is back in the wallet");
    let remedies = cloud.cloud.store.remedies_of(rider).await.unwrap();
    let by = remedies[0].decided_by().map(str::to_owned);
    assert_eq!((remedies.len(), by), (1, Some(format!("operator/{SECOND_OPERATOR}"))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finance_matches_a_day_and_closes_it() {
    let cloud = TestCloud::start().await;
    paid_ride(&cloud).await;
    let unpaid = cloud.enrol("somebody else").await;
    let unpaid: RiderId = unpaid.parse().unwrap();
    ride(&cloud, unpaid, BEGIN.plus(std::time::Duration::from_secs(7200))).await;
    trips(&cloud, unpaid, |trips| trips.len() == 1).await;
    cloud.cloud.auditor.round().await.unwrap();
    drive("cloud/books.mjs", &given(&cloud, &json!({ "day": "2026-11-18" }))).await;
    let audit = cloud.cloud.store.audit_entries(0, 1000).await.unwrap();
    assert!(audit.iter().any(|line| line.action == "books.close" && line.actor == format!("operator/{OPERATOR}")));
}

/// What a station says of itself with everything in it that the page shows.
fn status(now: Timestamp) -> v1::StationStatus {
    let gate = |name: &str, kind: &str, fault: &str| v1::GateReport {
        gate: name.into(),
        connected: true,
        last_seen_unix_ms: now.unix_ms(),
        certificate_ends_unix_ms: now.plus(std::time::Duration::from_secs(20 * 86_400)).unix_ms(),
        status: Some(v1::GateStatus {
            direction: v1::Direction::Entry.into(),
            mode: "development".into(),
            kind: kind.into(),
            fault: fault.into(),
            face_passages: 1234,
            code_passages: 56,
            refusals: vec![
                v1::RefusalCount { reason: "presentation_attack".into(), count: 7 },
                v1::RefusalCount { reason: "no_match".into(), count: 31 },
            ],
            decision_ms_p50: 180.0,
            decision_ms_p99: 420.0,
            software_version: "0.1.0".into(),
            journal_epoch: 1,
            journal_next_sequence: 20,
            ..Default::default()
        }),
    };
    let tier = v1::TierReport { tier: "city".into(), riders: 3_000_000, decisions: 1234, ..Default::default() };
    v1::StationStatus {
        gates: vec![gate("north-in", "gate", ""), gate("north-camera", "camera", "no picture for 9 s")],
        templates: 3_000_000,
        in_system: 1,
        backlog: 12,
        journal_waiting_percent: 71,
        journal_days_left: Some(2.5),
        tiers: vec![tier],
        recognises: true,
        software_version: "0.1.0".into(),
        mode: "normal".into(),
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operations_and_the_audit_show_what_is_there_and_what_is_missing() {
    let cloud = TestCloud::start().await;
    paid_ride(&cloud).await;
    let records = passages(&mut Gate::entry("north"), 10);
    deliver(&cloud, "north", without(&records, &[3, 4, 18])).await.unwrap();
    let now = facegate_domain::Clock::now(cloud.clock.as_ref());
    cloud.station("north").report(status(now)).await.unwrap();
    // Once somebody opens the gate, it says that it did, a little later than the page has shown that it waits.
    let given = given(&cloud, &json!({ "day": "2026-11-18" }));
    let mut looked = Box::pin(drive("cloud/ops.mjs", &given));
    // As long as the script takes, which has limits of its own.
    let told = async {
        loop {
            if let Some(told) = cloud.cloud.store.latest_acts().await.unwrap().pop() {
                break told;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let told = tokio::select! {
        told = told => told,
        answer = &mut looked => panic!("nobody opened it: {answer}"),
    };
    assert_eq!((told.act.by, told.act.reason.as_str()), (format!("operator/{OPERATOR}"), "a pram"));
    tokio::time::sleep(std::time::Duration::from_millis(2500)).await;
    let mut opened = status(facegate_domain::Clock::now(cloud.clock.as_ref()));
    let gate = opened.gates[0].status.as_mut().unwrap();
    (gate.order_id, gate.order_outcome) = (told.act.id, "opened".to_owned());
    cloud.station("north").report(opened).await.unwrap();
    looked.await;
}
