//! The page of the simulated hardware: in a real browser, and closed to whoever is not this machine.
#![allow(clippy::unwrap_used)]

#[path = "../../../pages-tests/run.rs"]
mod run;

use std::time::Duration;

use facegate_loadtest::aisle::protocol::{Beam, Saw, ToAisle};
use facegate_loadtest::aisle::{Aisle, AisleTimes, page};
use facegate_loadtest::city::network::LOOPBACK;
use serde_json::json;
use tokio_util::sync::CancellationToken;

const TOKEN: &str = "1-0";

#[tokio::test]
async fn somebody_plays_with_the_hardware() {
    let aisle = Aisle::start(LOOPBACK, AisleTimes { crossing: Duration::from_millis(100) }).await.unwrap();
    let at = page::open(&aisle, (LOOPBACK, 0).into(), CancellationToken::new()).unwrap();
    aisle.control(|controller| controller.obey(ToAisle::Open { token: TOKEN.into() }));
    let (hearing, stop) = (aisle.clone(), CancellationToken::new());
    let stopped = stop.clone();
    let gate = tokio::spawn(async move {
        // As a gate does that is there.
        while !stopped.is_cancelled() {
            hearing.control(|controller| controller.obey(ToAisle::Status));
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    });
    run::drive("aisle/aisle.mjs", &json!({ "base": format!("http://{at}"), "token": TOKEN })).await;
    stop.cancel();
    gate.await.unwrap();
    let saw: Vec<(Saw, Option<Beam>)> = aisle.control(|c| c.events_from(0)).iter().map(|e| (e.saw, e.beam)).collect();
    let walked = [(Saw::Broken, Some(Beam::Entry)), (Saw::Broken, Some(Beam::Mid)), (Saw::Cleared, Some(Beam::Entry))];
    assert_eq!(saw[1..4], walked, "the buttons are the hardware's");
    assert!(aisle.control(|c| c.beams().all(|(_, broken, dead)| !broken && dead.is_none())));
}

#[tokio::test]
async fn nobody_else_touches_it() {
    let aisle = Aisle::start(LOOPBACK, AisleTimes::default()).await.unwrap();
    let at = page::open(&aisle, (LOOPBACK, 0).into(), CancellationToken::new()).unwrap();
    facegate_runtime::install_crypto();
    let asks = reqwest::Client::builder().no_proxy().build().unwrap();
    let act = |body: &'static str| asks.post(format!("http://{at}/act")).body(body);
    let elsewhere = asks.get(format!("http://{at}/state.json")).header("host", "evil.example").send().await.unwrap();
    assert_eq!(elsewhere.status(), 421);
    let form = act(r#"{"act":"body","gait":"walks"}"#).header("content-type", "text/plain").send().await.unwrap();
    assert_eq!(form.status(), 400, "what a page of somebody else could send");
    for bad in [r#"{"act":"fly"}"#, r#"{"act":"beam","beam":"fourth","broken":true}"#, "", "[]"] {
        let refused = act(bad).header("content-type", "application/json").send().await.unwrap();
        assert_eq!(refused.status(), 400, "{bad}");
        assert!(!refused.text().await.unwrap().is_empty());
    }
    assert!(aisle.control(|c| c.events_from(0)).is_empty());
}
