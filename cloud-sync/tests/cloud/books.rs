//! The books: settlement files that are good and bad, the finance page, and the close of a day.

use std::io::Cursor;
use std::time::Duration;

use facegate_cloud_sync::books::import::{Importing, import};
use facegate_cloud_sync::books::{BooksError, Desk, inbox};
use facegate_domain::ids::RiderId;
use facegate_domain::ledger::Account;
use reqwest::StatusCode;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::browser::{App, Browser, leads_to, problem};
use crate::harness::{BEGIN, OPERATOR, OPERATOR_PASSWORD, TestCloud};
use crate::journeys::ride;

const HEADER: &str = "facegate-settlement,1,sandbox,2026-11-18,CNY";
const LINE: &str = "capture,ref-1,facegate-6f1c6f6e-2d2b-8c4f-9b1e-0123456789ab,400,4,2026-11-18T20:30:00Z";

fn sealed(lines: &[&str], sum: i64) -> String {
    let body: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let hash = hex::encode(Sha256::digest(&body));
    format!("{body}trailer,{},{sum},{hash}\n", lines.len() - 1)
}

async fn take(cloud: &TestCloud, text: &str) -> Result<u64, BooksError> {
    let (acquirers, currency) = (["sandbox".to_owned()], "CNY".parse().unwrap());
    let importing = Importing { acquirers: &acquirers, currency, by: "operator/ada", now: BEGIN };
    let file = import(&*cloud.cloud.store, Cursor::new(text.as_bytes().to_vec()), "day.csv", &importing).await?;
    Ok(file.settlement.lines)
}

async fn at_bank(cloud: &TestCloud) -> i64 {
    cloud.cloud.store.balance(Account::OperatorBank, "CNY".parse().unwrap()).await.unwrap().minor()
}

async fn operator(cloud: &TestCloud) -> Browser {
    let mut browser = Browser::new(cloud);
    browser.sign_in(OPERATOR, OPERATOR_PASSWORD).await;
    browser
}

async fn get(browser: &Browser, path: &str) -> Value {
    let answer = browser.get(path).await;
    assert_eq!(answer.status(), StatusCode::OK, "{path}");
    answer.json().await.unwrap()
}

#[tokio::test]
async fn a_bad_settlement_file_is_named_with_its_line_and_leaves_the_books_as_they_were() {
    let cloud = TestCloud::start().await;
    let good = sealed(&[HEADER, LINE], 400);
    let other = LINE.replace("ref-1", "ref-2");
    for (text, said) in [
        (good[..good.len() - 20].to_owned(), "line 3"),
        (format!("{HEADER}\n{LINE}\n"), "cut short"),
        (good.replace("400,4", "500,4"), "line 3"),
        (sealed(&[HEADER, LINE, LINE], 800), "line 3: capture ref-1 was in line 2 already"),
        (sealed(&[&HEADER.replace("CNY", "EUR"), LINE], 400), "line 1: the file is in EUR"),
        (
            sealed(&[&HEADER.replace("sandbox", "stranger"), LINE], 400),
            "line 1: the file is of the acquirer `stranger`",
        ),
        (sealed(&[&HEADER.replace("2026-11-18", "2026-12-24"), LINE], 400), "has not come yet"),
    ] {
        let error = take(&cloud, &text).await.unwrap_err().to_string();
        assert!(error.starts_with("day.csv") && error.contains(said), "{error}");
        assert_eq!(at_bank(&cloud).await, 0, "{error}");
    }
    assert_eq!(take(&cloud, &good).await.unwrap(), 1);
    assert_eq!(at_bank(&cloud).await, 396);
    let corrected = sealed(&[HEADER, LINE, &other], 800);
    let elsewhere = sealed(&[&HEADER.replace("11-18", "11-17"), LINE], 400);
    for (text, said) in
        [(&good, "imported already"), (&corrected, "never changed"), (&elsewhere, "settled in the file of")]
    {
        let error = take(&cloud, text).await.unwrap_err().to_string();
        assert!(error.starts_with("day.csv") && error.contains(said), "{error}");
        assert_eq!(at_bank(&cloud).await, 396, "{error}");
    }
    assert!(cloud.cloud.store.is_balanced().await.unwrap());
}

