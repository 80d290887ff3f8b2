//! Held rides and waivers on the pages of staff: seen, decided about, refused with a reason.

use std::time::Duration;

use axum::http::StatusCode;
use facegate_domain::ids::RiderId;
use facegate_proto::v1;
use facegate_proto::v1::instruct_request::Instruction;
use facegate_proto::v1::ops_service_client::OpsServiceClient;
use facegate_runtime::identity::Role;
use reqwest::Response;
use serde_json::{Value, json};

use crate::browser::{App, Browser, leads_to, problem};
use crate::harness::{BEGIN, OPERATOR, OPERATOR_PASSWORD, SECOND_OPERATOR, TestCloud};
use crate::journeys::ride;
use crate::operation::instruct;
use crate::rides::{from_nowhere, items, trips};

async fn operator(cloud: &TestCloud) -> Browser {
    staff(cloud, OPERATOR).await
}

async fn staff(cloud: &TestCloud, name: &str) -> Browser {
    let mut browser = Browser::new(cloud);
    browser.sign_in(name, OPERATOR_PASSWORD).await;
    browser
}

async fn json_of(answer: Response) -> Value {
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    assert!(status.is_success(), "{status}: {text}");
    serde_json::from_str(&text).unwrap()
}

async fn acts(cloud: &TestCloud, action: &str) -> Vec<String> {
    acts_of(cloud, OPERATOR, action).await
}

async fn acts_of(cloud: &TestCloud, who: &str, action: &str) -> Vec<String> {
    let lines = cloud.cloud.store.audit_entries(0, 1000).await.unwrap();
    let of = lines.into_iter().filter(|line| line.action == action && line.actor == format!("operator/{who}"));
    of.map(|line| line.subject).collect()
}

#[tokio::test]
async fn a_held_ride_is_charged_or_dropped_with_a_reason_that_its_rider_reads() {
    let cloud = TestCloud::start().await;
    let (one, two) = (RiderId::random(), RiderId::random());
    from_nowhere(&cloud, &[one, two]).await;
    let browser = operator(&cloud).await;
    let held = async || {
        let held = json_of(browser.get("/ops/rides.json").await).await;
        (held["rides"].as_array().unwrap().len() == 2).then_some(held)
    };
    let held = cloud.eventually("both are held", held).await;
    let of = |rider: RiderId| {
        let rides = held["rides"].as_array().unwrap();
        rides.iter().find(|ride| ride["rider"] == rider.to_string()).unwrap().clone()
    };
    assert!(of(one)["reason"].as_str().unwrap().contains("no station nowhere"), "{held}");
    assert_eq!(
        (&of(one)["entry"]["station"], &held["next"], &held["currency"]),
        (&json!("nowhere"), &json!(null), &json!("CNY"))
    );
    let path = |rider| format!("/ops/rides/{}/release", of(rider)["id"].as_str().unwrap());
    for (form, field) in [
        ("how=at&reason=x", "price_minor"),
        ("how=at&price_minor=-1&reason=x", "price_minor"),
        ("how=at&price_minor=4.00&reason=x", "price_minor"),
        ("how=at&price_minor=250&reason=+", "reason"),
        ("how=drop", "reason"),
        ("how=drop&price_minor=1&reason=x", "price_minor"),
        ("how=burn&reason=x", "how"),
        ("", "how"),
    ] {
        let answer = browser.post(&path(one), form).await;
        assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY, "{form}");
        let said: Value = answer.json().await.unwrap();
        assert!(said["detail"].as_str().unwrap().contains(field), "{form}: {said}");
    }
    assert_eq!(problem(browser.post("/ops/rides/1/release", "how=again").await).await, (422, "bad_field".into()));
    let other = format!("/ops/rides/{}/release", RiderId::random());
    assert_eq!(problem(browser.post(&other, "how=again").await).await, (422, "bad_field".into()));
    assert!(acts(&cloud, "rides.release").await.is_empty(), "nothing was done");

    let done = browser.post(&path(one), "how=at&price_minor=250&reason=the+depot").await;
    assert_eq!(done.status(), StatusCode::NO_CONTENT);
    assert_eq!(browser.post(&path(two), "how=drop&reason=a+test+ride").await.status(), StatusCode::NO_CONTENT);
    let charged = trips(&cloud, one, |trips| !trips[0].items.is_empty()).await;
    assert_eq!(items(&charged[0]), [250]);
    let dropped = trips(&cloud, two, |trips| trips[0].priced.fare().is_some()).await.remove(0);
    assert_eq!((items(&dropped), dropped.priced.fare().unwrap().total().minor()), (vec![], 0));
    assert_eq!(dropped.priced.fare().unwrap().lines()[0].rule.to_string(), "priced by hand: a test ride");
    let acts = acts(&cloud, "rides.release").await;
    assert!(
        acts.len() == 2 && acts[0].ends_with("at 250: the depot") && acts[1].ends_with("at 0: a test ride"),
        "{acts:?}"
    );
    assert_eq!(problem(browser.post(&path(one), "how=again").await).await, (422, "bad_field".into()));
}

