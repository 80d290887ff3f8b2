//! Money given back on the pages of staff, as finance meets it: four eyes, two browsers at once, more than is left, a
//! stolen session.

use axum::http::StatusCode;
use facegate_domain::ids::RiderId;
use facegate_domain::ledger::Account;
use reqwest::Response;
use serde_json::{Value, json};

use crate::browser::{App, Browser, leads_to, problem};
use crate::harness::{BEGIN, OPERATOR, OPERATOR_PASSWORD, SECOND_OPERATOR, TestCloud};
use crate::journeys::ride;

/// A rider who has paid 4.00 out of a wallet of 50.00; his id and the charge's.
pub async fn paid_ride(cloud: &TestCloud) -> (RiderId, String) {
    let name = cloud.enrol("ada").await;
    let wallet = json!({"kind": "wallet", "top_up_minor": 5000});
    App::new(cloud).call("PUT", &format!("/v1/riders/{name}/account"), wallet, 204).await;
    let rider: RiderId = name.parse().unwrap();
    ride(cloud, rider, BEGIN).await;
    // The travel day is over then, too, and its bill is paid.
    cloud.clock.advance(std::time::Duration::from_secs(2 * 86_400));
    let charge = async || {
        let trips = cloud.cloud.store.trips(rider).await.unwrap();
        let charge = trips.first()?.charge()?.clone();
        (charge.state().name() == "captured").then(|| charge.id().to_string())
    };
    let charge = cloud.eventually("the ride is paid", charge).await;
    (rider, charge)
}

async fn staff(cloud: &TestCloud, name: &str) -> Browser {
    let mut browser = Browser::new(cloud);
    browser.sign_in(name, OPERATOR_PASSWORD).await;
    browser
}

fn form(rider: RiderId, charge: &str, minor: i64, order: &str) -> String {
    format!(
        "order={order}&rider={rider}&measure=refund&charge={charge}&amount_minor={minor}&ground=price&reason=too+dear"
    )
}

/// Its status, code and what it says.
async fn said(answer: Response) -> (u16, String, String) {
    let (status, body) = (answer.status().as_u16(), answer.json::<Value>().await.unwrap());
    let text = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
    (status, text("code"), format!("{} {}", text("detail"), text("next")))
}

async fn ask(browser: &Browser, form: &str) -> Value {
    let answer = browser.post("/ops/remedies", form).await;
    assert_eq!(answer.status(), StatusCode::OK);
    answer.json().await.unwrap()
}

async fn wallet(cloud: &TestCloud, rider: RiderId) -> i64 {
    -cloud.cloud.store.balance(Account::Wallet(rider), "CNY".parse().unwrap()).await.unwrap().minor()
}

