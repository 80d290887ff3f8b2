//! What a monitor reads.

use facegate_domain::ids::RiderId;
use facegate_proto::convert::sync::FeedChange;
use facegate_proto::v1;
use facegate_runtime::http;
use facegate_runtime::identity::Role;
use facegate_runtime::telemetry::{self, LogFormat, Telemetry};

use crate::faces::{face, look, passed, template};
use crate::identify::ask;
use crate::world::{World, eventually};

#[tokio::test]
async fn a_monitor_reads_decisions_refusals_and_sizes_and_nobody_else_does() {
    let telemetry = Telemetry { format: LogFormat::Text, filter: "off".into(), metrics_listen: None };
    let metrics = telemetry::install(&telemetry).unwrap();
    let world = World::new().await;
    let listen = "telemetry = { filter = \"off\", metrics_listen = \"127.0.0.1:0\" }";
    let station = world.station_with(listen, Some(metrics)).await;
    let mate = face();
    world.cloud.publish_and_wait(FeedChange::TemplatePut(template(RiderId::random(), &mate))).await;
    let mut gate = world.gate(&station).await;
    ask(&mut gate, &look(&mate), v1::Direction::Entry).await;
    ask(&mut gate, &face(), v1::Direction::Entry).await;
    gate.register(v1::RegisterRequest::default()).await.unwrap();
    gate.deliver(v1::DeliverRequest { records: vec![passed("north-in", 1, 0)], ..Default::default() }).await.unwrap();

    let url = format!("https://{}/metrics", station.metrics_address.unwrap());
    let get = async |role, id| {
        let client = http::client(&world.identity(role, id), Role::Station).build().unwrap();
        client.get(&url).send().await.unwrap()
    };
    assert_eq!(get(Role::Gate, "north-in").await.status(), 403);
    let expected = [
        "facegate_decisions_total{tier=\"city\"} ",
        "facegate_refusals_total{reason=\"not_recognised\"} ",
        "facegate_identify_seconds_bucket{le=\"0.5\"} ",
        "facegate_templates ",
        "facegate_tier_riders{tier=\"in_system\"} 0",
        "facegate_journal_records_total{outcome=\"accepted\"} ",
        "facegate_backlog_records ",
        "facegate_feed_version ",
        "# HELP facegate_identify_seconds",
    ];
    eventually("every figure is there", || async {
        let text = get(Role::Monitor, "m1").await.text().await.unwrap();
        expected.iter().all(|line| text.contains(line))
    })
    .await;
    station.stop().await;
}