#[tokio::test]
async fn what_is_put_into_the_inbox_is_imported_or_refused_with_the_reason() {
    let cloud = TestCloud::start().await;
    let mut desk = Desk::new(cloud.cloud.store.clone(), cloud.clock.clone(), &cloud.cloud.config);
    desk.acquirers = vec!["sandbox".into()];
    // The cloud looks into a folder of its own.
    desk.config.dir = cloud.dir.path().join("desk");
    inbox::round(&desk).await.unwrap();
    let folder = inbox::folder(&desk);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("a.csv"), sealed(&[HEADER, LINE], 400)).unwrap();
    std::fs::write(folder.join("b.csv"), "hello\n").unwrap();
    std::fs::write(folder.join(".c.csv.part"), "half of a file").unwrap();
    inbox::round(&desk).await.unwrap();
    assert_eq!(at_bank(&cloud).await, 396);
    assert!(folder.join("imported/a.csv").is_file() && folder.join("refused/b.csv").is_file());
    assert!(folder.join(".c.csv.part").is_file());
    let reason = std::fs::read_to_string(folder.join("refused/b.csv.reason.txt")).unwrap();
    assert!(reason.contains("line 1") && reason.contains("begins with"), "{reason}");
}

/// Posts, and waits until what it began is through; gives the day.
async fn act(cloud: &TestCloud, browser: &Browser, what: &str, form: &str) -> Value {
    let answer = browser.post(&format!("/books/days/2026-11-18/{what}"), form).await;
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    let day = async || {
        let day = get(browser, "/books/days/2026-11-18").await;
        (day["work"]["is"] != "under_way").then_some(day)
    };
    cloud.eventually("what was begun is through", day).await
}

