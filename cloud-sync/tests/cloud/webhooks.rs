//! The address that acquirers send their webhooks to, spoken to by strangers.

use facegate_cloud_sync::signature::{HEADER, SharedSecret};
use facegate_domain::Clock;
use facegate_runtime::http::client_without_identity;
use serde_json::json;

use crate::browser::problem;
use crate::harness::{TestCloud, WEBHOOK_SECRET};

async fn post(cloud: &TestCloud, path: &str, signature: Option<String>, body: Vec<u8>) -> reqwest::Response {
    let http = client_without_identity(&cloud.dir.path().join("tls/ca.pem")).unwrap().build().unwrap();
    let request = http.post(format!("{}{path}", cloud.web_uri())).body(body);
    let request = match signature {
        Some(signature) => request.header(HEADER, signature),
        None => request,
    };
    request.send().await.unwrap()
}

#[tokio::test]
async fn only_signed_events_about_our_own_charges_are_taken() {
    let cloud = TestCloud::start().await;
    let secret = SharedSecret::new(WEBHOOK_SECRET).unwrap();
    let signed = |body: &[u8]| Some(secret.sign(cloud.clock.now(), body));
    let event = |kind: &str| {
        let key = format!("facegate-{}", uuid::Uuid::new_v4());
        json!({ "id": "e1", "type": kind, "key": key, "amount_minor": 4, "currency": "CNY" }).to_string().into_bytes()
    };
    let body = event("charge.captured");
    let refused = async |path: &str, signature: Option<String>, body: Vec<u8>| {
        problem(post(&cloud, path, signature, body).await).await
    };
    let here = "/webhooks/cards";
    assert_eq!(refused("/webhooks/nobody", signed(&body), body.clone()).await, (404, "no_such_webhook".into()));
    assert_eq!(refused(here, None, body.clone()).await, (401, "bad_signature".into()));
    assert_eq!(refused(here, Some("t=1,v1=00".into()), body.clone()).await, (401, "bad_signature".into()));
    assert_eq!(refused(here, signed(b"{}"), b"{}".to_vec()).await, (400, "malformed".into()));
    assert_eq!(refused(here, signed(&body), body.clone()).await, (404, "unknown_charge".into()));
    let large = vec![b' '; 65 * 1024];
    assert_eq!(refused(here, signed(&large), large.clone()).await, (413, "too_large".into()));
    let weather = event("weather.changed");
    let taken = post(&cloud, here, signed(&weather), weather.clone()).await;
    assert_eq!(taken.status(), 200);
    assert_eq!(taken.json::<serde_json::Value>().await.unwrap(), json!({ "taken": "ignored" }));
    assert!(cloud.cloud.store.entries(0, 10).await.unwrap().is_empty());
}
