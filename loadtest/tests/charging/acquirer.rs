//! The sandbox acquirer by itself, spoken to as a stranger would.

use std::net::SocketAddr;

use facegate_runtime::http;
use facegate_runtime::identity::Role;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Operator, Sandbox};

struct Caller {
    client: reqwest::Client,
    address: SocketAddr,
}

impl Caller {
    fn new(operator: &Operator, role: Role, address: SocketAddr) -> Self {
        let client = http::client(&operator.identity(role), Role::Acquirer).build().unwrap();
        Self { client, address }
    }

    async fn post(&self, path: &str, key: Option<&str>, body: &Value) -> (StatusCode, Value) {
        let mut request = self.client.post(format!("https://{}{path}", self.address)).json(body);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        let response = request.send().await.unwrap();
        let status = response.status();
        (status, serde_json::from_str(&response.text().await.unwrap()).unwrap_or(Value::Null))
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        let response = self.client.get(format!("https://{}{path}", self.address)).send().await.unwrap();
        (response.status(), response.text().await.unwrap())
    }
}

fn asked(amount_minor: i64) -> Value {
    json!({ "token": "tok_ok_1", "amount_minor": amount_minor, "currency": "CNY" })
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_is_one_request_also_after_a_restart() {
    let operator = Operator::new();
    let sandbox = Sandbox::open(&operator, None).await;
    let cloud = Caller::new(&operator, Role::Cloud, sandbox.address);
    let (status, first) = cloud.post("/v1/authorisations", Some("k1"), &asked(300)).await;
    assert_eq!((status, &first["status"]), (StatusCode::OK, &json!("authorised")));
    let id = first["authorisation"].as_str().unwrap();
    let capture = format!("/v1/authorisations/{id}/capture");
    let whole = json!({ "amount_minor": 300, "currency": "CNY" });
    assert_eq!(cloud.post(&capture, Some("k1"), &whole).await.1["status"], json!("captured"));

    let address = sandbox.close().await;
    let sandbox = Sandbox::open(&operator, Some(address)).await;
    let (status, again) = cloud.post("/v1/authorisations", Some("k1"), &asked(300)).await;
    assert_eq!((status, &again["authorisation"]), (StatusCode::OK, &first["authorisation"]));
    let (status, other) = cloud.post("/v1/authorisations", Some("k1"), &asked(301)).await;
    assert_eq!((status, &other["error"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("key_reused")));
    let (status, twice) = cloud.post(&capture, Some("k2"), &whole).await;
    assert_eq!((status, &twice["error"]), (StatusCode::CONFLICT, &json!("already_done")));

    let (_, found) = cloud.get("/v1/charges?key=k1").await;
    assert_eq!(serde_json::from_str::<Value>(&found).unwrap()["status"], json!("captured"));
    assert_eq!(cloud.get("/v1/charges?key=k9").await.0, StatusCode::NOT_FOUND);
    let (_, settlement) = cloud.get("/v1/settlement").await;
    let lines: Vec<Value> = settlement.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 1);
    assert_eq!((&lines[0]["key"], &lines[0]["amount_minor"]), (&json!("k1"), &json!(300)));
    assert_eq!(sandbox.statistics().await.charges.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_is_refused_and_does_nothing() {
    let operator = Operator::new();
    let sandbox = Sandbox::open(&operator, None).await;
    let cloud = Caller::new(&operator, Role::Cloud, sandbox.address);
    for (key, body, status) in [
        (None, asked(300), StatusCode::BAD_REQUEST),
        (Some(""), asked(300), StatusCode::BAD_REQUEST),
        (Some("k1"), asked(0), StatusCode::UNPROCESSABLE_ENTITY),
        (Some("k1"), json!({ "token": "tok_ok_1" }), StatusCode::UNPROCESSABLE_ENTITY),
        (Some("k1"), json!({ "token": "x".repeat(20_000) }), StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        assert_eq!(cloud.post("/v1/authorisations", key, &body).await.0, status, "{key:?}");
    }
    let body = json!({ "amount_minor": 1, "currency": "CNY" });
    let (status, _) = cloud.post("/v1/authorisations/auth_zoo/capture", Some("k1"), &body).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(sandbox.statistics().await.charges.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_cloud_moves_money_and_a_monitor_only_counts() {
    let operator = Operator::new();
    let sandbox = Sandbox::open(&operator, None).await;
    for role in [Role::Gate, Role::Station, Role::Integrator, Role::Monitor] {
        let caller = Caller::new(&operator, role, sandbox.address);
        assert_eq!(caller.post("/v1/authorisations", Some("k1"), &asked(300)).await.0, StatusCode::FORBIDDEN, "{role}");
        assert_eq!(caller.get("/v1/settlement").await.0, StatusCode::FORBIDDEN, "{role}");
        let statistics = if role == Role::Monitor { StatusCode::OK } else { StatusCode::FORBIDDEN };
        assert_eq!(caller.get("/v1/statistics").await.0, statistics, "{role}");
    }
    let ca = operator.folder.path().join("tls/ca.pem");
    let stranger = http::client_without_identity(&ca).unwrap().build().unwrap();
    assert!(stranger.get(format!("https://{}/v1/statistics", sandbox.address)).send().await.is_err());
    assert!(sandbox.statistics().await.charges.is_empty());
}