/// What a person of the page fills in, for fares at north from a minute before the beginning.
fn form(order: &str, until: &str) -> String {
    format!("order={order}&waives=fare&stations=north&from=2026-11-18T19:05:40%2B08:00&until={until}&reason=a+storm")
}

const SOON: &str = "2026-11-18T11:11:40Z";

#[tokio::test]
async fn a_waiver_is_looked_at_told_once_and_ended_and_what_it_waived_since_is_charged_again() {
    let cloud = TestCloud::start().await;
    let rider = RiderId::random();
    ride(&cloud, rider, BEGIN).await;
    cloud.clock.advance(Duration::from_secs(3600));
    trips(&cloud, rider, |trips| trips.len() == 1 && items(&trips[0]) == [400]).await;
    let browser = operator(&cloud).await;
    let reach = json_of(browser.post("/ops/waivers/preview", &form("a", SOON)).await).await;
    let (cost, none) = (cny(400), cny(0));
    let found = json!({"rides": 1, "riders": 1, "cost": cost, "expected": none, "effect": cost, "is_part": false});
    let mut needs = found.clone();
    needs["needs_another"] = json!(true);
    assert_eq!(reach, needs);
    let later = form("a", SOON).replace("19:05:40", "19:06:50");
    assert_eq!(json_of(browser.post("/ops/waivers/preview", &later).await).await["rides"], 0, "it began before");
    let exits = form("a", SOON).replace("=fare", "=missing_exit");
    assert_eq!(json_of(browser.post("/ops/waivers/preview", &exits).await).await["rides"], 0, "its exit was seen");
    let listed = async || json_of(browser.get("/ops/waivers.json").await).await;
    assert_eq!(listed().await["waivers"], json!([]), "looking changes nothing");
    assert_eq!(listed().await["stations"][0], json!({"id": "north", "name": "north"}));

    let told = json_of(browser.post("/ops/waivers", &form("a", SOON)).await).await;
    assert_eq!((&told["state"], &told["reach"]), (&json!("awaiting_approval"), &found));
    let approved = staff(&cloud, SECOND_OPERATOR).await.post(&decision(&told), "approves=true&shown_minor=400").await;
    let held = json_of(approved).await;
    let by = [OPERATOR, SECOND_OPERATOR].map(|name| json!(format!("operator/{name}")));
    assert_eq!((&held["state"], &held["told_by"], &held["decided_by"]), (&json!("over"), &by[0], &by[1]));
    assert_eq!(
        json_of(browser.post("/ops/waivers", &form("a", SOON)).await).await["id"],
        told["id"],
        "the button twice"
    );
    let other = form("a", SOON).replace("storm", "strike");
    assert_eq!(problem(browser.post("/ops/waivers", &other).await).await, (422, "bad_field".into()));
    assert_eq!(listed().await["waivers"].as_array().unwrap().len(), 1);
    trips(&cloud, rider, |trips| items(&trips[0]) == [400, -400]).await;

    let end = format!("/ops/waivers/{}/end", told["id"].as_str().unwrap());
    let refused: Value = browser.post(&end, "").await.json().await.unwrap();
    assert!(refused["detail"].as_str().unwrap().contains("is over by then"), "{refused}");
    let ended = json_of(browser.post(&end, "at=2026-11-18T11:05:40Z").await).await;
    assert_eq!(ended["state"], "withdrawn");
    trips(&cloud, rider, |trips| items(&trips[0]) == [400, -400, 400]).await;
    let acts = acts(&cloud, "fares.end-waiver").await;
    assert!(acts.len() == 1 && acts[0].ends_with("at 2026-11-18T11:05:40Z"), "{acts:?}");
}

fn cny(minor: i64) -> Value {
    json!({"minor": minor, "currency": "CNY"})
}

fn decision(told: &Value) -> String {
    format!("/ops/waivers/{}/decision", told["id"].as_str().unwrap())
}

