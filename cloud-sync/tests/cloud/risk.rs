//! Taps looked at for risk: a list outside that names a rider, one that is silent, and limits of what is paid by face.

use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use facegate_cloud_sync::risk::blacklist::{BlacklistConfig, Reference};
use facegate_cloud_sync::risk::{FaceOnly, Risk, RiskConfig};
use facegate_cloud_sync::signature::SharedSecret;
use facegate_cloud_sync::store::GateReport;
use facegate_domain::Clock;
use facegate_domain::ids::{RiderId, StationId};
use facegate_domain::risk::{Limit, Measure, RiskRules, RuleName};
use facegate_domain::tap::{PassageOutcome, Tap};
use facegate_proto::convert::sync::FeedChange;
use facegate_runtime::http::{self, ServerTls};
use facegate_runtime::identity::Role;
use tokio_util::sync::CancellationToken;

use crate::harness::{BEGIN, TestCloud};
use crate::riding::{Gate, face, ride_code};

const SECRET: &str = "a-secret-of-the-test";

type Asked = Arc<Mutex<Vec<serde_json::Value>>>;

/// Names one rider, keeps silent about another for too long, knows nobody else.
#[derive(Debug, Clone)]
struct List {
    asked: Asked,
    listed: String,
    slow: String,
}

async fn answer(State(list): State<List>, Json(asked): Json<serde_json::Value>) -> Json<serde_json::Value> {
    let rider = asked["rider"].as_str().unwrap().to_owned();
    list.asked.lock().unwrap().push(asked);
    if rider == list.slow {
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
    Json(serde_json::json!({ "listed": rider == list.listed, "reason": "reported stolen" }))
}

async fn risk(cloud: &TestCloud, config: RiskConfig) -> Arc<Risk> {
    let (store, clock) = (Arc::clone(&cloud.cloud.store), cloud.clock.clone() as Arc<dyn Clock>);
    let (currency, days) = (cloud.cloud.config.fares.currency(), cloud.cloud.config.audit.days.clone());
    Risk::open(store, clock, config, currency, days, Duration::from_secs(1)).unwrap().unwrap()
}

/// One entry, which is in the store.
async fn enter(cloud: &TestCloud, gate: &mut Gate, rider: RiderId, second: u64, by_code: bool) -> Tap {
    let evidence = if by_code { ride_code(u8::try_from(second % 251).unwrap()) } else { face() };
    let at = BEGIN.plus(Duration::from_secs(second));
    let records = gate.pass(rider, at, evidence, PassageOutcome::Passed);
    let tap = Tap::once_passed(&records[0]).unwrap();
    cloud.cloud.store.record_taps(records.into(), cloud.clock.now()).await.unwrap();
    tap
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_outside_is_asked_with_hashes_and_one_that_is_silent_stops_nobody() {
    let cloud = TestCloud::start().await;
    let [listed, slow, calm] = [1, 2, 3].map(|n| RiderId::from_bytes([n; 16]));
    let secret = SharedSecret::new(SECRET).unwrap();
    let hash = |rider| Reference::of(&secret, rider, None).rider;
    let list = List { asked: Asked::default(), listed: hash(listed), slow: hash(slow) };
    let asked = Arc::clone(&list.asked);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://127.0.0.1:{}/ask", listener.local_addr().unwrap().port()).parse().unwrap();
    let tls = ServerTls::without_client_certificates(&cloud.identity(Role::Acquirer, "list"));
    let stop = CancellationToken::new();
    let router = Router::new().route("/ask", post(answer)).with_state(list);
    let served = tokio::spawn(http::serve(listener, router, tls, stop.clone()));

    let ca = cloud.dir.path().join("tls/ca.pem");
    let blacklist =
        Some(BlacklistConfig { url, secret: secret.clone(), ca, answer_within: Duration::from_millis(400) });
    let rules = RiskRules { blacklisted: Some(Measure::Deny), ..RiskRules::default() };
    let risk = risk(&cloud, RiskConfig { rules, blacklist, face_only: FaceOnly::default() }).await;
    let mut gate = Gate::entry("north");
    for (second, rider) in [(0, calm), (1, slow), (2, listed)] {
        let tap = enter(&cloud, &mut gate, rider, second, false).await;
        let decision = risk.look(&tap).await.unwrap();
        assert_eq!(decision.is_some(), rider == listed);
        let again = risk.look(&tap).await.unwrap();
        assert_eq!(again, decision, "the same tap, the same decision");
    }
    let store = &cloud.cloud.store;
    for (rider, denied) in [(calm, false), (slow, false), (listed, true)] {
        assert_eq!(store.is_denied(rider).await.unwrap(), denied);
    }
    let log = store.risk_log(10).await.unwrap();
    assert_eq!(log.len(), 1);
    assert_eq!((log[0].findings[0].rule, log[0].findings[0].saw.as_str()), (RuleName::Blacklisted, "reported stolen"));
    let sent = serde_json::to_string(&*asked.lock().unwrap()).unwrap();
    assert!([listed, slow, calm].iter().all(|rider| !sent.contains(&rider.to_string())), "no id leaves");
    stop.cancel();
    served.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stations_are_told_who_has_paid_enough_by_face_alone_today() {
    let cloud = TestCloud::start().await;
    let rider = RiderId::from_bytes([4; 16]);
    let face_only = FaceOnly { rides_per_day: Some(2), amount_minor_per_day: None };
    let risk = risk(&cloud, RiskConfig { rules: RiskRules::default(), blacklist: None, face_only }).await;
    let intake = risk.intake();
    let stop = CancellationToken::new();
    let running = tokio::spawn(Arc::clone(&risk).run(stop.clone()));
    let store = &cloud.cloud.store;
    let capped = async || {
        let (changes, _) = store.changes_after(0, 1000).await.unwrap().unwrap();
        changes.into_iter().find_map(|change| match change.change {
            FeedChange::FaceCapped { rider, until } => Some((rider, until)),
            _ => None,
        })
    };
    let mut gate = Gate::entry("north");
    for (second, by_code) in [(0, true), (10, false), (20, true)] {
        enter(&cloud, &mut gate, rider, second, by_code).await;
        intake.taps_came();
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(capped().await, None, "one by face");
    enter(&cloud, &mut gate, rider, 30, false).await;
    intake.taps_came();
    let (who, until) = cloud.eventually("stations are told", capped).await;
    let days = &cloud.cloud.config.audit.days;
    assert_eq!((who, until), (rider, days.end(days.of(BEGIN))), "until the travel day ends");
    let snapshot = store.snapshot_page(None, 1000, cloud.clock.now()).await.unwrap();
    assert!(snapshot.facts.contains(&FeedChange::FaceCapped { rider, until }), "a station that comes later knows too");
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attacks_that_gates_have_refused_are_counted_by_gate_and_station() {
    let cloud = TestCloud::start().await;
    let limit = |most, then| (Duration::from_secs(600), Limit { most, then });
    let rules = RiskRules {
        gate_attacks: Some(limit(2, Measure::AskCode)),
        station_attacks: Some(limit(4, Measure::Log)),
        ..RiskRules::default()
    };
    let risk = risk(&cloud, RiskConfig { rules, blacklist: None, face_only: FaceOnly::default() }).await;
    let (mut gate, now) = (Gate::entry("north"), cloud.clock.now());
    let gate_id = gate.gate.to_string();
    let reported = async |gate: &str, attacks: u64, at| {
        let report = serde_json::json!({
            "gate": gate, "connected": true, "last_seen": now, "kind": "gate", "direction": null, "mode": "production",
            "face_passages": 0, "code_passages": 0, "backlog": 0, "decision_ms_p50": 0.0, "decision_ms_p99": 0.0,
            "refusals": [{ "reason": "presentation_attack", "count": attacks }, { "reason": "blurred", "count": 99 }],
            "fault": "", "software_version": "",
        });
        let report: GateReport = serde_json::from_value(report).unwrap();
        risk.intake().reported(&StationId::new("north").unwrap(), &[report], at).await.unwrap();
    };
    let mut met = async |second| {
        let tap = enter(&cloud, &mut gate, RiderId::random(), second, false).await;
        let decision = risk.look(&tap).await.unwrap();
        decision.map_or(Vec::new(), |decision| decision.findings.iter().map(|finding| finding.rule).collect())
    };
    reported(&gate_id, 100, now).await;
    assert_eq!(met(0).await, [], "what was before is not lately");
    reported(&gate_id, 103, now).await;
    assert_eq!(met(1).await, [RuleName::GateAttacks]);
    reported("another", 7, now).await;
    reported("another", 9, now).await;
    assert_eq!(met(2).await, [RuleName::GateAttacks, RuleName::StationAttacks]);
    // Started anew, it counts from nothing; and the window passes, with the ten seconds that are kept as one number.
    reported(&gate_id, 1, now).await;
    cloud.clock.advance(Duration::from_secs(611));
    assert_eq!(met(3).await, []);
}
