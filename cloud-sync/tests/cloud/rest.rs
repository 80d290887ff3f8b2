//! The enrolment API as an app that speaks REST sees it.

use std::time::Duration;

use facegate_domain::ids::RiderId;
use reqwest::header::LOCATION;
use serde_json::{Value, json};

use crate::browser::{App, problem};
use crate::harness::{BEGIN, TestCloud};
use crate::journeys::ride;

const ROUTES: [(&str, &str); 26] = [
    ("delete", "/v1/riders/{id}"),
    ("delete", "/v1/riders/{id}/consents/{purpose}"),
    ("delete", "/v1/riders/{id}/instruments/{instrument}"),
    ("get", "/v1/erasures/{id}"),
    ("get", "/v1/riders/{id}/debts"),
    ("get", "/v1/riders/{id}/instruments"),
    ("get", "/v1/riders/{id}/receipts/{journey}"),
    ("get", "/v1/riders/{id}/refunds"),
    ("get", "/v1/riders/{id}/terms"),
    ("get", "/v1/riders/{id}/trips"),
    ("get", "/v1/riders/{id}/wallet"),
    ("post", "/v1/riders"),
    ("post", "/v1/riders/{id}/code-certificates"),
    ("post", "/v1/riders/{id}/consents"),
    ("post", "/v1/riders/{id}/coupons"),
    ("post", "/v1/riders/{id}/debts/payments"),
    ("post", "/v1/riders/{id}/faces"),
    ("post", "/v1/riders/{id}/instruments"),
    ("post", "/v1/riders/{id}/passes"),
    ("post", "/v1/riders/{id}/wallet/top-ups"),
    ("post", "/v1/riders/{id}/wallet/withdrawals"),
    ("put", "/v1/riders/{id}/account"),
    ("put", "/v1/riders/{id}/category"),
    ("put", "/v1/riders/{id}/instrument-order"),
    ("put", "/v1/riders/{id}/page-password"),
    ("put", "/v1/riders/{id}/receipts/{journey}/missing-end"),
];

async fn new_rider(app: &App) -> String {
    let created = app.call("POST", "/v1/riders", json!({"display_name": "Ada"}), 201).await;
    created["rider_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_description_lists_every_route_and_every_route_wants_a_key() {
    let cloud = TestCloud::start().await;
    let nobody = App::with_key(&cloud, None);
    let document = nobody.call("GET", "/openapi.json", Value::Null, 200).await;
    assert_eq!(document["openapi"], "3.1.0");
    assert_eq!(document["components"]["securitySchemes"]["api_key"]["scheme"], "bearer");
    assert_eq!(document["security"], json!([{"api_key": []}]));
    let mut listed = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            listed.push((method.clone(), path.clone()));
            assert_eq!(operation["security"], Value::Null, "the key is asked for by the document as a whole");
            let refusals = &operation["responses"]["default"]["content"]["application/problem+json"]["schema"];
            assert_eq!(refusals["$ref"], "#/components/schemas/Problem", "{method} {path}");
        }
    }
    listed.sort();
    assert_eq!(listed, ROUTES.map(|(method, path)| (method.to_owned(), path.to_owned())));

    let stranger = App::with_key(&cloud, Some("fgk_made-up"));
    for (method, path) in ROUTES {
        let path = ["{id}", "{journey}", "{instrument}"]
            .iter()
            .fold(path.to_owned(), |path, part| path.replace(part, &RiderId::random().to_string()));
        assert_eq!(problem(nobody.send(method, &path, None, b"").await).await, (401, "no_api_key".into()));
        assert_eq!(problem(stranger.send(method, &path, None, b"").await).await, (401, "unknown_api_key".into()));
    }
    assert_references_resolve(&document, &document);
}

fn assert_references_resolve(document: &Value, part: &Value) {
    match part {
        Value::Object(fields) => {
            if let Some(reference) = fields.get("$ref") {
                let pointer = reference.as_str().unwrap().trim_start_matches('#');
                assert!(document.pointer(pointer).is_some(), "{reference}");
            }
            fields.values().for_each(|field| assert_references_resolve(document, field));
        }
        Value::Array(items) => items.iter().for_each(|item| assert_references_resolve(document, item)),
        _ => {}
    }
}