#[tokio::test]
async fn a_large_waiver_waits_for_another_person_who_is_shown_it_anew_when_it_has_grown() {
    let cloud = TestCloud::start().await;
    let [first, second] = [1, 2].map(|n| RiderId::from_bytes([n; 16]));
    ride(&cloud, first, BEGIN).await;
    cloud.clock.advance(Duration::from_secs(3600));
    trips(&cloud, first, |trips| trips.len() == 1 && items(&trips[0]) == [400]).await;
    let (one, two) = (operator(&cloud).await, staff(&cloud, SECOND_OPERATOR).await);
    let next_week = form("w", "2026-11-25T11:11:40Z").replace("from=2026-11-18", "from=2026-11-25");
    let preview = json_of(one.post("/ops/waivers/preview", &next_week).await).await;
    let to_come = [&preview["rides"], &preview["cost"], &preview["expected"], &preview["needs_another"]];
    assert_eq!(to_come, [&json!(0), &cny(0), &cny(400), &json!(true)], "as a week before");

    let told = one.post("/ops/waivers", &form("a", SOON)).await;
    assert_eq!(told.status(), StatusCode::ACCEPTED);
    let told = json_of(told).await;
    let again = json_of(one.post("/ops/waivers", &form("a", SOON)).await).await;
    assert_eq!(again["id"], told["id"], "the button twice");
    let listed = async || json_of(two.get("/ops/waivers.json").await).await;
    let found = listed().await;
    let ours = &found["proposed"][0];
    assert_eq!((&ours["state"], &ours["reach"]["effect"]), (&json!("awaiting_approval"), &cny(400)));
    assert_eq!((&found["four_eyes_above"], found["waivers"].as_array().unwrap().len()), (&cny(300), 0));
    for word in ["approves=true&shown_minor=400", "approves=false"] {
        assert_eq!(problem(one.post(&decision(&told), word).await).await, (403, "same_person".into()), "{word}");
    }
    for (word, status) in [("approves=true", 422), ("approves=true&shown_minor=much", 422), ("", 422)] {
        assert_eq!(problem(two.post(&decision(&told), word).await).await.0, status, "{word}");
    }
    for id in [json!({"id": first.to_string()}), json!({"id": "1"})] {
        let (status, _) = problem(two.post(&decision(&id), "approves=false").await).await;
        assert!(matches!(status, 404 | 422), "{id}: {status}");
    }

    ride(&cloud, second, BEGIN.plus(Duration::from_secs(120))).await;
    trips(&cloud, second, |trips| trips.len() == 1 && items(&trips[0]) == [400]).await;
    let grown = two.post(&decision(&told), "approves=true&shown_minor=400").await;
    let said: Value = grown.json().await.unwrap();
    assert_eq!(said["code"], "preview_has_grown", "{said}");
    assert!(said["detail"].as_str().unwrap().contains("8.00 CNY by now"), "{said}");
    assert_eq!(listed().await["proposed"][0]["reach"]["effect"], cny(800), "it is listed as it is now");
    assert_eq!(items(&trips(&cloud, first, |_| true).await[0]), [400], "nothing is waived yet");
    let held = json_of(two.post(&decision(&told), "approves=true&shown_minor=800").await).await;
    assert_eq!(held["state"], "over");
    for rider in [first, second] {
        trips(&cloud, rider, |trips| items(&trips[0]) == [400, -400]).await;
    }
    let late = problem(two.post(&decision(&told), "approves=false").await).await;
    assert_eq!(late, (409, "decided_already".into()));
    assert_eq!(acts_of(&cloud, SECOND_OPERATOR, "fares.approve-waiver").await.len(), 1);
    assert!(cloud.cloud.store.is_balanced().await.unwrap());
}

#[tokio::test]
async fn a_waiver_that_is_rejected_waives_nothing_and_says_so() {
    let cloud = TestCloud::start().await;
    let rider = RiderId::random();
    ride(&cloud, rider, BEGIN).await;
    cloud.clock.advance(Duration::from_secs(3600));
    trips(&cloud, rider, |trips| trips.len() == 1 && items(&trips[0]) == [400]).await;
    let (one, two) = (operator(&cloud).await, staff(&cloud, SECOND_OPERATOR).await);
    let told = json_of(one.post("/ops/waivers", &form("a", SOON)).await).await;
    let rejected = json_of(two.post(&decision(&told), "approves=false").await).await;
    let by = json!(format!("operator/{SECOND_OPERATOR}"));
    assert_eq!((&rejected["state"], &rejected["decided_by"]), (&json!("rejected"), &by));
    let listed = json_of(one.get("/ops/waivers.json").await).await;
    assert_eq!((&listed["proposed"][0]["state"], &listed["waivers"]), (&json!("rejected"), &json!([])));
    let end = one.post(&format!("/ops/waivers/{}/end", told["id"].as_str().unwrap()), "").await;
    assert_eq!(problem(end).await, (422, "bad_field".into()), "there is nothing to end");
    assert_eq!(acts_of(&cloud, SECOND_OPERATOR, "fares.reject-waiver").await.len(), 1);
    assert_eq!(cloud.cloud.store.waivers().await.unwrap(), []);
}

