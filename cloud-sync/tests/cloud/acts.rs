//! What a person does at a gate from the page of operations: told once, with his name, and what came of it is shown.

use std::time::Duration;

use axum::http::StatusCode;
use facegate_domain::Clock;
use facegate_domain::gate::GateMode;
use facegate_domain::ids::GateId;
use facegate_domain::operation::OrderKind;
use facegate_proto::v1;
use facegate_proto::v1::instruct_request::Instruction;
use facegate_proto::v1::ops_service_client::OpsServiceClient;
use facegate_runtime::identity::Role;
use serde_json::{Value, json};

use crate::browser::{App, Browser, leads_to, problem};
use crate::harness::{OPERATOR, OPERATOR_PASSWORD, SECOND_OPERATOR, TestCloud};
use crate::operation::instruct;

async fn staff(cloud: &TestCloud, name: &str) -> Browser {
    let mut browser = Browser::new(cloud);
    browser.sign_in(name, OPERATOR_PASSWORD).await;
    browser
}

/// The station tells of its gate and of its camera; `said` is what the gate says of modes and orders.
pub async fn report(cloud: &TestCloud, connected: bool, said: v1::GateStatus) {
    let now = cloud.clock.now().unix_ms();
    let gate = |name: &str, status: v1::GateStatus| v1::GateReport {
        gate: name.into(),
        connected,
        last_seen_unix_ms: now,
        certificate_ends_unix_ms: 0,
        status: Some(status),
    };
    let camera = v1::GateStatus { kind: "camera".into(), ..Default::default() };
    let gates = vec![gate("north-in", v1::GateStatus { kind: "gate".into(), ..said }), gate("north-camera", camera)];
    let status = v1::StationStatus { gates, mode: "normal".into(), ..Default::default() };
    cloud.station("north").report(status).await.unwrap();
}

fn mode(mode: &str) -> v1::GateStatus {
    v1::GateStatus { gate_mode: mode.into(), ..Default::default() }
}

fn outcome(id: &str, outcome: &str) -> v1::GateStatus {
    v1::GateStatus { order_id: id.into(), order_outcome: outcome.into(), ..mode("normal") }
}

const ACTS: &str = "/ops/gates/north-in/acts";

async fn act(browser: &Browser, form: &str) -> Value {
    let answer = browser.post(ACTS, form).await;
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    assert_eq!(status, StatusCode::ACCEPTED, "{text}");
    serde_json::from_str(&text).unwrap()
}

/// What the overview says of the gate's last act.
async fn came_of(browser: &Browser) -> (String, String) {
    let overview: Value = browser.get("/ops/overview.json").await.json().await.unwrap();
    let act = &overview["stations"][0]["gates"][0]["act"];
    (act["state"].as_str().unwrap_or_default().to_owned(), act["said"].as_str().unwrap_or_default().to_owned())
}

async fn audited(cloud: &TestCloud) -> Vec<(String, String)> {
    let lines = cloud.cloud.store.audit_entries(0, 1000).await.unwrap();
    let acts = lines.into_iter().filter(|line| line.action.starts_with("gates."));
    acts.map(|line| (line.actor, format!("{} {}", line.action, line.subject))).collect()
}

#[tokio::test]
async fn a_gate_is_opened_once_by_a_person_however_often_the_form_comes() {
    let cloud = TestCloud::start().await;
    report(&cloud, true, mode("normal")).await;
    let browser = staff(&cloud, OPERATOR).await;
    assert_eq!(came_of(&browser).await, (String::new(), String::new()), "nobody did anything");
    let form = "order=o-1&what=open_once&reason=a+pram";
    let told = act(&browser, form).await;
    let by = format!("operator/{OPERATOR}");
    assert_eq!((&told["what"], &told["by"], &told["state"]), (&json!("open_once"), &json!(by), &json!("waits")));
    let gate = GateId::new("north-in").unwrap();
    let order = async || cloud.cloud.store.instructions().await.unwrap().of_gate(&gate).order.unwrap();
    let first = order().await;
    assert_eq!((first.id.as_str(), first.what), ("o-1", OrderKind::OpenOnce));
    let head = *cloud.cloud.store.head().borrow();
    cloud.clock.advance(Duration::from_secs(5));
    assert_eq!(act(&browser, form).await["at"], told["at"], "the button twice");
    assert_eq!((order().await, *cloud.cloud.store.head().borrow()), (first, head), "nothing is told again");
    assert_eq!(audited(&cloud).await, [(by.clone(), "gates.order north-in open_once o-1: a pram".to_owned())]);

    report(&cloud, true, outcome("o-1", "begun")).await;
    assert_eq!(came_of(&browser).await.0, "waits");
    report(&cloud, true, outcome("o-1", "opened")).await;
    assert_eq!(came_of(&browser).await, ("done".into(), "opened".into()));

    // Another one takes its place, and the first form once more changes nothing of that.
    act(&browser, "order=o-2&what=restart&reason=slow").await;
    let second = order().await;
    assert_eq!(second.what, OrderKind::Restart);
    act(&browser, form).await;
    assert_eq!(order().await, second);
    report(&cloud, true, outcome("o-2", "refused: somebody is passing")).await;
    assert_eq!(came_of(&browser).await, ("refused".into(), "refused: somebody is passing".into()));

    let other = browser.post(ACTS, "order=o-1&what=restart&reason=slow").await;
    assert_eq!(problem(other).await, (409, "order_used".into()));
    let colleague = staff(&cloud, SECOND_OPERATOR).await;
    assert_eq!(problem(colleague.post(ACTS, form).await).await, (409, "order_used".into()), "another person's form");
    assert_eq!(audited(&cloud).await.len(), 2);
}

