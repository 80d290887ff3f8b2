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
use crate::harness::{BEGIN, OPERATOR, OPERATOR_PASSWORD, TestCloud};
use crate::journeys::ride;
use crate::operation::instruct;
use crate::rides::{from_nowhere, items, trips};

async fn operator(cloud: &TestCloud) -> Browser {
    let mut browser = Browser::new(cloud);
    browser.sign_in(OPERATOR, OPERATOR_PASSWORD).await;
    browser
}

async fn json_of(answer: Response) -> Value {
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    assert!(status.is_success(), "{status}: {text}");
    serde_json::from_str(&text).unwrap()
}

async fn acts(cloud: &TestCloud, action: &str) -> Vec<String> {
    let lines = cloud.cloud.store.audit_entries(0, 1000).await.unwrap();
    let of = lines.into_iter().filter(|line| line.action == action && line.actor == format!("operator/{OPERATOR}"));
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
    let cost = json!({"minor": 400, "currency": "CNY"});
    assert_eq!(reach, json!({"rides": 1, "riders": 1, "cost": cost, "is_part": false}));
    let later = form("a", SOON).replace("19:05:40", "19:06:50");
    assert_eq!(json_of(browser.post("/ops/waivers/preview", &later).await).await["rides"], 0, "it began before");
    let exits = form("a", SOON).replace("=fare", "=missing_exit");
    assert_eq!(json_of(browser.post("/ops/waivers/preview", &exits).await).await["rides"], 0, "its exit was seen");
    let listed = async || json_of(browser.get("/ops/waivers.json").await).await;
    assert_eq!(listed().await["waivers"], json!([]), "looking changes nothing");
    assert_eq!(listed().await["stations"][0], json!({"id": "north", "name": "north"}));

    let told = json_of(browser.post("/ops/waivers", &form("a", SOON)).await).await;
    assert_eq!((&told["state"], &told["told_by"]), (&json!("over"), &json!(format!("operator/{OPERATOR}"))));
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