#[tokio::test]
async fn what_is_no_waiver_is_refused_by_its_field_and_one_that_follows_a_mode_is_not_ended_by_hand() {
    let cloud = TestCloud::start().await;
    let browser = operator(&cloud).await;
    let good = form("a", SOON);
    for (form, field) in [
        (good.replace("order=a", "order="), "order"),
        (good.replace("=fare", "=everything"), "waives"),
        (good.replace("=north", "=nowhere"), "stations"),
        (good.replace("=north", "=North+Gate"), "stations"),
        (good.replace("from=2026-11-18T19:05:40%2B08:00", "from=yesterday"), "from"),
        (good.replace(SOON, "2026-11-18T11:11:40"), "until"),
        (good.replace(SOON, "2026-11-17T11:11:40Z"), "until"),
        (good.replace("a+storm", "+"), "reason"),
        (good.replace("a+storm", &"x".repeat(201)), "reason"),
        (format!("{good}&also=this"), "also"),
        (String::new(), "order"),
    ] {
        for path in ["/ops/waivers", "/ops/waivers/preview"] {
            let answer = browser.post(path, &form).await;
            assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY, "{form}");
            let said: Value = answer.json().await.unwrap();
            assert!(said["detail"].as_str().unwrap().contains(field), "{form}: {said}");
        }
    }
    assert_eq!(browser.post("/ops/waivers", &"x".repeat(70_000)).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
    for id in ["1".to_owned(), RiderId::random().to_string()] {
        let end = browser.post(&format!("/ops/waivers/{id}/end"), "").await;
        assert_eq!(problem(end).await, (422, "bad_field".into()));
    }
    let mut ops = OpsServiceClient::new(cloud.channel(Role::Operator, "ada"));
    instruct(&mut ops, Instruction::Mode(v1::StationMode { station: "south".into(), mode: "fare_free".into() }))
        .await
        .unwrap();
    let begun = async || json_of(browser.get("/ops/waivers.json").await).await["waivers"].get(0).cloned();
    let begun = cloud.eventually("the mode is followed", begun).await;
    assert_eq!((&begun["follows"], &begun["until"], &begun["state"]), (&json!("south"), &json!(null), &json!("holds")));
    let end = browser.post(&format!("/ops/waivers/{}/end", begun["id"].as_str().unwrap()), "").await;
    let said: Value = end.json().await.unwrap();
    assert!(said["detail"].as_str().unwrap().contains("follows the mode of south"), "{said}");
}

#[tokio::test]
async fn only_operators_and_only_from_their_own_pages() {
    let cloud = TestCloud::start().await;
    let rider = cloud.enrol("ada").await;
    App::new(&cloud)
        .call("PUT", &format!("/v1/riders/{rider}/page-password"), json!({"password": "a-long-password"}), 204)
        .await;
    let (nobody, mut ada, staff) = (Browser::new(&cloud), Browser::new(&cloud), operator(&cloud).await);
    ada.sign_in(&rider, "a-long-password").await;
    let some = RiderId::random();
    let posts = [
        (format!("/ops/rides/{some}/release"), "how=again".to_owned()),
        ("/ops/waivers".to_owned(), form("a", SOON)),
        ("/ops/waivers/preview".to_owned(), form("a", SOON)),
        (format!("/ops/waivers/{some}/end"), String::new()),
        (format!("/ops/waivers/{some}/decision"), "approves=true&shown_minor=1".to_owned()),
    ];
    assert_eq!(problem(nobody.get("/ops/rides.json").await).await, (401, "not_signed_in".into()));
    assert_eq!(problem(ada.get("/ops/waivers.json").await).await, (403, "wrong_account".into()));
    assert_eq!(leads_to(&nobody.get("/ops/rides").await).1, Some("/sign-in"));
    assert!(staff.get("/ops/rides").await.text().await.unwrap().contains("<h1>Held rides"));
    for (path, form) in &posts {
        assert_eq!(leads_to(&nobody.post(path, form).await), (StatusCode::SEE_OTHER, Some("/sign-in")), "{path}");
        assert_eq!(leads_to(&ada.post(path, form).await), (StatusCode::SEE_OTHER, Some("/me")), "{path}");
        for origin in [None, Some("https://evil.example")] {
            assert_eq!(
                problem(staff.post_from(origin, path, form).await).await,
                (403, "cross_origin".into()),
                "{path}"
            );
        }
    }
    assert_eq!(cloud.cloud.store.waivers().await.unwrap(), []);
}
