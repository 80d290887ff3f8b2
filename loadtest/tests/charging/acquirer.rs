//! The sandbox acquirer by itself, spoken to as a stranger would.

use std::net::SocketAddr;
use std::time::Duration;

use facegate_cloud_sync::charging::acquirer::{Acquirer, Trouble};
use facegate_domain::charge::{AcquirerToken, Answer, Call, Decline, Found, IdempotencyKey};
use facegate_domain::money::Money;
use facegate_loadtest::acquirer::Faults;
use facegate_runtime::http;
use facegate_runtime::identity::Role;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::harness::{Operator, Sandbox, client};

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
    let today = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let (_, settlement) = cloud.get(&format!("/v1/settlement?date={today}")).await;
    let lines: Vec<&str> = settlement.lines().collect();
    assert!(lines.len() == 3 && lines[1].contains(",k1,300,1,"), "{settlement}");
    assert_eq!(cloud.get("/v1/settlement").await.0, StatusCode::BAD_REQUEST, "of which day?");
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
        assert_eq!(caller.get("/v1/settlement?date=2026-11-30").await.0, StatusCode::FORBIDDEN, "{role}");
        let statistics = if role == Role::Monitor { StatusCode::OK } else { StatusCode::FORBIDDEN };
        assert_eq!(caller.get("/v1/statistics").await.0, statistics, "{role}");
    }
    let ca = operator.folder.path().join("tls/ca.pem");
    let stranger = http::client_without_identity(&ca).unwrap().build().unwrap();
    assert!(stranger.get(format!("https://{}/v1/statistics", sandbox.address)).send().await.is_err());
    assert!(sandbox.statistics().await.charges.is_empty());
}

fn cny(minor: i64) -> Money {
    Money::from_minor(minor, "CNY".parse().unwrap())
}

/// The cloud's adapter over every call there is.
#[tokio::test(flavor = "multi_thread")]
async fn the_adapter_authorises_captures_in_part_refunds_and_voids() {
    let operator = Operator::new();
    let sandbox = Sandbox::open(&operator, None).await;
    let client = client(&operator, sandbox.address);
    let authorise = async |key: &IdempotencyKey, token: &str| {
        let token = AcquirerToken::new(token).unwrap();
        client.make(&Call::Authorise { key: key.clone(), token, amount: cny(900) }).await
    };
    let key = IdempotencyKey::new("k1");
    let Ok(Answer::Authorised(authorisation)) = authorise(&key, "tok_ok_1").await else { panic!("not authorised") };
    let capture = Call::Capture { key: key.clone(), authorisation: authorisation.clone(), amount: cny(400) };
    assert_eq!(client.make(&capture).await, Ok(Answer::Captured));
    assert_eq!(client.make(&capture).await, Ok(Answer::Captured), "the same key again is the same capture");
    let captured = Found::Captured { authorisation: authorisation.clone() };
    assert_eq!(client.find(&key, cny(900)).await, Ok(captured));
    assert!(client.find(&key, cny(901)).await.is_err(), "another amount is no answer");

    let refund = |name: &str, minor| Call::Refund {
        key: IdempotencyKey::new(name),
        of: key.clone(),
        authorisation: authorisation.clone(),
        amount: cny(minor),
    };
    assert_eq!(client.make(&refund("r1", 150)).await, Ok(Answer::Refunded));
    assert_eq!(client.make(&refund("r1", 150)).await, Ok(Answer::Refunded));
    assert!(matches!(client.make(&refund("r2", 251)).await, Err(Trouble::NoAnswer(_))), "more than is left");
    assert_eq!(client.find(&IdempotencyKey::new("r1"), cny(150)).await, Ok(Found::Refunded));
    assert_eq!(client.find(&IdempotencyKey::new("r2"), cny(251)).await, Ok(Found::Nothing));
    let of_token = sandbox.of_token("tok_ok_1").await;
    assert_eq!((of_token.captured_minor, of_token.refunded_minor), (400, 150));

    let other = IdempotencyKey::new("k2");
    let Ok(Answer::Authorised(authorisation)) = authorise(&other, "tok_ok_1").await else { panic!("not authorised") };
    assert_eq!(client.make(&Call::Void { key: other.clone(), authorisation }).await, Ok(Answer::Voided));
    assert_eq!(client.find(&other, cny(900)).await, Ok(Found::Voided));
    for (token, decline) in
        [("tok_declined_1", Decline::soft("do_not_honour")), ("tok_declined_hard_1", Decline::hard("stolen_card"))]
    {
        let key = IdempotencyKey::new(token);
        assert_eq!(authorise(&key, token).await, Ok(Answer::Declined(decline.clone())));
        assert_eq!(client.find(&key, cny(900)).await, Ok(Found::Declined(decline)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_capture_that_is_taken_on_is_pending_until_it_is_done() {
    let operator = Operator::new();
    let sandbox = Sandbox::open(&operator, None).await;
    let client = client(&operator, sandbox.address);
    for (token, ends) in [("tok_slow_1", true), ("tok_slow_returned_1", false)] {
        let (key, token) = (IdempotencyKey::new(token), AcquirerToken::new(token).unwrap());
        let asked = client.make(&Call::Authorise { key: key.clone(), token, amount: cny(900) }).await;
        let Ok(Answer::Authorised(authorisation)) = asked else { panic!("{asked:?}") };
        let capture = Call::Capture { key: key.clone(), authorisation: authorisation.clone(), amount: cny(900) };
        assert_eq!(client.make(&capture).await, Ok(Answer::Pending));
        let pending = Found::Pending { authorisation: authorisation.clone() };
        let mut found = client.find(&key, cny(900)).await.unwrap();
        for _ in 0..100 {
            if found != pending {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
            found = client.find(&key, cny(900)).await.unwrap();
        }
        let expected =
            if ends { Found::Captured { authorisation } } else { Found::Declined(Decline::soft("returned")) };
        assert_eq!(found, expected);
    }
}

/// Whatever is answered, the work is done once.
#[tokio::test(flavor = "multi_thread")]
async fn answers_that_fail_are_silent_or_cut_off_settle_nothing_and_a_query_does() {
    let operator = Operator::new();
    for (number, faults) in [
        Faults { fail_after: 1.0, ..Faults::default() },
        Faults { silent_after: 1.0, ..Faults::default() },
        Faults { cut_after: 1.0, ..Faults::default() },
    ]
    .into_iter()
    .enumerate()
    {
        let sandbox = Sandbox::with(&operator, None, faults, None).await;
        let client = client(&operator, sandbox.address);
        let (key, token) = (IdempotencyKey::new(format!("k{number}")), AcquirerToken::new("tok_ok_1").unwrap());
        let made = client.make(&Call::Authorise { key: key.clone(), token, amount: cny(900) }).await;
        assert!(matches!(made, Err(Trouble::NoAnswer(_))), "{number}: {made:?}");
        let found = client.find(&key, cny(900)).await;
        assert!(matches!(found, Ok(Found::Authorised { .. })), "{number}: {found:?}");
        sandbox.close().await;
    }
    let down = Faults { refuse_before: 1.0, ..Faults::default() };
    let sandbox = Sandbox::with(&operator, None, down, None).await;
    let (key, token) = (IdempotencyKey::new("k9"), AcquirerToken::new("tok_ok_1").unwrap());
    let made = client(&operator, sandbox.address).make(&Call::Authorise { key, token, amount: cny(900) }).await;
    assert!(matches!(made, Err(Trouble::NoAnswer(_))), "{made:?}");
    assert_eq!(sandbox.statistics().await.charges.len(), 3, "nothing was done while it was down");
}