#[tokio::test]
async fn a_rider_from_the_first_call_to_the_last() {
    let cloud = TestCloud::start().await;
    let app = App::new(&cloud);
    let answer = app.send("POST", "/v1/riders", Some("application/json"), br#"{"display_name":"Ada"}"#).await;
    let location = answer.headers()[LOCATION].to_str().unwrap().to_owned();
    let created: Value = answer.json().await.unwrap();
    let rider = created["rider_id"].as_str().unwrap().to_owned();
    assert_eq!(location, format!("/v1/riders/{rider}"));
    let at = |rest: &str| format!("/v1/riders/{rider}/{rest}");

    let consent = json!({"purpose": "recognition", "text_version": "2026-11", "channel": "app"});
    let consent = app.call("POST", &at("consents"), consent, 201).await;
    assert_eq!(consent["recorded_at"], "2026-11-18T11:06:40.000Z");
    let face = app.send("POST", &at("faces"), Some("image/jpeg"), b"ada").await;
    assert_eq!(face.status(), 201);
    let face: Value = face.json().await.unwrap();
    assert!(face["feed_version"].as_u64().unwrap() > 0 && face["template_id"].as_str().unwrap().len() == 36);
    app.call("PUT", &at("account"), json!({"kind": "acquirer", "token": "tok_ok_1"}), 204).await;
    let key = json!({"phone_key": "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="});
    let certified = app.call("POST", &at("code-certificates"), key, 201).await;
    assert!(certified["certificate"].as_str().unwrap().len() > 100);
    assert_eq!(certified["expires_at"], "2026-11-25T11:06:40.000Z");

    let id: RiderId = rider.parse().unwrap();
    ride(&cloud, id, BEGIN).await;
    cloud.clock.advance(Duration::from_secs(3600));
    cloud
        .eventually("a settled trip", async || (!cloud.cloud.store.trips(id).await.unwrap().is_empty()).then_some(()))
        .await;
    let trips = app.call("GET", &at("trips"), Value::Null, 200).await;
    let journey = trips["trips"][0]["journey_id"].as_str().unwrap().to_owned();
    let receipt = app.call("GET", &at(&format!("receipts/{journey}")), Value::Null, 200).await;
    assert_eq!((&receipt["entry_station"], &receipt["exit_station"]), (&json!("north"), &json!("south")));
    assert_eq!(receipt["entered_at"], "2026-11-18T11:06:40.000Z");
    assert_eq!((&receipt["fare"]["total_minor"], &receipt["fare"]["currency"]), (&json!(400), &json!("CNY")));
    assert_eq!(
        receipt["fare"]["lines"][0],
        json!({"rule": "distance over 6 km", "quantity": "7 km", "amount_minor": 400})
    );

    // The station that delivered the taps never asked for the feed, so none may know the face.
    let erased = app.call("DELETE", &format!("/v1/riders/{rider}"), Value::Null, 200).await;
    assert_eq!((&erased["final"], &erased["outstanding_stations"]), (&json!(true), &json!([])));
    let path = format!("/v1/erasures/{}", erased["erasure_id"].as_str().unwrap());
    assert_eq!(app.call("GET", &path, Value::Null, 200).await, erased);
    let gone = app.send("GET", &at("trips"), None, b"").await;
    assert_eq!(problem(gone).await, (410, "erased_rider".into()));
    let audit = cloud.cloud.store.audit_entries(0, 100).await.unwrap();
    assert!(audit.iter().any(|line| line.action == "rider.erase" && line.actor == "integrator/metro-app"));
}

#[tokio::test]
async fn bad_input_is_refused_with_a_problem_that_says_what_to_do() {
    const JSON: Option<&str> = Some("application/json");
    const JPEG: Option<&str> = Some("image/jpeg");
    let cloud = TestCloud::start().await;
    let app = App::new(&cloud);
    let rider = new_rider(&app).await;
    let (nobody, huge) = (RiderId::random(), vec![b'x'; 20_001]);
    let (long, padded) = (format!("{{\"display_name\":\"{}\"}}", "x".repeat(101)), vec![b' '; 17_000]);
    let mine = |rest: &str| format!("/v1/riders/{rider}/{rest}");
    let consent = br#"{"purpose":"marketing","text_version":"1","channel":"app"}"#;
    let card = br#"{"kind":"acquirer","token":"4111111111111111"}"#;
    type Case<'a> = (&'static str, String, Option<&'static str>, &'a [u8], u16, &'static str);
    let cases: [Case<'_>; 28] = [
        ("POST", "/v1/riders".into(), JSON, b"{", 400, "invalid_json"),
        ("POST", "/v1/riders".into(), JSON, b"", 400, "invalid_json"),
        ("POST", "/v1/riders".into(), JSON, b"\xff\xfe", 400, "invalid_json"),
        ("POST", "/v1/riders".into(), JSON, b"{}", 422, "invalid_body"),
        ("POST", "/v1/riders".into(), JSON, br#"{"display_name":"Ada","vip":true}"#, 422, "invalid_body"),
        ("POST", "/v1/riders".into(), JSON, br#"{"display_name":7}"#, 422, "invalid_body"),
        ("POST", "/v1/riders".into(), JSON, br#"{"display_name":" "}"#, 422, "bad_field"),
        ("POST", "/v1/riders".into(), JSON, long.as_bytes(), 422, "bad_field"),
        ("POST", "/v1/riders".into(), JSON, &padded, 413, "too_large"),
        ("POST", "/v1/riders".into(), None, br#"{"display_name":"Ada"}"#, 415, "wrong_content_type"),
        ("GET", "/v1/riders".into(), None, b"", 405, "method_not_allowed"),
        ("GET", "/v1/nothing".into(), None, b"", 404, "no_such_route"),
        ("GET", "/v1/riders/ada/trips".into(), None, b"", 400, "invalid_id"),
        ("GET", "/v1/riders/%ff/trips".into(), None, b"", 400, "invalid_id"),
        ("GET", format!("/v1/riders/{nobody}/trips"), None, b"", 404, "unknown_rider"),
        ("GET", mine("receipts/1"), None, b"", 400, "invalid_id"),
        ("GET", mine(&format!("receipts/{nobody}")), None, b"", 404, "unknown_journey"),
        ("GET", format!("/v1/erasures/{nobody}"), None, b"", 404, "unknown_erasure"),
        ("POST", mine("consents"), JSON, consent, 422, "bad_field"),
        ("POST", mine("faces"), JPEG, b"a face", 409, "consent_missing"),
        ("POST", mine("faces"), Some("image/gif"), b"GIF89a", 415, "wrong_content_type"),
        ("POST", mine("faces"), None, b"a face", 415, "wrong_content_type"),
        ("POST", mine("faces"), JPEG, &huge, 413, "too_large"),
        ("POST", mine("faces"), JSON, br#"{"photographs":["?"]}"#, 422, "bad_field"),
        ("PUT", mine("account"), JSON, card, 422, "card_number"),
        ("PUT", mine("account"), JSON, br#"{"kind":"wallet","card":"1"}"#, 422, "invalid_body"),
        ("PUT", mine("page-password"), JSON, br#"{"password":"short"}"#, 422, "bad_password"),
        ("POST", mine("code-certificates"), JSON, br#"{"phone_key":"AAAA"}"#, 422, "bad_field"),
    ];
    for (method, path, kind, body, status, code) in cases {
        let answer = app.send(method, &path, kind, body).await;
        let said = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
        assert_eq!(problem(answer).await, (status, code.to_owned()), "{method} {path} {said}");
    }
}

#[tokio::test]
async fn a_photograph_without_a_face_and_a_second_enrolment_are_refused() {
    let cloud = TestCloud::start().await;
    let app = App::new(&cloud);
    cloud.enrol("ada").await;
    let rider = new_rider(&app).await;
    let consent = json!({"purpose": "recognition", "text_version": "2026-11", "channel": "app"});
    app.call("POST", &format!("/v1/riders/{rider}/consents"), consent, 201).await;
    let faces = format!("/v1/riders/{rider}/faces");
    for (photograph, status, code) in [("nobody on it", 422, "no_face"), ("ada", 409, "already_enrolled")] {
        let answer = app.send("POST", &faces, Some("image/png"), photograph.as_bytes()).await;
        assert_eq!(problem(answer).await, (status, code.to_owned()));
    }
}

#[tokio::test]
async fn several_photographs_make_one_template_and_one_that_will_not_do_is_named() {
    let cloud = TestCloud::start().await;
    let app = App::new(&cloud);
    let rider = new_rider(&app).await;
    let consent = json!({"purpose": "recognition", "text_version": "2026-11", "channel": "app"});
    app.call("POST", &format!("/v1/riders/{rider}/consents"), consent, 201).await;
    let faces = format!("/v1/riders/{rider}/faces");
    // "ada", "nobody" and "bea" in base64.
    for (photographs, code, said) in [
        (json!([]), "photograph_count", "0 photographs"),
        (json!(["YWRh", "YWRh", "bm9ib2R5"]), "no_face", "photograph 3"),
        (json!(["YWRh", "YmVh", "YWRh"]), "photographs_differ", "photograph 2"),
    ] {
        let refused = app.call("POST", &faces, json!({ "photographs": photographs }), 422).await;
        assert_eq!(refused["code"], code);
        assert!(refused["detail"].as_str().unwrap().contains(said), "{refused}");
    }
    app.call("POST", &faces, json!({"photographs": ["YWRh", "YWRh", "YWRh"]}), 201).await;
    let templates = cloud.cloud.store.templates(None, 9).await.unwrap();
    assert_eq!(templates.iter().map(|template| template.photographs).collect::<Vec<_>>(), [3]);
}