#[tokio::test]
async fn who_asks_does_not_approve_and_of_two_who_do_at_once_one_is_told_of_the_other() {
    let cloud = TestCloud::start().await;
    let (rider, charge) = paid_ride(&cloud).await;
    let (one, two) = (staff(&cloud, OPERATOR).await, staff(&cloud, SECOND_OPERATOR).await);
    let asked = ask(&one, &form(rider, &charge, 400, "a")).await;
    assert_eq!(asked["state"], "awaiting_approval");
    assert_eq!(ask(&one, &form(rider, &charge, 400, "a")).await["id"], asked["id"], "the button twice");
    let queue: Value = one.get("/ops/refunds.json").await.json().await.unwrap();
    assert_eq!((&queue["awaiting"][0]["asked_by"], queue["awaiting"].as_array().unwrap().len()), (&queue["you"], 1));
    let decide = format!("/ops/remedies/{}/decision", asked["id"].as_str().unwrap());
    for approves in ["approves=true", "approves=false"] {
        let (status, code, text) = said(one.post(&decide, approves).await).await;
        assert_eq!((status, code.as_str()), (403, "same_person"), "{text}");
        assert!(text.contains("another person has to decide"), "{text}");
    }
    assert_eq!(wallet(&cloud, rider).await, 4600);

    let again = staff(&cloud, SECOND_OPERATOR).await;
    let (first, second) = tokio::join!(two.post(&decide, "approves=true"), again.post(&decide, "approves=true"));
    let mut statuses = [first.status().as_u16(), second.status().as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
    let loser = if first.status() == 409 { first } else { second };
    let (_, code, text) = said(loser).await;
    assert_eq!(code, "decided_already");
    assert!(text.contains(&format!("decided by operator/{SECOND_OPERATOR} already, and is done")), "{text}");
    assert_eq!(wallet(&cloud, rider).await, 5000, "once");
    let audit = cloud.cloud.store.audit_entries(0, 1000).await.unwrap();
    let acts: Vec<_> = audit.iter().filter(|line| line.action.starts_with("remedy.")).collect();
    assert_eq!(acts.iter().map(|line| line.action.as_str()).collect::<Vec<_>>(), ["remedy.ask", "remedy.approve"]);
    assert!(cloud.cloud.store.is_balanced().await.unwrap());
}

#[tokio::test]
async fn no_more_is_given_back_than_is_left_and_what_waits_counts() {
    let cloud = TestCloud::start().await;
    let (rider, charge) = paid_ride(&cloud).await;
    let browser = staff(&cloud, OPERATOR).await;
    let refused = async |form: String| said(browser.post("/ops/remedies", &form).await).await;
    let (status, code, text) = refused(form(rider, &charge, 401, "a")).await;
    assert_eq!((status, code.as_str()), (409, "too_much"));
    assert!(text.contains("4.01 CNY cannot be refunded: 4.00 CNY is left"), "{text}");
    assert_eq!(ask(&browser, &form(rider, &charge, 300, "b")).await["state"], "done", "alone up to the limit");
    let small = ask(&browser, &form(rider, &charge, 50, "c")).await;
    assert_eq!(small["state"], "awaiting_approval", "small parts count together");
    let (_, _, text) = refused(form(rider, &charge, 51, "d")).await;
    assert!(text.contains("0.50 CNY is left"), "{text}");
    assert_eq!(wallet(&cloud, rider).await, 4900);
    let other = RiderId::random();
    for (form, status, code) in [
        (form(rider, &charge, 0, "e"), 409, "refused"),
        (form(rider, &charge, -5, "e"), 409, "refused"),
        (form(rider, &other.to_string(), 10, "e"), 404, "unknown"),
        (form(other, &charge, 10, "e"), 404, "unknown_rider"),
        (form(rider, "", 10, "e"), 422, "bad_field"),
        (form(rider, &charge, 10, "c"), 409, "refused"),
        (form(rider, &charge, 10, "e").replace("=price", "=charity"), 422, "bad_field"),
        (form(rider, &charge, 10, "e").replace("too+dear", "+"), 409, "refused"),
        (form(rider, &charge, 10, "e").replace("=10", "=ten"), 422, "bad_form"),
        (String::new(), 422, "bad_form"),
    ] {
        let (got, named, text) = refused(form.clone()).await;
        assert_eq!((got, named.as_str()), (status, code), "{form}: {text}");
    }
    assert_eq!(cloud.cloud.store.remedies_of(rider).await.unwrap().len(), 2);
}

#[tokio::test]
async fn a_stolen_session_and_a_form_of_another_site_give_nothing() {
    let cloud = TestCloud::start().await;
    let (rider, charge) = paid_ride(&cloud).await;
    let mut staff = staff(&cloud, OPERATOR).await;
    let form = form(rider, &charge, 400, "a");
    for origin in [None, Some("https://evil.example"), Some("null")] {
        let refused = staff.post_from(origin, "/ops/remedies", &form).await;
        assert_eq!(problem(refused).await, (403, "cross_origin".into()), "{origin:?}");
    }
    // Whoever took the cookie has what it was worth until its owner signs out.
    let stolen = staff.cookie.clone();
    staff.post("/sign-out", "").await;
    let mut thief = Browser::new(&cloud);
    thief.cookie = stolen;
    assert_eq!(leads_to(&thief.post("/ops/remedies", &form).await), (StatusCode::SEE_OTHER, Some("/sign-in")));
    // Or until nobody has used it for long.
    staff.sign_in(OPERATOR, OPERATOR_PASSWORD).await;
    thief.cookie.clone_from(&staff.cookie);
    cloud.clock.advance(std::time::Duration::from_secs(86_400));
    assert_eq!(leads_to(&thief.post("/ops/remedies", &form).await), (StatusCode::SEE_OTHER, Some("/sign-in")));
    assert_eq!(cloud.cloud.store.remedies_of(rider).await.unwrap(), []);
}
