//! The pages in the hands of people: signing in, being kept out, and what the pages are given to show.

use std::time::Duration;

use axum::http::StatusCode;
use facegate_cloud_sync::store::ErasureId;
use facegate_domain::ids::RiderId;
use reqwest::header::{RETRY_AFTER, SET_COOKIE};
use serde_json::{Value, json};

use crate::browser::{App, Browser, leads_to, problem};
use crate::harness::{BEGIN, OPERATOR, OPERATOR_PASSWORD, TestCloud};
use crate::journeys::ride;

const SEE_OTHER: StatusCode = StatusCode::SEE_OTHER;

async fn operator(cloud: &TestCloud) -> Browser {
    let mut browser = Browser::new(cloud);
    let answer = browser.sign_in(OPERATOR, OPERATOR_PASSWORD).await;
    assert_eq!(leads_to(&answer), (SEE_OTHER, Some("/ops")));
    browser
}

#[tokio::test]
async fn without_a_session_there_is_only_the_sign_in() {
    let cloud = TestCloud::start().await;
    let mut browser = Browser::new(&cloud);
    for cookie in [None, Some("__Host-facegate=made-up".to_owned())] {
        browser.cookie = cookie;
        for page in ["/", "/ops", "/me"] {
            assert_eq!(leads_to(&browser.get(page).await), (SEE_OTHER, Some("/sign-in")), "{page}");
        }
        for data in ["/ops/overview.json", "/me/overview.json"] {
            assert_eq!(problem(browser.get(data).await).await, (401, "not_signed_in".into()));
        }
    }
}

#[tokio::test]
async fn an_operator_signs_in_sees_the_overview_and_signs_out() {
    let cloud = TestCloud::start().await;
    let mut browser = Browser::new(&cloud);
    let answer = browser.sign_in(OPERATOR, OPERATOR_PASSWORD).await;
    let cookie = answer.headers()[SET_COOKIE].to_str().unwrap();
    assert!(cookie.starts_with("__Host-facegate="), "{cookie}");
    assert!(cookie.ends_with("; Path=/; Secure; HttpOnly; SameSite=Strict"), "{cookie}");

    assert!(browser.get("/ops").await.text().await.unwrap().contains("<h1>Operations"));
    let overview: Value = browser.get("/ops/overview.json").await.json().await.unwrap();
    assert_eq!((&overview["ledger_balanced"], &overview["stations"]), (&json!(true), &json!([])));
    assert_eq!(leads_to(&browser.get("/").await).1, Some("/ops"));
    assert_eq!(leads_to(&browser.get("/me").await).1, Some("/ops"), "an operator is no rider");
    assert_eq!(problem(browser.get("/me/overview.json").await).await, (403, "wrong_account".into()));
    let audit = cloud.cloud.store.audit_entries(0, 100).await.unwrap();
    assert!(audit.iter().any(|line| line.action == "session.begin" && line.actor == format!("operator/{OPERATOR}")));

    assert_eq!(leads_to(&browser.post("/sign-out", "").await), (SEE_OTHER, Some("/sign-in")));
    assert_eq!(browser.get("/ops/overview.json").await.status(), 401, "the old cookie is worth nothing");
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_name_look_alike() {
    let cloud = TestCloud::start().await;
    let mut browser = Browser::new(&cloud);
    let mut answers = Vec::new();
    let rider = RiderId::random().to_string();
    for (name, password) in [(OPERATOR, "wrong"), ("nobody", OPERATOR_PASSWORD), (&rider, OPERATOR_PASSWORD)] {
        let answer = browser.sign_in(name, password).await;
        assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
        assert!(answer.headers().get(SET_COOKIE).is_none());
        answers.push(answer.text().await.unwrap());
    }
    assert!(answers[0].contains("The name or the password is wrong."));
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    for form in ["", "name=a", "name=a&password=b&admin=1", &format!("name={}&password=b", "x".repeat(5000))] {
        assert_eq!(browser.post("/sign-in", form).await.status(), StatusCode::BAD_REQUEST, "{form:.30}");
    }
}

#[tokio::test]
async fn whoever_guesses_has_to_wait() {
    let cloud = TestCloud::start().await;
    let mut browser = Browser::new(&cloud);
    for _ in 0..3 {
        assert_eq!(browser.sign_in(OPERATOR, "a guess").await.status(), StatusCode::UNAUTHORIZED);
    }
    let refused = browser.sign_in(OPERATOR, OPERATOR_PASSWORD).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS, "also the right one, now");
    assert_eq!(refused.headers()[RETRY_AFTER], "300");
    cloud.clock.advance(Duration::from_secs(300));
    assert_eq!(browser.sign_in(OPERATOR, OPERATOR_PASSWORD).await.status(), SEE_OTHER);
}

#[tokio::test]
async fn what_another_site_sends_is_refused() {
    let cloud = TestCloud::start().await;
    let form = format!("name={OPERATOR}&password={OPERATOR_PASSWORD}");
    for mut browser in [Browser::new(&cloud), Browser::over_http1(&cloud)] {
        assert_eq!(browser.sign_in(OPERATOR, OPERATOR_PASSWORD).await.status(), SEE_OTHER);
        for origin in [None, Some("null"), Some("https://evil.example"), Some("https://127.0.0.1:1")] {
            for (path, form) in [("/sign-in", form.as_str()), ("/sign-out", "")] {
                let refused = browser.post_from(origin, path, form).await;
                assert_eq!(problem(refused).await, (403, "cross_origin".into()), "{origin:?} {path}");
            }
        }
        assert_eq!(browser.get("/ops").await.status(), StatusCode::OK, "still signed in");
    }
}

