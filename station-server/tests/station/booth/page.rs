//! The booth's page in a real browser.

use std::time::Duration;

use facegate_domain::code::{CodeIssuer, Phone};
use facegate_domain::ids::RiderId;
use facegate_proto::convert::sync::FeedChange;
use facegate_proto::v1;
use serde_json::json;
use tokio_stream::wrappers::ReceiverStream;

use super::{PASSWORD, section};
use crate::run::drive;
use crate::world::{NOW, World, eventually};

fn decision(s: i64, kind: &str, medium: &str, reason: &str) -> v1::GateDecision {
    let [kind, medium, reason] = [kind, medium, reason].map(str::to_owned);
    v1::GateDecision { at_unix_ms: NOW.unix_ms() - s * 1000, kind, medium, reason, outcome: String::new() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_attendant_repairs_lets_out_and_opens_by_the_page() {
    let world = World::new().await;
    let station = world.station_with(&section(), None).await;
    let mut gate = world.gate(&station).await;
    let (statuses, sent) = tokio::sync::mpsc::channel(4);
    let _commands = gate.attend(ReceiverStream::new(sent)).await.unwrap();
    let decisions = vec![
        decision(65, "granted", "face", ""),
        decision(40, "refused", "face", "not_recognised"),
        decision(30, "refused", "code", "code_expired"),
        decision(12, "by_card", "", ""),
    ];
    let status = v1::GateStatus {
        direction: v1::Direction::Entry.into(),
        gate_mode: "normal".into(),
        fault: "mid beam bounces".into(),
        decisions,
        ..Default::default()
    };
    statuses.send(status).await.unwrap();
    let (rider, issuer) = (RiderId::random(), CodeIssuer::from_secret(&[7; 32]));
    world.cloud.publish_and_wait(FeedChange::IssuerKeys(vec![issuer.public()])).await;
    let certificate = issuer.issue(rider, &Phone::public_key(&[9; 32]), [1; 8], NOW, Duration::from_secs(600)).unwrap();
    let code = Phone::new(&[9; 32], certificate).show(NOW, [5; 8]);
    eventually("the gate is connected", || async {
        station.station.attendance.report().iter().any(|gate| gate.connected && gate.status.is_some())
    })
    .await;
    let base = format!("http://{}", station.booth_address.unwrap());
    let given = json!({ "base": base, "name": "li", "password": PASSWORD, "rider": rider, "code": code });
    drive("station/booth.mjs", &given).await;
    station.stop().await;
}