#[tokio::test]
async fn an_order_to_a_gate_that_is_away_says_until_when_it_waits_and_is_over_then() {
    let cloud = TestCloud::start().await;
    report(&cloud, false, mode("normal")).await;
    let browser = staff(&cloud, OPERATOR).await;
    let told = act(&browser, "order=o-1&what=open_once&reason=a+pram").await;
    assert_eq!(told["state"], "offline");
    assert!(told["said"].as_str().unwrap().contains("within 60 s, otherwise never"), "{told}");
    cloud.clock.advance(Duration::from_secs(61));
    report(&cloud, true, mode("normal")).await;
    assert_eq!(came_of(&browser).await.0, "over");
    report(&cloud, true, outcome("o-1", "expired")).await;
    let (state, said) = came_of(&browser).await;
    assert_eq!((state.as_str(), said.contains("too late")), ("over", true), "{said}");
}

#[tokio::test]
async fn a_mode_holds_from_when_the_gate_says_so_and_an_old_form_does_not_bring_it_back() {
    let cloud = TestCloud::start().await;
    report(&cloud, true, mode("normal")).await;
    let browser = staff(&cloud, OPERATOR).await;
    let closed = "order=m-1&what=mode&mode=closed&reason=a+leak";
    assert_eq!(act(&browser, closed).await["state"], "waits");
    report(&cloud, false, mode("normal")).await;
    assert_eq!(came_of(&browser).await.0, "offline");
    report(&cloud, true, mode("closed")).await;
    assert_eq!(came_of(&browser).await, ("done".into(), "in force".into()));
    let ended = act(&browser, "order=m-2&what=mode&mode=none&reason=repaired").await;
    assert_eq!((&ended["mode"], &ended["state"]), (&json!("none"), &json!("waits")));
    act(&browser, closed).await;
    let told = cloud.cloud.store.instructions().await.unwrap().of_gate(&GateId::new("north-in").unwrap());
    assert_eq!(told.mode, GateMode::Normal, "it came again and holds no more");
    let lines = audited(&cloud).await;
    assert_eq!(lines[0].1, "gates.mode north-in closed: a leak");
    assert_eq!(lines[1].1, "gates.mode north-in none of its own: repaired");

    // What is told over gRPC is seen as well.
    let mut ops = OpsServiceClient::new(cloud.channel(Role::Operator, "ada"));
    let until_unix_ms = cloud.clock.now().unix_ms() + 60_000;
    let order = v1::GateOrder { gate: "north-in".into(), id: "g-1".into(), what: "open_once".into(), until_unix_ms };
    let version = instruct(&mut ops, Instruction::GateOrder(order.clone())).await.unwrap();
    let again = v1::GateOrder { until_unix_ms: until_unix_ms + 5_000, ..order.clone() };
    assert_eq!(instruct(&mut ops, Instruction::GateOrder(again)).await.unwrap(), version, "once");
    let other = v1::GateOrder { what: "restart".into(), ..order };
    let refused = instruct(&mut ops, Instruction::GateOrder(other)).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::AlreadyExists, "{refused}");
    assert_eq!(came_of(&browser).await.0, "waits");
}

#[tokio::test]
async fn what_cannot_be_told_is_refused_with_the_field_and_nothing_is_done() {
    let cloud = TestCloud::start().await;
    report(&cloud, true, mode("normal")).await;
    let browser = staff(&cloud, OPERATOR).await;
    let long = format!("order=o&what=open_once&reason={}", "x".repeat(401));
    for (form, field) in [
        ("order=o&what=open_once&reason=+", "reason"),
        ("order=o&what=open_once&reason=a%0Ab", "reason"),
        (long.as_str(), "reason"),
        ("order=&what=open_once&reason=x", "id"),
        ("order=o%00&what=open_once&reason=x", "id"),
        ("order=o&what=explode&reason=x", "what"),
        ("order=o&what=mode&reason=x", "mode"),
        ("order=o&what=mode&mode=ajar&reason=x", "mode"),
        ("order=o&what=mode&mode=fault&reason=x", "mode"),
        ("order=o&what=restart&mode=closed&reason=x", "mode"),
        ("order=o&what=open_once&reason=x&until=9", "until"),
        ("", "order"),
    ] {
        let answer = browser.post(ACTS, form).await;
        assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY, "{form}");
        let said: Value = answer.json().await.unwrap();
        assert!(said["detail"].as_str().unwrap().contains(field), "{form}: {said}");
    }
    let good = "order=o&what=open_once&reason=x";
    for (gate, expected) in [("nowhere", (404, "unknown_gate")), ("north-camera", (422, "bad_field"))] {
        let answer = browser.post(&format!("/ops/gates/{gate}/acts"), good).await;
        assert_eq!(problem(answer).await, (expected.0, expected.1.to_owned()), "{gate}");
    }
    let foreign = browser.post_from(Some("https://evil.example"), ACTS, good).await;
    assert_eq!(problem(foreign).await, (403, "cross_origin".into()));
    let nobody = Browser::new(&cloud);
    assert_eq!(leads_to(&nobody.post(ACTS, good).await), (StatusCode::SEE_OTHER, Some("/sign-in")));
    let app = App::new(&cloud).send("POST", ACTS, Some("application/x-www-form-urlencoded"), good.as_bytes()).await;
    assert_eq!(problem(app).await, (403, "cross_origin".into()), "an app's key is no person's");
    assert_eq!(audited(&cloud).await, []);
    assert!(cloud.cloud.store.latest_acts().await.unwrap().is_empty());
}