#[tokio::test]
async fn a_session_ends_when_nobody_uses_it() {
    let cloud = TestCloud::start().await;
    let browser = operator(&cloud).await;
    cloud.clock.advance(Duration::from_secs(1799));
    assert_eq!(browser.get("/ops").await.status(), StatusCode::OK);
    cloud.clock.advance(Duration::from_secs(1801));
    assert_eq!(leads_to(&browser.get("/ops").await), (SEE_OTHER, Some("/sign-in")));
}

#[tokio::test]
async fn a_page_is_made_of_our_own_files_alone_and_the_browser_is_told_so() {
    let cloud = TestCloud::start().await;
    let browser = operator(&cloud).await;
    let pages = [browser.get("/ops").await, browser.get("/sign-in").await];
    for page in pages {
        let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
        assert!(policy.starts_with("default-src 'none'; script-src 'self';") && !policy.contains("unsafe"), "{policy}");
        for (name, value) in [("x-content-type-options", "nosniff"), ("cache-control", "no-store")] {
            assert_eq!(page.headers()[name], value);
        }
        let html = page.text().await.unwrap();
        assert!(!html.contains("<style") && !html.contains("style=") && !html.contains("onclick"));
        let files: Vec<&str> = ["src=\"", "href=\"/"].iter().flat_map(|mark| html.split(mark).skip(1)).collect();
        assert!(files.len() >= 3);
        for file in files.iter().map(|rest| rest.split('"').next().unwrap()) {
            let path = format!("/{}", file.trim_start_matches('/'));
            let answer = browser.get(&path).await;
            let to_its_latest = leads_to(&answer).1.is_some_and(|to| to.starts_with(&format!("{path}/")));
            assert!(answer.status() == StatusCode::OK || to_its_latest, "{path}");
        }
    }
}

#[tokio::test]
async fn a_rider_sees_his_own_trips_with_the_rule_that_priced_them() {
    let cloud = TestCloud::start().await;
    let (app, rider) = (App::new(&cloud), cloud.enrol("ada").await);
    let id: RiderId = rider.parse().unwrap();
    app.call("PUT", &format!("/v1/riders/{rider}/page-password"), json!({"password": "ada-ada-ada"}), 204).await;
    app.call("PUT", &format!("/v1/riders/{rider}/account"), json!({"kind": "wallet", "top_up_minor": 5000}), 204).await;
    ride(&cloud, id, BEGIN).await;
    ride(&cloud, cloud.enrol("somebody else").await.parse().unwrap(), BEGIN).await;
    cloud.clock.advance(Duration::from_secs(3600));
    cloud
        .eventually("a settled trip", async || (!cloud.cloud.store.trips(id).await.unwrap().is_empty()).then_some(()))
        .await;

    let mut browser = Browser::new(&cloud);
    assert_eq!(leads_to(&browser.sign_in(&rider, "ada-ada-ada").await), (SEE_OTHER, Some("/me")));
    assert!(browser.get("/me").await.text().await.unwrap().contains("My trips"));
    let text = browser.get("/me/overview.json").await.text().await.unwrap();
    assert!(!text.contains(&rider), "{text}");
    let me: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(me["rider"], format!("••••{}", &rider[rider.len() - 4..]));
    assert_eq!((&me["face_enrolled"], &me["consents"][0]["purpose"]), (&json!(true), &json!("recognition")));
    assert_eq!(me["account"]["kind"], "wallet");
    let trips = me["trips"].as_array().unwrap();
    assert_eq!(trips.len(), 1);
    let fare = &trips[0]["fare"];
    assert_eq!((&fare["total_minor"], &fare["lines"][0]["rule"]), (&json!(400), &json!("distance over 6 km")));
    assert_eq!(problem(browser.get("/ops/overview.json").await).await, (403, "wrong_account".into()));
}

#[tokio::test]
async fn a_new_password_and_an_erasure_end_a_riders_sessions() {
    let cloud = TestCloud::start().await;
    let (app, rider) = (App::new(&cloud), cloud.enrol("ada").await);
    let password = format!("/v1/riders/{rider}/page-password");
    let mut browser = Browser::new(&cloud);
    app.call("PUT", &password, json!({"password": "the first one"}), 204).await;
    assert_eq!(browser.sign_in(&rider, "the+first+one").await.status(), SEE_OTHER);
    assert_eq!(browser.get("/me/overview.json").await.status(), StatusCode::OK);

    app.call("PUT", &password, json!({"password": "another one"}), 204).await;
    assert_eq!(browser.get("/me/overview.json").await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(browser.sign_in(&rider, "the+first+one").await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(browser.sign_in(&rider, "another+one").await.status(), SEE_OTHER);

    // By the store itself, as gRPC does it: the page notices.
    cloud.cloud.store.erase_rider(ErasureId::random(), rider.parse().unwrap(), BEGIN).await.unwrap();
    assert_eq!(problem(browser.get("/me/overview.json").await).await, (401, "not_signed_in".into()));
    assert_eq!(browser.sign_in(&rider, "another+one").await.status(), StatusCode::UNAUTHORIZED);
}