#[tokio::test]
async fn an_operator_matches_a_day_and_closes_it_for_good() {
    let cloud = TestCloud::start().await;
    let (app, paying, other) = (App::new(&cloud), cloud.enrol("ada").await, cloud.enrol("somebody else").await);
    let wallet = json!({"kind": "wallet", "top_up_minor": 5000});
    app.call("PUT", &format!("/v1/riders/{paying}/account"), wallet, 204).await;
    for rider in [&paying, &other] {
        ride(&cloud, rider.parse::<RiderId>().unwrap(), BEGIN).await;
    }
    cloud.clock.advance(Duration::from_secs(3600));
    for rider in [&paying, &other] {
        let id: RiderId = rider.parse().unwrap();
        let trips = async || (!cloud.cloud.store.trips(id).await.unwrap().is_empty()).then_some(());
        cloud.eventually("a settled trip", trips).await;
    }
    let browser = operator(&cloud).await;
    assert!(browser.get("/books").await.text().await.unwrap().contains("<h1>Books"));
    let early = act(&cloud, &browser, "close", "note=").await;
    assert!(early["work"]["why"].as_str().unwrap().contains("is not over"), "{early}");

    cloud.clock.advance(Duration::from_secs(24 * 3600));
    let browser = operator(&cloud).await;
    let day = act(&cloud, &browser, "match", "").await;
    assert_eq!((&day["totals"]["taps"], &day["totals"]["rides"]["count"]), (&json!(4), &json!(2)));
    let kinds: Vec<&str> = day["kinds"].as_array().unwrap().iter().map(|kind| kind["kind"].as_str().unwrap()).collect();
    assert!(kinds.contains(&"item_without_bill"), "{kinds:?}");
    let found = get(&browser, "/books/days/2026-11-18/differences?kind=item_without_bill").await;
    let whose: Vec<&Value> = found["rows"].as_array().unwrap().iter().map(|row| &row["rider"]).collect();
    assert!(whose.contains(&&json!(other)) && found["next"].is_null(), "{found}");
    assert!(found["rows"][0]["next_action"].as_str().unwrap().ends_with('.'));
    let none = get(&browser, "/books/days/2026-11-18/differences?kind=no_such_kind").await;
    assert_eq!(none["rows"], json!([]));

    let unaudited = act(&cloud, &browser, "close", "note=").await;
    assert_eq!(unaudited["work"]["may_be_forced"], true, "{unaudited}");
    cloud.cloud.auditor.round().await.unwrap();
    let closed = act(&cloud, &browser, "close", "note=all+well").await;
    assert_eq!(closed["closed"]["by"], format!("operator/{OPERATOR}"), "{closed}");
    assert_eq!((&closed["closed"]["note"], &closed["closed"]["forced"]), (&json!("all well"), &json!([])));
    for hash in closed["closed"]["hashes"].as_array().unwrap() {
        let file = browser.get(&format!("/books/days/2026-11-18/files/{}", hash[0].as_str().unwrap())).await;
        let bytes = file.bytes().await.unwrap();
        assert_eq!(hash[1], hex::encode(Sha256::digest(&bytes)), "{hash}");
    }
    let again = act(&cloud, &browser, "close", "note=once+more&force=true").await;
    assert_eq!(again["closed"], closed["closed"], "the first close stands");
    let days = get(&browser, "/books/days.json").await;
    let line = days["days"].as_array().unwrap().iter().find(|day| day["day"] == "2026-11-18").unwrap();
    assert_eq!((&line["state"], &line["taps"]), (&json!("closed"), &json!(4)));
    let audit = cloud.cloud.store.audit_entries(0, 1000).await.unwrap();
    let acts: Vec<_> = audit.iter().filter(|line| line.action == "books.close").collect();
    assert!(acts.len() == 1 && acts[0].subject.contains("bills.csv="), "{acts:?}");
}

#[tokio::test]
async fn the_trial_balance_is_shown_of_any_moment_and_to_operators_alone() {
    let cloud = TestCloud::start().await;
    take(&cloud, &sealed(&[HEADER, LINE], 400)).await.unwrap();
    let browser = operator(&cloud).await;
    let now = get(&browser, "/books/trial-balance?at=2026-11-18T11:06:40Z").await;
    assert_eq!(now["balanced"], true);
    let bank = now["accounts"].as_array().unwrap().iter().find(|line| line["account"] == "operator_bank").unwrap();
    assert_eq!((&bank["debited"], &bank["balance"]), (&json!("3.96"), &json!("3.96")));
    let before = get(&browser, "/books/trial-balance?at=2026-11-18T11:06:39Z").await;
    assert_eq!(before["accounts"], json!([]));
    let csv = browser.get("/books/trial-balance.csv?at=2026-11-18T11:06:40Z").await.text().await.unwrap();
    assert!(csv.contains("operator_bank,CNY,396,0,396"), "{csv}");
    let nobody = Browser::new(&cloud);
    assert_eq!(nobody.get("/books/days.json").await.status(), StatusCode::UNAUTHORIZED);
    for path in ["/books", "/books/trial-balance", "/books/days/2026-11-18", "/books/days/2026-11-18/files/bills.csv"] {
        assert_eq!(leads_to(&nobody.get(path).await), (StatusCode::SEE_OTHER, Some("/sign-in")), "{path}");
    }
    for (path, code) in [
        ("/books/days/yesterday", "no_such_day"),
        ("/books/days/2026-11-18/files/bills.csv", "no_such_file"),
        ("/books/days/2026-11-18/files/..%2Fstate", "no_such_file"),
    ] {
        assert_eq!(problem(browser.get(path).await).await, (404, code.into()), "{path}");
    }
}
